//! `[server]` and `[admin]`

use serde::{Deserialize, Serialize};

use super::{Address, Period, Proxies};

/// Connections, and how they end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSection {
    /// How long requests under way may take after SIGTERM. Then they are cut off.
    pub shutdown_timeout: Period,
    /// How long a connection may be silent, between requests or in the middle of one, before it is
    /// closed.
    pub idle_timeout: Period,
    /// Networks of the proxies in front of the service. Their `X-Forwarded-For` says where a request
    /// comes from; without them it is who connects.
    pub trusted_proxies: Proxies,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            shutdown_timeout: Period::seconds(30),
            idle_timeout: Period::seconds(75),
            trusted_proxies: Proxies::default(),
        }
    }
}

/// The admin interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port of `/metrics`, the dashboard and the operator's command line. By default port
    /// 3001 of 127.0.0.1, or a free port when `listen` has port 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Address>,
}
