//! `[store]`

use std::{fmt, net::Ipv4Addr, str::FromStr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::{Period, text};

const EXPECTED: &str = "`sled`, the embedded store in the data directory, or \
                        `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`, \
                        `redis+sentinel://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT],…/NAME[/DATABASE]`, \
                        `redis+cluster://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT],…` (`rediss` with TLS)";

/// What is shown in the place of a password.
const MASK: &str = "***";

/// Where accounts and sessions are kept, and how safely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// Which store: `sled`, embedded, in the data directory, or the URL of a Redis or Valkey that
    /// several nodes share: `redis://HOST`, `redis+sentinel://HOST,HOST,HOST/NAME`,
    /// `redis+cluster://HOST,HOST,HOST`, each also as `rediss`, with TLS. A password in it is a
    /// secret: it is shown as `***`.
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
    /// How checks are answered: `strict` (Redis is asked each time) or `local` (from memory, while
    /// the node hears which sessions end). With `local`, a session that was ended at another node
    /// passes as alive until that is heard: a millisecond, and if the node is cut off, `max_lag`.
    pub checks: RedisChecks,
    /// For how long a node may have heard nothing and still answer checks from memory. After that,
    /// Redis is asked.
    pub max_lag: Period,
}

impl Default for RedisSection {
    fn default() -> Self {
        Self {
            timeout: Period::seconds(1),
            must_append: true,
            replicas: 0,
            checks: RedisChecks::default(),
            max_lag: Period::seconds(2),
        }
    }
}

/// How checks of sessions are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisChecks {
    /// Redis is asked each time.
    #[default]
    Strict,
    /// From memory, while the node hears which sessions end.
    Local,
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
pub struct RedisUrl {
    named: Vec<Url>,
    are: Are,
}

/// What the servers are that were named.
#[derive(Clone, PartialEq, Eq)]
enum Are {
    Primary,
    Sentinels { primary: String, password: Option<String> },
    Cluster,
}

impl RedisUrl {
    /// The servers that were named, each with user, password and database.
    #[must_use]
    pub fn expose(&self) -> &[Url] {
        &self.named
    }

    /// The name that the servers, which are Sentinels, know the primary by, and the password that
    /// they want themselves.
    #[must_use]
    pub fn expose_sentinels(&self) -> Option<(&str, Option<&str>)> {
        match &self.are {
            Are::Sentinels { primary, password } => Some((primary, password.as_deref())),
            Are::Primary | Are::Cluster => None,
        }
    }

    /// Whether the servers are nodes of a cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.are == Are::Cluster
    }

    /// Whether what is sent can be read on its way.
    #[must_use]
    pub fn is_readable_on_its_way(&self) -> bool {
        let is_here = |url: &Url| match url.host() {
            // In a URL of this kind an IPv4 address is a name, too.
            Some(url::Host::Domain(name)) => {
                name == "localhost" || name.parse().is_ok_and(|it: Ipv4Addr| it.is_loopback())
            }
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.named.iter().any(|url| url.scheme() == "redis" && !is_here(url))
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidStoreUrl;

    fn from_str(text: &str) -> Result<Self, InvalidStoreUrl> {
        let unknown = InvalidStoreUrl::Unknown;
        let (scheme, rest) = text.split_once("://").ok_or(unknown)?;
        let (base, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        if !["redis", "rediss"].contains(&base) || !["", "sentinel", "cluster"].contains(&kind) {
            // What is no scheme may be the name and password of somebody.
            let may_be_in_one =
                |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"+.-".contains(&c);
            let is_scheme = scheme.bytes().all(may_be_in_one) && Url::parse(text).is_ok();
            let unsupported = InvalidStoreUrl::Unsupported { scheme: scheme.to_owned() };
            return Err(if is_scheme { unsupported } else { InvalidStoreUrl::Unknown });
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (credentials, hosts) = match authority.rfind('@') {
            Some(at) => authority.split_at(at + 1),
            None => ("", authority),
        };
        // The library would take `#insecure` for permission not to look at certificates.
        if rest.contains('#') {
            return Err(InvalidStoreUrl::Unknown);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.trim_start_matches('/').trim_end_matches('/');
        let (are, database) = match kind {
            "sentinel" => {
                let (name, database) = path.split_once('/').unwrap_or((path, ""));
                let primary = decoded(name).filter(|name| !name.is_empty());
                let primary = primary.ok_or(InvalidStoreUrl::Unknown)?;
                let password = match query.split_once('=') {
                    None if query.is_empty() => None,
                    Some((SENTINEL_PASSWORD, password)) => {
                        Some(decoded(password).ok_or(InvalidStoreUrl::Unknown)?)
                    }
                    _ => return Err(InvalidStoreUrl::Unknown),
                };
                (Are::Sentinels { primary, password }, database)
            }
            "cluster" if !path.is_empty() => return Err(InvalidStoreUrl::Unknown),
            "cluster" => (Are::Cluster, ""),
            _ if hosts.contains(',') => return Err(InvalidStoreUrl::Unknown),
            _ => (Are::Primary, path),
        };
        let is_sentinel = matches!(are, Are::Sentinels { .. });
        let is_database = database.is_empty() || database.parse::<u16>().is_ok();
        if !is_database || !query.is_empty() && !is_sentinel {
            return Err(InvalidStoreUrl::Unknown);
        }
        let slash = if database.is_empty() { "" } else { "/" };
        let one = |host: &str| {
            let url = Url::parse(&format!("{base}://{credentials}{host}{slash}{database}"));
            url.ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty()))
        };
        let named: Option<Vec<_>> = hosts.split(',').map(one).collect();
        Ok(Self { named: named.ok_or(InvalidStoreUrl::Unknown)?, are })
    }
}

/// What is escaped in a name of a primary.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The name of what a Sentinel wants itself, in a URL.
const SENTINEL_PASSWORD: &str = "sentinel_password";

/// Without the escapes of a URL.
fn decoded(text: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.ok().map(std::borrow::Cow::into_owned)
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.named.first() else {
            return f.write_str("redis:");
        };
        let kind = match self.are {
            Are::Primary => "",
            Are::Sentinels { .. } => "+sentinel",
            Are::Cluster => "+cluster",
        };
        write!(f, "{}{kind}://{}", first.scheme(), first.username())?;
        if first.password().is_some() {
            write!(f, ":{MASK}")?;
        }
        if !first.username().is_empty() || first.password().is_some() {
            f.write_str("@")?;
        }
        for (n, url) in self.named.iter().enumerate() {
            f.write_str(if n == 0 { "" } else { "," })?;
            f.write_str(url.host_str().unwrap_or_default())?;
            if let Some(port) = url.port() {
                write!(f, ":{port}")?;
            }
        }
        if let Are::Sentinels { primary, .. } = &self.are {
            write!(f, "/{}", utf8_percent_encode(primary, ESCAPED))?;
        }
        if first.path().len() > 1 {
            f.write_str(first.path())?;
        }
        match &self.are {
            Are::Sentinels { password: Some(_), .. } => write!(f, "?{SENTINEL_PASSWORD}={MASK}"),
            _ => Ok(()),
        }
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
    #[error("a store with a URL of that kind (`{scheme}:`) is not supported: expected {EXPECTED}")]
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
        text.parse().map(Self::Redis)
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
        let error = "redis+unix://ann:secret@cache.example.com/0".parse::<StoreUrl>();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("`redis+unix:`") && error.contains("not supported"));
        assert!(!error.contains("secret"), "{error}");
        for text in [
            "rocks",
            "ann:secret@redis://host",
            "secret:secret@redis+sentinel://one,two/name",
            "Secret://host",
            "redis://",
            "redis:///0",
            "redis://:secret@host/sessions",
            "redis://host/65536",
            "rediss://:secret@host/#insecure",
            "redis://host?protocol=resp3",
            "redis://one,two",
            "redis+cluster://one,two/0",
            "redis+cluster://one,,two",
            "redis+cluster://:secret@one,two#insecure",
            "redis+sentinel://:secret@one,two",
            "redis+sentinel://:secret@one,two/",
            "redis+sentinel://one,two/name/sessions",
            "redis+sentinel://one,two/name?password=secret",
            "rediss+sentinel://one/name#insecure",
            "redis+sentinel:one/name",
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
            (
                "rediss+cluster://ann:secret@one:7000,two,[::1]:7002",
                "rediss+cluster://ann:***@one:7000,two,[::1]:7002",
            ),
            (
                "rediss+sentinel://ann:se%40cret@one,two:7000/my%20own/2?sentinel_password=secret",
                "rediss+sentinel://ann:***@one,two:7000/my%20own/2?sentinel_password=***",
            ),
            ("redis+sentinel://127.0.0.1/the-one", "redis+sentinel://127.0.0.1/the-one"),
        ] {
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
            let StoreUrl::Redis(url) = url else { panic!("{url}") };
            assert!(!url.is_readable_on_its_way());
        }
        for text in ["redis://10.0.0.7", "redis+cluster://localhost,10.0.0.7"] {
            let StoreUrl::Redis(url) = text.parse().unwrap() else { panic!("a Redis") };
            assert!(url.is_readable_on_its_way());
        }
    }

    #[test]
    fn each_server_that_is_named_has_what_stands_beside_them() {
        let url: RedisUrl =
            "redis+sentinel://ann:a%2Fb@one,two:7000/my%20own/2?sentinel_password=c%26"
                .parse()
                .unwrap();
        let named: Vec<_> = url.expose().iter().map(Url::as_str).collect();
        assert_eq!(named, ["redis://ann:a%2Fb@one/2", "redis://ann:a%2Fb@two:7000/2"]);
        assert_eq!(url.expose_sentinels(), Some(("my own", Some("c&"))));
        let url: RedisUrl = "rediss+cluster://one,two:7000".parse().unwrap();
        let named: Vec<_> = url.expose().iter().map(Url::as_str).collect();
        assert_eq!(named, ["rediss://one", "rediss://two:7000"]);
        assert!(url.is_cluster() && url.expose_sentinels().is_none());
    }
}
