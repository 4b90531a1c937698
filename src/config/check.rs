//! What single values cannot show: bounds, and values that must fit one another; and what is
//! allowed but deserves a word at start.

use jiff::SignedDuration;
use tracing_subscriber::EnvFilter;

use super::{Config, ConfigError, Period, StoreUrl};

/// No duration is longer: beyond it, times of day run out of years.
const LONGEST: Period = Period::days(3650);

/// Below it, a pause that is none would be one: `store.redis.max_lag`.
const SHORTEST_LAG: Period = Period(SignedDuration::from_millis(100));

/// Sessions are remembered no longer than that.
const LONGEST_LAG: Period = Period::seconds(30);

/// The most memory of one hash, in KiB (1 GiB): what `session::password` refuses to verify.
const MAX_MEMORY_KIB: u32 = 1 << 20;

/// More attempts than anybody makes in a window: no limit.
const MOST_ATTEMPTS: u32 = 1_000_000_000;

/// More audit events than anybody looks through: some terabytes of them.
const MOST_EVENTS: u64 = 10_000_000_000;

/// The longest `iss` and `aud`, in bytes: the longest origin there can be (a host of 253), and
/// with both of them and the longest e-mail a cookie still keeps below 4096 bytes.
const MAX_NAME_BYTES: usize = 267;

impl Config {
    /// Checks all rules.
    ///
    /// # Errors
    /// [`ConfigError::Rule`], the first that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_durations()?;
        self.check_passwords()?;
        self.check_attempts()?;
        self.check_token()?;
        at_least("session.max_per_account", self.session.max_per_account, 1)?;
        between("audit.keep", self.audit.keep, Period::hours(1), LONGEST)?;
        between("audit.max_events", self.audit.max_events, 1_000, MOST_EVENTS)?;
        between("store.redis.replicas", self.store.redis.replicas, 0, 100)?;
        between("store.cache_mib", self.store.cache_mib, 1, 1 << 20)?;
        if self.data_dir.as_os_str().is_empty() {
            return Err(broken("data_dir", "must not be empty"));
        }
        check_filter(&self.log.filter)
    }

    fn check_durations(&self) -> Result<(), ConfigError> {
        let session = &self.session;
        for (key, period, least) in [
            ("session.idle", session.idle, Period::seconds(1)),
            ("session.absolute", session.absolute, Period::seconds(1)),
            ("session.remember_idle", session.remember_idle, Period::seconds(1)),
            ("session.remember_absolute", session.remember_absolute, Period::seconds(1)),
            ("session.recent", session.recent, Period::seconds(1)),
            ("replay.grace", self.replay.grace, Period::seconds(1)),
            ("store.sweep_interval", self.store.sweep_interval, Period::seconds(1)),
            ("store.redis.timeout", self.store.redis.timeout, Period::seconds(1)),
            ("server.shutdown_timeout", self.server.shutdown_timeout, Period::seconds(1)),
            ("server.idle_timeout", self.server.idle_timeout, Period::seconds(1)),
        ] {
            between(key, period, least, LONGEST)?;
        }
        between("store.redis.max_lag", self.store.redis.max_lag, SHORTEST_LAG, LONGEST_LAG)?;
        not_longer("session.idle", session.idle, "session.absolute", session.absolute)?;
        not_longer(
            "session.remember_idle",
            session.remember_idle,
            "session.remember_absolute",
            session.remember_absolute,
        )?;
        // A fork can be told from parallel requests only while its tokens are good.
        not_longer("replay.grace", self.replay.grace, "session.idle", session.idle)
    }

    fn check_passwords(&self) -> Result<(), ConfigError> {
        let password = &self.password;
        at_least("password.min_length", password.min_length, 8)?;
        between("password.max_length", password.max_length, 64, 1024)?;
        if password.min_length > password.max_length {
            return Err(broken(
                "password.min_length",
                format!("must not be above `password.max_length` ({})", password.max_length),
            ));
        }
        between("password.min_strength", password.min_strength, 0, 4)?;
        between("password.memory_kib", password.memory_kib, 8, MAX_MEMORY_KIB)?;
        between("password.passes", password.passes, 1, 1_000)?;
        between("password.parallel", password.parallel(), 1, 1_024)?;
        between("password.waiting", password.waiting, 0, 100_000)
    }

    fn check_attempts(&self) -> Result<(), ConfigError> {
        let (login, sign_up) = (&self.login, &self.sign_up);
        for (key, attempts) in [
            ("login.attempts", login.attempts),
            ("login.attempts_per_account", login.attempts_per_account),
            ("login.attempts_per_address", login.attempts_per_address),
            ("sign_up.attempts", sign_up.attempts),
            ("sign_up.attempts_per_address", sign_up.attempts_per_address),
        ] {
            between(key, attempts, 1, MOST_ATTEMPTS)?;
        }
        for (key, attempts) in [
            ("login.attempts_per_account", login.attempts_per_account),
            ("login.attempts_per_address", login.attempts_per_address),
        ] {
            if attempts < login.attempts {
                let rule = format!("must not be below `login.attempts` ({})", login.attempts);
                return Err(broken(key, rule));
            }
        }
        for (key, window) in [("login.window", login.window), ("sign_up.window", sign_up.window)] {
            between(key, window, Period::minutes(5), Period::days(1))?;
        }
        Ok(())
    }

    fn check_token(&self) -> Result<(), ConfigError> {
        let token = &self.token;
        if !token.secret.expose().is_empty() && !token.secret_file.as_os_str().is_empty() {
            return Err(broken("token.secret_file", "must not be set beside `token.secret`"));
        }
        for (key, name) in [("token.issuer", self.issuer()), ("token.audience", self.audience())] {
            if name.is_empty() || name.len() > MAX_NAME_BYTES {
                return Err(broken(key, format!("must have 1 to {MAX_NAME_BYTES} bytes")));
            }
        }
        Ok(())
    }

    /// What is allowed and yet deserves a word when the server starts. One line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.public_url.is_exposed() {
            warnings.push(format!(
                "public_url is {}: passwords and session cookies travel unencrypted; use https",
                self.public_url
            ));
        }
        if self.public_url.url().scheme() == "https" && self.server.trusted_proxies.is_empty() {
            warnings.push(
                "public_url is https and server.trusted_proxies is empty: to whoever is behind the \
                 proxy, the limits of [login] and [sign_up] apply as to one address"
                    .to_owned(),
            );
        }
        if self.password.is_weak() {
            warnings.push(format!(
                "password.memory_kib = {} with password.passes = {} is below what OWASP asks of \
                 Argon2id (19456 and 2): for tests alone",
                self.password.memory_kib, self.password.passes
            ));
        }
        let admin = self.admin_listen();
        if !admin.ip().is_loopback() {
            warnings.push(format!(
                "admin.listen is {admin}: metrics and the operator's interface can be reached from \
                 other machines"
            ));
        }
        if let StoreUrl::Redis(url) = &self.store.url
            && url.is_readable_on_its_way()
        {
            warnings.push(format!(
                "store.url is {url}: password hashes and sessions travel unencrypted; use rediss"
            ));
        }
        warnings
    }
}

fn broken(key: &'static str, rule: impl Into<String>) -> ConfigError {
    ConfigError::Rule { key, rule: rule.into() }
}

fn at_least(key: &'static str, value: usize, least: usize) -> Result<(), ConfigError> {
    if value < least {
        return Err(broken(key, format!("must be at least {least}")));
    }
    Ok(())
}

fn between<T: Copy + PartialOrd + std::fmt::Display>(
    key: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<(), ConfigError> {
    if value < least || value > most {
        return Err(broken(key, format!("must be from {least} to {most}")));
    }
    Ok(())
}

fn not_longer(
    key: &'static str,
    value: Period,
    other: &'static str,
    limit: Period,
) -> Result<(), ConfigError> {
    if value > limit {
        return Err(broken(key, format!("must not be longer than `{other}` ({limit})")));
    }
    Ok(())
}

fn check_filter(filter: &str) -> Result<(), ConfigError> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // A bare word that is no level would be taken for the name of a module, and everything else
    // be silent: `log.filter = "verbose"` logs nothing.
    let misspelt = filter.split(',').map(str::trim).any(|directive| {
        let bare = !directive.contains(['=', '[', ':']);
        bare && !LEVELS.contains(&directive.to_lowercase().as_str())
    });
    if misspelt || EnvFilter::builder().parse(filter).is_err() {
        return Err(broken(
            "log.filter",
            format!(
                "must be a level ({}) or levels by module, such as info,countersign::store=debug",
                LEVELS.join(", ")
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, PublicUrl};

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    fn accepted(change: impl FnOnce(&mut Config)) {
        let mut config = Config::default();
        change(&mut config);
        config.check().unwrap();
    }

    #[test]
    fn durations_are_positive_bounded_and_fit_one_another() {
        assert!(refused(|c| c.session.idle = Period::seconds(0)).starts_with("`session.idle`"));
        assert!(refused(|c| c.session.absolute = Period::seconds(-1)).contains("from 1s to"));
        assert!(
            refused(|c| c.session.idle = Period::hours(13)).contains("`session.absolute` (12h)")
        );
        assert!(
            refused(|c| c.session.remember_idle = Period::days(31))
                .contains("`session.remember_absolute` (30d)")
        );
        assert!(refused(|c| c.session.remember_absolute = Period::days(3651)).contains("3650d"));
        assert!(refused(|c| c.replay.grace = Period::seconds(0)).starts_with("`replay.grace`"));
        assert!(refused(|c| c.replay.grace = Period::minutes(31)).contains("`session.idle`"));
        assert!(
            refused(|c| c.store.sweep_interval = Period::seconds(0)).contains("sweep_interval")
        );
        assert!(
            refused(|c| c.server.shutdown_timeout = Period::seconds(0))
                .contains("shutdown_timeout")
        );
        assert!(refused(|c| c.server.idle_timeout = Period::seconds(0)).contains("idle_timeout"));
        for lag in
            [Period::seconds(0), Period(SignedDuration::from_millis(99)), Period::seconds(31)]
        {
            assert!(refused(|c| c.store.redis.max_lag = lag).contains("from 100ms to 30s"));
        }
        accepted(|c| c.session.idle = c.session.absolute);
    }

    #[test]
    fn passwords_keep_the_floors_and_ceilings() {
        assert!(refused(|c| c.password.min_length = 7).contains("at least 8"));
        accepted(|c| c.password.min_length = 8);
        assert!(refused(|c| c.password.max_length = 63).contains("from 64 to 1024"));
        assert!(refused(|c| c.password.max_length = 1025).contains("from 64 to 1024"));
        assert!(refused(|c| c.password.min_length = 129).contains("`password.max_length` (128)"));
        assert!(refused(|c| c.password.min_strength = 5).contains("from 0 to 4"));
        accepted(|c| c.password.min_strength = 0);
        assert!(refused(|c| c.password.memory_kib = 7).contains("from 8"));
        assert!(refused(|c| c.password.memory_kib = MAX_MEMORY_KIB + 1).contains("1048576"));
        assert!(refused(|c| c.password.passes = 0).contains("password.passes"));
        assert!(refused(|c| c.password.parallel = Some(0)).contains("password.parallel"));
        assert!(refused(|c| c.password.waiting = usize::MAX).contains("password.waiting"));
    }

    #[test]
    fn limits_on_attempts_are_there_and_let_nobody_lock_somebody_out() {
        assert!(refused(|c| c.login.attempts = 0).starts_with("`login.attempts`"));
        assert!(refused(|c| c.login.attempts = 101).contains("below `login.attempts` (101)"));
        assert!(
            refused(|c| c.login.attempts_per_account = 9).contains("login.attempts_per_account")
        );
        assert!(
            refused(|c| c.login.attempts_per_address = 9).contains("login.attempts_per_address")
        );
        assert!(refused(|c| c.sign_up.attempts_per_address = 0).contains("sign_up.attempts_per"));
        assert!(refused(|c| c.login.window = Period::seconds(299)).contains("from 5m to 1d"));
        assert!(refused(|c| c.sign_up.window = Period::hours(25)).contains("from 5m to 1d"));
        accepted(|c| c.login.window = Period::minutes(5));
    }

    #[test]
    fn what_stands_behind_a_proxy_should_say_so() {
        let mut config = Config {
            public_url: "https://login.example.com".parse::<PublicUrl>().unwrap(),
            ..Config::default()
        };
        assert!(config.warnings()[0].contains("server.trusted_proxies"));
        config.server.trusted_proxies = serde_json::from_str("\"127.0.0.1\"").unwrap();
        assert_eq!(config.warnings(), [""; 0]);
    }

    #[test]
    fn names_in_tokens_are_there_and_short() {
        assert!(refused(|c| c.token.issuer = Some(String::new())).contains("token.issuer"));
        assert!(refused(|c| c.token.audience = Some("a".repeat(268))).contains("token.audience"));
        accepted(|c| c.token.audience = Some("a".repeat(267)));
    }

    #[test]
    fn there_is_one_secret() {
        let secret = "a secret that is not shown".parse().unwrap();
        let both = refused(|c| {
            c.token.secret = secret;
            c.token.secret_file = "secret".into();
        });
        assert_eq!(both, "`token.secret_file` must not be set beside `token.secret`");
        accepted(|c| c.token.secret_file = "secret".into());
    }

    #[test]
    fn the_rest_is_checked_too() {
        assert!(refused(|c| c.session.max_per_account = 0).contains("at least 1"));
        assert!(refused(|c| c.store.cache_mib = 0).contains("store.cache_mib"));
        assert!(refused(|c| c.data_dir = "".into()).contains("data_dir"));
    }

    #[test]
    fn a_filter_that_would_silence_everything_is_refused() {
        for filter in ["verbose", "", "info,", "infoo", "info,countersign=loud", "[", "a=b=c"] {
            let error = refused(|c| c.log.filter = filter.into());
            assert!(error.starts_with("`log.filter` must be a level"), "{filter}");
        }
        for filter in ["off", "INFO", "info,countersign::store=debug", "warn,[request]=trace"] {
            accepted(|c| c.log.filter = filter.into());
        }
    }

    #[test]
    fn what_weakens_the_service_is_said_and_the_defaults_are_silent() {
        let mut config = Config::default();
        assert_eq!(config.warnings(), [""; 0]);
        config.public_url = "http://login.example.com".parse::<PublicUrl>().unwrap();
        config.password.memory_kib = 64;
        config.admin.listen = Some(Address("0.0.0.0:3001".parse().unwrap()));
        config.store.url = "redis://:secret@10.0.0.7".parse().unwrap();
        config.check().unwrap();
        let warnings = config.warnings();
        assert_eq!(warnings.len(), 4, "{warnings:?}");
        assert!(warnings[3].contains("redis://:***@10.0.0.7: "), "{}", warnings[3]);
        assert!(warnings[0].contains("unencrypted"));
        assert!(warnings[1].contains("OWASP"));
        assert!(warnings[2].contains("admin.listen"));
    }

    #[test]
    fn each_owasp_pair_is_strong_enough() {
        for (memory_kib, passes, weak) in [
            (47_104, 1, false),
            (19_456, 2, false),
            (12_288, 3, false),
            (19_456, 1, true),
            (12_287, 3, true),
            (64, 1, true),
        ] {
            let mut config = Config::default();
            config.password.memory_kib = memory_kib;
            config.password.passes = passes;
            assert_eq!(config.password.is_weak(), weak, "{memory_kib} KiB, {passes}");
        }
    }
}
