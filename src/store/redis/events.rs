//! Audit events, listed: the two trails merged by time, as `steps/audit.rs` does it. Pages are fetched
//! some at a time; one that is full never changes, and of the latest only what was there when the
//! list began is read.

use std::collections::VecDeque;

use super::{
    RedisStore,
    codec::{self, Parts},
};
use crate::{
    model::{AuditEvent, AuditTrail, Timestamp, clock::later},
    store::{AuditFilter, AuditPage, AuditPlace, Result, records::EVENTS_IN_PAGE},
};

/// The most pages that one listing looks at.
const MOST_LOOKED_AT: usize = 50;

/// The most events that one listing gives.
const MOST_LISTED: usize = 1_000;

/// How many pages are fetched at once.
const AT_ONCE: u64 = 5;

impl RedisStore {
    pub(super) async fn list_events(
        &self,
        filter: AuditFilter,
        before: Option<AuditPlace>,
        limit: usize,
        now: Timestamp,
    ) -> Result<AuditPage> {
        let over = later(now, -self.audit.keep);
        let limit = limit.clamp(1, MOST_LISTED);
        let mut budget = MOST_LOOKED_AT;
        let mut trails = Vec::new();
        let ends = self.event_ends().await?;
        for (at, (trail, end)) in AuditTrail::ALL.into_iter().zip(ends).enumerate() {
            let before = before.map_or(end, |place| place.before[at].min(end));
            let (ahead, fetched) = (VecDeque::new(), VecDeque::new());
            trails.push(Backwards { trail, before, ahead, fetched });
        }
        let mut events = Vec::new();
        loop {
            let mut is_over = true;
            let mut heads = Vec::new();
            for trail in &mut trails {
                if trail.ahead.is_empty() && budget > 0 && trail.turn_page(self).await? {
                    budget -= 1;
                }
                is_over &= trail.is_over();
                heads.push(trail.ahead.back().map(|event| event.at));
            }
            // Of a trail whose next page may not be looked at, it is not known what comes next.
            let unknown = trails.iter().any(|trail| trail.ahead.is_empty() && !trail.is_over());
            if is_over || unknown || events.len() >= limit {
                let next = (!is_over).then(|| {
                    let mut place = AuditPlace { before: [0; AuditTrail::ALL.len()] };
                    for (before, trail) in place.before.iter_mut().zip(&trails) {
                        *before = trail.before;
                    }
                    place
                });
                return Ok(AuditPage { events, next });
            }
            // The later one; of two at one moment that of the first trail.
            let latest = usize::from(heads[0] < heads[1]);
            if let Some(event) = trails[latest].next()
                && event.at > over
                && filter.account.is_none_or(|account| event.concerns(account))
            {
                events.push(event);
            }
        }
    }

    /// The number of the event behind the latest, in each trail.
    pub(super) async fn event_ends(&self) -> Result<Vec<u64>> {
        ends(self.ask(&self.read("event_ends")).await?)
    }
}

/// The answer of `event_ends`.
pub(super) fn ends(answer: ::redis::Value) -> Result<Vec<u64>> {
    let mut ends = Vec::new();
    for part in Parts::of("audit", answer)?.rest() {
        let mut pair = Parts::of("audit", part)?;
        let (open, count) = (pair.count()?, pair.count()?);
        ends.push(open * EVENTS_IN_PAGE + count);
    }
    Ok(ends)
}

/// The events of pages, as `event_pages` answers.
pub(super) fn pages(answer: ::redis::Value) -> Result<Vec<Vec<AuditEvent>>> {
    let mut pages = Vec::new();
    for page in Parts::of("audit", answer)?.rest() {
        let events = Parts::of("audit", page)?.rest();
        let events: Result<_> =
            events.map(|kept| codec::event(&codec::bytes("audit", kept)?)).collect();
        pages.push(events?);
    }
    Ok(pages)
}

/// A trail, read from its end.
struct Backwards {
    trail: AuditTrail,
    /// The number of the event that was read last, or of the one behind the latest. Zero when there
    /// are none before it.
    before: u64,
    /// What was looked at and not read yet.
    ahead: VecDeque<AuditEvent>,
    /// Pages that were fetched and not looked at yet, from the next one back.
    fetched: VecDeque<Vec<AuditEvent>>,
}

impl Backwards {
    /// Whether there are no more.
    fn is_over(&self) -> bool {
        self.before == 0
    }

    /// Looks at the page that the next event is in. Returns whether a page had to be looked at.
    async fn turn_page(&mut self, store: &RedisStore) -> Result<bool> {
        let Some(next) = self.before.checked_sub(1) else {
            return Ok(false);
        };
        let number = next / EVENTS_IN_PAGE;
        if self.fetched.is_empty() {
            let mut command = store.read("event_pages");
            command.arg(codec::letter(self.trail));
            for back in 0..AT_ONCE.min(number + 1) {
                command.arg(number - back);
            }
            self.fetched = pages(store.ask(&command).await?)?.into();
        }
        self.ahead = self.fetched.pop_front().unwrap_or_default().into();
        self.ahead.truncate(usize::try_from(next % EVENTS_IN_PAGE).unwrap_or(usize::MAX) + 1);
        // Where a page is gone, so is all before it.
        self.before = match self.ahead.len() as u64 {
            0 => 0,
            count => number * EVENTS_IN_PAGE + count,
        };
        Ok(true)
    }

    fn next(&mut self) -> Option<AuditEvent> {
        let event = self.ahead.pop_back()?;
        self.before -= 1;
        Some(event)
    }
}
