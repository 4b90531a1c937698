//! The composition: from a configuration to a service that stands on a data directory. The server
//! does this at its start, the command line when no server runs, and the library in an app.
//!
//! | file | what it holds |
//! |---|---|
//! | `sweep` | the removal of dead sessions, beside everything else |
//!
//! What is put together here, `cli` serves and `library` embeds. A new part of the service (a rule
//! of its [`Policy`], another store) is joined to its configuration here and nowhere else.

mod sweep;

use std::{sync::Arc, time::Duration};

use crate::{
    config::{Config, Durability, StoreUrl},
    model::Clock,
    session::{self, Hasher, Policy, Sessions},
    store::{
        self, Store,
        sled::{self, SledOptions, SledStore},
    },
    token::{KeyError, KeySet, Tokens},
};

/// Where the signing keys are in the data directory.
pub const KEYS_DIR: &str = "keys";

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
    sweep_interval: Duration,
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

        let lifetimes = config.session.lifetimes();
        let keys = KeySet::open(
            &data_dir.join(KEYS_DIR),
            config.token.algorithm,
            clock.now(),
            lifetimes.longest_token(),
        )?;
        let tokens =
            Tokens::new(keys, config.issuer(), config.audience()).with_claims(config.token.claims);
        tokens.self_test(clock.now())?;

        let hasher = Hasher::new(config.password.cost()).map_err(OpenError::Passwords)?;
        let policy = Policy {
            lifetimes,
            replay: config.replay.replay(),
            registration: config.registration,
            max_sessions_per_account: config.session.max_per_account,
            recent: config.session.recent.0,
            passwords: config.password.rules(&config.public_url),
            log_in: config.login.limits(),
            sign_up: config.sign_up.limits(),
        };
        let sessions =
            Sessions::new(Arc::clone(&store), tokens, Arc::clone(&clock), hasher, policy);
        let sweep_interval = config.store.sweep_interval.unsigned();
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
        sweep::run(store, clock, self.sweep_interval, stopped)
    }
}

fn open_store(config: &Config) -> Result<Arc<dyn Store>, store::OpenError> {
    match config.store.url {
        StoreUrl::Sled => Ok(Arc::new(SledStore::open(&config.data_dir, sled_options(config))?)),
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
    }
}

/// Whether there is a store already: opening it would not make one.
#[must_use]
pub fn has_store(config: &Config) -> bool {
    match config.store.url {
        StoreUrl::Sled => SledStore::is_in(&config.data_dir),
    }
}
