//! Count a page view and sign the next token.

use super::{Credential, Issued, Refusal, Result, Sessions, authenticate::refuse, events::Event};
use crate::{
    model::session::ReplayPolicy,
    store::{Visit, Visited},
};

impl Sessions {
    /// Counts one visit of the token's session and signs the token that says so.
    ///
    /// One step in the store, not a look-up and a write: a visit that races a logout is either
    /// counted before the end or refused, and writes nothing back (invariant 3).
    ///
    /// # Errors
    /// [`super::Error::NotSignedIn`], [`super::Error::Store`] (nothing was counted),
    /// [`super::Error::Signing`].
    pub async fn visit(&self, credential: &Credential) -> Result<Issued> {
        // The arrival: clone detection is judged by it, not by when the writer gets to it.
        let now = self.clock.now();
        let claims = self.verify(credential)?;
        let token = claims.presented();
        let visit = Visit {
            token,
            transport: credential.transport,
            now,
            lifetimes: self.policy.lifetimes,
            replay: self.policy.replay,
        };
        match self.store.visit(visit).await? {
            Visited::Counted(session) => {
                Event::Visited.record();
                self.issue(session, claims.email, token.visits, now)
            }
            Visited::Absent => Err(refuse(Refusal::Absent)),
            Visited::Copied => {
                let revoked = self.policy.replay.policy == ReplayPolicy::Revoke;
                Event::CopyFound { account: token.account, session: token.session, revoked }
                    .record();
                Err(refuse(Refusal::Copied))
            }
        }
    }
}
