//! Make an account.

use std::net::IpAddr;

use super::{Error, Registration, Result, Sessions, events::Event, throttle::Attempt};
use crate::model::{
    Account, AccountId, AccountState, Actor, AuditKind, By, Cause, Email, Password, Role,
};

impl Sessions {
    /// Makes an account, if anybody may, for somebody who comes `from` there.
    ///
    /// # Errors
    /// [`Error::RegistrationClosed`], [`Error::PasswordRefused`], [`Error::TooManyAttempts`],
    /// [`Error::EmailTaken`], [`Error::Busy`], [`Error::Store`].
    pub async fn sign_up(
        &self,
        email: Email,
        password: Password,
        from: Option<IpAddr>,
    ) -> Result<Account> {
        if self.policy.registration == Registration::Closed {
            return Err(Error::RegistrationClosed);
        }
        self.policy.passwords.check_length(&password)?;
        let attempt = Attempt::sign_up(&self.policy.sign_up, &email, from);
        let turn = self.admit(&attempt).await?;
        // Whatever comes of it: each tells whether the e-mail is taken, and may cost a hash.
        self.count(&attempt, None).await?;
        drop(turn);
        self.insert_account(email, password, Maker::Themselves { from }).await
    }

    /// Makes an account, whoever may: the operator's way.
    pub(super) async fn add_account(
        &self,
        email: Email,
        password: Password,
        by: &By,
    ) -> Result<Account> {
        // Before anything is spent on it.
        self.policy.passwords.check_length(&password)?;
        self.insert_account(email, password, Maker::Operator(*by)).await
    }

    /// Makes an account with a password that is not of the wrong length.
    async fn insert_account(
        &self,
        email: Email,
        password: Password,
        maker: Maker,
    ) -> Result<Account> {
        // Asked first only to spare the hash; who comes first is decided by the store.
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
            role: Role::Member,
            created_at: now,
            copied_at: None,
        };
        let (what, by) = match maker {
            Maker::Themselves { from } => {
                (AuditKind::SignedUp, By { actor: Actor::Account(account.id), from })
            }
            Maker::Operator(by) => (AuditKind::AccountAdded, by),
        };
        let cause = Cause { what, by, at: now };
        if !self.store.create_account(account.clone(), cause).await? {
            return Err(Error::EmailTaken);
        }
        Event::Happened(cause.about(account.id)).record();
        Ok(account)
    }
}

/// Who makes an account.
enum Maker {
    /// Whose it is, from there.
    Themselves {
        from: Option<IpAddr>,
    },
    Operator(By),
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
        fixture
            .sessions
            .sign_up(address("Ann@example.com"), password(PASSWORD), None)
            .await
            .unwrap();
        let again =
            fixture.sessions.sign_up(address("ann@EXAMPLE.com"), password(PASSWORD), None).await;
        assert!(matches!(again, Err(Error::EmailTaken)));
    }

    #[tokio::test]
    async fn a_short_password_makes_no_account() {
        let fixture = Fixture::new();
        let short =
            fixture.sessions.sign_up(address("ann@example.com"), password("short"), None).await;
        assert!(matches!(short, Err(Error::PasswordRefused(_))));
        let found = fixture.store.account_by_email(&address("ann@example.com")).await.unwrap();
        assert_eq!(found, None);
    }

    #[tokio::test]
    async fn where_registration_is_closed_only_the_operator_makes_accounts() {
        let closed = Policy { registration: Registration::Closed, ..policy() };
        let fixture = Fixture::with(closed);
        let email = address("ann@example.com");
        let refused = fixture.sessions.sign_up(email.clone(), password(PASSWORD), None).await;
        assert!(matches!(refused, Err(Error::RegistrationClosed)));
        assert!(
            fixture
                .sessions
                .add_account(email, password(PASSWORD), &By::COMMAND_LINE)
                .await
                .is_ok()
        );
    }
}
