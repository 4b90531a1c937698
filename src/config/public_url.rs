//! Where browsers find the service.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

use super::text;

const EXPECTED: &str = "a URL such as https://login.example.com: http or https, a host, a port if \
                        need be, nothing behind them";

/// The origin that browsers reach the service by: `http` or `https`, a host, perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Url);

/// Why a text is no public URL. The text is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicUrl {
    /// No URL, or none of the web.
    #[error("expected {EXPECTED}")]
    Malformed,
    /// A user name or a password in it.
    #[error("a public URL has no user name and no password in it")]
    Credentials,
    /// A path, a query or a fragment.
    #[error(
        "a public URL ends after its host and port: the service answers at the root of its origin, \
         and a cookie with the prefix __Host- belongs to all of it"
    )]
    Path,
}

impl PublicUrl {
    /// The URL, with the path `/`.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether passwords and cookies travel in clear text to another machine.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let loopback = match self.0.host() {
            // RFC 6761 section 6.3: `localhost` and what ends in it never leave the machine.
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        self.0.scheme() == "http" && !loopback
    }
}

impl Default for PublicUrl {
    fn default() -> Self {
        "http://localhost:3000".parse().expect("this literal is an origin")
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| InvalidPublicUrl::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidPublicUrl::Malformed);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidPublicUrl::Credentials);
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidPublicUrl::Path);
        }
        Ok(Self(url))
    }
}

/// The origin, without a slash at its end.
impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl Serialize for PublicUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text::parse(from, EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        for (text, shown) in [
            ("http://localhost:3000", "http://localhost:3000"),
            ("https://Login.Example.com/", "https://login.example.com"),
            ("https://login.example.com:443", "https://login.example.com"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn anything_more_or_other_is_refused() {
        use InvalidPublicUrl::{Credentials, Malformed, Path};
        for (text, why) in [
            ("", Malformed),
            ("localhost:3000", Malformed),
            ("login.example.com", Malformed),
            ("ftp://example.com", Malformed),
            ("https://", Malformed),
            ("https://ann:secret@example.com", Credentials),
            ("https://ann@example.com", Credentials),
            ("https://example.com/login", Path),
            ("https://example.com/?a=b", Path),
            ("https://example.com/#top", Path),
            ("https://example.com?", Path),
        ] {
            let error = text.parse::<PublicUrl>().unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn plain_http_is_exposed_beyond_the_machine_alone() {
        for (text, exposed) in [
            ("http://localhost:3000", false),
            ("http://app.localhost", false),
            ("http://127.0.0.2", false),
            ("http://[::1]", false),
            ("http://192.168.1.2", true),
            ("http://login.example.com", true),
            ("http://localhost.example.com", true),
            ("https://login.example.com", false),
        ] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().is_exposed(), exposed, "{text}");
        }
    }
}
