//! What people and operators do with sessions: one file per operation.
//!
//! | file | operation |
//! |---|---|
//! | `sign_up` | make an account |
//! | `log_in` | check a password, open a session |
//! | `authenticate` | who is this? Verify a token, look its session up, renew it when due |
//! | `device` | know a device that was logged in before |
//! | `visit` | count a page view and sign the next token |
//! | `log_out` | end the session of a token |
//! | `manage` | list and end one's own sessions |
//! | `password` | the rules, the hashing pool, the change |
//! | `reauthenticate` | show the password again; what needs that |
//! | `change_email`, `close_account`, `export` | what else people do with their own accounts |
//! | `variables` | what an app keeps in a session |
//! | `audit` | what happened, as it was written down |
//! | `backup` | everything in the store, as a stream |
//! | `throttle` | how many attempts there may be |
//! | `operate` | what the operator's command line asks for |
//! | `administer` | what administrators do with the accounts of others |
//!
//! [`Sessions`] joins them. It knows nothing of HTTP: callers are `http/` and `cli/`. A new
//! operation is a file here with an `impl Sessions`, its events in `events`, its tests beneath it.

mod administer;
mod audit;
mod authenticate;
mod backup;
mod change_email;
mod close_account;
pub mod device;
mod events;
mod export;
mod log_in;
mod log_out;
mod manage;
pub mod operate;
pub mod password;
mod reauthenticate;
mod sign_up;
#[cfg(test)]
pub(crate) mod testing;
pub mod throttle;
mod variables;
mod visit;

use std::sync::Arc;

use jiff::SignedDuration;
use serde::Serialize;

pub use self::{
    administer::{AccountDetails, Administrator},
    authenticate::{Credential, SignedIn},
    backup::Backup,
    export::AccountExport,
    log_in::LogIn,
    manage::AccountSummary,
    password::{Hasher, PasswordRules},
    throttle::{LogInLimits, SignUpLimits},
};
use crate::{
    model::{
        AuditKind, By, Cause, Clock, Email, Lifetimes, Session, Timestamp, VariableRefused,
        email::InvalidEmail, session::Replay,
    },
    store::{Store, StoreError},
    token::{Defect, SigningFailed, Tokens},
};

/// The service: every operation on accounts and sessions, over a store, a key set and a clock.
/// Cheap to clone; clones are the same service.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn Store>,
    tokens: Arc<Tokens>,
    clock: Arc<dyn Clock>,
    hasher: Arc<Hasher>,
    policy: Arc<Policy>,
    running: Arc<throttle::Running>,
}

/// The rules that an operator chooses.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How long sessions last.
    pub lifetimes: Lifetimes,
    /// When a token is a copy, and what then.
    pub replay: Replay,
    /// Who may make an account.
    pub registration: Registration,
    /// How many living sessions an account has at most; a further login ends the oldest
    /// (ASVS 7.1.2).
    pub max_sessions_per_account: usize,
    /// How long after the password was shown it counts as shown lately (ASVS 7.5).
    pub recent: SignedDuration,
    /// What a new password must be.
    pub passwords: PasswordRules,
    /// How many failed log-ins there may be.
    pub log_in: LogInLimits,
    /// How many sign-ups.
    pub sign_up: SignUpLimits,
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Anybody.
    #[default]
    Open,
    /// The operator alone, by the command line.
    Closed,
}

/// A session with the token that was just signed for it: what a login, a counted visit or a
/// renewal hands out.
#[derive(Clone)]
pub struct Issued {
    /// The session as it is now.
    pub session: Session,
    /// The account's e-mail.
    pub email: Email,
    /// The token. Whoever has it is logged in.
    pub token: String,
    /// When the token ends.
    pub token_expires_at: Timestamp,
    /// A token by which the device is known at its next log-in, after one that was not.
    pub device: Option<String>,
    /// [`Store::ends`] of before the session was known to be alive.
    ends: Option<u64>,
}

/// Why an operation was refused or failed. `http/problem` says what a client is told of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No living session stands behind the request. Which defect is for the log alone.
    #[error("not signed in: {0}")]
    NotSignedIn(Refusal),
    /// Unknown e-mail, wrong password, disabled account: not told apart.
    #[error("wrong e-mail or password")]
    WrongCredentials,
    /// The current password that came with a change is wrong.
    #[error("wrong current password")]
    WrongPassword,
    /// The password was shown too long ago for what was asked for.
    #[error("the password was not shown lately")]
    ReauthenticationRequired,
    /// Only the operator makes accounts here.
    #[error("registration is closed")]
    RegistrationClosed,
    /// Another account has the e-mail.
    #[error("the e-mail is taken")]
    EmailTaken,
    /// Not an e-mail address.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// The new password breaks the rules.
    #[error(transparent)]
    PasswordRefused(#[from] password::Refused),
    /// What an app wants to keep in a session is too much.
    #[error(transparent)]
    VariableRefused(#[from] VariableRefused),
    /// The account has no such living session.
    #[error("no such session")]
    NoSuchSession,
    /// There is no such account. Operators and administrators only.
    #[error("there is no such account")]
    NoSuchAccount,
    /// What was asked for is an administrator's to do.
    #[error("not an administrator")]
    NotAnAdministrator,
    /// Administrators do not lock their own accounts.
    #[error("one's own account cannot be disabled")]
    OwnAccount,
    /// There were too many attempts lately, known account or not. Nothing was checked.
    #[error("too many attempts")]
    TooManyAttempts {
        /// How long to wait.
        wait: SignedDuration,
    },
    /// More passwords are waiting to be hashed than the queue holds.
    #[error("too many log-ins at once")]
    Busy,
    /// The store failed: nothing was recorded.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
    /// A password hash could not be made or read.
    #[error("password hashing failed: {0}")]
    Hashing(String),
}

/// What an operation gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a presented token does not sign anybody in. For logs and metrics: clients get one answer
/// for all of them (ASVS 16.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The token itself is no good.
    #[error("{0}")]
    Token(#[from] Defect),
    /// Its session is not in the store: ended, expired, or never there.
    #[error("no such session")]
    Absent,
    /// It is for a cookie and came as a bearer token, or the other way round.
    #[error("wrong transport")]
    Transport,
    /// It is a copy: the session has moved on with another holder.
    #[error("copied")]
    Copied,
}

impl Refusal {
    /// The stable short name for logs and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Token(defect) => defect.code(),
            Self::Absent => "absent",
            Self::Transport => "transport",
            Self::Copied => "copied",
        }
    }
}

impl Sessions {
    /// Joins the parts.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        tokens: impl Into<Arc<Tokens>>,
        clock: Arc<dyn Clock>,
        hasher: Hasher,
        policy: Policy,
    ) -> Self {
        Self {
            store,
            tokens: tokens.into(),
            clock,
            hasher: Arc::new(hasher),
            policy: Arc::new(policy),
            running: Arc::default(),
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The public keys that tokens can be verified with now, to be written as JSON.
    #[must_use]
    pub fn jwks(&self) -> impl Serialize + use<> {
        self.tokens.jwks(self.clock.now())
    }

    /// What is about to be done now, and by whom.
    fn cause(&self, what: AuditKind, by: By) -> Cause {
        Cause { what, by, at: self.clock.now() }
    }

    /// Whether changes can be recorded now.
    ///
    /// # Errors
    /// The store's, when they cannot.
    pub async fn ready(&self) -> Result<()> {
        Ok(self.store.ping().await?)
    }

    /// Records what was accepted and lets go of the store. Later calls that change something fail.
    ///
    /// # Errors
    /// The store's.
    pub async fn close(&self) -> Result<()> {
        Ok(self.store.close().await?)
    }
}
