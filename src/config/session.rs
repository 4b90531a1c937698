//! `[session]`

use serde::{Deserialize, Serialize};

use super::Period;
use crate::model::Lifetimes;

/// How long sessions last, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionSection {
    /// Until a session ends for want of use.
    pub idle: Period,
    /// Until a session ends whatever happens.
    pub absolute: Period,
    /// As `idle`, for those who asked to stay logged in.
    pub remember_idle: Period,
    /// As `absolute`, for those who asked to stay logged in.
    pub remember_absolute: Period,
    /// How many sessions an account has at most. A further login ends the oldest.
    pub max_per_account: usize,
    /// How long after the password was typed one may end other sessions, change the e-mail address
    /// and close the account without typing it again.
    pub recent: Period,
}

impl Default for SessionSection {
    fn default() -> Self {
        Self {
            idle: Period::minutes(30),
            absolute: Period::hours(12),
            remember_idle: Period::days(14),
            remember_absolute: Period::days(30),
            max_per_account: 100,
            recent: Period::minutes(10),
        }
    }
}

impl SessionSection {
    /// The four durations, as the service takes them.
    #[must_use]
    pub fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            idle: self.idle.0,
            absolute: self.absolute.0,
            remember_idle: self.remember_idle.0,
            remember_absolute: self.remember_absolute.0,
        }
    }
}
