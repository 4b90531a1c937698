//! See and end one's own sessions.

use super::{Error, Refusal, Result, Sessions, SignedIn, events::Event};
use crate::model::{Account, AuditKind, Session, SessionId, Timestamp, VisitDays};

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
    /// [`Error::ReauthenticationRequired`], unless it is the current one (ASVS 7.5.2);
    /// [`Error::NoSuchSession`] when the account has no such living session, be it another
    /// account's; [`Error::Store`].
    pub async fn end_session(&self, who: &SignedIn, id: SessionId) -> Result<()> {
        if id != who.session.id {
            self.require_recent(who)?;
        }
        let account = who.session.account;
        let cause = self.cause(AuditKind::SessionEnded, who.by());
        if !self.store.revoke_session(account, id, cause).await? {
            return Err(Error::NoSuchSession);
        }
        Event::Happened(cause.about(account).of_session(id).ending(1)).record();
        Ok(())
    }

    /// Ends all of the account's sessions but the current one. Returns how many.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`], [`Error::Store`].
    pub async fn end_other_sessions(&self, who: &SignedIn) -> Result<u64> {
        self.require_recent(who)?;
        let account = who.session.account;
        let kept = Some(who.session.id);
        let cause = self.cause(AuditKind::SessionsEnded, who.by());
        let ended = self.store.revoke_sessions(account, kept, cause).await?;
        Event::Happened(cause.about(account).ending(ended)).record();
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

    /// How many visits of the account were counted on each of the latest days, and what day it is.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn own_visit_days(&self, who: &SignedIn) -> Result<(VisitDays, Timestamp)> {
        Ok((self.store.visit_days(who.session.account).await?, self.clock.now()))
    }

    pub(super) async fn own_account(&self, who: &SignedIn) -> Result<Account> {
        let account = self.store.account(who.session.account).await?;
        account.ok_or(Error::NotSignedIn(Refusal::Absent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::{Fixture, PASSWORD, password, shown};

    #[tokio::test]
    async fn one_sees_and_ends_ones_own_sessions_alone() {
        let fixture = Fixture::new();
        let ann = fixture.signed_up("ann@example.com").await;
        fixture.later(1);
        let second = fixture.logged_in("ann@example.com").await;
        let bob = fixture.signed_up("bob@example.com").await;
        let who = fixture.sessions.authenticate(&shown(&ann)).await.unwrap();

        let ids = async || -> Vec<SessionId> {
            let sessions = fixture.sessions.own_sessions(&who).await.unwrap();
            sessions.iter().map(|session| session.id).collect()
        };
        assert_eq!(ids().await, [ann.session.id, second.session.id]);
        let foreign = fixture.sessions.end_session(&who, bob.session.id).await;
        assert!(matches!(foreign, Err(Error::NoSuchSession)));
        assert!(fixture.sessions.authenticate(&shown(&bob)).await.is_ok());

        fixture.sessions.end_session(&who, second.session.id).await.unwrap();
        assert_eq!(ids().await, [ann.session.id]);
    }

    #[tokio::test]
    async fn visits_of_ended_sessions_stay_in_the_sum() {
        let fixture = Fixture::new();
        let first = fixture.signed_up("ann@example.com").await;
        fixture.sessions.visit(&shown(&first)).await.unwrap();
        let second = fixture.logged_in("ann@example.com").await;
        let second = fixture.sessions.visit(&shown(&second)).await.unwrap();
        let who = fixture.sessions.authenticate(&shown(&second)).await.unwrap();
        assert_eq!(fixture.sessions.end_other_sessions(&who).await.unwrap(), 1);
        assert_eq!(fixture.sessions.own_summary(&who).await.unwrap().visits, 2);
    }

    #[tokio::test]
    async fn a_new_password_needs_the_old_one_and_ends_the_other_sessions() {
        let fixture = Fixture::new();
        let here = fixture.signed_up("ann@example.com").await;
        let there = fixture.logged_in("ann@example.com").await;
        let who = fixture.sessions.authenticate(&shown(&here)).await.unwrap();
        let new = "another long password";
        let change = async |current: &str, new: &str| {
            fixture.sessions.change_password(&who, password(current), password(new)).await
        };
        assert!(matches!(change("wrong", new).await, Err(Error::WrongPassword)));
        assert!(matches!(change(PASSWORD, "short").await, Err(Error::PasswordRefused(_))));
        assert!(fixture.sessions.authenticate(&shown(&there)).await.is_ok(), "nothing changed");

        let issued = change(PASSWORD, new).await.unwrap();
        assert_ne!(issued.session.id, here.session.id);
        let who = fixture.sessions.authenticate(&shown(&issued)).await.unwrap();
        for ended in [&here, &there] {
            assert!(fixture.sessions.authenticate(&shown(ended)).await.is_err());
        }
        let again = fixture.sessions.change_password(&who, password(PASSWORD), password(new)).await;
        assert!(matches!(again, Err(Error::WrongPassword)));
    }

    #[tokio::test]
    async fn to_end_other_sessions_the_password_was_shown_lately() {
        let fixture = Fixture::new();
        let here = fixture.signed_up("ann@example.com").await;
        let there = fixture.logged_in("ann@example.com").await;
        fixture.later(11);
        let who = fixture.sessions.authenticate(&shown(&here)).await.unwrap();
        for refused in [
            fixture.sessions.end_session(&who, there.session.id).await,
            fixture.sessions.end_other_sessions(&who).await.map(|_| ()),
        ] {
            assert!(matches!(refused, Err(Error::ReauthenticationRequired)));
        }
        assert!(fixture.sessions.authenticate(&shown(&there)).await.is_ok());
        fixture.sessions.end_session(&who, here.session.id).await.unwrap();
    }
}
