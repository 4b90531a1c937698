//! An account's sessions in their pages: found, changed in place, put in, taken out.
//!
//! Looking up and changing one session reads and writes its page alone. What changes how many there
//! are reads all pages of the account, nearly always one, and writes those that come out different.

use super::variables;
use crate::{
    model::{AccountId, SessionId},
    store::{
        Result,
        records::{self, Entry, Key, MOST_IN_PAGE, Page, SessionRecord},
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
    let Some((number, page)) = seek(r, account, id)? else {
        return Ok(None);
    };
    let key = records::sessions_key(account, number);
    Ok(page.find(account, id)?.map(|record| Found { record, key, page }))
}

/// All sessions of an account in the order of their ids, dead ones included.
pub(super) fn all(r: &dyn Read, account: AccountId) -> Result<Vec<SessionRecord>> {
    let pages = load(r, account)?;
    pages.iter().flat_map(|page| page.records(account)).collect()
}

/// Puts a session in that is not there.
pub(super) fn insert(w: &mut dyn Write, record: &SessionRecord) -> Result<()> {
    let (account, id) = (record.session.account, record.session.id);
    let added = Page::of(record)?;
    let Some((number, page)) = seek(w, account, id)? else {
        w.put(records::sessions_key(account, 0), added.into_value());
        return Ok(());
    };
    // Nearly always it is the latest of its account: then no other page is touched.
    if page.last()?.is_some_and(|last| last < id) {
        if !page.is_full()? {
            let entries: Result<Vec<_>> = page.entries().chain(added.entries()).collect();
            w.put(records::sessions_key(account, number), Page::of_all(&entries?).into_value());
            return Ok(());
        }
        let next = number.checked_add(1).ok_or_else(|| records::damaged("session", "too many"))?;
        let next = records::sessions_key(account, next);
        if w.get(&next)?.is_none() {
            w.put(next, added.into_value());
            return Ok(());
        }
    }
    let pages = load(w, account)?;
    let entries: Result<Vec<_>> = pages.iter().chain([&added]).flat_map(Page::entries).collect();
    let mut entries = entries?;
    entries.sort_by_key(|entry| entry.id);
    save(w, account, &pages, &entries)
}

/// Takes sessions out, and their variables with them: no session leaves the store but by here.
pub(super) fn remove(
    w: &mut dyn Write,
    account: AccountId,
    removed: &[SessionRecord],
) -> Result<()> {
    variables::end(w, account, removed)?;
    let pages = load(w, account)?;
    let entries: Result<Vec<_>> = pages.iter().flat_map(Page::entries).collect();
    let mut entries = entries?;
    entries.retain(|entry| removed.iter().all(|record| record.session.id != entry.id));
    save(w, account, &pages, &entries)
}

/// The page that the session is in, or would be: the last one that does not begin behind it, or else
/// the first. `None` for an account without sessions.
fn seek(r: &dyn Read, account: AccountId, id: SessionId) -> Result<Option<(u16, Page)>> {
    let page =
        |number| r.get(&records::sessions_key(account, number))?.map(Page::from_value).transpose();
    let Some(mut found) = page(0)? else {
        return Ok(None);
    };
    let (mut low, mut high, mut step) = (0_u16, u16::MAX, 1_u16);
    // In steps that double, until one goes too far; then between the last two.
    while found.is_full()? && high - low > 1 {
        let number = if high == u16::MAX { low.saturating_add(step) } else { low.midpoint(high) };
        match page(number)? {
            Some(page) if page.first()?.is_some_and(|first| first <= id) => {
                (found, low, step) = (page, number, step.saturating_mul(2));
            }
            _ => high = number,
        }
    }
    Ok(Some((low, found)))
}

/// The pages of an account.
fn load(r: &dyn Read, account: AccountId) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    for number in 0..=u16::MAX {
        let Some(value) = r.get(&records::sessions_key(account, number))? else {
            break;
        };
        let page = Page::from_value(value)?;
        let is_full = page.is_full()?;
        pages.push(page);
        if !is_full {
            break;
        }
    }
    Ok(pages)
}

/// Puts an account's sessions into pages, where there were others.
fn save(w: &mut dyn Write, account: AccountId, old: &[Page], entries: &[Entry<'_>]) -> Result<()> {
    let mut old = old.iter();
    let mut numbers = 0..=u16::MAX;
    let mut next_key = || {
        let number = numbers.next().ok_or_else(|| records::damaged("session", "too many"))?;
        Ok(records::sessions_key(account, number))
    };
    for chunk in entries.chunks(MOST_IN_PAGE) {
        let (key, page) = (next_key()?, Page::of_all(chunk));
        if old.next() != Some(&page) {
            w.put(key, page.into_value());
        }
    }
    for _ in old {
        w.remove(next_key()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        model::{Session, Transport, VisitDays, clock::from_millis, session::Chain},
        store::view::{Overlay, apply},
    };

    fn record(account: AccountId, n: u16) -> SessionRecord {
        let start = from_millis(0);
        let mut id = [0; 16];
        id[..2].copy_from_slice(&n.to_be_bytes());
        SessionRecord {
            session: Session {
                account,
                id: SessionId::from_bytes(id),
                created_at: start,
                expires_at: start,
                idle_expires_at: start,
                last_seen_at: start,
                visits: n.into(),
                chain: Chain::begun(start),
                remember: false,
                transport: Transport::Cookie,
                user_agent: String::new(),
                copied_at: None,
            },
            epoch: 0,
            days: VisitDays::default(),
        }
    }

    /// Put in in any order and taken out again: what is there is found, in order, and all pages but
    /// the last are full.
    #[test]
    fn pages_stay_sorted_and_full() {
        let account = AccountId::from_bytes([1; 16]);
        let mut base = BTreeMap::new();
        let mut there = Vec::new();
        // Every residue of a prime once: up and down; then the later ones, in order.
        for n in (0..101).map(|n| n * 37 % 101).chain(101..400) {
            let mut store = Overlay::new(&base);
            insert(&mut store, &record(account, n)).unwrap();
            let changes = store.into_changes();
            assert!(n < 101 || changes.len() == 1, "only the last page is written");
            apply(&mut base, changes);
            there.push(n);
            if n % 5 == 0 {
                let gone = there.swap_remove(usize::from(n) / 2 % there.len());
                let mut store = Overlay::new(&base);
                remove(&mut store, account, &[record(account, gone)]).unwrap();
                let changes = store.into_changes();
                apply(&mut base, changes);
            }
        }
        there.sort_unstable();
        let expected: Vec<_> = there.iter().map(|n| record(account, *n)).collect();
        assert_eq!(all(&base, account).unwrap(), expected);
        assert_eq!(base.len(), there.len().div_ceil(MOST_IN_PAGE));
        for n in 0..401 {
            let found = find(&base, account, record(account, n).session.id).unwrap();
            assert_eq!(found.is_some(), there.contains(&n), "{n}");
        }
        let mut store = Overlay::new(&base);
        remove(&mut store, account, &expected).unwrap();
        let changes = store.into_changes();
        apply(&mut base, changes);
        assert!(base.is_empty());
    }
}
