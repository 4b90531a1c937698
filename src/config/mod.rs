//! The configuration: what an operator can choose, where it comes from, and what is refused.
//!
//! One file per section, one documented field per key. The first paragraph of a field's
//! documentation is what the README's table of keys says. Defaults < `countersign.toml` <
//! `COUNTERSIGN_*` < flags ([`source`]); what single values cannot show is checked in [`check`].
//!
//! Sections use the words of the layers (an [`Algorithm`](crate::token::Algorithm), a
//! [`ReplayPolicy`](crate::model::session::ReplayPolicy)), and no layer knows the configuration:
//! `service/` and `cli/` turn one into the other.
//!
//! A new key is a field in its section with its default, and a rule in `check` if it needs one.
//! The file, the environment, the errors and `config show` follow from the field.

mod address;
mod attempts;
mod audit;
mod check;
mod error;
mod log;
mod password;
mod period;
mod proxies;
mod public_url;
mod replay;
mod server;
mod session;
mod source;
mod store;
mod text;
mod token;

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use self::{
    address::Address,
    attempts::{LoginSection, SignUpSection},
    audit::AuditSection,
    error::ConfigError,
    log::{Log, LogFormat},
    password::PasswordSection,
    period::{InvalidPeriod, Period},
    proxies::Proxies,
    public_url::{InvalidPublicUrl, PublicUrl},
    replay::ReplaySection,
    server::{Admin, ServerSection},
    session::SessionSection,
    source::{CONFIG_FILE, Overrides, Sources},
    store::{
        Durability, InvalidStoreUrl, RedisChecks, RedisSection, RedisUrl, StoreSection, StoreUrl,
    },
    token::{TokenSecret, TokenSection},
};
use crate::session::{Policy, Registration};

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port that the service listens on. Port 0 picks a free one.
    pub listen: Address,
    /// Where browsers find the service: scheme, host and port, nothing behind them. Cookie flags,
    /// CSRF checks, and the `iss` and `aud` of tokens follow from it.
    pub public_url: PublicUrl,
    /// Directory of the store, the keys and `admin.json`, relative to the working directory. Made
    /// at first start; one server at a time.
    pub data_dir: PathBuf,
    /// Who may make an account: `open` (anybody) or `closed` (the operator's command line alone).
    pub registration: Registration,
    /// How long sessions last.
    pub session: SessionSection,
    /// What happens when a session cookie turns out to have two holders.
    pub replay: ReplaySection,
    /// How many log-ins may fail.
    pub login: LoginSection,
    /// How many accounts may be made.
    pub sign_up: SignUpSection,
    /// How tokens are signed.
    pub token: TokenSection,
    /// What passwords must be, and how they are hashed.
    pub password: PasswordSection,
    /// Where accounts and sessions are kept.
    pub store: StoreSection,
    /// What is written down of what happens, and for how long.
    pub audit: AuditSection,
    /// The admin interface: metrics, and the operator's command line.
    pub admin: Admin,
    /// Connections, and how they end.
    pub server: ServerSection,
    /// What is logged, and how it looks.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Address::loopback(3000),
            public_url: PublicUrl::default(),
            data_dir: PathBuf::from("data"),
            registration: Registration::default(),
            session: SessionSection::default(),
            replay: ReplaySection::default(),
            login: LoginSection::default(),
            sign_up: SignUpSection::default(),
            token: TokenSection::default(),
            password: PasswordSection::default(),
            store: StoreSection::default(),
            audit: AuditSection::default(),
            admin: Admin::default(),
            server: ServerSection::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// Where the admin interface listens: as configured, or port 3001 of the loopback, or a free
    /// port of it when `listen` asks for a free one too.
    #[must_use]
    pub fn admin_listen(&self) -> SocketAddr {
        let port = if self.listen.0.port() == 0 { 0 } else { 3001 };
        self.admin.listen.unwrap_or_else(|| Address::loopback(port)).0
    }

    /// The `iss` of tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.token.issuer.clone().unwrap_or_else(|| self.public_url.to_string())
    }

    /// The `aud` of tokens.
    #[must_use]
    pub fn audience(&self) -> String {
        self.token.audience.clone().unwrap_or_else(|| self.public_url.to_string())
    }

    /// The rules that follow from it, as the service takes them.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            lifetimes: self.session.lifetimes(),
            replay: self.replay.replay(),
            registration: self.registration,
            max_sessions_per_account: self.session.max_per_account,
            recent: self.session.recent.0,
            passwords: self.password.rules(&self.public_url),
            log_in: self.login.limits(),
            sign_up: self.sign_up.limits(),
        }
    }

    /// This configuration as TOML with every key, those that follow from others included. It holds
    /// no secret.
    ///
    /// # Errors
    /// [`ConfigError::Unprintable`] when a value has no TOML form: a path that is not UTF-8.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        let mut shown = self.clone();
        shown.admin.listen = Some(Address(self.admin_listen()));
        shown.token.issuer = Some(self.issuer());
        shown.token.audience = Some(self.audience());
        shown.password.parallel = Some(self.password.parallel());
        toml::to_string(&shown).map_err(|error| ConfigError::Unprintable(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_the_same_configuration() {
        let config = Config::default();
        let shown = config.to_toml().unwrap();
        for line in [
            "listen = \"127.0.0.1:3000\"",
            "public_url = \"http://localhost:3000\"",
            "data_dir = \"data\"",
            "remember_idle = \"14d\"",
            "issuer = \"http://localhost:3000\"",
            "algorithm = \"EdDSA\"",
            "parallel = ",
            "listen = \"127.0.0.1:3001\"",
        ] {
            assert!(shown.contains(line), "{line} is missing in\n{shown}");
        }
        let read: Config = toml::from_str(&shown).unwrap();
        assert_eq!(read.to_toml().unwrap(), shown);
    }

    #[test]
    fn the_admin_interface_follows_a_free_port_unless_it_was_placed() {
        let mut config = Config::default();
        assert_eq!(config.admin_listen().to_string(), "127.0.0.1:3001");
        config.listen = Address::loopback(0);
        assert_eq!(config.admin_listen().to_string(), "127.0.0.1:0");
        config.admin.listen = Some(Address::loopback(9000));
        assert_eq!(config.admin_listen().to_string(), "127.0.0.1:9000");
    }

    #[test]
    fn tokens_name_the_public_url_and_never_the_port_that_was_bound() {
        let mut config = Config {
            public_url: "https://login.example.com".parse().unwrap(),
            ..Config::default()
        };
        let before = (config.issuer(), config.audience());
        assert_eq!(before.0, "https://login.example.com");
        assert_eq!(before.1, "https://login.example.com");
        config.listen = Address::loopback(0);
        assert_eq!((config.issuer(), config.audience()), before);
        config.token.audience = Some("shop".into());
        assert_eq!(config.audience(), "shop");
    }
}
