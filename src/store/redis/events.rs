//! Audit events, for a [listing](crate::store::listing) and an export. Pages are fetched some at a
//! time; one that is full never changes, and of the latest only what was there when the list began is
//! read.

use std::collections::VecDeque;

use super::{
    RedisStore,
    codec::{self, Parts},
};
use crate::{
    model::{AuditEvent, AuditTrail, Timestamp, clock::later},
    store::{
        AuditFilter, AuditPage, AuditPlace, Result,
        listing::{Listing, Next, OfTrails},
        records::EVENTS_IN_PAGE,
    },
};

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
        let ends = [self.event_ends().await?];
        let mut listing = Listing::new(filter, before, &ends, limit, over);
        // Pages that were fetched and not looked at yet, from the next one back.
        let mut fetched = AuditTrail::ALL.map(|trail| (trail, VecDeque::new()));
        loop {
            let wanted = match listing.go_on() {
                Next::Pages(wanted) => wanted,
                Next::Nothing(found) => return Ok(found),
            };
            for of in wanted {
                let fetched = fetched.iter_mut().find(|(trail, _)| *trail == of.trail);
                let Some((_, pages)) = fetched else { continue };
                if pages.is_empty() {
                    pages.extend(self.pages_back_from(of.trail, of.number, AT_ONCE).await?);
                }
                listing.turn_page(of, pages.pop_front().unwrap_or_default());
            }
        }
    }

    /// That page of a trail and some before it.
    pub(super) async fn pages_back_from(
        &self,
        trail: AuditTrail,
        number: u64,
        count: u64,
    ) -> Result<Vec<Vec<AuditEvent>>> {
        let mut command = self.read("event_pages");
        command.arg(codec::letter(trail));
        for back in 0..count.min(number + 1) {
            command.arg(number - back);
        }
        pages(self.ask(&command).await?)
    }

    /// The number of the event behind the latest, in each trail.
    pub(super) async fn event_ends(&self) -> Result<OfTrails<u64>> {
        ends(self.ask(&self.read("event_ends")).await?)
    }
}

/// The answer of `event_ends`.
pub(super) fn ends(answer: ::redis::Value) -> Result<OfTrails<u64>> {
    let mut parts = Parts::of("audit", answer)?;
    let mut ends = [0; AuditTrail::ALL.len()];
    for end in &mut ends {
        let mut pair = Parts::of("audit", parts.next())?;
        let (open, count) = (pair.count()?, pair.count()?);
        *end = open * EVENTS_IN_PAGE + count;
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
