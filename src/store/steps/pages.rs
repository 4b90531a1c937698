//! An account's sessions in their pages: found, changed in place, put in, taken out.
//!
//! Looking up and changing one session reads and writes its page alone. What changes how many there
//! are reads all pages of the account, nearly always one, and writes those that come out different.

use crate::{
    model::{AccountId, SessionId},
    store::{
        Result,
        records::{self, Key, MOST_IN_PAGE, Page, SessionRecord},
        view::{Read, Write},
    },
};

/// A session that was found, and where.
pub(super) struct Found {
    pub(super) record: SessionRecord,
    key: Key,
    page: Page,
}

impl Found {
    /// Puts the record, which may have been changed, back into its place.
    pub(super) fn save(&self, w: &mut dyn Write) -> Result<()> {
        let page = self.page.replace(&self.record)?;
        let page = page.ok_or_else(|| records::damaged("session", "it is another by now"))?;
        w.put(self.key.clone(), page.into_value());
        Ok(())
    }
}

/// The session, dead or alive.
pub(super) fn find(r: &dyn Read, account: AccountId, id: SessionId) -> Result<Option<Found>> {
    for number in 0..=u16::MAX {
        let key = records::sessions_key(account, number);
        let Some(value) = r.get(&key)? else {
            return Ok(None);
        };
        let page = Page::from_value(value)?;
        if let Some(record) = page.find(account, id)? {
            return Ok(Some(Found { record, key, page }));
        }
        if !page.is_full()? {
            return Ok(None);
        }
    }
    Ok(None)
}

/// All sessions of an account in the order of their ids, dead ones included.
pub(super) fn all(r: &dyn Read, account: AccountId) -> Result<Vec<SessionRecord>> {
    Ok(load(r, account)?.records)
}

/// Puts sessions in that are not there.
pub(super) fn insert(
    w: &mut dyn Write,
    account: AccountId,
    added: Vec<SessionRecord>,
) -> Result<()> {
    let mut all = load(w, account)?;
    all.records.extend(added);
    all.records.sort_by_key(|record| record.session.id);
    save(w, account, &all)
}

/// Takes sessions out.
pub(super) fn remove(
    w: &mut dyn Write,
    account: AccountId,
    removed: &[SessionRecord],
) -> Result<()> {
    let mut all = load(w, account)?;
    let is_removed = |id| removed.iter().any(|record| record.session.id == id);
    all.records.retain(|record| !is_removed(record.session.id));
    save(w, account, &all)
}

/// The sessions of an account, and the pages they came from.
struct All {
    records: Vec<SessionRecord>,
    pages: Vec<Page>,
}

fn load(r: &dyn Read, account: AccountId) -> Result<All> {
    let mut all = All { records: Vec::new(), pages: Vec::new() };
    for number in 0..=u16::MAX {
        let Some(value) = r.get(&records::sessions_key(account, number))? else {
            break;
        };
        let page = Page::from_value(value)?;
        for record in page.records(account) {
            all.records.push(record?);
        }
        let is_full = page.is_full()?;
        all.pages.push(page);
        if !is_full {
            break;
        }
    }
    Ok(all)
}

fn save(w: &mut dyn Write, account: AccountId, all: &All) -> Result<()> {
    let mut old = all.pages.iter();
    let mut numbers = 0..=u16::MAX;
    let mut next_key = || {
        let number = numbers.next().ok_or_else(|| records::damaged("session", "too many"))?;
        Ok(records::sessions_key(account, number))
    };
    for chunk in all.records.chunks(MOST_IN_PAGE) {
        let (key, page) = (next_key()?, Page::of(chunk)?);
        if old.next() != Some(&page) {
            w.put(key, page.into_value());
        }
    }
    for _ in old {
        w.remove(next_key()?);
    }
    Ok(())
}
