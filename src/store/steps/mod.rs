//! The business rules of the store, each written once, over [`Read`] and [`Write`].
//!
//! A step runs alone: nothing else changes the store while it does. So it may read, decide and
//! write in plain sequence. What it returns is answered when what it wrote is recorded; when it
//! returns an error, nothing it wrote is kept. To add an operation, write its step here, under
//! the file of its subject, and one line in [`backend`](super::backend). A step that changes what people
//! notice is given a [`Scribe`](audit::Scribe) and writes its event down, unless it changed nothing.

pub(super) mod accounts;
pub(super) mod attempts;
pub(super) mod audit;
pub(super) mod import;
mod pages;
pub(super) mod sessions;
pub(super) mod upkeep;
pub(super) mod variables;
pub(super) mod visits;

use self::pages::Found;
use super::{
    Result,
    records::{self, AccountRecord, SessionRecord},
    view::{Read, Write},
};
use crate::model::{AccountId, SessionId, Timestamp};

fn load_account(r: &dyn Read, id: AccountId) -> Result<Option<AccountRecord>> {
    r.get(&records::account_key(id))?.map(|value| AccountRecord::decode(id, &value)).transpose()
}

fn save_account(w: &mut dyn Write, record: &AccountRecord) -> Result<()> {
    w.put(records::account_key(record.account.id), record.encode()?);
    Ok(())
}

fn epoch(r: &dyn Read) -> Result<u64> {
    match r.get(records::EPOCH)? {
        Some(value) => records::decode_epoch(&value),
        None => Ok(0),
    }
}

fn is_alive(record: &SessionRecord, epoch: u64, now: Timestamp) -> bool {
    record.epoch == epoch && !record.session.is_over(now)
}

fn load_living_session(
    r: &dyn Read,
    account: AccountId,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<Found>> {
    let Some(found) = pages::find(r, account, id)? else {
        return Ok(None);
    };
    Ok(is_alive(&found.record, epoch(r)?, now).then_some(found))
}

/// Removes session records and keeps their visits in `account`, which the caller saves.
fn end(w: &mut dyn Write, account: &mut AccountRecord, ended: &[SessionRecord]) -> Result<()> {
    for SessionRecord { session, days, .. } in ended {
        account.ended_visits = account.ended_visits.saturating_add(session.visits);
        account.ended_days.add_all(days);
    }
    pages::remove(w, account.account.id, ended)
}
