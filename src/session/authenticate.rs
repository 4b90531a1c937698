//! Who is this? Verify a token, look its session up, and renew it when it is due.

use std::fmt;

use jiff::SignedDuration;

use super::{Error, Issued, Refusal, Result, Sessions, events::Event};
use crate::{
    model::{Email, Session, Timestamp, Transport, session::ReplayPolicy},
    token::Claims,
};

/// A token as it came with a request, and the way it came.
#[derive(Clone)]
pub struct Credential {
    /// The text that claims to be a token.
    pub token: String,
    /// Where it was found.
    pub transport: Transport,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("transport", &self.transport).finish_non_exhaustive()
    }
}

/// Proof that a request belongs to a living session: only [`Sessions::authenticate`] makes one.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The session as the store has it.
    pub session: Session,
    claims: Claims,
}

impl SignedIn {
    /// The account's e-mail, as the token says.
    #[must_use]
    pub fn email(&self) -> &Email {
        &self.claims.email
    }

    /// When the token that was shown ends.
    #[must_use]
    pub fn token_expires_at(&self) -> Timestamp {
        self.claims.expires_at()
    }
}

impl Sessions {
    /// Verifies the signature and claims of a token: the first thing that is done with it
    /// (invariant 1). Says nothing about its session.
    pub(super) fn verify(&self, credential: &Credential) -> Result<Claims> {
        self.tokens
            .verify(&credential.token, self.clock.now())
            .map_err(|defect| refuse(Refusal::Token(defect)))
    }

    /// Tells whose session a token belongs to. Counts nothing.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`] when the token is no good, its session is not alive, it came the
    /// wrong way, or it is a copy; [`Error::Store`] when that cannot be told now.
    pub async fn authenticate(&self, credential: &Credential) -> Result<SignedIn> {
        let claims = self.verify(credential)?;
        let now = self.clock.now();
        let session = self.store.session(claims.sub, claims.sid, now).await?;
        let session = session.ok_or_else(|| refuse(Refusal::Absent))?;
        if session.transport != credential.transport {
            return Err(refuse(Refusal::Transport));
        }
        let replay = self.policy.replay;
        if replay.policy != ReplayPolicy::Ignore
            && session.is_copied(&claims.presented(), replay.grace)
        {
            let revoked = replay.policy == ReplayPolicy::Revoke
                && self.store.revoke_copied_session(session.account, session.id, now).await?;
            Event::CopyFound { account: session.account, session: session.id, revoked }.record();
            return Err(refuse(Refusal::Copied));
        }
        Ok(SignedIn { session, claims })
    }

    /// Signs a new token for a session that is used without being counted, when more than half of
    /// the shown token's idle time is gone and a new one would last longer. Keeps the token's
    /// place in the chain.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Signing`]: the shown token is still good then.
    pub async fn renew_if_due(&self, who: &SignedIn) -> Result<Option<Issued>> {
        let now = self.clock.now();
        let lifetimes = self.policy.lifetimes;
        let idle = lifetimes.idle(who.session.remember);
        if !is_due(&who.claims, idle, lifetimes.token_end(&who.session, now), now) {
            return Ok(None);
        }
        let Session { account, id, .. } = who.session;
        let Some(mut session) = self.store.renew_session(account, id, now, idle).await? else {
            return Ok(None);
        };
        Event::Renewed { account, session: id }.record();
        let counted = session.visits;
        // The chain is kept: the new token says the number of the one it replaces.
        session.visits = who.claims.visits;
        let mut issued = self.issue(session, who.claims.email.clone(), who.claims.prev, now)?;
        issued.session.visits = counted;
        Ok(Some(issued))
    }

    /// Whether a session is still alive: asked once more before an answer with its token leaves,
    /// so that an answer that leaves after the end sets no cookie (invariant 3).
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn is_alive(&self, session: &Session) -> Result<bool> {
        let found = self.store.session(session.account, session.id, self.clock.now()).await?;
        Ok(found.is_some())
    }
}

fn is_due(claims: &Claims, idle: SignedDuration, new_end: Timestamp, now: Timestamp) -> bool {
    claims.expires_at().duration_since(now) < idle / 2 && new_end > claims.expires_at()
}

pub(super) fn refuse(refusal: Refusal) -> Error {
    Event::TokenRefused { refusal }.record();
    Error::NotSignedIn(refusal)
}
