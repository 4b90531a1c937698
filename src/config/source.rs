//! Where values come from: the file, the environment, the flags; the later one wins.
//!
//! Each source is read into [`Config`] by itself before they are merged: every key has a default,
//! so a source is a whole configuration, and what is wrong with it is known to be its own.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    providers::Serialized,
    util::nest,
    value::{Dict, Value},
};

use super::{Address, Config, ConfigError, PublicUrl, StoreUrl};

/// The file that is read when it is in the working directory and no other is named.
pub const CONFIG_FILE: &str = "countersign.toml";

/// What a variable that sets a key starts with. The rest is the key in capitals, `__` for its dot.
pub(super) const ENV_PREFIX: &str = "COUNTERSIGN_";

/// Names the configuration file itself, and so is no key in it. The command line reads it.
const CONFIG_VARIABLE: &str = "COUNTERSIGN_CONFIG";

/// The sources of a configuration.
#[derive(Debug, Default)]
pub struct Sources {
    /// A file that must exist. Without it, [`CONFIG_FILE`] of the working directory, if there.
    pub file: Option<PathBuf>,
    /// The environment: names and values.
    pub environment: Vec<(OsString, OsString)>,
    /// What the flags say.
    pub flags: Overrides,
}

/// The keys that have a flag.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `listen`
    pub listen: Option<Address>,
    /// `public_url`
    pub public_url: Option<PublicUrl>,
    /// `data_dir`
    pub data_dir: Option<PathBuf>,
    /// `store.url`
    pub store_url: Option<StoreUrl>,
    /// `admin.listen`
    pub admin_listen: Option<Address>,
}

impl Sources {
    /// The merged and checked configuration.
    ///
    /// # Errors
    /// [`ConfigError`]: the first thing that is wrong, with the key and where it came from.
    pub fn load(self) -> Result<Config, ConfigError> {
        let mut merged = Figment::new();
        if let Some((path, layer)) = read_file(self.file)? {
            accept(&layer, |error| ConfigError::of(error, Some(&path)))?;
            merged = merged.merge(layer);
        }
        let layer = read_environment(self.environment)?;
        accept(&layer, |error| ConfigError::of(error, None))?;
        merged = merged.merge(layer);
        let mut config: Config =
            merged.extract_lossy().map_err(|error| ConfigError::of(&error, None))?;
        self.flags.apply(&mut config);
        config.check()?;
        Ok(config)
    }
}

impl Overrides {
    fn apply(self, config: &mut Config) {
        fn set<T>(key: &mut T, flag: Option<T>) {
            if let Some(value) = flag {
                *key = value;
            }
        }
        set(&mut config.listen, self.listen);
        set(&mut config.public_url, self.public_url);
        set(&mut config.data_dir, self.data_dir);
        set(&mut config.store.url, self.store_url);
        if self.admin_listen.is_some() {
            config.admin.listen = self.admin_listen;
        }
    }
}

fn accept(
    layer: &Serialized<Dict>,
    refused: impl Fn(&figment::Error) -> ConfigError,
) -> Result<(), ConfigError> {
    Figment::from(layer).extract_lossy::<Config>().map(drop).map_err(|error| refused(&error))
}

fn read_file(named: Option<PathBuf>) -> Result<Option<(PathBuf, Serialized<Dict>)>, ConfigError> {
    let must_exist = named.is_some();
    let path = named.unwrap_or_else(|| PathBuf::from(CONFIG_FILE));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => return Ok(None),
        Err(error) => {
            let reason = error.to_string();
            return Err(ConfigError::Unreadable { path, reason });
        }
    };
    let dict = parse(&path, &text)?;
    Ok(Some((path, Serialized::defaults(dict))))
}

fn parse(path: &Path, text: &str) -> Result<Dict, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: error
            .span()
            .map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count()),
        reason: error.message().replace('\n', ", "),
    })
}

/// All values as text: figment's own reader would take `COUNTERSIGN_DATA_DIR=2024` for a number.
/// Where a number is wanted, `extract_lossy` reads the text as one.
fn read_environment(variables: Vec<(OsString, OsString)>) -> Result<Serialized<Dict>, ConfigError> {
    let mut merged = Figment::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| *name != CONFIG_VARIABLE) else {
            continue;
        };
        let Some(key) = name.strip_prefix(ENV_PREFIX) else {
            continue;
        };
        let key = key.to_lowercase().replace("__", ".");
        let value =
            value.into_string().map_err(|_| ConfigError::NotText { variable: name.to_owned() })?;
        if let Value::Dict(_, dict) = nest(&key, Value::from(value)) {
            merged = merged.merge(Serialized::defaults(dict));
        }
    }
    let dict = merged.extract().map_err(|error| ConfigError::of(&error, None))?;
    Ok(Serialized::defaults(dict))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{config::Period, model::session::ReplayPolicy, token::Algorithm};

    fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }

    fn load(file: &str, pairs: &[(&str, &str)], flags: Overrides) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.toml");
        fs::write(&path, file).unwrap();
        let sources = Sources { file: Some(path.clone()), environment: variables(pairs), flags };
        sources.load().map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
    }

    fn refused(file: &str, pairs: &[(&str, &str)]) -> String {
        load(file, pairs, Overrides::default()).unwrap_err()
    }

    #[test]
    fn nothing_configured_gives_the_defaults() {
        let config = Sources::default().load().unwrap();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn later_sources_win_key_by_key() {
        let config = load(
            "listen = '127.0.0.1:1'\n[session]\nidle = '1m'\nabsolute = '1h'\n[token]\nalgorithm = 'ES256'",
            &[
                ("COUNTERSIGN_SESSION__IDLE", "2m"),
                ("COUNTERSIGN_LISTEN", "127.0.0.1:2"),
                ("COUNTERSIGN_REPLAY__POLICY", "refuse"),
                ("COUNTERSIGN_CONFIG", "elsewhere.toml"),
                ("COUNTERSIGNER", "no key of ours"),
                ("PATH", "/bin"),
            ],
            Overrides {
                listen: Some(Address::loopback(3)),
                ..Overrides::default()
            },
        )
        .unwrap();
        assert_eq!(config.listen, Address::loopback(3), "flag over environment");
        assert_eq!(config.session.idle, Period::minutes(2), "environment over file");
        assert_eq!(config.session.absolute, Period::hours(1), "file over default");
        assert_eq!(config.token.algorithm, Algorithm::Es256);
        assert_eq!(config.replay.policy, ReplayPolicy::Refuse);
        assert_eq!(config.session.remember_idle, Period::days(14), "default");
    }

    #[test]
    fn every_flag_sets_its_key() {
        let config = load(
            "",
            &[],
            Overrides {
                listen: Some(Address::loopback(1)),
                public_url: Some("https://a.example".parse().unwrap()),
                data_dir: Some("elsewhere".into()),
                store_url: Some(StoreUrl::Sled),
                admin_listen: Some(Address::loopback(2)),
            },
        )
        .unwrap();
        assert_eq!(config.listen, Address::loopback(1));
        assert_eq!(config.public_url.to_string(), "https://a.example");
        assert_eq!(config.data_dir, PathBuf::from("elsewhere"));
        assert_eq!(config.admin_listen(), Address::loopback(2).0);
    }

    #[test]
    fn numbers_and_texts_of_the_environment_are_what_the_key_wants() {
        let config = load(
            "",
            &[
                ("COUNTERSIGN_STORE__CACHE_MIB", "128"),
                ("COUNTERSIGN_DATA_DIR", "2024"),
                ("COUNTERSIGN_TOKEN__ISSUER", "true"),
            ],
            Overrides::default(),
        )
        .unwrap();
        assert_eq!(config.store.cache_mib, 128);
        assert_eq!(config.data_dir, PathBuf::from("2024"));
        assert_eq!(config.token.issuer.as_deref(), Some("true"));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_source() {
        assert_eq!(
            refused("[session]\nidel = '5m'", &[]),
            "unknown key `session.idel` in FILE: expected one of `idle`, `absolute`, \
             `remember_idle`, `remember_absolute`, `max_per_account`, `recent`"
        );
        let error = refused("lisen = '127.0.0.1:1'", &[]);
        assert!(error.starts_with("unknown key `lisen` in FILE: expected one of `listen`"));
        assert_eq!(
            refused("", &[("COUNTERSIGN_REPLAY__POLICE", "revoke")]),
            "unknown key `replay.police` in the environment variable COUNTERSIGN_REPLAY__POLICE: \
             expected `policy` or `grace`"
        );
        let error = refused("", &[("COUNTERSIGN_SESSION_IDLE", "5m")]);
        assert!(error.starts_with("unknown key `session_idle` in the environment variable"));
        // Known in the file does not make it known in the environment, nor the other way round.
        let error = refused("nonsense = 1", &[("COUNTERSIGN_LISTEN", "127.0.0.1:1")]);
        assert!(error.contains("`nonsense` in FILE"));
        let error = refused("x.y.z = 1", &[]);
        assert!(error.starts_with("unknown key `x` in FILE"), "{error}");
    }

    #[test]
    fn a_bad_value_says_what_is_allowed() {
        for (file, error) in [
            (
                "session.idle = '30'",
                "`session.idle` in FILE: expected a duration such as 90s, 30m, 12h, 14d or 1h30m",
            ),
            (
                "session.idle = 30",
                "`session.idle` in FILE: expected a duration such as 90s, 30m, 12h, 14d or 1h30m",
            ),
            (
                "replay.policy = 'forgive'",
                "`replay.policy` in FILE: expected one of `revoke`, `refuse`, `ignore`",
            ),
            (
                "token.algorithm = 'none'",
                "`token.algorithm` in FILE: expected one of `EdDSA`, `ES256`, `HS256`",
            ),
            ("registration = true", "`registration` in FILE: expected a word in quotes"),
            ("registration = 'ajar'", "`registration` in FILE: expected `open` or `closed`"),
            (
                "password.waiting = -1",
                "`password.waiting` in FILE: expected a whole number, 0 or more",
            ),
            (
                "listen = 'localhost:3000'",
                "`listen` in FILE: expected an IP address and a port, such as 127.0.0.1:3000 or \
                 [::]:3000",
            ),
            ("session = 5", "`session` in FILE: expected a section of keys"),
        ] {
            assert_eq!(refused(file, &[]), error);
        }
        assert_eq!(
            refused("", &[("COUNTERSIGN_STORE__CACHE_MIB", "much")]),
            "`store.cache_mib` in the environment variable COUNTERSIGN_STORE__CACHE_MIB: expected \
             a whole number, 0 or more"
        );
        let error = refused("", &[("COUNTERSIGN_STORE__URL", "redis+x://:secret@host/1")]);
        assert!(error.contains("is not supported") && !error.contains("secret"));
    }

    #[test]
    fn a_file_that_is_no_toml_is_refused_with_the_line() {
        let error = refused("listen = '127.0.0.1:1'\n\nsession = [", &[]);
        assert!(error.starts_with("FILE, line 3: "), "{error}");
        assert!(!error.contains('\n'));
    }

    #[test]
    fn a_named_file_must_exist() {
        let sources =
            Sources { file: Some("/nowhere/countersign.toml".into()), ..Sources::default() };
        let error = sources.load().unwrap_err().to_string();
        assert!(error.contains("/nowhere/countersign.toml"), "{error}");
    }

    #[test]
    fn rules_hold_over_the_sources_together() {
        let error = refused("session.absolute = '1h'", &[("COUNTERSIGN_SESSION__IDLE", "2h")]);
        assert_eq!(error, "`session.idle` must not be longer than `session.absolute` (1h)");
    }

    proptest! {
        #[test]
        fn no_text_of_a_file_or_variable_panics(file in "\\PC{0,40}", name in "[A-Z_]{0,20}", value in "\\PC{0,20}") {
            let name = format!("COUNTERSIGN_{name}");
            if let Err(error) = load(&file, &[(&name, &value)], Overrides::default()) {
                prop_assert!(!error.is_empty());
            }
        }
    }
}
