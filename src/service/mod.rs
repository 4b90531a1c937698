//! The composition: from a configuration to a service that stands on a data directory. The server
//! does this at its start, the command line when no server runs, and the library in an app.
//!
//! | file | what it holds |
//! |---|---|
//! | `keys` | signing keys that are in the store, for all nodes; a new key, there or among files |
//! | `sweep` | the removal of dead sessions, beside everything else |
//!
//! What is put together here, `cli` serves and `library` embeds. A new part of the service (a rule
//! of its [`Policy`](crate::session::Policy), another store) is joined to its configuration here and
//! nowhere else.

pub mod keys;
mod sweep;

use std::{fs::File, future::pending, sync::Arc, time::Duration};

use parking_lot::Mutex;

use self::keys::{Begun, Keeper, KeyFiles, SecretError};
use crate::{
    config::{self, Config, Durability, RedisUrl, StoreUrl},
    model::{Clock, Timestamp},
    session::{self, Hasher, Sessions},
    store::{
        self, ClusterStore, RedisChecks, RedisKeys, RedisOptions, RedisServers, RedisServersAre,
        RedisStore, Store, StoreError,
        sled::{self, SledOptions, SledStore},
    },
    token::{KeyError, KeySet, Tokens},
};

/// Where the signing keys are in the data directory.
pub const KEYS_DIR: &str = "keys";

/// How often the claims to e-mails of a store in a cluster are looked through: until then nobody can log
/// in by an e-mail whose claim a failover lost. All else that is over clears itself away there.
const CLAIMS_SWEPT_EVERY: Duration = Duration::from_secs(60 * 60);

/// Why a service cannot be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory or the store in it cannot be used.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// A key cannot be made, read or used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// There is no secret to open the keys in the store with.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The keys in the store cannot be read, or not be changed.
    #[error("cannot read or change the signing keys in the store: {0}")]
    Vault(#[from] StoreError),
    /// Passwords cannot be hashed with the configured parameters.
    #[error("cannot hash passwords with `password.memory_kib` and `password.passes`: {0}")]
    Passwords(session::Error),
}

/// What stands on a data directory.
pub struct Service {
    sessions: Sessions,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// How often dead sessions are removed; `None` if the store clears them away by itself.
    sweep_interval: Option<Duration>,
    tokens: Arc<Tokens>,
    /// Until it is run: who reads the keys in the store anew.
    keeper: Mutex<Option<Keeper>>,
    /// The keys, if they are files.
    key_files: Option<Arc<KeyFiles>>,
}

impl Service {
    /// Opens the data directory and puts the service together on it. `wrap_store` can put something
    /// between the service and its store: tests let it fail.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is left behind but the files that were made.
    pub fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        wrap_store: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Result<Self, OpenError> {
        let secret = keys::needed(config)?;
        // First of all: it makes the directory and takes the lock; nothing may be touched before.
        let (store, vault) = open_store(config)?;
        let (keys, keeper) = match vault.zip(secret) {
            None => (open_keys(config, clock.now())?, None),
            Some((vault, secret)) => {
                let Begun { keys, keeper } = keys::begin(config, vault, &secret, &*clock)?;
                (keys, Some(keeper))
            }
        };
        Self::join(config, clock, wrap_store(store), keys, keeper)
    }

    /// The same for a command, which signs nothing: keys that are in the store are left there, and no
    /// secret is asked for.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open_for_command(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let (store, vault) = open_store(config)?;
        let keys = match vault {
            None => open_keys(config, clock.now())?,
            Some(_) => KeySet::generate(config.token.algorithm, clock.now()),
        };
        Self::join(config, clock, store, keys, None)
    }

    fn join(
        config: &Config,
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        keys: KeySet,
        keeper: Option<Keeper>,
    ) -> Result<Self, OpenError> {
        let tokens =
            Tokens::new(keys, config.issuer(), config.audience()).with_claims(config.token.claims);
        tokens.self_test(clock.now())?;
        let tokens = Arc::new(tokens);

        let hasher = Hasher::new(config.password.cost()).map_err(OpenError::Passwords)?;
        let sessions = Sessions::new(
            Arc::clone(&store),
            Arc::clone(&tokens),
            Arc::clone(&clock),
            hasher,
            config.policy(),
        );
        let files = || {
            let dir = config.data_dir.join(KEYS_DIR);
            let (rule, tokens) = (keys::rule_of_files(config), Arc::clone(&tokens));
            Arc::new(KeyFiles::new(dir, rule, tokens, Arc::clone(&clock)))
        };
        let key_files = (config.store.url == StoreUrl::Sled).then(files);
        let sweep_interval = match config.store.url {
            StoreUrl::Sled => Some(config.store.sweep_interval.unsigned()),
            StoreUrl::Redis(ref url) if url.is_cluster() => Some(CLAIMS_SWEPT_EVERY),
            StoreUrl::Redis(_) => None,
        };
        let keeper = Mutex::new(keeper);
        Ok(Self { sessions, store, clock, sweep_interval, tokens, keeper, key_files })
    }

    /// Its operations.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Its signing keys, if they are files of the data directory.
    #[must_use]
    pub fn key_files(&self) -> Option<Arc<KeyFiles>> {
        self.key_files.clone()
    }

    /// Removes dead sessions from the store, round after round, and reads the keys that are in it
    /// anew, until `stopped`. Whoever keeps a service open has to run it, once: without it the store
    /// grows for ever, and the tokens of other nodes are refused once they have another key.
    pub fn sweep<S: Future<Output = ()> + Send + 'static>(
        &self,
        stopped: S,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let every = self.sweep_interval;
        let (keeper, tokens) = (self.keeper.lock().take(), Arc::clone(&self.tokens));
        async move {
            let keys = async {
                match keeper {
                    Some(keeper) => keeper.run(tokens, Arc::clone(&clock)).await,
                    None => pending().await,
                }
            };
            let dead = async {
                match every {
                    Some(every) => {
                        sweep::run(Arc::clone(&store), Arc::clone(&clock), every, pending()).await;
                    }
                    None => pending().await,
                }
            };
            tokio::select! {
                () = stopped => {}
                () = dead => {}
                () = keys => {}
            }
        }
    }
}

/// The keys that are files of the data directory.
fn open_keys(config: &Config, now: Timestamp) -> Result<KeySet, KeyError> {
    let longest_token = config.policy().lifetimes.longest_token();
    KeySet::open(&config.data_dir.join(KEYS_DIR), config.token.algorithm, now, longest_token)
}

/// The store, and where the keys are if it has them.
fn open_store(config: &Config) -> Result<(Arc<dyn Store>, Option<RedisKeys>), store::OpenError> {
    match &config.store.url {
        StoreUrl::Sled => {
            let store = SledStore::open(&config.data_dir, sled_options(config))?;
            Ok((Arc::new(store), None))
        }
        StoreUrl::Redis(url) => {
            let options = redis_options(config)?;
            if SledStore::is_in(&config.data_dir) {
                tracing::warn!(
                    event = "configuration",
                    "the data directory has a store of its own, which is not used: `store.url` names \
                     another"
                );
            }
            let servers = redis_servers(url);
            if url.is_cluster() {
                let store = ClusterStore::open(servers, options)?;
                let keys = store.keys();
                return Ok((Arc::new(store), Some(keys)));
            }
            let store = RedisStore::open(servers, options)?;
            let keys = store.keys();
            Ok((Arc::new(store), Some(keys)))
        }
    }
}

/// The keys in the store that is configured, if it has them, without the lock of the data directory:
/// a server may run there.
fn keys_beside(config: &Config) -> Result<Option<RedisKeys>, store::OpenError> {
    match &config.store.url {
        StoreUrl::Sled => Ok(None),
        StoreUrl::Redis(url) => {
            // Of sessions, nothing is asked.
            let options = RedisOptions { checks: RedisChecks::Strict, ..redis_unlocked(config) };
            let servers = redis_servers(url);
            Ok(Some(if url.is_cluster() {
                ClusterStore::open(servers, options)?.keys()
            } else {
                RedisStore::open(servers, options)?.keys()
            }))
        }
    }
}

/// Which store it is, for who compares two: without user and password.
#[must_use]
pub fn store_name(config: &Config) -> String {
    match &config.store.url {
        StoreUrl::Sled => "sled".to_owned(),
        StoreUrl::Redis(url) => format!("the Redis at {:?}", redis_servers(url)),
    }
}

/// Which servers a Redis is.
#[must_use]
pub fn redis_servers(url: &RedisUrl) -> RedisServers {
    let are = match url.expose_sentinels() {
        Some((primary, password)) => RedisServersAre::Sentinels {
            primary: primary.to_owned(),
            password: password.map(str::to_owned),
        },
        None if url.is_cluster() => RedisServersAre::Cluster,
        None => RedisServersAre::Primary,
    };
    RedisServers { named: url.expose().to_vec(), are }
}

/// How a Redis is to be used. Takes the data directory, where `admin.json` is, as the embedded store
/// does: one server at a time runs on it.
///
/// # Errors
/// [`store::OpenError`]: the data directory cannot be used.
pub fn redis_options(config: &Config) -> Result<RedisOptions, store::OpenError> {
    Ok(RedisOptions { lock: Some(lock(config)?), ..redis_unlocked(config) })
}

/// Takes the data directory: as long as this is kept, nobody else has what is in it.
fn lock(config: &Config) -> Result<File, store::OpenError> {
    SledStore::lock(&config.data_dir)
}

fn redis_unlocked(config: &Config) -> RedisOptions {
    RedisOptions {
        patience: config.store.redis.timeout.unsigned(),
        must_append: config.store.redis.must_append,
        replicas: config.store.redis.replicas,
        checks: match config.store.redis.checks {
            config::RedisChecks::Strict => RedisChecks::Strict,
            config::RedisChecks::Local => RedisChecks::Local {
                max_lag: config.store.redis.max_lag.unsigned(),
                most: RedisChecks::MOST,
            },
        },
        audit: config.audit.bounds(),
        lock: None,
    }
}

/// How the embedded store is to be kept.
#[must_use]
pub fn sled_options(config: &Config) -> SledOptions {
    SledOptions {
        cache_bytes: config.store.cache_mib << 20,
        durability: match config.store.durability {
            Durability::Commit => sled::Durability::Commit,
            Durability::Interval => sled::Durability::Interval(sled::Durability::LONGEST),
        },
        audit: config.audit.bounds(),
        ..SledOptions::default()
    }
}

/// Refuses a data directory of another program or version, without writing to it.
///
/// # Errors
/// [`OpenError::Store`].
pub fn look(config: &Config) -> Result<(), OpenError> {
    match config.store.url {
        StoreUrl::Sled => Ok(SledStore::look(&config.data_dir)?),
        // What is there is found out when it is opened.
        StoreUrl::Redis(_) => Ok(()),
    }
}

/// Whether there is a store already: opening it would not make one. A Redis that is there has one,
/// be it empty.
#[must_use]
pub fn has_store(config: &Config) -> bool {
    match config.store.url {
        StoreUrl::Sled => SledStore::is_in(&config.data_dir),
        StoreUrl::Redis(_) => true,
    }
}
