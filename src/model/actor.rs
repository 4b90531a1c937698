//! Who does something, and from where: what stands behind every change that is written down.

use std::{fmt, net::IpAddr};

use super::AccountId;

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A person: the account's own, or an administrator with another's.
    Account(AccountId),
    /// Whoever may read the data directory, by the command line.
    CommandLine,
    /// Nobody who has shown who they are: somebody at the log-in form, or with a copied cookie.
    Unknown,
}

/// The account's id, `command_line` or `unknown`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => id.fmt(f),
            Self::CommandLine => f.write_str("command_line"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Who does something, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// The client's address; `None` for the command line.
    pub from: Option<IpAddr>,
}

impl By {
    /// The operator at the command line.
    pub const COMMAND_LINE: Self = Self { actor: Actor::CommandLine, from: None };
}
