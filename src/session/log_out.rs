//! End the session of a token.

use super::{Credential, Refusal, Result, Sessions, authenticate::refuse, events::Event};
use crate::model::{Actor, AuditKind, By, Cause};

impl Sessions {
    /// Ends the session that the token belongs to. When this returns `Ok`, no token of it is
    /// accepted any more, here or after a restart (invariant 2).
    ///
    /// A copy may log out too: ending a session is what either holder should be able to do.
    ///
    /// # Errors
    /// [`super::Error::NotSignedIn`] when there is no living session to end;
    /// [`super::Error::Store`] when the end could not be recorded: the session is still alive. Where the
    /// store is a Redis, whose answer may be lost, it may also have ended; to ask again is safe.
    pub async fn log_out(&self, credential: &Credential) -> Result<()> {
        let claims = self.verify(credential)?;
        let now = self.clock.now();
        let session = self.store.session(claims.sub, claims.sid, now).await?;
        if session.is_some_and(|session| session.transport != credential.transport) {
            return Err(refuse(Refusal::Transport));
        }
        let by = By { actor: Actor::Account(claims.sub), from: credential.from };
        let cause = Cause { what: AuditKind::LoggedOut, by, at: now };
        if !self.store.revoke_session(claims.sub, claims.sid, cause).await? {
            return Err(refuse(Refusal::Absent));
        }
        Event::Happened(cause.about(claims.sub).of_session(claims.sid).ending(1)).record();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::session::{
        Error, Refusal,
        testing::{Fixture, shown},
    };

    #[tokio::test]
    async fn a_logout_ends_every_token_of_its_session_and_no_other() {
        let fixture = Fixture::new();
        let first = fixture.signed_up("ann@example.com").await;
        let newer = fixture.sessions.visit(&shown(&first)).await.unwrap();
        let other = fixture.logged_in("ann@example.com").await;
        fixture.sessions.log_out(&shown(&newer)).await.unwrap();
        for token in [&first, &newer] {
            let refused = fixture.sessions.authenticate(&shown(token)).await;
            assert!(matches!(refused, Err(Error::NotSignedIn(Refusal::Absent))));
        }
        assert!(fixture.sessions.authenticate(&shown(&other)).await.is_ok());
        let again = fixture.sessions.log_out(&shown(&first)).await;
        assert!(matches!(again, Err(Error::NotSignedIn(Refusal::Absent))));
    }
}
