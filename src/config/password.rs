//! `[password]`

use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};

use super::PublicUrl;
use crate::session::{PasswordRules, password::HashingCost};

/// What passwords must be, and how they are hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordSection {
    /// The least number of characters of a new password. Not below 8.
    pub min_length: usize,
    /// The largest number of characters of a new password. From 64 to 1024.
    pub max_length: usize,
    /// How hard a new password must be to guess, by zxcvbn's score: from 0 (not asked) to 4 (more
    /// than 10^10 guesses). Common passwords are refused in any case.
    ///
    /// Three guessable pieces in a row, as in `Password1234567!`, score 3 at most. Of what it knows
    /// nothing about, a password needs eleven characters for 4, and nine for 3.
    pub min_strength: u8,
    /// Memory of one Argon2id hash, in KiB. Raised parameters reach an account at its next login.
    pub memory_kib: u32,
    /// Passes of Argon2id over that memory.
    pub passes: u32,
    /// Hashes that run at once. By default the number of cores. Each takes `memory_kib`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<usize>,
    /// Log-ins that wait for their turn at most. One more is refused with 503.
    pub waiting: usize,
}

impl Default for PasswordSection {
    fn default() -> Self {
        Self {
            min_length: 15,
            max_length: 128,
            min_strength: 4,
            memory_kib: 19_456,
            passes: 2,
            parallel: None,
            waiting: 256,
        }
    }
}

impl PasswordSection {
    /// Hashes that run at once.
    #[must_use]
    pub fn parallel(&self) -> usize {
        self.parallel.unwrap_or_else(|| available_parallelism().map_or(1, usize::from))
    }

    /// The rules for new passwords of the service at that address, as the service takes them.
    #[must_use]
    pub fn rules(&self, public_url: &PublicUrl) -> PasswordRules {
        PasswordRules {
            min_chars: self.min_length,
            max_chars: self.max_length,
            min_strength: self.min_strength,
            host: public_url.url().host_str().unwrap_or_default().to_owned(),
        }
    }

    /// What a hash costs, as the service takes it.
    #[must_use]
    pub fn cost(&self) -> HashingCost {
        HashingCost {
            memory_kib: self.memory_kib,
            passes: self.passes,
            parallel: self.parallel(),
            waiting: self.waiting,
        }
    }

    /// Whether a hash costs an attacker less than the OWASP Password Storage Cheat Sheet asks for:
    /// one of its pairs of memory and passes must be reached.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        ![(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)]
            .iter()
            .any(|&(kib, passes)| self.memory_kib >= kib && self.passes >= passes)
    }
}
