//! Everything that is kept about one's own account, to take away.

use super::{Result, Sessions, SignedIn, events::Event, manage::AccountSummary};
use crate::model::{Session, Timestamp};

/// All that is kept about an account. What the store adds about a person belongs in here, too.
#[derive(Clone, Debug)]
pub struct AccountExport {
    /// When it was put together.
    pub exported_at: Timestamp,
    /// The account and its visits.
    pub summary: AccountSummary,
    /// Its living sessions, oldest first. Of those that are over only their visits are kept.
    pub sessions: Vec<Session>,
}

impl Sessions {
    /// Everything that is kept about the signed-in account.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`](super::Error::NotSignedIn) when the account was removed meanwhile;
    /// [`Error::Store`](super::Error::Store).
    pub async fn export_account(&self, who: &SignedIn) -> Result<AccountExport> {
        let summary = self.own_summary(who).await?;
        let sessions = self.own_sessions(who).await?;
        Event::Exported { account: summary.account.id }.record();
        Ok(AccountExport { exported_at: self.clock.now(), summary, sessions })
    }
}
