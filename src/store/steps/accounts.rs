//! Accounts: made, found, changed, removed.

use super::{audit::Scribe, end, epoch, load_account, pages, save_account, sessions};
use crate::{
    model::{
        Account, AccountId, AccountState, Email, PasswordHash, Role, Session, SessionId,
        Succession, VisitDays,
    },
    store::{
        EmailChange, FoundAccounts, MOST_EMAILS_SEARCHED, PasswordChange, Result,
        records::{self, AccountRecord, SessionRecord},
        view::{Read, Write},
    },
};

pub(in crate::store) fn create(
    w: &mut dyn Write,
    account: Account,
    scribe: Scribe,
) -> Result<bool> {
    let email_key = records::email_key(&account.email);
    // An id is taken only if the caller reuses one; then, too, nobody else's account is replaced.
    if w.get(&email_key)?.is_some() || load_account(w, account.id)?.is_some() {
        return Ok(false);
    }
    scribe.write(w, &scribe.about(account.id))?;
    w.put(email_key, records::encode_account_id(account.id));
    let ended_days = VisitDays::default();
    save_account(w, &AccountRecord { account, ended_visits: 0, ended_days })?;
    Ok(true)
}

pub(in crate::store) fn find(r: &dyn Read, id: AccountId) -> Result<Option<Account>> {
    Ok(load_account(r, id)?.map(|record| record.account))
}

pub(in crate::store) fn find_by_email(r: &dyn Read, email: &Email) -> Result<Option<Account>> {
    match r.get(&records::email_key(email))? {
        Some(id) => find(r, records::decode_account_id(&id)?),
        None => Ok(None),
    }
}

pub(in crate::store) fn search(
    r: &dyn Read,
    part: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<FoundAccounts> {
    let mut found = FoundAccounts { accounts: Vec::new(), next: None };
    let mut last = None;
    for (looked_at, entry) in r.scan(records::EMAILS, &start_after(after)).enumerate() {
        if looked_at == MOST_EMAILS_SEARCHED || found.accounts.len() == limit {
            found.next = last.as_deref().map(records::decode_email_key).transpose()?;
            break;
        }
        let (key, id) = entry?;
        // Keys are compared as bytes: parts of UTF-8 that are text themselves match as text does.
        if contains(&key[records::EMAILS.len()..], part.as_bytes()) {
            found.accounts.push(named(r, &id)?);
        }
        last = Some(key);
    }
    Ok(found)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

/// The first key after that of an e-mail: none has a zero byte, so it is that with one added.
fn start_after(email: Option<&str>) -> records::Key {
    email.map_or_else(Vec::new, |email| [records::EMAILS, email.as_bytes(), &[0]].concat())
}

/// The account whose id this is.
fn named(r: &dyn Read, id: &[u8]) -> Result<Account> {
    let record = load_account(r, records::decode_account_id(id)?)?;
    let record =
        record.ok_or_else(|| records::damaged("e-mail", "the account it names is not there"))?;
    Ok(record.account)
}

pub(in crate::store) fn set_state(
    w: &mut dyn Write,
    id: AccountId,
    state: AccountState,
    scribe: Scribe,
) -> Result<Option<u64>> {
    let Some(mut record) = load_account(w, id)? else {
        return Ok(None);
    };
    let was = std::mem::replace(&mut record.account.state, state);
    let ended = match state {
        AccountState::Active => 0,
        AccountState::Disabled => end_all(w, &mut record, None)?,
    };
    if was != state || ended > 0 {
        scribe.write(w, &scribe.about(id).ending(ended))?;
    }
    save_account(w, &record)?;
    Ok(Some(ended))
}

pub(in crate::store) fn set_role(
    w: &mut dyn Write,
    id: AccountId,
    role: Role,
    scribe: Scribe,
) -> Result<Option<u64>> {
    let Some(mut record) = load_account(w, id)? else {
        return Ok(None);
    };
    if record.account.role == role {
        return Ok(Some(0));
    }
    record.account.role = role;
    let ended = if role == Role::Member { 0 } else { end_all(w, &mut record, None)? };
    scribe.write(w, &scribe.about(id).ending(ended))?;
    save_account(w, &record)?;
    Ok(Some(ended))
}

pub(in crate::store) fn remove(
    w: &mut dyn Write,
    id: AccountId,
    scribe: Scribe,
) -> Result<Option<u64>> {
    let Some(mut record) = load_account(w, id)? else {
        return Ok(None);
    };
    let ended = end_all(w, &mut record, None)?;
    w.remove(records::email_key(&record.account.email));
    w.remove(records::account_key(id));
    scribe.write(w, &scribe.about(id).ending(ended))?;
    Ok(Some(ended))
}

pub(in crate::store) fn close(
    w: &mut dyn Write,
    id: AccountId,
    by: SessionId,
    scribe: Scribe,
) -> Result<Option<u64>> {
    match sessions::find(w, id, by, scribe.cause.at)? {
        Some(_) => remove(w, id, scribe),
        None => Ok(None),
    }
}

pub(in crate::store) fn change_password(
    w: &mut dyn Write,
    id: AccountId,
    checked: Option<&PasswordHash>,
    new: PasswordHash,
    goes_on: Option<Succession>,
    scribe: Scribe,
) -> Result<PasswordChange> {
    let Some(mut record) = load_account(w, id)? else {
        return Ok(PasswordChange::AccountChanged);
    };
    if checked.is_some_and(|checked| !record.admits(checked)) {
        return Ok(PasswordChange::AccountChanged);
    }
    let session = match goes_on {
        Some(succession) => match sessions::succeed(w, id, &succession)? {
            Some(session) => Some(session),
            None => return Ok(PasswordChange::AccountChanged),
        },
        None => None,
    };
    record.account.password = new;
    let ended = end_all(w, &mut record, session.as_ref().map(|session| session.id))?;
    save_account(w, &record)?;
    let event = scribe.about(id).ending(ended);
    scribe.write(w, &goes_on.map_or(event, |it| event.going_on(it.from, it.to)))?;
    Ok(PasswordChange::Changed { ended, session })
}

pub(in crate::store) fn rehash(
    w: &mut dyn Write,
    id: AccountId,
    checked: &PasswordHash,
    new: PasswordHash,
) -> Result<bool> {
    let Some(mut record) = load_account(w, id)? else {
        return Ok(false);
    };
    if record.account.password != *checked {
        return Ok(false);
    }
    record.account.password = new;
    save_account(w, &record)?;
    Ok(true)
}

pub(in crate::store) fn change_email(
    w: &mut dyn Write,
    id: AccountId,
    new: Email,
    goes_on: Succession,
    scribe: Scribe,
) -> Result<EmailChange> {
    let Some(mut record) = load_account(w, id)? else {
        return Ok(EmailChange::AccountChanged);
    };
    // Whoever is no longer signed in is not told whose the address is.
    let is_alive = sessions::find(w, id, goes_on.from, goes_on.now)?.is_some();
    if record.account.state != AccountState::Active || !is_alive {
        return Ok(EmailChange::AccountChanged);
    }
    if find_by_email(w, &new)?.is_some_and(|owner| owner.id != id) {
        return Ok(EmailChange::Taken);
    }
    let Some(session) = sessions::succeed(w, id, &goes_on)? else {
        return Ok(EmailChange::AccountChanged);
    };
    w.remove(records::email_key(&record.account.email));
    w.put(records::email_key(&new), records::encode_account_id(id));
    record.account.email = new;
    let ended = end_all(w, &mut record, Some(session.id))?;
    save_account(w, &record)?;
    scribe.write(w, &scribe.about(id).going_on(goes_on.from, goes_on.to).ending(ended))?;
    Ok(EmailChange::Changed { ended, session })
}

pub(in crate::store) fn reauthenticate(
    w: &mut dyn Write,
    id: AccountId,
    checked: &PasswordHash,
    succession: &Succession,
    scribe: Scribe,
) -> Result<Option<Session>> {
    let admits = load_account(w, id)?.is_some_and(|record| record.admits(checked));
    let session = if admits { sessions::succeed(w, id, succession)? } else { None };
    if session.is_some() {
        scribe.write(w, &scribe.about(id).going_on(succession.from, succession.to))?;
    }
    Ok(session)
}

pub(in crate::store) fn total_visits(r: &dyn Read, id: AccountId) -> Result<u64> {
    let Some(record) = load_account(r, id)? else {
        return Ok(0);
    };
    let sessions = pages::all(r, id)?;
    let visits = sessions.iter().map(|record| record.session.visits);
    Ok(visits.fold(record.ended_visits, u64::saturating_add))
}

pub(in crate::store) fn visit_days(r: &dyn Read, id: AccountId) -> Result<VisitDays> {
    let Some(record) = load_account(r, id)? else {
        return Ok(VisitDays::default());
    };
    let mut days = record.ended_days;
    for session in pages::all(r, id)? {
        days.add_all(&session.days);
    }
    Ok(days)
}

impl AccountRecord {
    /// Whether a person who proved to know the password of hash `checked` may come in now.
    pub(super) fn admits(&self, checked: &PasswordHash) -> bool {
        self.account.state == AccountState::Active && self.account.password == *checked
    }
}

/// Ends all sessions of an account except `keep`. Returns how many of them were in force: without
/// a moment, those that expired but were not swept yet cannot be told apart and count too.
fn end_all(w: &mut dyn Write, record: &mut AccountRecord, keep: Option<SessionId>) -> Result<u64> {
    let epoch = epoch(w)?;
    let mut sessions = pages::all(w, record.account.id)?;
    sessions.retain(|record| Some(record.session.id) != keep);
    end(w, record, &sessions)?;
    let in_force = |record: &&SessionRecord| record.epoch == epoch;
    Ok(sessions.iter().filter(in_force).count() as u64)
}
