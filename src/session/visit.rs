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
        // Before anything is counted: what is answered 503 should not be.
        let email = self.email_of(&claims).await?;
        let token = claims.presented();
        let visit = Visit {
            token,
            transport: credential.transport,
            from: credential.from,
            now,
            lifetimes: self.policy.lifetimes,
            replay: self.policy.replay,
        };
        let ends = self.store.ends();
        match self.store.visit(visit).await? {
            Visited::Counted(session) => {
                Event::Visited.record();
                self.issue(session, email, token.visits, now, ends)
            }
            Visited::Absent => Err(refuse(Refusal::Absent)),
            Visited::Copied => {
                let revoked = self.policy.replay.policy == ReplayPolicy::Revoke;
                let event = visit.copy_found().about(token.account).of_session(token.session);
                Event::Happened(event.ending(revoked.into())).record();
                Err(refuse(Refusal::Copied))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        model::Transport,
        session::{
            Credential, Error, Refusal,
            testing::{Fixture, shown},
        },
    };

    #[tokio::test]
    async fn visits_count_up_and_each_token_says_where_it_came_from() {
        let fixture = Fixture::new();
        let mut latest = fixture.signed_up("ann@example.com").await;
        for number in 1..=3 {
            let next = fixture.sessions.visit(&shown(&latest)).await.unwrap();
            assert_eq!(next.session.visits, number);
            let claims = fixture.sessions.verify(&shown(&next)).unwrap();
            assert_eq!((claims.number, claims.prev), (number, number - 1));
            latest = next;
        }
    }

    #[tokio::test]
    async fn a_token_of_another_key_counts_nothing() {
        let fixture = Fixture::new();
        let issued = fixture.signed_up("ann@example.com").await;
        let other = Fixture::new().signed_up("ann@example.com").await;
        let forged = Credential { token: other.token, transport: Transport::Cookie, from: None };
        let refused = fixture.sessions.visit(&forged).await;
        assert!(matches!(refused, Err(Error::NotSignedIn(Refusal::Token(_)))));
        let who = fixture.sessions.authenticate(&shown(&issued)).await.unwrap();
        assert_eq!(who.session.visits, 0);
    }

    #[tokio::test]
    async fn a_session_that_has_ended_counts_nothing_and_stays_ended() {
        let fixture = Fixture::new();
        let issued = fixture.signed_up("ann@example.com").await;
        fixture.sessions.log_out(&shown(&issued)).await.unwrap();
        let refused = fixture.sessions.visit(&shown(&issued)).await;
        assert!(matches!(refused, Err(Error::NotSignedIn(Refusal::Absent))));
        assert!(!fixture.sessions.is_alive(&issued).await.unwrap());
    }
}
