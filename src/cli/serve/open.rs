//! From a data directory to [`Sessions`]: the store, the keys, the rules. The server does this at
//! its start, and the command line when no server runs.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use crate::{
    config::{Config, Durability, StoreUrl},
    model::Clock,
    session::{self, Hasher, Policy, Sessions},
    store::{
        OpenError, Store,
        sled::{self, SledOptions, SledStore},
    },
    token::{KeyError, KeySet, Tokens},
};

/// Where the signing keys are in the data directory.
pub(in crate::cli) const KEYS_DIR: &str = "keys";

/// Why a server, or a command without one, could not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory or the store in it cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A key cannot be made, read or used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Passwords cannot be hashed with the configured parameters.
    #[error("cannot hash passwords with `password.memory_kib` and `password.passes`: {0}")]
    Passwords(session::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; choose another with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
        /// How to choose another.
        flag: &'static str,
    },
    /// The command line could not be told where the server is.
    #[error("cannot write {}: {reason}", .path.display())]
    AdminFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

/// What stands on a data directory.
pub(in crate::cli) struct Opened {
    /// The service.
    pub(in crate::cli) sessions: Sessions,
    /// The store beneath it.
    pub(in crate::cli) store: Arc<dyn Store>,
}

/// Opens the data directory and puts the service together on it. `wrap_store` can put something
/// between the service and its store.
pub(in crate::cli) fn open_sessions(
    config: &Config,
    clock: Arc<dyn Clock>,
    wrap_store: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
) -> Result<Opened, StartError> {
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

    let hasher = Hasher::new(config.password.cost()).map_err(StartError::Passwords)?;
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
    let sessions = Sessions::new(Arc::clone(&store), tokens, clock, hasher, policy);
    Ok(Opened { sessions, store })
}

fn open_store(config: &Config) -> Result<Arc<dyn Store>, OpenError> {
    match config.store.url {
        StoreUrl::Sled => Ok(Arc::new(SledStore::open(&config.data_dir, sled_options(config))?)),
    }
}

/// How the embedded store is to be kept.
pub(in crate::cli) fn sled_options(config: &Config) -> SledOptions {
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
pub(in crate::cli) fn look(config: &Config) -> Result<(), StartError> {
    match config.store.url {
        StoreUrl::Sled => Ok(SledStore::look(&config.data_dir)?),
    }
}

/// Whether there is a store already: opening it would not make one.
pub(in crate::cli) fn has_store(config: &Config) -> bool {
    match config.store.url {
        StoreUrl::Sled => SledStore::is_in(&config.data_dir),
    }
}
