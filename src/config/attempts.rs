//! `[login]` and `[sign_up]`

use serde::{Deserialize, Serialize};

use super::Period;
use crate::session::{LogInLimits, SignUpLimits};

/// How many log-ins may fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginSection {
    /// How many log-ins to one account from one address may fail within the window. The next ones
    /// are answered 429 until it is over. One that succeeds begins anew.
    pub attempts: u32,
    /// As `attempts`, for one account from all addresses together. Not below `attempts`: one
    /// stranger must not lock a person out.
    pub attempts_per_account: u32,
    /// As `attempts`, from one address for all accounts together. Not below `attempts`.
    pub attempts_per_address: u32,
    /// How long after the first failure all are forgotten. From 5m to 1d.
    pub window: Period,
}

/// How many accounts may be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignUpSection {
    /// How many sign-ups with one e-mail address there may be within the window, successful or not.
    pub attempts: u32,
    /// As `attempts`, from one address.
    pub attempts_per_address: u32,
    /// How long after the first sign-up all are forgotten. From 5m to 1d.
    pub window: Period,
}

impl Default for LoginSection {
    fn default() -> Self {
        let LogInLimits { together, per_account, per_address, window } = LogInLimits::default();
        Self {
            attempts: together,
            attempts_per_account: per_account,
            attempts_per_address: per_address,
            window: Period(window),
        }
    }
}

impl Default for SignUpSection {
    fn default() -> Self {
        let SignUpLimits { per_account, per_address, window } = SignUpLimits::default();
        Self { attempts: per_account, attempts_per_address: per_address, window: Period(window) }
    }
}

impl LoginSection {
    /// The limits, as the service takes them.
    #[must_use]
    pub fn limits(&self) -> LogInLimits {
        LogInLimits {
            together: self.attempts,
            per_account: self.attempts_per_account,
            per_address: self.attempts_per_address,
            window: self.window.0,
        }
    }
}

impl SignUpSection {
    /// The limits, as the service takes them.
    #[must_use]
    pub fn limits(&self) -> SignUpLimits {
        SignUpLimits {
            per_account: self.attempts,
            per_address: self.attempts_per_address,
            window: self.window.0,
        }
    }
}
