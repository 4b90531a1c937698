//! Make an account.

use super::{Error, Registration, Result, Sessions, events::Event};
use crate::model::{Account, AccountId, AccountState, Email, Password};

impl Sessions {
    /// Makes an account, if anybody may.
    ///
    /// # Errors
    /// [`Error::RegistrationClosed`], [`Error::PasswordRefused`], [`Error::EmailTaken`],
    /// [`Error::Busy`], [`Error::Store`].
    pub async fn sign_up(&self, email: Email, password: Password) -> Result<Account> {
        if self.policy.registration == Registration::Closed {
            return Err(Error::RegistrationClosed);
        }
        self.add_account(email, password).await
    }

    /// Makes an account, whoever may: the operator's way, and the rest of [`Self::sign_up`].
    pub(super) async fn add_account(&self, email: Email, password: Password) -> Result<Account> {
        // Both asked first only to spare the hash; who comes first is decided by the store.
        self.policy.passwords.check_length(&password)?;
        if self.store.account_by_email(&email).await?.is_some() {
            return Err(Error::EmailTaken);
        }
        let rules = self.policy.passwords.clone();
        let hash = self.hasher.hash_new(password, email.clone(), rules).await?;
        let now = self.clock.now();
        let account = Account {
            id: AccountId::new(now),
            email,
            password: hash,
            state: AccountState::Active,
            created_at: now,
            copied_at: None,
        };
        if !self.store.create_account(account.clone()).await? {
            return Err(Error::EmailTaken);
        }
        Event::SignedUp { account: account.id }.record();
        Ok(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{
        Policy,
        testing::{Fixture, PASSWORD, address, password, policy},
    };

    #[tokio::test]
    async fn an_address_has_one_account() {
        let fixture = Fixture::new();
        fixture.sessions.sign_up(address("Ann@example.com"), password(PASSWORD)).await.unwrap();
        let again = fixture.sessions.sign_up(address("ann@EXAMPLE.com"), password(PASSWORD)).await;
        assert!(matches!(again, Err(Error::EmailTaken)));
    }

    #[tokio::test]
    async fn a_short_password_makes_no_account() {
        let fixture = Fixture::new();
        let short = fixture.sessions.sign_up(address("ann@example.com"), password("short")).await;
        assert!(matches!(short, Err(Error::PasswordRefused(_))));
        let found = fixture.store.account_by_email(&address("ann@example.com")).await.unwrap();
        assert_eq!(found, None);
    }

    #[tokio::test]
    async fn where_registration_is_closed_only_the_operator_makes_accounts() {
        let closed = Policy { registration: Registration::Closed, ..policy() };
        let fixture = Fixture::with(closed);
        let email = address("ann@example.com");
        let refused = fixture.sessions.sign_up(email.clone(), password(PASSWORD)).await;
        assert!(matches!(refused, Err(Error::RegistrationClosed)));
        assert!(fixture.sessions.add_account(email, password(PASSWORD)).await.is_ok());
    }
}
