//! Sessions: begun, looked up, renewed, ended.

use jiff::SignedDuration;

use super::{
    audit::Scribe, end, epoch, is_alive, load_account, load_living_session, pages, save_account,
    variables,
};
use crate::{
    model::{AccountId, PasswordHash, Session, SessionId, Succession, Timestamp, VisitDays},
    store::{
        Created, Result,
        records::{self, SessionRecord},
        view::{Read, Write},
    },
};

pub(in crate::store) fn create(
    w: &mut dyn Write,
    mut session: Session,
    checked: &PasswordHash,
    max_per_account: usize,
    scribe: Scribe,
) -> Result<Created> {
    let Some(mut account) = load_account(w, session.account)? else {
        return Ok(Created::AccountChanged);
    };
    if !account.admits(checked) {
        return Ok(Created::AccountChanged);
    }
    let mut others = pages::all(w, session.account)?;
    if others.iter().any(|other| other.session.id == session.id) {
        // Ids are 74 random bits beside the time. Should one ever come twice, no session is
        // replaced by another.
        return Err(records::damaged("session", "its id is taken"));
    }
    let epoch = epoch(w)?;
    others.retain(|other| is_alive(other, epoch, session.created_at));
    others.sort_by_key(|other| age(&other.session));
    others.truncate((others.len() + 1).saturating_sub(max_per_account));
    let moved = account.account.copied_at.take();
    session.copied_at = moved.or(session.copied_at);
    end(w, &mut account, &others)?;
    if moved.is_some() || !others.is_empty() {
        save_account(w, &account)?;
    }
    let added = SessionRecord { session: session.clone(), epoch, days: VisitDays::default() };
    pages::insert(w, &added)?;
    let event = scribe.about(session.account).of_session(session.id);
    scribe.write(w, &event.ending(others.len() as u64))?;
    Ok(Created::Added { session, ended: others.iter().map(|other| other.session.id).collect() })
}

pub(in crate::store) fn find(
    r: &dyn Read,
    account: AccountId,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<Session>> {
    Ok(load_living_session(r, account, id, now)?.map(|found| found.record.session))
}

pub(in crate::store) fn list(
    r: &dyn Read,
    account: AccountId,
    now: Timestamp,
) -> Result<Vec<Session>> {
    let mut sessions: Vec<_> =
        load_living(r, account, now)?.into_iter().map(|record| record.session).collect();
    sessions.sort_by_key(age);
    Ok(sessions)
}

pub(in crate::store) fn renew(
    w: &mut dyn Write,
    account: AccountId,
    id: SessionId,
    now: Timestamp,
    idle: SignedDuration,
) -> Result<Option<Session>> {
    let Some(mut found) = load_living_session(w, account, id, now)? else {
        return Ok(None);
    };
    found.record.session.use_at(now, idle);
    found.save(w)?;
    Ok(Some(found.record.session))
}

/// Puts a session in the place of another, if that one is alive. The visits go along (nothing is
/// added to those of ended sessions), and the variables.
pub(super) fn succeed(
    w: &mut dyn Write,
    account: AccountId,
    succession: &Succession,
) -> Result<Option<Session>> {
    let Some(found) = load_living_session(w, account, succession.from, succession.now)? else {
        return Ok(None);
    };
    if pages::find(w, account, succession.to)?.is_some() {
        return Err(records::damaged("session", "its id is taken"));
    }
    let old = found.record;
    let session = succession.successor(&old.session);
    variables::go_along(w, account, succession.from, succession.to)?;
    pages::remove(w, account, std::slice::from_ref(&old))?;
    pages::insert(w, &SessionRecord { session: session.clone(), ..old })?;
    Ok(Some(session))
}

pub(in crate::store) fn revoke(
    w: &mut dyn Write,
    account: AccountId,
    id: SessionId,
    scribe: Scribe,
) -> Result<bool> {
    end_one(w, account, id, None, scribe)
}

pub(in crate::store) fn revoke_copied(
    w: &mut dyn Write,
    account: AccountId,
    id: SessionId,
    scribe: Scribe,
) -> Result<bool> {
    end_one(w, account, id, Some(scribe.cause.at), scribe)
}

fn end_one(
    w: &mut dyn Write,
    account: AccountId,
    id: SessionId,
    copied_at: Option<Timestamp>,
    scribe: Scribe,
) -> Result<bool> {
    let Some(found) = load_living_session(w, account, id, scribe.cause.at)? else {
        return Ok(false);
    };
    end_in_account(w, account, &[found.record], copied_at)?;
    scribe.write(w, &scribe.about(account).of_session(id).ending(1))?;
    Ok(true)
}

pub(in crate::store) fn revoke_all_of(
    w: &mut dyn Write,
    account: AccountId,
    keep: Option<SessionId>,
    scribe: Scribe,
) -> Result<u64> {
    let mut living = load_living(w, account, scribe.cause.at)?;
    living.retain(|record| Some(record.session.id) != keep);
    end_in_account(w, account, &living, None)?;
    let ended = living.len() as u64;
    if ended > 0 {
        scribe.write(w, &scribe.about(account).ending(ended))?;
    }
    Ok(ended)
}

pub(in crate::store) fn revoke_all(w: &mut dyn Write, scribe: Scribe) -> Result<()> {
    let next =
        epoch(w)?.checked_add(1).ok_or_else(|| records::damaged("epoch", "it cannot move on"))?;
    w.put(records::EPOCH.to_vec(), records::encode_epoch(next));
    scribe.write(w, &scribe.cause.about_nobody())
}

/// Removes sessions of one account, keeps their visits there, and notes when a copy was found.
pub(super) fn end_in_account(
    w: &mut dyn Write,
    account: AccountId,
    ended: &[SessionRecord],
    copied_at: Option<Timestamp>,
) -> Result<()> {
    if ended.is_empty() {
        return Ok(());
    }
    let Some(mut record) = load_account(w, account)? else {
        return pages::remove(w, account, ended);
    };
    record.account.copied_at = copied_at.or(record.account.copied_at);
    end(w, &mut record, ended)?;
    save_account(w, &record)
}

fn load_living(r: &dyn Read, account: AccountId, now: Timestamp) -> Result<Vec<SessionRecord>> {
    let epoch = epoch(r)?;
    let mut sessions = pages::all(r, account)?;
    sessions.retain(|record| is_alive(record, epoch, now));
    Ok(sessions)
}

/// Sorts sessions, oldest first.
fn age(session: &Session) -> (Timestamp, SessionId) {
    (session.created_at, session.id)
}
