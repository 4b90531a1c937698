//! Change one's own e-mail address.

use super::{Error, Issued, Refusal, Result, Sessions, SignedIn, events::Event};
use crate::{
    model::{AuditKind, Email},
    store::EmailChange,
};

impl Sessions {
    /// Gives the signed-in account another e-mail address. As after a change of password, all its
    /// other sessions end: their tokens name an address that is no longer the account's. The
    /// session itself goes on under a new id for the same reason, as old as it was.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`]; [`Error::EmailTaken`]; [`Error::NotSignedIn`] when the
    /// session ended or the account was disabled meanwhile; [`Error::Store`], [`Error::Signing`].
    pub async fn change_email(&self, who: &SignedIn, email: Email) -> Result<Issued> {
        self.require_recent(who)?;
        let account = who.session.account;
        let (succession, ends) = (self.succession(who, false), self.store.ends());
        let cause = self.cause(AuditKind::EmailChanged, who.by());
        match self.store.change_email(account, email.clone(), succession, cause).await? {
            EmailChange::Changed { ended, session } => {
                let event = cause.about(account).going_on(succession.from, succession.to);
                Event::Happened(event.ending(ended)).record();
                self.issue_first(session, email, succession.now, ends)
            }
            EmailChange::Taken => Err(Error::EmailTaken),
            EmailChange::AccountChanged => Err(Error::NotSignedIn(Refusal::Absent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{
        LogIn,
        testing::{Fixture, PASSWORD, address, password, shown},
    };

    #[tokio::test]
    async fn a_new_address_takes_the_place_of_the_old_one_everywhere() {
        let fixture = Fixture::new();
        let here = fixture.signed_up("ann@example.com").await;
        let there = fixture.logged_in("ann@example.com").await;
        fixture.signed_up("bob@example.com").await;
        let who = fixture.sessions.authenticate(&shown(&here)).await.unwrap();
        let taken = fixture.sessions.change_email(&who, address("bob@example.com")).await;
        assert!(matches!(taken, Err(Error::EmailTaken)));
        assert!(fixture.sessions.authenticate(&shown(&there)).await.is_ok(), "nothing changed");

        fixture.later(10);
        let new = address("ann@example.net");
        let issued = fixture.sessions.change_email(&who, new.clone()).await.unwrap();
        let now = fixture.sessions.authenticate(&shown(&issued)).await.unwrap();
        assert_eq!(now.email(), &new);
        assert_eq!(now.session.created_at, who.session.created_at, "no password was shown");
        for ended in [&here, &there] {
            assert!(fixture.sessions.authenticate(&shown(ended)).await.is_err());
        }
        let log_in = async |email: &str| {
            fixture.sessions.log_in(email, password(PASSWORD), LogIn::default()).await
        };
        assert!(matches!(log_in("ann@example.com").await, Err(Error::WrongCredentials)));
        assert!(log_in("ann@example.net").await.is_ok());
    }

    #[tokio::test]
    async fn it_needs_a_recent_authentication() {
        let fixture = Fixture::new();
        let issued = fixture.signed_up("ann@example.com").await;
        fixture.later(11);
        let who = fixture.sessions.authenticate(&shown(&issued)).await.unwrap();
        let refused = fixture.sessions.change_email(&who, address("ann@example.net")).await;
        assert!(matches!(refused, Err(Error::ReauthenticationRequired)));
        let account = fixture.sessions.own_summary(&who).await.unwrap().account;
        assert_eq!(account.email, address("ann@example.com"));
    }
}
