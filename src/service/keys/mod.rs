//! Signing keys that are in the store, for all nodes: opened at the start, read anew while the
//! service runs, and what the command line does to them. In a data directory they are files, and all
//! of this is [`KeySet::open`].
//!
//! Nodes agree by the store alone. Whoever changes the keys names the revision that was read, so that
//! of two that start at once one makes the first key and the other takes it. A key that takes over
//! from another is announced: it signs when every node has had three occasions to read it.
//!
//! | file | what it holds |
//! |---|---|
//! | `secret` | the secret that seals them |
//! | `keeper` | reading them anew, while the service runs |

mod keeper;
mod secret;

use std::{path::Path, sync::Arc};

use jiff::SignedDuration;
use tracing::{info, warn};

pub(super) use self::keeper::Keeper;
pub use self::secret::{SecretError, check_secret};
use self::secret::{read_secret, seal};
use super::{KEYS_DIR, OpenError, keys_beside};
use crate::{
    config::Config,
    model::Timestamp,
    store::{KeptKeys, KeyVault, RedisKeys, StoreError, waiting},
    token::{
        KeyCopy, KeyError, KeyInfo, KeyRing, KeySet, Rule, Seal, ShortSecret, copy_keys, has_keys,
        list_keys, place_keys,
    },
};

/// How long a key is in the store before it signs: three readings.
const NOTICE: SignedDuration = SignedDuration::from_secs(15);

/// How many nodes may be quicker, one after the other, before one gives up.
const ATTEMPTS: usize = 20;

fn rule(config: &Config) -> Rule {
    Rule {
        algorithm: config.token.algorithm,
        longest_token: config.policy().lifetimes.longest_token(),
        notice: NOTICE,
    }
}

/// What a start finds.
pub(super) struct Begun {
    pub(super) keys: KeySet,
    pub(super) keeper: Keeper,
}

/// Opens the keys in the store, and makes the first one at the first start. Waits for the store.
pub(super) fn begin(config: &Config, vault: RedisKeys, now: Timestamp) -> Result<Begun, OpenError> {
    let seal = seal(config, &vault)?;
    // It ends with the runtime of its own that it is made in.
    let at_start = vault.anew();
    let dir = config.data_dir.join(KEYS_DIR);
    let opened = waiting(open(&at_start, &seal, &rule(config), &dir, now))
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let (ring, kept) = opened?;
    let keeper = Keeper::new(Arc::new(vault), seal, kept, &ring);
    Ok(Begun { keys: ring.into_set(now)?, keeper })
}

/// What a node does that starts. Of key files in `dir`, the first node's become the store's.
async fn open(
    vault: &dyn KeyVault,
    seal: &Seal,
    rule: &Rule,
    dir: &Path,
    now: Timestamp,
) -> Result<(KeyRing, KeptKeys), OpenError> {
    let has_files = has_keys(dir)?;
    for _ in 0..ATTEMPTS {
        let kept = vault.keys().await?;
        let mut ring = KeyRing::open(&kept.keys, seal)?;
        let is_first = ring.is_empty();
        let mut taken = 0;
        if is_first && has_files {
            taken = ring.admit(KeyRing::read(dir, now)?, rule, now);
        }
        let changed = ring.settle(rule, now)?;
        let kept = if changed {
            match put(vault, &ring, seal, kept.revision).await? {
                Some(kept) => kept,
                // Another node was quicker.
                None => continue,
            }
        } else {
            kept
        };
        if taken > 0 {
            info!(
                event = "keys",
                "{taken} signing keys of {} are in the store now, sealed, and used from there: move \
                 the directory away",
                dir.display()
            );
        } else if has_files {
            warn!(
                event = "keys",
                "the signing keys in {} are not used, those in the store are: move the directory away",
                dir.display()
            );
        }
        return Ok((ring, kept));
    }
    Err(KeyError::Contended.into())
}

/// Puts the keys in the place of those of a revision. Returns what is there now, if it did.
async fn put(
    vault: &dyn KeyVault,
    ring: &KeyRing,
    seal: &Seal,
    revision: u64,
) -> Result<Option<KeptKeys>, OpenError> {
    let keys = ring.sealed(seal)?;
    let done = vault.put(&keys, revision).await?;
    Ok(done.then_some(KeptKeys { revision: revision + 1, keys }))
}

/// All keys, wherever they are, oldest first. Reads only.
///
/// # Errors
/// [`OpenError`]
pub async fn list(config: &Config, now: Timestamp) -> Result<Vec<KeyInfo>, OpenError> {
    match keys_beside(config)? {
        None => Ok(list_keys(&config.data_dir.join(KEYS_DIR), now)?),
        Some(vault) => {
            let seal = seal(config, &vault)?;
            Ok(KeyRing::open(&vault.keys().await?.keys, &seal)?.list(now))
        }
    }
}

/// Copies of all keys, for a backup.
///
/// # Errors
/// [`OpenError`]
pub async fn copies(config: &Config) -> Result<Vec<KeyCopy>, OpenError> {
    match keys_beside(config)? {
        None => Ok(copy_keys(&config.data_dir.join(KEYS_DIR))?),
        Some(vault) => {
            let seal = seal(config, &vault)?;
            Ok(KeyRing::open(&vault.keys().await?.keys, &seal)?.copies())
        }
    }
}

/// Puts copies where the keys are. A key that is there stays as it is; among others, those that are
/// added verify and do not sign. Returns how many were added.
///
/// # Errors
/// [`OpenError`]; nothing was changed.
pub async fn place(
    config: &Config,
    copies: &[KeyCopy],
    now: Timestamp,
) -> Result<usize, OpenError> {
    let Some(vault) = keys_beside(config)? else {
        return Ok(place_keys(&config.data_dir.join(KEYS_DIR), copies)?);
    };
    let (seal, rule) = (seal(config, &vault)?, rule(config));
    for _ in 0..ATTEMPTS {
        let kept = vault.keys().await?;
        let mut ring = KeyRing::open(&kept.keys, &seal)?;
        let placed = ring.admit(KeyRing::of_copies(copies, now)?, &rule, now);
        if placed == 0 || put(&vault, &ring, &seal, kept.revision).await?.is_some() {
            return Ok(placed);
        }
    }
    Err(KeyError::Contended.into())
}

/// Seals the keys in the store with the configured secret; until now they are sealed with the one in
/// a file. Returns how many, or nothing where keys are files.
///
/// # Errors
/// [`OpenError`]; nothing was changed.
pub async fn reseal(config: &Config, old_secret: &Path) -> Result<Option<usize>, OpenError> {
    let Some(vault) = keys_beside(config)? else {
        return Ok(None);
    };
    let new = seal(config, &vault)?;
    let old = Seal::new(&read_secret(old_secret)?, vault.name())
        .map_err(|ShortSecret| SecretError::Short("--old-secret-file"))?;
    for _ in 0..ATTEMPTS {
        let kept = vault.keys().await?;
        let ring = KeyRing::open(&kept.keys, &old)?;
        if put(&vault, &ring, &new, kept.revision).await?.is_some() {
            return Ok(Some(ring.len()));
        }
    }
    Err(KeyError::Contended.into())
}
