//! Session variables: read and changed while the session is alive, gone when it is.
//!
//! All of a session are one record. A step runs alone, so to change one in it loses no other.

use super::load_living_session;
use crate::{
    model::{AccountId, SessionId, Timestamp, Variables},
    store::{
        Result, VariableChange,
        records::{self, SessionRecord},
        view::{Read, Write},
    },
};

pub(in crate::store) fn find(
    r: &dyn Read,
    account: AccountId,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<Variables>> {
    if load_living_session(r, account, id, now)?.is_none() {
        return Ok(None);
    }
    load(r, account, id).map(Some)
}

pub(in crate::store) fn change(
    w: &mut dyn Write,
    account: AccountId,
    id: SessionId,
    name: String,
    value: Option<Vec<u8>>,
    now: Timestamp,
) -> Result<VariableChange> {
    // Nothing is written for a session that is not alive: a late request revives nothing.
    let Some(mut variables) = find(w, account, id, now)? else {
        return Ok(VariableChange::Absent);
    };
    let was_there = match value {
        None => variables.remove(&name),
        Some(value) => match variables.set(name, value) {
            Ok(was_there) => was_there,
            Err(refused) => return Ok(VariableChange::Refused(refused)),
        },
    };
    save(w, account, id, &variables)?;
    Ok(VariableChange::Made { was_there })
}

/// Those of sessions that end with them.
pub(super) fn end(w: &mut dyn Write, account: AccountId, ended: &[SessionRecord]) -> Result<()> {
    if ended.is_empty() {
        return Ok(());
    }
    // One look for all of them: nearly always nothing is there.
    let prefix = records::variables_of(account);
    let keys: Result<Vec<_>> =
        w.scan(&prefix, &prefix).map(|entry| entry.map(|(key, _)| key)).collect();
    for key in keys? {
        if ended.iter().any(|record| key == records::variables_key(account, record.session.id)) {
            w.remove(key);
        }
    }
    Ok(())
}

/// Those of a session that goes on under another id go along.
pub(super) fn go_along(
    w: &mut dyn Write,
    account: AccountId,
    from: SessionId,
    to: SessionId,
) -> Result<()> {
    let variables = load(w, account, from)?;
    if variables.is_empty() {
        return Ok(());
    }
    save(w, account, from, &Variables::default())?;
    save(w, account, to, &variables)
}

/// Takes those of a backup in, whose session may come later.
pub(super) fn import(
    w: &mut dyn Write,
    account: AccountId,
    id: SessionId,
    variables: &Variables,
) -> Result<()> {
    if w.get(&records::variables_key(account, id))?.is_some() {
        return Err(records::damaged("variables", "they are there already"));
    }
    save(w, account, id, variables)
}

fn load(r: &dyn Read, account: AccountId, id: SessionId) -> Result<Variables> {
    match r.get(&records::variables_key(account, id))? {
        Some(value) => records::decode_variables(&value),
        None => Ok(Variables::default()),
    }
}

fn save(w: &mut dyn Write, account: AccountId, id: SessionId, variables: &Variables) -> Result<()> {
    let key = records::variables_key(account, id);
    if !variables.is_empty() {
        w.put(key, records::encode_variables(variables)?);
    } else if w.get(&key)?.is_some() {
        w.remove(key);
    }
    Ok(())
}
