//! From the records of an ordered store to those of a backup.

use async_trait::async_trait;

use super::{
    Result,
    backup::{BackupRecord, Export},
    records::{self, AccountRecord, EVENTS_IN_PAGE, EventPage, Key, Page, SessionRecord, Value},
};
use crate::model::AccountId;

/// All records of one recorded moment, page by page, in the order of their keys.
pub(super) trait Snapshot: Send + 'static {
    /// The next page; `None` at the end.
    fn page(&mut self) -> impl Future<Output = Result<Option<Vec<(Key, Value)>>>> + Send;
}

/// [`Export`] for every backend that can take a [`Snapshot`].
pub(super) struct Exported<S>(pub(super) S);

#[async_trait]
impl<S: Snapshot> Export for Exported<S> {
    async fn next(&mut self) -> Result<Option<Vec<BackupRecord>>> {
        let Some(page) = self.0.page().await? else {
            return Ok(None);
        };
        let mut found = Vec::with_capacity(page.len());
        for (key, value) in page {
            add_logical(&key, value, &mut found)?;
        }
        Ok(Some(found))
    }
}

/// Adds the logical records, unless they follow from others or are no part of a backup.
fn add_logical(key: &[u8], value: Value, found: &mut Vec<BackupRecord>) -> Result<()> {
    if key.starts_with(records::SESSIONS) {
        let owner = records::sessions_owner(key)?;
        for record in Page::from_value(value)?.records(owner) {
            let SessionRecord { session, epoch, days } = record?;
            found.push(BackupRecord::Session { session, epoch, days });
        }
    } else if let Some(id) = key.strip_prefix(records::ACCOUNTS) {
        let id = id
            .try_into()
            .map_err(|_| records::damaged("account", "its key is not of the right length"))?;
        let AccountRecord { account, ended_visits, ended_days } =
            AccountRecord::decode(AccountId::from_bytes(id), &value)?;
        found.push(BackupRecord::Account { account, ended_visits, ended_days });
    } else if key.starts_with(records::VARIABLES) {
        let (account, session) = records::variables_owner(key)?;
        let variables = records::decode_variables(&value)?;
        found.push(BackupRecord::Variables { account, session, variables });
    } else if let Some(trail) = records::events_trail(key) {
        let page = EventPage::from_value(value)?;
        let (first, events) = (page.number() * EVENTS_IN_PAGE, page.events()?);
        if !events.is_empty() {
            found.push(BackupRecord::Events { trail, first, events });
        }
    } else if key == records::EPOCH {
        found.push(BackupRecord::Epoch(records::decode_epoch(&value)?));
    } else if ![records::EMAILS, records::ATTEMPTS].iter().any(|kind| key.starts_with(kind))
        && key != records::PING
    {
        // Left out, it would be lost without a word.
        return Err(records::damaged("backup", "a record of an unknown kind is in the store"));
    }
    Ok(())
}
