//! Show the password again: who did so lately may do what a stolen cookie must not (ASVS 7.5).
//!
//! A session whose person was authenticated anew goes on under a new id, and every token from
//! before is refused (ASVS 7.2.4). So whoever copied one is out, and how recent the password was
//! shown is the age of the session: there is no second time to keep.

use super::{Error, Issued, Refusal, Result, Sessions, SignedIn, events::Event, throttle::Attempt};
use crate::{
    model::{
        Account, AuditKind, Email, Password, Session, SessionId, Succession, Timestamp,
        clock::later,
    },
    session::password::Verdict,
};

impl Sessions {
    /// Checks the password of the signed-in account once more. Its session goes on under a new id,
    /// as old as a login of this moment.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], which counts as a failed log-in; [`Error::TooManyAttempts`],
    /// [`Error::Busy`], [`Error::Store`], [`Error::Signing`]; and [`Error::NotSignedIn`] when the session ended, the account was disabled, or its password was
    /// changed meanwhile.
    pub async fn reauthenticate(&self, who: &SignedIn, password: Password) -> Result<Issued> {
        let account = self.own_account(who).await?;
        let verdict = self.check_current(who, &account, password.clone()).await?;
        let (succession, ends) = (self.succession(who, true), self.store.ends());
        let (checked, cause) =
            (&account.password, self.cause(AuditKind::Reauthenticated, who.by()));
        let session =
            self.store.reauthenticate_session(account.id, checked, succession, cause).await?;
        let session = session.ok_or(Error::NotSignedIn(Refusal::Absent))?;
        let event = cause.about(account.id).going_on(succession.from, succession.to);
        Event::Happened(event).record();
        if verdict.outdated {
            self.rehash(&account, password).await;
        }
        self.issue_first(session, account.email, succession.now, ends)
    }

    /// Refuses what needs a recent authentication when there was none.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`] when the password was shown longer ago than
    /// [`Policy::recent`](super::Policy::recent).
    pub(super) fn require_recent(&self, who: &SignedIn) -> Result<()> {
        if self.clock.now() > later(who.session.created_at, self.policy.recent) {
            Event::ReauthenticationRequired { account: who.session.account }.record();
            return Err(Error::ReauthenticationRequired);
        }
        Ok(())
    }

    /// Checks the current password of a signed-in account: the one place for all who ask for it.
    /// Another one is counted as a failed log-in is, before this returns.
    pub(super) async fn check_current(
        &self,
        who: &SignedIn,
        account: &Account,
        password: Password,
    ) -> Result<Verdict> {
        let (place, by) = (self.hasher.place()?, who.by());
        let attempt = Attempt::known(&self.policy.log_in, &account.email, by.from);
        let _turn = self.admit(&attempt).await?;
        let verdict = place.verify(password, Some(account.password.clone())).await?;
        if !verdict.matches {
            let event = self.cause(AuditKind::CurrentPasswordRefused, by).about(account.id);
            self.count(&attempt, Some(event)).await?;
            Event::Happened(event).record();
            return Err(Error::WrongPassword);
        }
        self.forget_failures(&account.email, by.from).await?;
        Ok(verdict)
    }

    /// The session of `who`, to go on under a new id from now on.
    pub(super) fn succession(&self, who: &SignedIn, authenticated: bool) -> Succession {
        let now = self.clock.now();
        Succession {
            from: who.session.id,
            to: SessionId::new(now),
            now,
            lifetimes: self.policy.lifetimes,
            authenticated,
        }
    }

    /// Signs the first token of a session that took the place of another. `ends` as for
    /// [`Self::issue`].
    pub(super) fn issue_first(
        &self,
        session: Session,
        email: Email,
        now: Timestamp,
        ends: Option<u64>,
    ) -> Result<Issued> {
        let prev = session.visits;
        self.issue(session, email, prev, now, ends)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::session::testing::{Fixture, PASSWORD, password, shown};

    fn is_too_old(result: &Result<()>) -> bool {
        matches!(result, Err(Error::ReauthenticationRequired))
    }

    #[tokio::test]
    async fn the_password_opens_the_session_anew_and_ends_every_token_before() {
        let fixture = Fixture::new();
        let first = fixture.signed_up("ann@example.com").await;
        let old = fixture.sessions.visit(&shown(&first)).await.unwrap();
        let other = fixture.logged_in("ann@example.com").await;
        fixture.later(11);
        let who = fixture.sessions.authenticate(&shown(&old)).await.unwrap();
        let wrong = fixture.sessions.reauthenticate(&who, password("wrong")).await;
        assert!(matches!(wrong, Err(Error::WrongPassword)));
        assert!(is_too_old(&fixture.sessions.require_recent(&who)));

        let new = fixture.sessions.reauthenticate(&who, password(PASSWORD)).await.unwrap();
        assert_ne!(new.session.id, old.session.id);
        for token in [&first, &old] {
            let refused = fixture.sessions.authenticate(&shown(token)).await;
            assert!(matches!(refused, Err(Error::NotSignedIn(Refusal::Absent))));
        }
        assert!(fixture.sessions.authenticate(&shown(&other)).await.is_ok(), "on another device");
        let now = fixture.sessions.authenticate(&shown(&new)).await.unwrap();
        assert_eq!(now.session.created_at.duration_since(who.session.created_at).as_mins(), 11);
        fixture.sessions.require_recent(&now).unwrap();
        let next = fixture.sessions.visit(&shown(&new)).await.unwrap();
        assert_eq!(next.session.visits, 2, "it goes on counting");
        let again = fixture.sessions.reauthenticate(&who, password(PASSWORD)).await;
        assert!(matches!(again, Err(Error::NotSignedIn(_))), "the old one is over");
    }

    #[tokio::test]
    async fn recent_is_recent_to_the_millisecond() {
        let fixture = Fixture::new();
        let issued = fixture.signed_up("ann@example.com").await;
        fixture.later(10);
        let who = fixture.sessions.authenticate(&shown(&issued)).await.unwrap();
        fixture.sessions.require_recent(&who).unwrap();
        fixture.clock.advance(SignedDuration::from_millis(1));
        assert!(is_too_old(&fixture.sessions.require_recent(&who)));
        let visited = fixture.sessions.visit(&shown(&issued)).await.unwrap();
        let who = fixture.sessions.authenticate(&shown(&visited)).await.unwrap();
        assert!(is_too_old(&fixture.sessions.require_recent(&who)), "a use is no proof");
    }
}
