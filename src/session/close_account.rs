//! Close one's own account.

use super::{Error, Refusal, Result, Sessions, SignedIn, events::Event};
use crate::model::AuditKind;

impl Sessions {
    /// Removes the signed-in account with all that is kept about it but its audit events, and ends all its sessions, in
    /// one step. Its e-mail address is free again.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`]; [`Error::NotSignedIn`] when the session ended
    /// meanwhile; [`Error::Store`].
    pub async fn close_account(&self, who: &SignedIn) -> Result<()> {
        self.require_recent(who)?;
        let account = who.session.account;
        let cause = self.cause(AuditKind::AccountClosed, who.by());
        let ended = self.store.close_account(account, who.session.id, cause).await?;
        let ended = ended.ok_or(Error::NotSignedIn(Refusal::Absent))?;
        Event::Happened(cause.about(account).ending(ended)).record();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::{Fixture, PASSWORD, address, password, shown};

    #[tokio::test]
    async fn a_closed_account_leaves_nothing_behind() {
        let fixture = Fixture::new();
        let here = fixture.signed_up("ann@example.com").await;
        let there = fixture.logged_in("ann@example.com").await;
        fixture.later(11);
        let who = fixture.sessions.authenticate(&shown(&here)).await.unwrap();
        let refused = fixture.sessions.close_account(&who).await;
        assert!(matches!(refused, Err(Error::ReauthenticationRequired)));
        assert!(fixture.sessions.authenticate(&shown(&there)).await.is_ok(), "nothing changed");

        let issued = fixture.sessions.reauthenticate(&who, password(PASSWORD)).await.unwrap();
        let who = fixture.sessions.authenticate(&shown(&issued)).await.unwrap();
        fixture.sessions.close_account(&who).await.unwrap();
        for ended in [&issued, &there] {
            assert!(fixture.sessions.authenticate(&shown(ended)).await.is_err());
        }
        let found = fixture.store.account_by_email(&address("ann@example.com")).await.unwrap();
        assert_eq!(found, None);
        let again = fixture.sessions.close_account(&who).await;
        assert!(matches!(again, Err(Error::NotSignedIn(_))));
        fixture.signed_up("ann@example.com").await;
    }
}
