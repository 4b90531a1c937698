//! `[store]`

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Period, text};

const EXPECTED: &str = "`sled`, the embedded store in the data directory";

/// Where accounts and sessions are kept, and how safely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// Which store: `sled`, embedded, in the data directory.
    pub url: StoreUrl,
    /// When a counted visit is answered: `commit` (when it is on the disk) or `interval` (at once;
    /// at most 500 ms of visits are lost with the power). All else is on the disk first.
    pub durability: Durability,
    /// Memory for the store's cache, in MiB.
    pub cache_mib: u64,
    /// How often the search for dead sessions starts anew.
    pub sweep_interval: Period,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            url: StoreUrl::default(),
            durability: Durability::default(),
            cache_mib: 64,
            sweep_interval: Period::seconds(60),
        }
    }
}

/// Which store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreUrl {
    /// The embedded one, in the data directory.
    #[default]
    Sled,
}

/// Why a text names no store. It is not repeated: such URLs carry passwords.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStoreUrl {
    /// A URL of something else.
    #[error("a store with a URL (`{scheme}:`) is not supported yet: expected {EXPECTED}")]
    Unsupported {
        /// What it starts with.
        scheme: String,
    },
    /// Something else.
    #[error("expected {EXPECTED}")]
    Unknown,
}

impl FromStr for StoreUrl {
    type Err = InvalidStoreUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "sled" {
            return Ok(Self::Sled);
        }
        Err(match url::Url::parse(text) {
            Ok(url) => InvalidStoreUrl::Unsupported { scheme: url.scheme().to_owned() },
            Err(_) => InvalidStoreUrl::Unknown,
        })
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sled")
    }
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text::parse(from, EXPECTED)
    }
}

/// When a counted visit is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// When it is on the disk.
    #[default]
    Commit,
    /// At once, and it is on the disk at most 500 ms later. Visits only.
    Interval,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_stores_are_refused_by_name_and_their_passwords_not_repeated() {
        assert_eq!("sled".parse(), Ok(StoreUrl::Sled));
        let error =
            "redis://ann:secret@cache.example.com/0".parse::<StoreUrl>().unwrap_err().to_string();
        assert!(error.contains("`redis:`") && error.contains("not supported yet"));
        assert!(!error.contains("secret"), "{error}");
        assert_eq!("rocks".parse::<StoreUrl>(), Err(InvalidStoreUrl::Unknown));
    }
}
