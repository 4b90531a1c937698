//! An account: a person who can log in.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AccountId, Email, Timestamp};

/// A person: who they are, how they prove it, and whether they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Names the account for ever.
    pub id: AccountId,
    /// Unique among all accounts.
    pub email: Email,
    /// What the password is checked against.
    pub password: PasswordHash,
    /// Whether it can log in.
    pub state: AccountState,
    /// What it may do beside its own.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a session of it was ended because its cookie was used by two holders, until the person
    /// was told at the next login.
    pub copied_at: Option<Timestamp>,
}

/// Whether an account can log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// It can.
    Active,
    /// It cannot, and all its sessions have ended.
    Disabled,
}

/// What an account may do. Looked up when it asks for something, never written into a token: what is
/// taken away is gone at the next request (ASVS 8.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What concerns itself.
    #[default]
    Member,
    /// See all accounts and sessions, and end or lock them.
    Admin,
}

impl Role {
    /// The word for it, as it is typed and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

impl AccountState {
    /// The word for it, as it is typed and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// A PHC string, `$argon2id$v=19$...`. Compared only to see whether it was changed meanwhile:
/// checking a password against it is `session::password`'s work.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes over a PHC string.
    #[must_use]
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}
