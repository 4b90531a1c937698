//! Which servers hold the store, and how its primary is found among them.

use std::fmt;

use url::Url;

/// The servers that are asked, each with its credentials: `redis://` or, with TLS, `rediss://`.
///
/// What a [`RedisStore`](super::RedisStore) is opened on. A URL alone is one server, which is the
/// primary.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisServers {
    /// Those that were named; at least one.
    pub named: Vec<Url>,
    /// What they are.
    pub are: RedisServersAre,
}

/// What the named servers are.
#[derive(Clone, PartialEq, Eq)]
pub enum RedisServersAre {
    /// The primary.
    Primary,
    /// Sentinels, who know where the primary of that name is. The user and password of the URLs are
    /// for the primary.
    Sentinels {
        /// The name that the Sentinels watch the primary under.
        primary: String,
        /// The password that the Sentinels themselves want.
        password: Option<String>,
    },
    /// Nodes of a cluster, who know which node has which slot.
    Cluster,
}

impl From<&Url> for RedisServers {
    fn from(url: &Url) -> Self {
        Self { named: vec![url.clone()], are: RedisServersAre::Primary }
    }
}

impl RedisServers {
    /// Where they are, without user and password.
    pub(super) fn address(&self) -> String {
        let port = match self.are {
            RedisServersAre::Sentinels { .. } => SENTINEL_PORT,
            RedisServersAre::Primary | RedisServersAre::Cluster => PORT,
        };
        let one = |url: &Url| {
            let (host, port) = (url.host_str().unwrap_or("localhost"), url.port().unwrap_or(port));
            format!("{host}:{port}")
        };
        let all = self.named.iter().map(one).collect::<Vec<_>>().join(",");
        match &self.are {
            RedisServersAre::Sentinels { primary, .. } => format!("{primary} of {all}"),
            RedisServersAre::Primary | RedisServersAre::Cluster => {
                let database = self.named.first().map_or("", Url::path);
                format!("{all}{}", database.trim_end_matches('/'))
            }
        }
    }
}

impl fmt::Debug for RedisServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address())
    }
}

/// Where a server listens that names no port.
pub(super) const PORT: u16 = 6379;

/// Where a Sentinel listens that names no port.
pub(super) const SENTINEL_PORT: u16 = 26379;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_password() {
        for (url, expected) in [
            ("redis://ann:secret@cache.example.com:7000/2", "cache.example.com:7000/2"),
            ("rediss://:secret@[::1]", "[::1]:6379"),
        ] {
            let servers = RedisServers::from(&url.parse::<Url>().unwrap());
            assert_eq!(servers.address(), expected);
            assert_eq!(format!("{servers:?}"), expected);
        }
        let named = ["redis://:secret@one", "redis://:secret@two:7000"];
        let named = named.map(|url| url.parse().unwrap()).to_vec();
        let password = Some("secret".to_owned());
        let are = RedisServersAre::Sentinels { primary: "main".to_owned(), password };
        let servers = RedisServers { named: named.clone(), are };
        assert_eq!(format!("{servers:?}"), "main of one:26379,two:7000");
        let servers = RedisServers { named, are: RedisServersAre::Cluster };
        assert_eq!(format!("{servers:?}"), "one:6379,two:7000");
    }
}
