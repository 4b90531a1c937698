//! The composition: from a configuration to a service that stands on a data directory. The server
//! does this at its start, the command line when no server runs, and the library in an app.
//!
//! | file | what it holds |
//! |---|---|
//! | `sweep` | the removal of dead sessions, beside everything else |
//!
//! What is put together here, `cli` serves and `library` embeds. A new part of the service (a rule
//! of its [`Policy`](crate::session::Policy), another store) is joined to its configuration here and
//! nowhere else.

mod sweep;

use std::{sync::Arc, time::Duration};

use crate::{
    config::{Config, Durability, RedisUrl, StoreUrl},
    model::Clock,
    session::{self, Hasher, Sessions},
    store::{
        self, ClusterStore, RedisOptions, RedisServers, RedisServersAre, RedisStore, Store,
        sled::{self, SledOptions, SledStore},
    },
    token::{KeyError, KeySet, Tokens},
};

/// Where the signing keys are in the data directory.
pub const KEYS_DIR: &str = "keys";

/// How often a store in a cluster is swept: all else that is over clears itself away there.
const CLAIMS_SWEPT_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a service cannot be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory or the store in it cannot be used.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// A key cannot be made, read or used.
    #[error(transparent)]
    Keys(#[from] KeyError),
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
        let data_dir = &config.data_dir;
        // First of all: it makes the directory and takes the lock; nothing may be touched before.
        let store = wrap_store(open_store(config)?);

        let policy = config.policy();
        let keys = KeySet::open(
            &data_dir.join(KEYS_DIR),
            config.token.algorithm,
            clock.now(),
            policy.lifetimes.longest_token(),
        )?;
        let tokens =
            Tokens::new(keys, config.issuer(), config.audience()).with_claims(config.token.claims);
        tokens.self_test(clock.now())?;

        let hasher = Hasher::new(config.password.cost()).map_err(OpenError::Passwords)?;
        let sessions =
            Sessions::new(Arc::clone(&store), tokens, Arc::clone(&clock), hasher, policy);
        let sweep_interval = match config.store.url {
            StoreUrl::Sled => Some(config.store.sweep_interval.unsigned()),
            // What a node that died has left of a claim to an e-mail, nobody is waiting for.
            StoreUrl::Redis(ref url) if url.is_cluster() => Some(CLAIMS_SWEPT_EVERY),
            StoreUrl::Redis(_) => None,
        };
        Ok(Self { sessions, store, clock, sweep_interval })
    }

    /// Its operations.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Removes dead sessions from the store, round after round, until `stopped`. Whoever keeps a
    /// service open has to run it: without it the store grows for ever.
    pub fn sweep<S: Future<Output = ()> + Send + 'static>(
        &self,
        stopped: S,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let every = self.sweep_interval;
        async move {
            match every {
                Some(every) => sweep::run(store, clock, every, stopped).await,
                None => stopped.await,
            }
        }
    }
}

fn open_store(config: &Config) -> Result<Arc<dyn Store>, store::OpenError> {
    match &config.store.url {
        StoreUrl::Sled => Ok(Arc::new(SledStore::open(&config.data_dir, sled_options(config))?)),
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
                return Ok(Arc::new(ClusterStore::open(servers, options)?));
            }
            Ok(Arc::new(RedisStore::open(servers, options)?))
        }
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

/// How a Redis is to be used. Takes the data directory, where the keys are, as the embedded store
/// does.
///
/// # Errors
/// [`store::OpenError`]: the data directory cannot be used.
pub fn redis_options(config: &Config) -> Result<RedisOptions, store::OpenError> {
    Ok(RedisOptions {
        patience: config.store.redis.timeout.unsigned(),
        must_append: config.store.redis.must_append,
        replicas: config.store.redis.replicas,
        audit: config.audit.bounds(),
        lock: Some(SledStore::lock(&config.data_dir)?),
    })
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
