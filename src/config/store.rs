//! `[store]`

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use url::Url;

use super::{Period, text};

const EXPECTED: &str = "`sled`, the embedded store in the data directory, or \
                        `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]` (`rediss:` with TLS)";

/// What is shown in the place of a password.
const MASK: &str = "***";

/// Where accounts and sessions are kept, and how safely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// Which store: `sled`, embedded, in the data directory, or the URL of a Redis or Valkey that
    /// several nodes share. A password in it is a secret: it is shown as `***`.
    pub url: StoreUrl,
    /// When a counted visit is answered: `commit` (when it is on the disk) or `interval` (at once;
    /// at most 500 ms of visits are lost with the power). All else is on the disk first. For `sled`.
    pub durability: Durability,
    /// Memory for the store's cache, in MiB. For `sled`.
    pub cache_mib: u64,
    /// How often the search for dead sessions starts anew. For `sled`.
    pub sweep_interval: Period,
    /// How a Redis is used.
    pub redis: RedisSection,
}

/// How a Redis is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisSection {
    /// How long Redis may take to be connected to, and to answer. What needs it is then answered
    /// 503.
    pub timeout: Period,
    /// Whether a Redis without an append-only file is refused: it forgets every session when it ends.
    /// With `false` the start only warns.
    pub must_append: bool,
    /// How many replicas must have what ends sessions before that is answered; where fewer do, it is
    /// answered 503. 0: none is waited for, and a replica that takes over may lack the last
    /// log-outs.
    pub replicas: u64,
}

impl Default for RedisSection {
    fn default() -> Self {
        Self { timeout: Period::seconds(1), must_append: true, replicas: 0 }
    }
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            url: StoreUrl::default(),
            durability: Durability::default(),
            cache_mib: 64,
            sweep_interval: Period::seconds(60),
            redis: RedisSection::default(),
        }
    }
}

/// Which store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreUrl {
    /// The embedded one, in the data directory.
    #[default]
    Sled,
    /// A Redis or Valkey.
    Redis(RedisUrl),
}

/// Where a Redis is, and perhaps with which password. It is shown without that.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(Url);

impl RedisUrl {
    /// The URL, password and all.
    #[must_use]
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Whether what is sent can be read on its way.
    #[must_use]
    pub fn is_readable_on_its_way(&self) -> bool {
        let is_here = match self.0.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.0.scheme() == "redis" && !is_here
    }
}

impl TryFrom<Url> for RedisUrl {
    type Error = InvalidStoreUrl;

    fn try_from(url: Url) -> Result<Self, InvalidStoreUrl> {
        if !["redis", "rediss"].contains(&url.scheme()) {
            return Err(InvalidStoreUrl::Unsupported { scheme: url.scheme().to_owned() });
        }
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        let database = url.path().trim_start_matches('/');
        let is_database = database.is_empty() || database.parse::<u16>().is_ok();
        // The library would take `#insecure` for permission not to look at certificates.
        if !has_host || !is_database || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidStoreUrl::Unknown);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        if shown.password().is_some() && shown.set_password(Some(MASK)).is_err() {
            return f.write_str("redis:");
        }
        shown.fmt(f)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
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
        match Url::parse(text) {
            Ok(url) => url.try_into().map(Self::Redis),
            Err(_) => Err(InvalidStoreUrl::Unknown),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sled => f.write_str("sled"),
            Self::Redis(url) => url.fmt(f),
        }
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
        let error = "redis+cluster://ann:secret@cache.example.com/0".parse::<StoreUrl>();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("`redis+cluster:`") && error.contains("not supported yet"));
        assert!(!error.contains("secret"), "{error}");
        for text in [
            "rocks",
            "redis://",
            "redis:///0",
            "redis://:secret@host/sessions",
            "redis://host/65536",
            "rediss://:secret@host/#insecure",
            "redis://host?protocol=resp3",
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err();
            assert_eq!(error, InvalidStoreUrl::Unknown, "{text}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn a_redis_is_shown_without_its_password() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost"),
            ("redis://:secret@[::1]:7000/3", "redis://:***@[::1]:7000/3"),
            ("rediss://ann:secret@cache.example.com", "rediss://ann:***@cache.example.com"),
        ] {
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
            let StoreUrl::Redis(url) = url else { panic!("{url}") };
            assert_eq!(url.expose().as_str(), text);
            assert!(!url.is_readable_on_its_way());
        }
        let StoreUrl::Redis(url) = "redis://10.0.0.7".parse().unwrap() else { panic!("a Redis") };
        assert!(url.is_readable_on_its_way());
    }
}
