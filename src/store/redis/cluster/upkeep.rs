//! The sweep, and the import of a backup's records.

use futures_util::future::try_join_all;

use super::{ClusterStore, SHARDS, shard};
use crate::{
    model::Timestamp,
    store::{
        BackupRecord, Result, SweepCursor, Swept, backup::EVENTS_IN_RUN, records::damaged,
        redis::upkeep::sweep_budget,
    },
};

// What a cursor has behind the number of its shard when claims are next, or the e-mails of accounts.
const CLAIMS: u8 = b'c';
const EMAILS: u8 = b'e';

impl ClusterStore {
    /// One shard after the other; in each, what there is as in a store of its own, then claims, and then
    /// whether each account has its claim.
    pub(super) async fn sweep_shards(
        &self,
        from: Option<SweepCursor>,
        budget: usize,
        now: Timestamp,
    ) -> Result<Swept> {
        let mut budget = sweep_budget(budget);
        let from = from.map(|cursor| cursor.0).unwrap_or_default();
        let (first, mut inner) = match from.split_first() {
            None => (0, Vec::new()),
            Some((first, inner)) if usize::from(*first) < SHARDS => {
                (usize::from(*first), inner.to_vec())
            }
            Some(_) => return Err(damaged("sweep", "its place is none of this store")),
        };
        let mut all = Swept { removed: 0, living: 0, next: None };
        for shard in first..SHARDS {
            let more = |kind: u8, place: &[u8]| cursor(shard, &[&[kind], place].concat());
            let (mut claims, mut emails) = (Some("0".to_owned()), Vec::new());
            match inner.split_first() {
                Some((&CLAIMS, place)) => {
                    claims = Some(String::from_utf8_lossy(place).into_owned());
                }
                Some((&EMAILS, place)) => (claims, emails) = (None, place.to_vec()),
                _ => {
                    let inner = (!inner.is_empty()).then(|| SweepCursor(inner.clone()));
                    let swept = self.shards[shard].sweep_step(inner, &mut budget, now).await?;
                    all.removed += swept.removed;
                    all.living += swept.living;
                    if let Some(SweepCursor(inner)) = swept.next {
                        return Ok(Swept { next: Some(cursor(shard, &inner)), ..all });
                    }
                }
            }
            if let Some(from) = claims
                && let Some(place) = self.sweep_claims(shard, &from).await?
            {
                return Ok(Swept { next: Some(more(CLAIMS, place.as_bytes())), ..all });
            }
            if let Some(place) = self.sweep_emails(shard, &emails).await? {
                return Ok(Swept { next: Some(more(EMAILS, &place)), ..all });
            }
            inner.clear();
        }
        Ok(all)
    }

    /// All of them, or none: everything is looked at before anything is written. Nobody else uses the
    /// store meanwhile.
    pub(super) async fn import_into_shards(&self, records: Vec<BackupRecord>) -> Result<()> {
        let mut accounts = Vec::new();
        let mut parts = vec![Vec::new(); SHARDS];
        for record in records {
            match record {
                BackupRecord::Account { ref account, .. } => {
                    accounts.push((account.email.clone(), account.id));
                    parts[shard::of_account(account.id)].push(record);
                }
                BackupRecord::Session { ref session, .. } => {
                    parts[shard::of_account(session.account)].push(record);
                }
                BackupRecord::Variables { account, .. } => {
                    parts[shard::of_account(account)].push(record);
                }
                BackupRecord::Epoch(epoch) => {
                    for part in &mut parts {
                        part.push(BackupRecord::Epoch(epoch));
                    }
                }
                // Dealt out one after the other: each shard has its part of each time.
                BackupRecord::Events { trail, first, events } => {
                    let (run, rest) = (first / EVENTS_IN_RUN, first % EVENTS_IN_RUN);
                    let shards = SHARDS as u64;
                    let shard = usize::try_from(run % shards).unwrap_or(0);
                    let first = run / shards * EVENTS_IN_RUN + rest;
                    parts[shard].push(BackupRecord::Events { trail, first, events });
                }
            }
        }
        for only_look in [true, false] {
            self.import_claims(&accounts, only_look).await?;
            let parts = self.shards.iter().zip(&parts).filter(|(_, part)| !part.is_empty());
            let asked = parts.map(|(shard, part)| shard.import_records(part.clone(), only_look));
            try_join_all(asked).await?;
        }
        Ok(())
    }
}

fn cursor(shard: usize, inner: &[u8]) -> SweepCursor {
    let shard = u8::try_from(shard).unwrap_or(u8::MAX);
    SweepCursor([&[shard], inner].concat())
}
