//! How many attempts there may be: the one place that decides it (ASVS 6.3.1).
//!
//! Failed log-ins are counted three times: for the account and the address together, for the account
//! alone, and for the address alone, the last two with higher limits. So guessing at one account, at
//! one account from many places, and at many accounts from one place all come to an end; and a
//! stranger who tries ten times has locked nobody out but themselves. Sign-ups are counted, also those
//! that succeed, for the e-mail and for the address. Whether an e-mail has an account makes no
//! difference to any of it.
//!
//! What was counted is in the store. What is being checked right now is not counted yet, and is known
//! here: of many attempts at once no more begin than may still fail, and the others wait for how
//! these end. Nothing is hashed for an attempt that is refused here.
//!
//! An operation that checks a password asks for a [`Turn`] by [`Sessions::admit`], counts what
//! failed by [`Sessions::count`] before it answers, and lets go of the turn then.

mod running;

use std::{net::IpAddr, pin::pin};

use jiff::SignedDuration;

use self::running::Begun;
pub(super) use self::running::{Running, Turn};

use super::{Error, Result, Sessions, events::Event};
use crate::model::{AttemptKey, Attempts, AuditEvent, CountedUnder, Email, Timestamp};

/// How many failed log-ins there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogInLimits {
    /// For one account from one address.
    pub together: u32,
    /// For one account, from wherever. NIST SP 800-63B section 3.2.2 allows 100 at most.
    pub per_account: u32,
    /// From one address, for whatever account.
    pub per_address: u32,
    /// How long after the first of them all are forgotten.
    pub window: SignedDuration,
}

/// How many sign-ups there may be, successful ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignUpLimits {
    /// For one e-mail, from wherever.
    pub per_account: u32,
    /// From one address.
    pub per_address: u32,
    /// How long after the first of them all are forgotten.
    pub window: SignedDuration,
}

impl Default for LogInLimits {
    fn default() -> Self {
        let window = SignedDuration::from_mins(15);
        Self { together: 10, per_account: 100, per_address: 100, window }
    }
}

impl Default for SignUpLimits {
    fn default() -> Self {
        Self { per_account: 20, per_address: 100, window: SignedDuration::from_hours(1) }
    }
}

/// Something that is limited: what it is counted under, and how often there.
pub(super) struct Attempt {
    /// For the log.
    operation: &'static str,
    limits: Vec<(AttemptKey, u32)>,
    window: SignedDuration,
}

const LOG_IN: &str = "log_in";
const SIGN_UP: &str = "sign_up";
/// What strangers cannot do.
const KNOWN: &str = "known";

impl Attempt {
    /// To log in. What is no e-mail address belongs to no account.
    pub(super) fn log_in(
        limits: &LogInLimits,
        email: Option<&Email>,
        from: Option<IpAddr>,
    ) -> Self {
        let mut attempt = Self::at_password(LOG_IN, limits, email, from);
        if let Some(email) = email {
            let key = AttemptKey::new(LOG_IN, CountedUnder::Account(email));
            attempt.limits.push((key, limits.per_account));
        }
        attempt
    }

    /// To show the password while being signed in, or to log in on a device that was logged in
    /// before. The account's limit, which strangers can reach, does not hold here: there is another
    /// one, which takes a session or a device.
    pub(super) fn known(limits: &LogInLimits, email: &Email, from: Option<IpAddr>) -> Self {
        let mut attempt = Self::at_password(KNOWN, limits, Some(email), from);
        let key = AttemptKey::new(KNOWN, CountedUnder::Account(email));
        attempt.limits.push((key, limits.per_account));
        attempt
    }

    /// To make an account.
    pub(super) fn sign_up(limits: &SignUpLimits, email: &Email, from: Option<IpAddr>) -> Self {
        let key = |name| AttemptKey::new(SIGN_UP, name);
        let limits_by_key = vec![
            (key(CountedUnder::Account(email)), limits.per_account),
            (key(CountedUnder::Address(from)), limits.per_address),
        ];
        Self { operation: SIGN_UP, limits: limits_by_key, window: limits.window }
    }

    fn at_password(
        operation: &'static str,
        limits: &LogInLimits,
        email: Option<&Email>,
        from: Option<IpAddr>,
    ) -> Self {
        let key = |name| AttemptKey::new(LOG_IN, name);
        let mut by_key = vec![(key(CountedUnder::Address(from)), limits.per_address)];
        if let Some(email) = email {
            by_key.push((key(CountedUnder::Both(email, from)), limits.together));
        }
        Self { operation, limits: by_key, window: limits.window }
    }

    fn keys(&self) -> Vec<AttemptKey> {
        self.limits.iter().map(|(key, _)| *key).collect()
    }

    /// When the next may begin, if not now.
    fn refused_until(&self, counted: &[Attempts]) -> Option<Timestamp> {
        let at_limit = |((_, most), counted): (&(AttemptKey, u32), &Attempts)| {
            (counted.count >= *most).then_some(counted.until)
        };
        self.limits.iter().zip(counted).filter_map(at_limit).max()
    }
}

impl Sessions {
    /// Lets an attempt begin, when those before it leave room for it.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`]; [`Error::Store`]: what cannot be looked up is not tried.
    pub(super) async fn admit(&self, attempt: &Attempt) -> Result<Turn> {
        let keys = attempt.keys();
        loop {
            let mut another = pin!(self.running.next_end());
            // From here on, none that finishes is missed.
            another.as_mut().enable();
            let finished = self.running.finished();
            let now = self.clock.now();
            let counted = self.store.attempts(&keys, now).await?;
            if let Some(until) = attempt.refused_until(&counted) {
                Event::TooManyAttempts { operation: attempt.operation }.record();
                return Err(Error::TooManyAttempts { wait: until.duration_since(now) });
            }
            match self.running.begin(&attempt.limits, &counted, finished) {
                Begun::Yes(turn) => return Ok(turn),
                Begun::AskAgain => {}
                Begun::Wait => another.await,
            }
        }
    }

    /// Counts an attempt, and writes the event down that it is, if it is one. Whoever made it is
    /// answered when that is recorded.
    pub(super) async fn count(&self, attempt: &Attempt, event: Option<AuditEvent>) -> Result<()> {
        let now = self.clock.now();
        Ok(self.store.count_attempt(attempt.keys(), attempt.window, now, event).await?)
    }

    /// Forgets the failed log-ins of an account from an address, where its password was shown now.
    /// Those of the account and of the address alone stay: whoever has an account of their own could
    /// clear the address's with it.
    pub(super) async fn forget_failures(&self, email: &Email, from: Option<IpAddr>) -> Result<()> {
        let both = AttemptKey::new(LOG_IN, CountedUnder::Both(email, from));
        Ok(self.store.forget_attempts(both).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{
        LogIn, Policy,
        testing::{Fixture, PASSWORD, address, password, policy},
    };

    const HERE: &str = "192.0.2.1";

    fn limited(together: u32, per_account: u32, per_address: u32) -> Fixture {
        let window = SignedDuration::from_mins(15);
        let log_in = LogInLimits { together, per_account, per_address, window };
        Fixture::with(Policy { log_in, ..policy() })
    }

    fn from(address: &str) -> LogIn {
        LogIn { from: Some(address.parse().unwrap()), ..LogIn::default() }
    }

    async fn try_log_in(fixture: &Fixture, email: &str, typed: &str, at: &str) -> &'static str {
        match fixture.sessions.log_in(email, password(typed), from(at)).await {
            Ok(_) => "in",
            Err(Error::WrongCredentials) => "wrong",
            Err(Error::TooManyAttempts { .. }) => "too many",
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn each_limit_holds_by_itself() {
        // The account and the address together.
        let fixture = limited(2, 100, 100);
        fixture.signed_up("ann@example.com").await;
        let tried =
            async |email: &str, typed: &str, at: &str| try_log_in(&fixture, email, typed, at).await;
        for _ in 0..2 {
            assert_eq!(tried("ann@example.com", "wrong", HERE).await, "wrong");
        }
        assert_eq!(tried("ann@example.com", PASSWORD, HERE).await, "too many");
        assert_eq!(tried("bob@example.com", "wrong", HERE).await, "wrong");
        assert_eq!(tried("ann@example.com", PASSWORD, "192.0.2.2").await, "in");

        // The account alone.
        let fixture = limited(2, 3, 100);
        fixture.signed_up("ann@example.com").await;
        let tried =
            async |email: &str, typed: &str, at: &str| try_log_in(&fixture, email, typed, at).await;
        for n in 0..3 {
            assert_eq!(tried("ann@example.com", "wrong", &format!("192.0.2.{n}")).await, "wrong");
        }
        assert_eq!(tried("ann@example.com", PASSWORD, "192.0.2.9").await, "too many");
        assert_eq!(tried("bob@example.com", "wrong", "192.0.2.9").await, "wrong");

        // The address alone, with and without addresses in the field.
        let fixture = limited(2, 100, 3);
        fixture.signed_up("ann@example.com").await;
        let tried =
            async |email: &str, typed: &str, at: &str| try_log_in(&fixture, email, typed, at).await;
        for email in ["bob@example.com", "no address", "carol@example.com"] {
            assert_eq!(tried(email, "wrong", HERE).await, "wrong");
        }
        assert_eq!(tried("ann@example.com", PASSWORD, HERE).await, "too many");
        assert_eq!(tried("no address", PASSWORD, HERE).await, "too many");
        assert_eq!(tried("ann@example.com", PASSWORD, "192.0.2.2").await, "in");
    }

    #[tokio::test]
    async fn the_wait_is_to_the_end_of_the_window_that_the_first_began() {
        let fixture = limited(2, 100, 100);
        for _ in 0..2 {
            try_log_in(&fixture, "ann@example.com", "wrong", HERE).await;
            fixture.later(5);
        }
        let refused =
            fixture.sessions.log_in("ann@example.com", password("wrong"), from(HERE)).await;
        let Err(Error::TooManyAttempts { wait }) = refused else {
            panic!("it was let through");
        };
        assert_eq!(wait, SignedDuration::from_mins(5));
        fixture.later(5);
        assert_eq!(try_log_in(&fixture, "ann@example.com", "wrong", HERE).await, "wrong");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_at_once_no_more_are_checked_than_there_may_be() {
        let fixture = limited(5, 100, 100);
        fixture.signed_up("ann@example.com").await;
        let at_once = (0..40).map(|_| {
            let sessions = fixture.sessions.clone();
            tokio::spawn(async move {
                sessions.log_in("ann@example.com", password("wrong"), from(HERE)).await
            })
        });
        let mut wrong = 0;
        for outcome in at_once.collect::<Vec<_>>() {
            match outcome.await.unwrap() {
                Err(Error::WrongCredentials) => wrong += 1,
                Err(Error::TooManyAttempts { .. }) => {}
                _ => panic!("neither wrong nor too many"),
            }
        }
        assert_eq!(wrong, 5);
        assert!(fixture.sessions.running.is_empty(), "none runs any more");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_right_ones_at_once_all_get_in() {
        let fixture = limited(2, 2, 2);
        fixture.signed_up("ann@example.com").await;
        let at_once = (0..30).map(|_| {
            let sessions = fixture.sessions.clone();
            tokio::spawn(async move {
                sessions.log_in("ann@example.com", password(PASSWORD), from(HERE)).await
            })
        });
        for outcome in at_once.collect::<Vec<_>>() {
            assert!(outcome.await.unwrap().is_ok());
        }
    }

    #[tokio::test]
    async fn sign_ups_are_counted_whatever_comes_of_them() {
        let limits = SignUpLimits { per_account: 2, per_address: 4, ..SignUpLimits::default() };
        let fixture = Fixture::with(Policy { sign_up: limits, ..policy() });
        let tried = async |email: &str, at: &str| {
            let from = Some(at.parse().unwrap());
            match fixture.sessions.sign_up(address(email), password(PASSWORD), from).await {
                Ok(_) => "made",
                Err(Error::EmailTaken) => "taken",
                Err(Error::TooManyAttempts { .. }) => "too many",
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(tried("ann@example.com", HERE).await, "made");
        assert_eq!(tried("ann@example.com", "192.0.2.2").await, "taken");
        assert_eq!(tried("ann@example.com", "192.0.2.3").await, "too many");
        for n in 1..4 {
            assert_eq!(tried(&format!("bob{n}@example.com"), HERE).await, "made");
        }
        assert_eq!(tried("carol@example.com", HERE).await, "too many");
        assert_eq!(tried("carol@example.com", "192.0.2.2").await, "made");
        // A password that is too short is refused before that, and is no attempt.
        fixture.later(60);
        for _ in 0..9 {
            let dan = address("dan@example.com");
            let short = fixture.sessions.sign_up(dan, password("short"), None).await;
            assert!(matches!(short, Err(Error::PasswordRefused(_))));
        }
        assert_eq!(tried("dan@example.com", HERE).await, "made");
    }
}
