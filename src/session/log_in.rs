//! Check a password and open a session.

use std::net::IpAddr;

use super::{Credential, Error, Issued, Result, Sessions, events::Event, throttle::Attempt};
use crate::{
    model::{
        Account, AccountState, Actor, AuditEvent, AuditKind, By, Cause, Email, Password,
        PasswordHash, Session, SessionId, Timestamp, Transport,
        clock::later,
        session::{Chain, kept_user_agent},
    },
    store::Created,
    token::Grant,
};

/// How a session is to be opened.
#[derive(Clone, Debug, Default)]
pub struct LogIn {
    /// Whether the person asks to stay logged in.
    pub remember: bool,
    /// How the session's tokens will travel.
    pub transport: Transport,
    /// What the device calls itself.
    pub user_agent: String,
    /// Where it comes from.
    pub from: Option<IpAddr>,
    /// The device token that came with the login.
    pub device: Option<String>,
    /// A token that came with the login: its session ends, so that no session outlives the change
    /// of person and none can be planted on somebody (session fixation; ASVS 7.2.4).
    pub replaces: Option<Credential>,
}

impl Sessions {
    /// Checks e-mail and password, as they were typed, and opens a session.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] for an unknown e-mail, a wrong password and a disabled account
    /// alike, after the same work and when it is counted; [`Error::TooManyAttempts`],
    /// [`Error::Busy`], [`Error::Store`], [`Error::Signing`].
    pub async fn log_in(&self, email: &str, password: Password, how: LogIn) -> Result<Issued> {
        // What cannot be an address belongs to nobody.
        let Ok(email) = Email::parse(email) else {
            let attempt = Attempt::log_in(&self.policy.log_in, None, how.from);
            let _turn = self.admit(&attempt).await?;
            let event = self.log_in_refused(None, how.from);
            self.count(&attempt, Some(event)).await?;
            return Err(refused(None, "unknown"));
        };
        // In the line first: it is what bounds how many wait for their turn.
        let place = self.hasher.place()?;
        let attempt = if self.is_known_device(how.device.as_deref(), &email).await? {
            Attempt::known(&self.policy.log_in, &email, how.from)
        } else {
            Attempt::log_in(&self.policy.log_in, Some(&email), how.from)
        };
        let turn = self.admit(&attempt).await?;
        let account = self.store.account_by_email(&email).await?;
        let hash = account.as_ref().map(|account| account.password.clone());
        let verdict = place.verify(password.clone(), hash).await?;
        let judged = match account {
            None => Err((None, "unknown")),
            Some(account) if !verdict.matches => Err((Some(account), "wrong_password")),
            Some(account) if account.state == AccountState::Disabled => {
                Err((Some(account), "disabled"))
            }
            Some(account) => Ok(account),
        };
        let account = match judged {
            Ok(account) => account,
            Err((account, reason)) => {
                let event = self.log_in_refused(account.as_ref(), how.from);
                self.count(&attempt, Some(event)).await?;
                return Err(refused(account.as_ref(), reason));
            }
        };
        self.forget_failures(&email, how.from).await?;
        drop(turn);
        let issued = self.open_session(&account, &account.password, how).await?;
        if verdict.outdated {
            self.rehash(&account, password).await;
        }
        Ok(issued)
    }

    /// Makes an account and opens its first session.
    ///
    /// # Errors
    /// Those of [`Self::sign_up`] and of opening a session.
    pub async fn sign_up_and_log_in(
        &self,
        email: Email,
        password: Password,
        how: LogIn,
    ) -> Result<Issued> {
        let account = self.sign_up(email, password, how.from).await?;
        self.open_session(&account, &account.password, how).await
    }

    /// Opens a session of an account whose password `checked` was shown.
    async fn open_session(
        &self,
        account: &Account,
        checked: &PasswordHash,
        how: LogIn,
    ) -> Result<Issued> {
        let now = self.clock.now();
        let lifetimes = self.policy.lifetimes;
        let expires_at = later(now, lifetimes.absolute(how.remember));
        let session = Session {
            account: account.id,
            id: SessionId::new(now),
            created_at: now,
            expires_at,
            idle_expires_at: later(now, lifetimes.idle(how.remember)).min(expires_at),
            last_seen_at: now,
            visits: 0,
            chain: Chain::begun(now),
            remember: how.remember,
            transport: how.transport,
            user_agent: kept_user_agent(&how.user_agent),
            copied_at: None,
        };
        let max = self.policy.max_sessions_per_account;
        let ends = self.store.ends();
        let by = By { actor: Actor::Account(account.id), from: how.from };
        let cause = Cause { what: AuditKind::LoggedIn, by, at: now };
        let (session, ended) = match self.store.create_session(session, checked, max, cause).await?
        {
            Created::Added { session, ended } => (session, ended.len() as u64),
            Created::AccountChanged => return Err(refused(Some(account), "changed_meanwhile")),
        };
        // Whoever logs in by an address that the account gave up meanwhile has lost. A change of
        // e-mail that comes after this look ends the session together with all others.
        let account_now = self.store.account(account.id).await?;
        if account_now.is_none_or(|now| now.email != account.email) {
            let cause = Cause { what: AuditKind::SessionEnded, ..cause };
            self.store.revoke_session(account.id, session.id, cause).await?;
            return Err(refused(Some(account), "changed_meanwhile"));
        }
        if let Some(old) = &how.replaces {
            self.end_replaced(old, Cause { what: AuditKind::SessionReplaced, ..cause }).await?;
        }
        Event::Happened(cause.about(account.id).of_session(session.id).ending(ended)).record();
        let device = match how.transport {
            Transport::Cookie => self.remember_device(account.id, how.device.as_deref(), now)?,
            Transport::Bearer => None,
        };
        let issued = self.issue(session, account.email.clone(), 0, now, ends)?;
        Ok(Issued { device, ..issued })
    }

    /// Ends the session of a token that came with a login. One that is no good stands for none.
    async fn end_replaced(&self, old: &Credential, cause: Cause) -> Result<()> {
        let Ok(claims) = self.verify(old) else {
            return Ok(());
        };
        if self.store.revoke_session(claims.sub, claims.sid, cause).await? {
            Event::Happened(cause.about(claims.sub).of_session(claims.sid).ending(1)).record();
        }
        Ok(())
    }

    /// What is written down of a log-in that is refused: the account, if it is known, and never what
    /// was typed.
    fn log_in_refused(&self, account: Option<&Account>, from: Option<IpAddr>) -> AuditEvent {
        let by = By { actor: Actor::Unknown, from };
        let cause = self.cause(AuditKind::LogInRefused, by);
        account.map_or_else(|| cause.about_nobody(), |account| cause.about(account.id))
    }

    /// Signs the token that says where `session` is now; `prev` is the number of the token that
    /// was shown for it; `ends` the store's number of before the session was known to be alive.
    pub(super) fn issue(
        &self,
        session: Session,
        email: Email,
        prev: u64,
        now: Timestamp,
        ends: Option<u64>,
    ) -> Result<Issued> {
        let token_expires_at = self.policy.lifetimes.token_end(&session, now);
        let token = self.tokens.issue(&Grant {
            account: session.account,
            session: session.id,
            email: &email,
            visits: session.visits,
            prev,
            issued_at: now,
            expires_at: token_expires_at,
            authenticated_at: session.created_at,
        })?;
        Ok(Issued { session, email, token, token_expires_at, device: None, ends })
    }
}

fn refused(account: Option<&Account>, reason: &'static str) -> Error {
    Event::LogInRefused { account: account.map(|account| account.id), reason }.record();
    Error::WrongCredentials
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::session::{
        Policy, Refusal,
        operate::Command,
        password::HashingCost,
        testing::{Fixture, PASSWORD, address, cost, password, policy, shown},
    };

    #[tokio::test]
    async fn unknown_wrong_and_disabled_are_not_told_apart() {
        let fixture = Fixture::new();
        fixture.signed_up("ann@example.com").await;
        fixture.signed_up("bob@example.com").await;
        let bob = address("bob@example.com");
        fixture
            .sessions
            .operate(Command::DisableAccount { email: bob }, &By::COMMAND_LINE)
            .await
            .unwrap();
        for (email, typed) in [
            ("nobody@example.com", PASSWORD),
            ("no address", PASSWORD),
            ("ann@example.com", "another password"),
            ("bob@example.com", PASSWORD),
        ] {
            let how = LogIn::default();
            let refused = fixture.sessions.log_in(email, password(typed), how).await;
            assert!(matches!(refused, Err(Error::WrongCredentials)), "{email}");
        }
    }

    #[tokio::test]
    async fn a_login_gives_a_token_of_its_own_session_with_no_visits() {
        let fixture = Fixture::new();
        let first = fixture.signed_up("ann@example.com").await;
        let second = fixture.logged_in("ann@example.com").await;
        assert_ne!(first.session.id, second.session.id);
        assert_ne!(first.token, second.token);
        let who = fixture.sessions.authenticate(&shown(&second)).await.unwrap();
        assert_eq!((who.session.visits, who.email().as_str()), (0, "ann@example.com"));
        assert!(fixture.sessions.authenticate(&shown(&first)).await.is_ok(), "both are alive");
    }

    #[tokio::test]
    async fn the_session_that_came_with_a_login_ends() {
        let fixture = Fixture::new();
        let old = fixture.signed_up("ann@example.com").await;
        fixture.signed_up("bob@example.com").await;
        let how = LogIn { replaces: Some(shown(&old)), ..LogIn::default() };
        fixture.sessions.log_in("bob@example.com", password(PASSWORD), how).await.unwrap();
        let ended = fixture.sessions.authenticate(&shown(&old)).await;
        assert!(matches!(ended, Err(Error::NotSignedIn(Refusal::Absent))));
    }

    #[tokio::test]
    async fn a_made_up_token_that_comes_with_a_login_is_nothing() {
        let fixture = Fixture::new();
        fixture.signed_up("ann@example.com").await;
        let made_up =
            Credential { token: "a.b.c".into(), transport: Transport::Cookie, from: None };
        let how = LogIn { replaces: Some(made_up), ..LogIn::default() };
        assert!(fixture.sessions.log_in("ann@example.com", password(PASSWORD), how).await.is_ok());
    }

    #[tokio::test]
    async fn one_session_too_many_ends_the_oldest() {
        let fixture = Fixture::with(Policy { max_sessions_per_account: 2, ..policy() });
        let oldest = fixture.signed_up("ann@example.com").await;
        fixture.later(1);
        let middle = fixture.logged_in("ann@example.com").await;
        fixture.later(1);
        let newest = fixture.logged_in("ann@example.com").await;
        assert!(fixture.sessions.authenticate(&shown(&oldest)).await.is_err());
        assert!(fixture.sessions.authenticate(&shown(&middle)).await.is_ok());
        assert!(fixture.sessions.authenticate(&shown(&newest)).await.is_ok());
    }

    #[tokio::test]
    async fn remembered_sessions_last_longer() {
        let fixture = Fixture::new();
        let plain = fixture.signed_up("ann@example.com").await;
        let how = LogIn { remember: true, ..LogIn::default() };
        let kept =
            fixture.sessions.log_in("ann@example.com", password(PASSWORD), how).await.unwrap();
        fixture.clock.advance(SignedDuration::from_hours(24));
        assert!(fixture.sessions.authenticate(&shown(&plain)).await.is_err());
        assert!(fixture.sessions.authenticate(&shown(&kept)).await.is_ok());
    }

    #[tokio::test]
    async fn raised_parameters_renew_the_hash_at_the_next_login() {
        let fixture = Fixture::new();
        let before = fixture.signed_up("ann@example.com").await;
        let raised = HashingCost { passes: 2, ..cost() };
        let sessions = fixture.restarted(policy(), raised);
        let ann = address("ann@example.com");
        sessions.log_in("ann@example.com", password(PASSWORD), LogIn::default()).await.unwrap();
        let account = fixture.store.account_by_email(&ann).await.unwrap().unwrap();
        assert!(account.password.as_str().contains(",t=2,"));
        assert!(
            sessions.log_in("ann@example.com", password(PASSWORD), LogIn::default()).await.is_ok()
        );
        let alive = fixture.sessions.is_alive(&before).await.unwrap();
        assert!(alive, "a new hash of the same password ends nothing");
    }
}
