//! Everything in all shards, from where each stood at one moment.
//!
//! Nobody can claim an e-mail while the exports of the shards begin. So whoever gives an e-mail up in
//! between, nobody else has it in the backup. Accounts come from all shards at once, since an export
//! that is not read on is given up; then the audit events of all, merged by their times and numbered
//! anew, as if there was one trail of each kind.

use std::collections::VecDeque;

use futures_util::future::{join_all, try_join_all};
use uuid::Uuid;

use async_trait::async_trait;

use super::ClusterStore;
use crate::{
    model::{AuditEvent, AuditTrail},
    store::{
        BackupRecord, Export, Result, StoreError,
        backup::EVENTS_IN_RUN,
        records::EVENTS_IN_PAGE,
        redis::{
            RedisStore,
            export::{self, EVENT_PAGES, Exporting},
        },
    },
};

/// For how long nobody can claim an e-mail at the most, in milliseconds.
const FROZEN: u64 = 10_000;

/// How many runs of events are handed out at once.
const RUNS: usize = 20;

/// An export that is under way.
pub(super) struct ExportingAll {
    shards: Vec<Exporting>,
    /// The epoch of the whole, if it was not handed out yet.
    epoch: Option<u64>,
    trails: VecDeque<Merged>,
}

impl ClusterStore {
    pub(super) async fn begin_export(&self) -> Result<ExportingAll> {
        let token = Uuid::new_v4();
        let frozen = self
            .all(async |shard: &RedisStore| {
                let mut command = shard.change("freeze");
                command.arg(token.as_bytes()).arg(FROZEN);
                shard.ask(&command).await
            })
            .await;
        let begun = match frozen {
            Ok(_) => self.all(|shard| export::begin(shard.functions.clone())).await,
            Err(error) => Err(error),
        };
        let thawed = self
            .all(async |shard: &RedisStore| {
                let mut command = shard.change("thaw");
                command.arg(token.as_bytes());
                shard.count("store", &command).await
            })
            .await;
        let shards = begun?;
        if thawed?.contains(&0) {
            return Err(StoreError::Unavailable(
                "Redis: it took too long to begin a backup of all shards".to_owned(),
            ));
        }
        let epoch = shards.iter().filter_map(|shard| shard.epoch).max();
        let trails = AuditTrail::ALL.map(|trail| Merged {
            trail,
            first: 0,
            shards: shards.iter().map(|shard| OfShard::new(shard, trail)).collect(),
        });
        Ok(ExportingAll { shards, epoch, trails: trails.into() })
    }
}

#[async_trait]
impl Export for ExportingAll {
    async fn next(&mut self) -> Result<Option<Vec<BackupRecord>>> {
        let mut records: Vec<_> = Vec::new();
        // What is alive everywhere is of the latest epoch of all.
        let whole = self.epoch.unwrap_or(0);
        while records.is_empty() && self.shards.iter().any(|shard| shard.has_accounts) {
            let pages = join_all(self.shards.iter_mut().map(|shard| async {
                if shard.has_accounts { shard.accounts().await } else { Ok(Vec::new()) }
            }));
            let pages = pages.await.into_iter().collect::<Result<Vec<_>>>()?;
            for (shard, page) in self.shards.iter().zip(pages) {
                let of_shard = shard.epoch.unwrap_or(0);
                records.extend(page.into_iter().map(|record| in_epoch(record, of_shard, whole)));
            }
            if self.shards.iter().all(|shard| !shard.has_accounts)
                && let Some(epoch) = self.epoch
            {
                records.push(BackupRecord::Epoch(epoch));
            }
        }
        while records.is_empty()
            && let Some(trail) = self.trails.front_mut()
        {
            records = trail.runs(&self.shards).await?;
            if records.is_empty() {
                self.trails.pop_front();
            }
        }
        Ok((!records.is_empty()).then_some(records))
    }
}

/// A record of a shard that is in one epoch, as it is in a store that is in another, later one.
fn in_epoch(record: BackupRecord, of_shard: u64, whole: u64) -> BackupRecord {
    match record {
        BackupRecord::Session { session, epoch, days } if epoch == of_shard => {
            BackupRecord::Session { session, epoch: whole, days }
        }
        other => other,
    }
}

/// A trail of all shards.
struct Merged {
    trail: AuditTrail,
    /// The number of the next event.
    first: u64,
    shards: Vec<OfShard>,
}

/// A trail of one shard, as far as it was read.
struct OfShard {
    /// The page to read next.
    from: u64,
    /// The number of the event behind the last.
    end: u64,
    events: VecDeque<AuditEvent>,
}

impl OfShard {
    fn new(shard: &Exporting, trail: AuditTrail) -> Self {
        let found = shard.trails.iter().find(|(name, ..)| *name == trail);
        let (from, end) = found.map_or((0, 0), |(_, from, end)| (*from, *end));
        Self { from, end, events: VecDeque::new() }
    }

    async fn refill(&mut self, shard: &Exporting, trail: AuditTrail) -> Result<()> {
        let last = self.end.div_ceil(EVENTS_IN_PAGE);
        while self.events.is_empty() && self.from < last {
            let until = last.min(self.from + EVENT_PAGES);
            let pages = shard.event_pages(trail, self.from..until, self.end).await?;
            self.events.extend(pages.into_iter().flat_map(|(_, events)| events));
            self.from = until;
        }
        Ok(())
    }
}

impl Merged {
    async fn runs(&mut self, shards: &[Exporting]) -> Result<Vec<BackupRecord>> {
        let mut records = Vec::new();
        while records.len() < RUNS {
            let mut events = Vec::new();
            while (events.len() as u64) < EVENTS_IN_RUN {
                let trail = self.trail;
                let refilled = self.shards.iter_mut().zip(shards);
                try_join_all(refilled.map(|(of, shard)| of.refill(shard, trail))).await?;
                let head = |of: &&mut OfShard| of.events.front().map(|event| event.at);
                let begun = self.shards.iter_mut().filter(|of| !of.events.is_empty());
                // A listing from the latest on gives those of one moment the other way round.
                let earliest = begun.rev().min_by_key(head);
                match earliest.and_then(|of| of.events.pop_front()) {
                    Some(event) => events.push(event),
                    None => break,
                }
            }
            if events.is_empty() {
                break;
            }
            let count = events.len() as u64;
            records.push(BackupRecord::Events { trail: self.trail, first: self.first, events });
            self.first += count;
        }
        Ok(records)
    }
}
