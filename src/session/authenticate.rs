//! Who is this? Verify a token, look its session up, and renew it when it is due.

use std::{fmt, net::IpAddr, sync::Arc};

use jiff::SignedDuration;

use super::{Error, Issued, Refusal, Result, Sessions, events::Event};
use crate::{
    model::{
        Actor, AuditKind, By, Cause, Email, Session, Timestamp, Transport, session::ReplayPolicy,
    },
    token::Claims,
};

/// A token as it came with a request, and the way it came.
#[derive(Clone)]
pub struct Credential {
    /// The text that claims to be a token.
    pub token: String,
    /// Where it was found.
    pub transport: Transport,
    /// Where the request comes from.
    pub from: Option<IpAddr>,
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
    email: Email,
    claims: Arc<Claims>,
    from: Option<IpAddr>,
}

impl SignedIn {
    /// The account's e-mail: as the token says, or as the store has it where the token is opaque.
    #[must_use]
    pub fn email(&self) -> &Email {
        &self.email
    }

    /// Who asks, and from where.
    #[must_use]
    pub fn by(&self) -> By {
        By { actor: Actor::Account(self.session.account), from: self.from }
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
    pub(super) fn verify(&self, credential: &Credential) -> Result<Arc<Claims>> {
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
            && session.is_copied(&claims.presented(), now, replay.grace)
        {
            let by = By { actor: Actor::Unknown, from: credential.from };
            let cause = Cause { what: AuditKind::CopyFound, by, at: now };
            let revoked = replay.policy == ReplayPolicy::Revoke
                && self.store.revoke_copied_session(session.account, session.id, cause).await?;
            let event = cause.about(session.account).of_session(session.id);
            Event::Happened(event.ending(revoked.into())).record();
            return Err(refuse(Refusal::Copied));
        }
        let email = self.email_of(&claims).await?;
        Ok(SignedIn { session, email, claims, from: credential.from })
    }

    /// The e-mail of the account that a token names. An opaque token costs one read more.
    pub(super) async fn email_of(&self, claims: &Claims) -> Result<Email> {
        if let Some(email) = &claims.email {
            return Ok(email.clone());
        }
        let account = self.store.account(claims.sub).await?;
        // Removed, with all its sessions, since the session was looked up.
        account.map(|account| account.email).ok_or_else(|| refuse(Refusal::Absent))
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
        let ends = self.store.ends();
        let Some(mut session) = self.store.renew_session(account, id, now, idle).await? else {
            return Ok(None);
        };
        Event::Renewed { account, session: id }.record();
        let counted = session.visits;
        // The chain is kept: the new token says the number of the one it replaces.
        session.visits = who.claims.number;
        let mut issued = self.issue(session, who.email.clone(), who.claims.prev, now, ends)?;
        issued.session.visits = counted;
        Ok(Some(issued))
    }

    /// Whether the session of a new token is still alive: asked once more before an answer with
    /// that token leaves, so that an answer that leaves after the end sets no cookie (invariant 3).
    ///
    /// When no session at all has ended since it was last known to be alive, and its time is not
    /// over, nothing needs to be looked up.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn is_alive(&self, issued: &Issued) -> Result<bool> {
        let (session, now) = (&issued.session, self.clock.now());
        if issued.ends.is_some() && issued.ends == self.store.ends() {
            return Ok(!session.is_over(now));
        }
        Ok(self.store.session(session.account, session.id, now).await?.is_some())
    }
}

fn is_due(claims: &Claims, idle: SignedDuration, new_end: Timestamp, now: Timestamp) -> bool {
    // In whole seconds, as a token's end is cut: near the absolute end there is no later one.
    claims.expires_at().duration_since(now) < idle / 2 && new_end.as_second() > claims.exp
}

pub(super) fn refuse(refusal: Refusal) -> Error {
    Event::TokenRefused { refusal }.record();
    Error::NotSignedIn(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Replay,
        session::{
            LogIn, Policy,
            testing::{Fixture, PASSWORD, password, policy, shown},
        },
    };

    fn refusal<T>(result: Result<T>) -> Option<Refusal> {
        match result.err()? {
            Error::NotSignedIn(refusal) => Some(refusal),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_token_is_good_the_way_its_session_travels() {
        let fixture = Fixture::new();
        let issued = fixture.signed_up("ann@example.com").await;
        let bearer = Credential { transport: Transport::Bearer, ..shown(&issued) };
        let refused = refusal(fixture.sessions.authenticate(&bearer).await);
        assert_eq!(refused, Some(Refusal::Transport));
        assert_eq!(refusal(fixture.sessions.visit(&bearer).await), Some(Refusal::Absent));
        let who = fixture.sessions.authenticate(&shown(&issued)).await.unwrap();
        assert_eq!(who.session.visits, 0, "the wrong way counted nothing");
    }

    #[tokio::test]
    async fn a_wiped_store_revives_nobody() {
        let fixture = Fixture::new();
        let issued = fixture.signed_up("ann@example.com").await;
        let by = By::COMMAND_LINE;
        let email = issued.email.clone();
        let remove = crate::session::operate::Command::RemoveAccount { email };
        fixture.sessions.operate(remove, &by).await.unwrap();
        let refused = refusal(fixture.sessions.authenticate(&shown(&issued)).await);
        assert_eq!(refused, Some(Refusal::Absent));
    }

    #[tokio::test]
    async fn a_check_renews_only_when_more_than_half_of_the_idle_time_is_gone() {
        let fixture = Fixture::new();
        let issued = fixture.signed_up("ann@example.com").await;
        let renewed = async || {
            let who = fixture.sessions.authenticate(&shown(&issued)).await.unwrap();
            fixture.sessions.renew_if_due(&who).await.unwrap()
        };
        fixture.later(15);
        assert!(renewed().await.is_none(), "exactly half");
        fixture.later(1);
        let newer = renewed().await.expect("more than half");
        fixture.later(20);
        assert!(fixture.sessions.authenticate(&shown(&newer)).await.is_ok());
        let old = fixture.sessions.authenticate(&shown(&issued)).await;
        assert!(matches!(refusal(old), Some(Refusal::Token(_))), "past its own end");
    }

    #[tokio::test]
    async fn a_renewal_keeps_the_place_in_the_chain() {
        let fixture = Fixture::new();
        let issued = fixture.signed_up("ann@example.com").await;
        let first = fixture.sessions.visit(&shown(&issued)).await.unwrap();
        let second = fixture.sessions.visit(&shown(&first)).await.unwrap();
        fixture.later(20);
        let who = fixture.sessions.authenticate(&shown(&second)).await.unwrap();
        let renewed = fixture.sessions.renew_if_due(&who).await.unwrap().unwrap();
        assert_eq!(renewed.session.visits, 2);
        let claims = fixture.sessions.verify(&shown(&renewed)).unwrap();
        assert_eq!((claims.number, claims.prev), (2, 1));
    }

    #[tokio::test]
    async fn nothing_is_renewed_beyond_the_absolute_end() {
        let fixture = Fixture::new();
        let mut latest = fixture.signed_up("ann@example.com").await;
        let end = latest.session.expires_at;
        for _ in 0..(12 * 60 / 20) {
            fixture.later(20);
            let Ok(who) = fixture.sessions.authenticate(&shown(&latest)).await else { break };
            if let Some(renewed) = fixture.sessions.renew_if_due(&who).await.unwrap() {
                assert!(renewed.token_expires_at <= end);
                latest = renewed;
            }
        }
        assert_eq!(latest.token_expires_at, end, "the last one ends with the session");
        assert!(fixture.sessions.authenticate(&shown(&latest)).await.is_err());
    }

    #[tokio::test]
    async fn what_would_not_last_longer_is_not_signed_again() {
        let mut lifetimes = policy().lifetimes;
        lifetimes.absolute = SignedDuration::from_mins(31);
        let fixture = Fixture::with(Policy { lifetimes, ..policy() });
        fixture.clock.advance(SignedDuration::from_millis(7));
        let issued = fixture.signed_up("ann@example.com").await;
        fixture.later(16);
        let who = fixture.sessions.authenticate(&shown(&issued)).await.unwrap();
        let last = fixture.sessions.renew_if_due(&who).await.unwrap().unwrap();
        fixture.later(5);
        let who = fixture.sessions.authenticate(&shown(&last)).await.unwrap();
        assert!(fixture.sessions.renew_if_due(&who).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn two_holders_who_take_turns_end_the_session_and_the_person_is_told() {
        let fixture = Fixture::new();
        let login = fixture.signed_up("ann@example.com").await;
        let stolen = login.clone();
        let owner = fixture.sessions.visit(&shown(&login)).await.unwrap();
        fixture.later(2);
        let owner = fixture.sessions.visit(&shown(&owner)).await.unwrap();
        fixture.later(2);
        let copied = refusal(fixture.sessions.authenticate(&shown(&stolen)).await);
        assert_eq!(copied, Some(Refusal::Copied));
        let ended = refusal(fixture.sessions.visit(&shown(&owner)).await);
        assert_eq!(ended, Some(Refusal::Absent), "neither can be told from the other");
        let told = fixture.logged_in("ann@example.com").await;
        assert!(told.session.copied_at.is_some());
        let again = fixture.logged_in("ann@example.com").await;
        assert_eq!(again.session.copied_at, None, "once");
    }

    #[tokio::test]
    async fn a_copy_is_refused_alone_or_let_be_as_the_policy_says() {
        for (policy_word, copy_passes) in
            [(ReplayPolicy::Refuse, false), (ReplayPolicy::Ignore, true)]
        {
            let replay = Replay { policy: policy_word, ..policy().replay };
            let fixture = Fixture::with(Policy { replay, ..policy() });
            let login = fixture.signed_up("ann@example.com").await;
            let owner = fixture.sessions.visit(&shown(&login)).await.unwrap();
            fixture.later(2);
            let owner = fixture.sessions.visit(&shown(&owner)).await.unwrap();
            fixture.later(2);
            for _ in 0..2 {
                let copy = fixture.sessions.authenticate(&shown(&login)).await;
                assert_eq!(copy.is_ok(), copy_passes);
            }
            assert_eq!(fixture.sessions.visit(&shown(&login)).await.is_ok(), copy_passes);
            assert!(fixture.sessions.authenticate(&shown(&owner)).await.is_ok());
        }
    }

    #[tokio::test]
    async fn programs_may_share_a_bearer_token() {
        let fixture = Fixture::new();
        fixture.signed_up("ann@example.com").await;
        let how = LogIn { transport: Transport::Bearer, ..LogIn::default() };
        let login =
            fixture.sessions.log_in("ann@example.com", password(PASSWORD), how).await.unwrap();
        let first = Credential { token: login.token, transport: Transport::Bearer, from: None };
        let mut latest = first.clone();
        for _ in 0..3 {
            fixture.later(2);
            let issued = fixture.sessions.visit(&latest).await.unwrap();
            latest = Credential { token: issued.token, transport: Transport::Bearer, from: None };
        }
        assert!(fixture.sessions.visit(&first).await.is_ok());
    }
}
