//! End the session of a token.

use super::{Credential, Refusal, Result, Sessions, authenticate::refuse, events::Event};

impl Sessions {
    /// Ends the session that the token belongs to. When this returns `Ok`, no token of it is
    /// accepted any more, here or after a restart (invariant 2).
    ///
    /// A copy may log out too: ending a session is what either holder should be able to do.
    ///
    /// # Errors
    /// [`super::Error::NotSignedIn`] when there is no living session to end;
    /// [`super::Error::Store`] when the end could not be recorded: the session is still alive.
    pub async fn log_out(&self, credential: &Credential) -> Result<()> {
        let claims = self.verify(credential)?;
        if !self.store.revoke_session(claims.sub, claims.sid, self.clock.now()).await? {
            return Err(refuse(Refusal::Absent));
        }
        Event::LoggedOut { account: claims.sub, session: claims.sid }.record();
        Ok(())
    }
}
