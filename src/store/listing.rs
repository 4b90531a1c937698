//! Audit events, listed from the latest back: the trails merged by time, a page of events at a time,
//! whoever fetches the pages. There are two trails, or two of each shard.

use std::collections::VecDeque;

use super::{AuditFilter, AuditPage, AuditPlace, records::EVENTS_IN_PAGE};
use crate::model::{AuditEvent, AuditTrail, Timestamp};

/// The most pages that one listing of two trails looks at. For each further trail that has
/// any it is one more: the first page of each has to be known before the latest event is.
const MOST_LOOKED_AT: usize = 50;

/// The most events that one listing gives.
const MOST_LISTED: usize = 1_000;

/// One for each trail of a shard, in their order.
pub(super) type OfTrails<T> = [T; AuditTrail::ALL.len()];

/// A listing under way.
pub(super) struct Listing {
    filter: AuditFilter,
    limit: usize,
    /// Events of then or before are over.
    over: Timestamp,
    /// How many pages may still be looked at.
    budget: usize,
    /// Those of the first shard, of the second, and so on.
    trails: Vec<Backwards>,
    events: Vec<AuditEvent>,
}

/// What a listing needs next.
pub(super) enum Next {
    /// These pages, each for [`Listing::turn_page`]; no two of one trail.
    Pages(Vec<PageOf>),
    /// Nothing: this is the outcome.
    Nothing(AuditPage),
}

/// A page of a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageOf {
    pub(super) shard: usize,
    pub(super) trail: AuditTrail,
    /// Its number in the trail.
    pub(super) number: u64,
}

impl Listing {
    /// A listing of the events before a place, of shards whose trails end at these numbers.
    pub(super) fn new(
        filter: AuditFilter,
        before: Option<AuditPlace>,
        ends: &[OfTrails<u64>],
        limit: usize,
        over: Timestamp,
    ) -> Self {
        let begun = |end: &u64| Backwards { before: *end, ahead: VecDeque::new() };
        let mut trails: Vec<_> = ends.as_flattened().iter().map(begun).collect();
        if let Some(AuditPlace { before }) = before {
            let known = if before.len() == trails.len() { before } else { vec![0; trails.len()] };
            for (trail, before) in trails.iter_mut().zip(known) {
                trail.before = trail.before.min(before);
            }
        }
        let limit = limit.clamp(1, MOST_LISTED);
        let begun = trails.iter().filter(|trail| trail.before > 0).count();
        let budget = MOST_LOOKED_AT + begun.saturating_sub(AuditTrail::ALL.len());
        Self { filter, limit, over, budget, trails, events: Vec::new() }
    }

    /// Goes on as far as it can.
    pub(super) fn go_on(&mut self) -> Next {
        loop {
            let wanted: Vec<_> = self.wanted().take(self.budget).collect();
            if !wanted.is_empty() {
                return Next::Pages(wanted);
            }
            let is_over = self.trails.iter().all(|trail| trail.before == 0);
            // Of a trail whose next page may not be looked at, it is not known what comes next.
            let unknown = self.trails.iter().any(|trail| trail.next_page().is_some());
            if is_over || unknown || self.events.len() >= self.limit {
                let before = self.trails.iter().map(|trail| trail.before).collect();
                let next = (!is_over).then_some(AuditPlace { before });
                return Next::Nothing(AuditPage { events: std::mem::take(&mut self.events), next });
            }
            // The latest one; of those of one moment that of the first trail.
            let head = |trail: &Backwards| trail.ahead.back().map(|event| event.at);
            let latest = self.trails.iter_mut().rev().max_by_key(|trail| head(trail));
            if let Some(event) = latest.and_then(Backwards::next)
                && event.at > self.over
                && self.filter.account.is_none_or(|account| event.concerns(account))
            {
                self.events.push(event);
            }
        }
    }

    /// The pages without which it cannot go on.
    fn wanted(&self) -> impl Iterator<Item = PageOf> {
        let names = AuditTrail::ALL.into_iter().cycle();
        self.trails.iter().zip(names).enumerate().filter_map(|(index, (backwards, trail))| {
            let number = backwards.next_page()?;
            Some(PageOf { shard: index / AuditTrail::ALL.len(), trail, number })
        })
    }

    /// Looks at a page that [`go_on`](Self::go_on) asked for; at none of it where it is gone.
    pub(super) fn turn_page(&mut self, of: PageOf, page: Vec<AuditEvent>) {
        self.budget -= 1;
        let mut trails = self.trails.iter_mut().skip(of.shard * AuditTrail::ALL.len());
        for name in AuditTrail::ALL {
            let backwards = trails.next();
            if name == of.trail
                && let Some(backwards) = backwards
            {
                return backwards.turn_page(page);
            }
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
