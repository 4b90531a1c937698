//! Audit events, listed from the latest back: the two trails merged by time, a page of events at a
//! time, whoever fetches the pages.

use std::collections::VecDeque;

use super::{AuditFilter, AuditPage, AuditPlace, records::EVENTS_IN_PAGE};
use crate::model::{AuditEvent, AuditTrail, Timestamp};

/// The most pages that one listing looks at.
const MOST_LOOKED_AT: usize = 50;

/// The most events that one listing gives.
const MOST_LISTED: usize = 1_000;

/// One for each trail, in their order.
pub(super) type OfTrails<T> = [T; AuditTrail::ALL.len()];

/// A listing under way.
pub(super) struct Listing {
    filter: AuditFilter,
    limit: usize,
    /// Events of then or before are over.
    over: Timestamp,
    /// How many pages may still be looked at.
    budget: usize,
    trails: OfTrails<Backwards>,
    events: Vec<AuditEvent>,
}

/// What a listing needs next.
pub(super) enum Next {
    /// The page with this number of a trail, for [`Listing::turn_page`].
    Page(AuditTrail, u64),
    /// Nothing: this is the outcome.
    Nothing(AuditPage),
}

impl Listing {
    /// A listing of the events before a place, of trails that end at these numbers.
    pub(super) fn new(
        filter: AuditFilter,
        before: Option<AuditPlace>,
        ends: OfTrails<u64>,
        limit: usize,
        over: Timestamp,
    ) -> Self {
        let mut trails = ends.map(|end| Backwards { before: end, ahead: VecDeque::new() });
        for (trail, before) in trails.iter_mut().zip(before.map_or(ends, |place| place.before)) {
            trail.before = trail.before.min(before);
        }
        let limit = limit.clamp(1, MOST_LISTED);
        Self { filter, limit, over, budget: MOST_LOOKED_AT, trails, events: Vec::new() }
    }

    /// Goes on as far as it can.
    pub(super) fn go_on(&mut self) -> Next {
        loop {
            for (name, trail) in AuditTrail::ALL.into_iter().zip(&self.trails) {
                if let Some(number) = trail.next_page().filter(|_| self.budget > 0) {
                    return Next::Page(name, number);
                }
            }
            let is_over = self.trails.iter().all(|trail| trail.before == 0);
            // Of a trail whose next page may not be looked at, it is not known what comes next.
            let unknown = self.trails.iter().any(|trail| trail.next_page().is_some());
            if is_over || unknown || self.events.len() >= self.limit {
                let before = self.trails.each_ref().map(|trail| trail.before);
                let next = (!is_over).then_some(AuditPlace { before });
                return Next::Nothing(AuditPage { events: std::mem::take(&mut self.events), next });
            }
            // The later one; of two at one moment that of the first trail.
            let heads =
                self.trails.each_ref().map(|trail| trail.ahead.back().map(|event| event.at));
            let latest = usize::from(heads[0] < heads[1]);
            if let Some(event) = self.trails[latest].next()
                && event.at > self.over
                && self.filter.account.is_none_or(|account| event.concerns(account))
            {
                self.events.push(event);
            }
        }
    }

    /// Looks at the page that [`go_on`](Self::go_on) asked for; at none of it where it is gone.
    pub(super) fn turn_page(&mut self, trail: AuditTrail, page: Vec<AuditEvent>) {
        self.budget -= 1;
        let mut trails = self.trails.iter_mut().zip(AuditTrail::ALL);
        if let Some((backwards, _)) = trails.find(|(_, name)| *name == trail) {
            backwards.turn_page(page);
        }
    }
}

/// A trail, read from its end.
struct Backwards {
    /// The number of the event that was read last, or of the one behind the latest. Zero when there
    /// are none before it.
    before: u64,
    /// What was looked at and not read yet.
    ahead: VecDeque<AuditEvent>,
}

impl Backwards {
    /// The page that has to be looked at before it can go on.
    fn next_page(&self) -> Option<u64> {
        let next = self.before.checked_sub(1)?;
        self.ahead.is_empty().then_some(next / EVENTS_IN_PAGE)
    }

    fn turn_page(&mut self, page: Vec<AuditEvent>) {
        let next = self.before.saturating_sub(1);
        self.ahead = page.into();
        self.ahead.truncate(usize::try_from(next % EVENTS_IN_PAGE).unwrap_or(usize::MAX) + 1);
        // Where a page is gone, so is all before it: they go in order.
        self.before = match self.ahead.len() as u64 {
            0 => 0,
            count => next - next % EVENTS_IN_PAGE + count,
        };
    }

    fn next(&mut self) -> Option<AuditEvent> {
        let event = self.ahead.pop_back()?;
        self.before -= 1;
        Some(event)
    }
}
