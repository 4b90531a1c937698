//! Audit events, for a [listing](crate::store::listing) and an export. Pages are fetched some at a
//! time; one that is full never changes, and of the latest only what was there when the list began is
//! read.

use std::collections::VecDeque;

use futures_util::future::try_join_all;

use super::{
    RedisStore,
    codec::{self, Parts},
};
use crate::{
    model::{AuditEvent, AuditTrail, Timestamp, clock::later},
    store::{
        AuditFilter, AuditPage, AuditPlace, Result, StoreError,
        listing::{Listing, Next, OfTrails, PageOf},
        records::EVENTS_IN_PAGE,
    },
};

/// How many pages of a trail are fetched at once, when it is read on.
const AT_ONCE: u64 = 5;

/// Those of one store, or of all shards, merged.
pub(super) async fn list(
    shards: &[RedisStore],
    filter: AuditFilter,
    before: Option<AuditPlace>,
    limit: usize,
    now: Timestamp,
) -> Result<AuditPage> {
    let keep = shards.first().map(|shard| shard.audit.keep).unwrap_or_default();
    let ends = try_join_all(shards.iter().map(RedisStore::event_ends)).await?;
    let mut listing = Listing::new(filter, before, &ends, limit, later(now, -keep));
    // Pages that were fetched and not looked at yet, of each trail from the next one back.
    let mut fetched = vec![VecDeque::new(); shards.len() * AuditTrail::ALL.len()];
    // Of many shards, the latest page of each is enough at first, or more than that.
    let mut at_once = if shards.len() == 1 { AT_ONCE } else { 1 };
    loop {
        let wanted = match listing.go_on() {
            Next::Pages(wanted) => wanted,
            Next::Nothing(found) => return Ok(found),
        };
        let missing = wanted.iter().filter(|of| fetched[place(of)].is_empty());
        let missing = missing.map(async |of| {
            let pages = shards[of.shard].pages_back_from(of.trail, of.number, at_once).await?;
            Ok::<_, StoreError>((place(of), pages))
        });
        for (place, pages) in try_join_all(missing).await? {
            fetched[place].extend(pages);
        }
        for of in wanted {
            let page = fetched[place(&of)].pop_front();
            listing.turn_page(of, page.unwrap_or_default());
        }
        at_once = AT_ONCE;
    }
}

fn place(of: &PageOf) -> usize {
    of.shard * AuditTrail::ALL.len() + usize::from(of.trail == AuditTrail::Others)
}

impl RedisStore {
    /// That page of a trail and some before it.
    async fn pages_back_from(
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
    async fn event_ends(&self) -> Result<OfTrails<u64>> {
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
