//! A page: some sessions of one account in one record, in the order of their ids.
//!
//! ```text
//! page    = version (1 byte), session *
//! session = id (16 bytes), length (2 bytes, big-endian), the bytes of `session`
//! ```
//!
//! All pages of an account but the last are [full](Page::is_full). To find a session, the others
//! are stepped over without being read.

use super::{Result, SessionRecord, Value, damaged};
use crate::model::{AccountId, SessionId};

/// The first byte of the value. In version 1 each session was a record.
const VERSION: u8 = 3;

/// Before visits were counted by the day, which stand behind all else that a session has.
const WITHOUT_DAYS: u8 = 2;

/// How many sessions a page holds at most. Few people have more; and each change of one of them
/// writes the whole page, a kilobyte by then.
pub(in crate::store) const MOST: usize = 16;

/// A page without sessions.
pub(in crate::store) const EMPTY: &[u8] = &[VERSION];

/// What stands before the bytes of a session.
const HEAD: usize = 16 + 2;

/// A page as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Page(Value);

impl Page {
    /// A page of one session.
    pub(in crate::store) fn of(record: &SessionRecord) -> Result<Self> {
        let mut value = vec![VERSION];
        push(&mut value, record)?;
        Ok(Self(value))
    }

    /// A page of these sessions, which are in their order.
    pub(in crate::store) fn of_all(sessions: &[Entry<'_>]) -> Self {
        let mut value = vec![VERSION];
        for session in sessions {
            value.extend_from_slice(session.whole);
        }
        Self(value)
    }

    /// The page with this value.
    pub(in crate::store) fn from_value(value: Value) -> Result<Self> {
        match value.first() {
            Some(&(VERSION | WITHOUT_DAYS)) => Ok(Self(value)),
            Some(version) => Err(damaged("session", format!("its page has version {version}"))),
            None => Err(damaged("session", "its page is empty")),
        }
    }

    pub(in crate::store) fn into_value(self) -> Value {
        self.0
    }

    /// The first id.
    pub(in crate::store) fn first(&self) -> Result<Option<SessionId>> {
        Ok(self.entries().next().transpose()?.map(|entry| entry.id))
    }

    /// The last id.
    pub(in crate::store) fn last(&self) -> Result<Option<SessionId>> {
        Ok(self.entries().last().transpose()?.map(|entry| entry.id))
    }

    /// Whether there may be a next one.
    pub(in crate::store) fn is_full(&self) -> Result<bool> {
        let mut count = 0;
        for entry in self.entries() {
            entry?;
            count += 1;
        }
        Ok(count >= MOST)
    }

    /// The session with this id.
    pub(in crate::store) fn find(
        &self,
        account: AccountId,
        id: SessionId,
    ) -> Result<Option<SessionRecord>> {
        for entry in self.entries() {
            let entry = entry?;
            if entry.id == id {
                return SessionRecord::decode(account, id, entry.bytes()).map(Some);
            }
        }
        Ok(None)
    }

    /// All sessions.
    pub(in crate::store) fn records(
        &self,
        account: AccountId,
    ) -> impl Iterator<Item = Result<SessionRecord>> {
        self.entries().map(move |entry| {
            let entry = entry?;
            SessionRecord::decode(account, entry.id, entry.bytes())
        })
    }

    /// The page with `record` in place of the session of that id, if it is there.
    pub(in crate::store) fn replace(&self, record: &SessionRecord) -> Result<Option<Self>> {
        let mut from = 1;
        for entry in self.entries() {
            let entry = entry?;
            let to = from + entry.whole.len();
            if entry.id == record.session.id {
                let mut value = Vec::with_capacity(self.0.len() + 8);
                value.push(VERSION);
                value.extend_from_slice(&self.0[1..from]);
                push(&mut value, record)?;
                value.extend_from_slice(&self.0[to..]);
                return Ok(Some(Self(value)));
            }
            from = to;
        }
        Ok(None)
    }

    /// All sessions, unread.
    pub(in crate::store) fn entries(&self) -> impl Iterator<Item = Result<Entry<'_>>> {
        entries(&self.0)
    }
}

fn entries(page: &[u8]) -> impl Iterator<Item = Result<Entry<'_>>> {
    let mut from = 1;
    std::iter::from_fn(move || {
        if from >= page.len() {
            return None;
        }
        let entry = entry(page, from);
        // After a damaged one nothing can be told from anything.
        from = entry.as_ref().map_or(page.len(), |entry| from + entry.whole.len());
        Some(entry.ok_or_else(|| damaged("session", "its page is cut off")))
    })
}

fn entry(page: &[u8], from: usize) -> Option<Entry<'_>> {
    let (id, rest) = page[from..].split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    let to = from + HEAD + usize::from(u16::from_be_bytes(*length));
    Some(Entry { id: SessionId::from_bytes(*id), whole: page.get(from..to)? })
}

/// Whether a session of the page `before` is not in the one that replaces it. A page that cannot be
/// read may have lost any.
pub(in crate::store) fn loses_a_session(before: &[u8], after: &[u8]) -> bool {
    let is_known = |value: &[u8]| matches!(value.first(), Some(&(VERSION | WITHOUT_DAYS)));
    let is_in = |id| entries(after).any(|entry| entry.is_ok_and(|entry| entry.id == id));
    !is_known(before)
        || !is_known(after)
        || entries(before).any(|entry| entry.map_or(true, |entry| !is_in(entry.id)))
}

/// A session as it stands in a page.
#[derive(Clone, Copy)]
pub(in crate::store) struct Entry<'a> {
    pub(in crate::store) id: SessionId,
    whole: &'a [u8],
}

impl<'a> Entry<'a> {
    fn bytes(&self) -> &'a [u8] {
        &self.whole[HEAD..]
    }
}

fn push(value: &mut Value, record: &SessionRecord) -> Result<()> {
    let bytes = record.encode()?;
    let length = u16::try_from(bytes.len()).map_err(|_| damaged("session", "it is too long"))?;
    value.extend_from_slice(record.session.id.as_bytes());
    value.extend_from_slice(&length.to_be_bytes());
    value.extend_from_slice(&bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::session::tests::any_record, *};
    use crate::model::VisitDays;

    fn page_of(records: &[SessionRecord]) -> Page {
        let pages: Vec<_> = records.iter().map(|record| Page::of(record).unwrap()).collect();
        let entries: Result<Vec<_>> = pages.iter().flat_map(Page::entries).collect();
        Page::of_all(&entries.unwrap())
    }

    proptest! {
        #[test]
        fn a_page_gives_back_its_sessions_and_replaces_one_alone(
            records in prop::collection::vec(any_record(), 0..5),
            mut other in any_record(),
            at in any::<prop::sample::Index>(),
        ) {
            let account = other.session.account;
            let page = page_of(&records);
            let page = Page::from_value(page.into_value()).unwrap();
            let all: Result<Vec<_>> = page.records(account).collect();
            prop_assert_eq!(&all.unwrap(), &records);
            prop_assert_eq!(page.find(account, other.session.id).unwrap(), None);
            prop_assert_eq!(page.replace(&other).unwrap(), None);
            if !records.is_empty() {
                let at = at.index(records.len());
                let id = records[at].session.id;
                let found = page.find(account, id).unwrap();
                prop_assert_eq!(found.as_ref(), Some(&records[at]));
                other.session.id = id;
                let mut expected = records.clone();
                expected[at] = other.clone();
                let replaced = page.replace(&other).unwrap();
                prop_assert_eq!(replaced, Some(page_of(&expected)));
            }
        }

        #[test]
        fn a_page_that_was_cut_off_is_damaged(record in any_record(), cut in 1..19_usize) {
            let value = Page::of(&record).unwrap().into_value();
            let page = Page::from_value(value[..value.len() - cut].to_vec()).unwrap();
            prop_assert!(page.records(record.session.account).any(|record| record.is_err()));
            prop_assert!(page.is_full().is_err());
        }
    }

    #[test]
    fn what_a_page_loses_is_noticed() {
        let one = vec![[1; 16], [2; 16]];
        let page = |ids: &[[u8; 16]]| {
            let mut value = vec![VERSION];
            for id in ids {
                value.extend([&id[..], &[0, 0]].concat());
            }
            value
        };
        let before = page(&one);
        assert!(!loses_a_session(&before, &before));
        assert!(!loses_a_session(&before, &page(&[[1; 16], [2; 16], [3; 16]])));
        assert!(loses_a_session(&before, &page(&[[1; 16], [3; 16]])));
        assert!(loses_a_session(&before, &page(&[])));
        assert!(loses_a_session(&before, EMPTY));
        assert!(loses_a_session(&before, &[1]), "who knows");
    }

    #[test]
    fn a_page_of_another_version_is_damaged() {
        assert!(Page::from_value(Vec::new()).is_err());
        assert!(Page::from_value(vec![1]).is_err());
        assert!(Page::from_value(vec![VERSION + 1]).is_err());
    }

    /// Its sessions are read as they are, and a change makes a page of this version of it.
    #[test]
    fn a_page_of_before_there_were_days_is_read_and_goes_over() {
        // One that was written then: of a session made at 1,790,000,000,000 and visited once.
        let id = SessionId::from_bytes([2; 16]);
        let account = AccountId::from_bytes([7; 16]);
        let mut session = Vec::new();
        for number in [3, 0, 2_000, 86_400_000, 3_600_000, 1, 2, 0, 0, 4_000_u64] {
            session = postcard::to_extend(&number, session).unwrap();
        }
        // Not to stay logged in, a cookie, no user agent, nothing copied.
        session.extend([0, 0, 0, 0]);
        let mut old = vec![WITHOUT_DAYS];
        old.extend(id.as_bytes());
        old.extend(u16::try_from(session.len()).unwrap().to_be_bytes());
        old.extend(&session);
        let page = Page::from_value(old.clone()).unwrap();
        let mut record = page.find(account, id).unwrap().unwrap();
        assert_eq!((record.session.visits, record.epoch), (1, 3));
        assert_eq!(record.days, VisitDays::default());
        assert!(!loses_a_session(&old, &old));
        record.days.count(record.session.last_seen_at);
        let new = page.replace(&record).unwrap().unwrap().into_value();
        assert_eq!((new[0], new.len()), (VERSION, old.len() + 2));
        assert!(!loses_a_session(&old, &new) && !loses_a_session(&new, &old));
        let page = Page::from_value(new).unwrap();
        assert_eq!(page.find(account, id).unwrap(), Some(record));
    }
}
