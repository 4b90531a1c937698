//! A service to test with: the real parts over the store in memory and a clock that is moved.

use std::sync::Arc;

use jiff::SignedDuration;

use super::{
    Credential, Hasher, Issued, LogIn, PasswordRules, Policy, Registration, Sessions,
    password::HashingCost,
    throttle::{LogInLimits, SignUpLimits},
};
use crate::{
    model::{
        Email, Lifetimes, Password, Replay, Transport,
        clock::{ManualClock, from_millis},
        session::ReplayPolicy,
    },
    store::{Store, memory::MemoryStore},
    token::{Algorithm, KeySet, Tokens},
};

pub(super) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Fixture {
    pub(crate) sessions: Sessions,
    pub(super) clock: ManualClock,
    pub(super) store: Arc<dyn Store>,
}

/// The rules as they are by default: the layers above test with them, too.
pub(crate) fn policy() -> Policy {
    Policy {
        lifetimes: Lifetimes {
            idle: SignedDuration::from_mins(30),
            absolute: SignedDuration::from_hours(12),
            remember_idle: SignedDuration::from_hours(14 * 24),
            remember_absolute: SignedDuration::from_hours(30 * 24),
        },
        replay: Replay { grace: SignedDuration::from_secs(60), policy: ReplayPolicy::Revoke },
        registration: Registration::Open,
        max_sessions_per_account: 100,
        recent: SignedDuration::from_mins(10),
        passwords: PasswordRules {
            min_chars: 15,
            max_chars: 128,
            min_strength: 4,
            host: "localhost".into(),
        },
        log_in: LogInLimits::default(),
        sign_up: SignUpLimits::default(),
    }
}

pub(super) fn cost() -> HashingCost {
    HashingCost { memory_kib: 64, passes: 1, parallel: 2, waiting: 64 }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(policy())
    }

    pub(super) fn with(policy: Policy) -> Self {
        let clock = ManualClock::new(from_millis(1_790_000_000_000));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        Self { sessions: service(&store, &clock, policy, cost()), clock, store }
    }

    /// The same store and clock under another service.
    pub(super) fn restarted(&self, policy: Policy, cost: HashingCost) -> Sessions {
        service(&self.store, &self.clock, policy, cost)
    }

    pub(crate) async fn signed_up(&self, email: &str) -> Issued {
        self.sessions
            .sign_up_and_log_in(address(email), password(PASSWORD), LogIn::default())
            .await
            .unwrap()
    }

    pub(super) async fn logged_in(&self, email: &str) -> Issued {
        self.sessions.log_in(email, password(PASSWORD), LogIn::default()).await.unwrap()
    }

    pub(super) fn later(&self, minutes: i64) {
        self.clock.advance(SignedDuration::from_mins(minutes));
    }
}

fn service(
    store: &Arc<dyn Store>,
    clock: &ManualClock,
    policy: Policy,
    cost: HashingCost,
) -> Sessions {
    let keys = KeySet::generate(Algorithm::EdDsa, from_millis(0));
    let url = "http://localhost:3000".to_owned();
    Sessions::new(
        Arc::clone(store),
        Tokens::new(keys, url.clone(), url),
        Arc::new(clock.clone()),
        Hasher::new(cost).unwrap(),
        policy,
    )
}

pub(super) fn address(text: &str) -> Email {
    Email::parse(text).unwrap()
}

pub(super) fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

/// The token as a browser would send it.
pub(super) fn shown(issued: &Issued) -> Credential {
    Credential { token: issued.token.clone(), transport: Transport::Cookie, from: None }
}
