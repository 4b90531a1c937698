//! What an app keeps in a session, by name.

use super::{Error, Refusal, Result, Sessions, SignedIn, authenticate::refuse};
use crate::{model::Variables, store::VariableChange};

impl Sessions {
    /// The variables of the session.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`] when it has ended since it was looked up; [`Error::Store`].
    pub async fn variables(&self, who: &SignedIn) -> Result<Variables> {
        let session = &who.session;
        let found = self.store.variables(session.account, session.id, self.clock.now()).await?;
        found.ok_or_else(|| refuse(Refusal::Absent))
    }

    /// Sets a variable, or removes it where there is no value. Returns whether it was there before.
    /// Of two at the same time that are about different ones, both win.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`] when the session has ended since it was looked up: nothing is written
    /// for it any more. [`Error::VariableRefused`] when it is too much; [`Error::Store`].
    pub async fn change_variable(
        &self,
        who: &SignedIn,
        name: &str,
        value: Option<Vec<u8>>,
    ) -> Result<bool> {
        let (session, now) = (&who.session, self.clock.now());
        let change =
            self.store.change_variable(session.account, session.id, name.to_owned(), value, now);
        match change.await? {
            VariableChange::Made { was_there } => Ok(was_there),
            VariableChange::Refused(refused) => Err(Error::VariableRefused(refused)),
            VariableChange::Absent => Err(refuse(Refusal::Absent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::VariableRefused,
        session::testing::{Fixture, PASSWORD, password, shown},
    };

    async fn value(fixture: &Fixture, who: &SignedIn, name: &str) -> Option<Vec<u8>> {
        fixture.sessions.variables(who).await.unwrap().get(name).map(<[u8]>::to_vec)
    }

    #[tokio::test]
    async fn variables_belong_to_one_session_and_end_with_it() {
        let fixture = Fixture::new();
        let one = fixture.signed_up("ann@example.com").await;
        let other = fixture.logged_in("ann@example.com").await;
        let who = fixture.sessions.authenticate(&shown(&one)).await.unwrap();
        let elsewhere = fixture.sessions.authenticate(&shown(&other)).await.unwrap();
        let set = fixture.sessions.change_variable(&who, "cart", Some(b"1".to_vec()));
        assert!(!set.await.unwrap());
        assert_eq!(value(&fixture, &who, "cart").await.as_deref(), Some(&b"1"[..]));
        assert_eq!(value(&fixture, &elsewhere, "cart").await, None);
        fixture.sessions.log_out(&shown(&one)).await.unwrap();
        let late = fixture.sessions.change_variable(&who, "cart", Some(b"2".to_vec())).await;
        assert!(matches!(late, Err(Error::NotSignedIn(Refusal::Absent))));
        let late = fixture.sessions.variables(&who).await;
        assert!(matches!(late, Err(Error::NotSignedIn(Refusal::Absent))));
    }

    #[tokio::test]
    async fn they_go_along_when_the_session_goes_on_under_another_id() {
        let fixture = Fixture::new();
        let before = fixture.signed_up("ann@example.com").await;
        let who = fixture.sessions.authenticate(&shown(&before)).await.unwrap();
        let set = fixture.sessions.change_variable(&who, "cart", Some(b"1".to_vec()));
        set.await.unwrap();
        let again = fixture.sessions.reauthenticate(&who, password(PASSWORD)).await.unwrap();
        assert_ne!(again.session.id, before.session.id);
        let who = fixture.sessions.authenticate(&shown(&again)).await.unwrap();
        assert_eq!(value(&fixture, &who, "cart").await.as_deref(), Some(&b"1"[..]));
    }

    #[tokio::test]
    async fn what_is_too_much_is_refused() {
        let fixture = Fixture::new();
        let issued = fixture.signed_up("ann@example.com").await;
        let who = fixture.sessions.authenticate(&shown(&issued)).await.unwrap();
        let refused = fixture.sessions.change_variable(&who, "", Some(Vec::new())).await;
        assert!(matches!(refused, Err(Error::VariableRefused(VariableRefused::Name))));
    }
}
