//! See and end one's own sessions.

use super::{Error, Refusal, Result, Sessions, SignedIn, events::Event};
use crate::model::{Account, Session, SessionId};

/// An account as its owner sees it.
#[derive(Clone, Debug)]
pub struct AccountSummary {
    /// The account.
    pub account: Account,
    /// Visits over all its sessions, ended ones included.
    pub visits: u64,
}

impl Sessions {
    /// The account's living sessions, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn own_sessions(&self, who: &SignedIn) -> Result<Vec<Session>> {
        Ok(self.store.sessions(who.session.account, self.clock.now()).await?)
    }

    /// Ends one of the account's sessions, which may be the current one.
    ///
    /// # Errors
    /// [`Error::NoSuchSession`] when the account has no such living session, be it another
    /// account's; [`Error::Store`].
    pub async fn end_session(&self, who: &SignedIn, id: SessionId) -> Result<()> {
        let account = who.session.account;
        if !self.store.revoke_session(account, id, self.clock.now()).await? {
            return Err(Error::NoSuchSession);
        }
        Event::Revoked { account, ended: 1, reason: "owner" }.record();
        Ok(())
    }

    /// Ends all of the account's sessions but the current one. Returns how many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn end_other_sessions(&self, who: &SignedIn) -> Result<u64> {
        let account = who.session.account;
        let kept = Some(who.session.id);
        let ended = self.store.revoke_sessions(account, kept, self.clock.now()).await?;
        Event::Revoked { account, ended, reason: "owner" }.record();
        Ok(ended)
    }

    /// The account and its visits.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`] when the account was removed meanwhile; [`Error::Store`].
    pub async fn own_summary(&self, who: &SignedIn) -> Result<AccountSummary> {
        let account = self.own_account(who).await?;
        let visits = self.store.total_visits(account.id).await?;
        Ok(AccountSummary { account, visits })
    }

    pub(super) async fn own_account(&self, who: &SignedIn) -> Result<Account> {
        let account = self.store.account(who.session.account).await?;
        account.ok_or(Error::NotSignedIn(Refusal::Absent))
    }
}
