//! What is wrong with a configuration: each error names the key, where it came from, and what
//! would be right.

use std::{fmt, path::PathBuf};

use figment::error::{Kind, OneOf};

use super::source::ENV_PREFIX;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is no TOML.
    #[error("{}, line {line}: {reason}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A variable is set to what is not UTF-8.
    #[error("the environment variable {variable} is not UTF-8")]
    NotText {
        /// Its name.
        variable: String,
    },
    /// There is no such key.
    #[error("unknown key `{key}` in {origin}: expected {expected}")]
    UnknownKey {
        /// The key, with its section.
        key: String,
        /// Where it came from.
        origin: Origin,
        /// The keys there are.
        expected: String,
    },
    /// A key has a value that it cannot have.
    #[error("`{key}` in {origin}: {reason}")]
    Value {
        /// The key, with its section.
        key: String,
        /// Where it came from.
        origin: Origin,
        /// What would be right.
        reason: String,
    },
    /// Values that are good each by itself and not together, or beyond their bounds.
    #[error("`{key}` {rule}")]
    Rule {
        /// The key, with its section.
        key: &'static str,
        /// What it must be.
        rule: String,
    },
    /// A value cannot be written as TOML.
    #[error("the configuration cannot be shown: {0}")]
    Unprintable(String),
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// A variable of the environment, named after the key it sets.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
        }
    }
}

impl ConfigError {
    /// What figment found in a file, or in the environment when there is none.
    pub(super) fn of(error: &figment::Error, file: Option<&PathBuf>) -> Self {
        let mut path = error.path.clone();
        if let Kind::UnknownField(name, _) = &error.kind
            && path.last() != Some(name)
        {
            path.push(name.clone());
        }
        let origin = match file {
            Some(file) => Origin::File(file.clone()),
            None => Origin::Variable(format!("{ENV_PREFIX}{}", path.join("__").to_uppercase())),
        };
        let key = path.join(".");
        match &error.kind {
            Kind::UnknownField(_, expected) => {
                Self::UnknownKey { key, origin, expected: OneOf(expected).to_string() }
            }
            Kind::UnknownVariant(_, expected) => {
                Self::Value { key, origin, reason: format!("expected {}", OneOf(expected)) }
            }
            // The value itself is left out: an address may carry a password.
            Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
                Self::Value { key, origin, reason: format!("expected {}", in_words(expected)) }
            }
            kind => Self::Value { key, origin, reason: kind.to_string() },
        }
    }
}

/// A Rust type, for those who write no Rust.
fn in_words(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" => "a whole number, 0 or more",
        other if other.starts_with("enum ") => "a word in quotes",
        other if other.starts_with("struct ") => "a section of keys",
        other => other,
    }
}
