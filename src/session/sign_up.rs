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
        self.policy.passwords.check(&password)?;
        // Asked first only to spare the hash; who comes first is decided by the store.
        if self.store.account_by_email(&email).await?.is_some() {
            return Err(Error::EmailTaken);
        }
        let hash = self.hasher.hash(password).await?;
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
