//! Signing keys that are in the store, for all nodes: opened at the start, read anew while the
//! service runs, and what the command line does to them. In a data directory they are files, and all
//! of this is [`KeySet::open`].
//!
//! Nodes agree by the store alone. Whoever changes the keys names the revision that was read, so that
//! of two that start at once one makes the first key and the other takes it. A key that takes over
//! from another is announced: it signs when every node has had three occasions to read it, and every
//! verifier elsewhere one to ask a node that has.
//!
//! | file | what it holds |
//! |---|---|
//! | `secret` | the secret that seals them |
//! | `keeper` | reading them anew, while the service runs |
//! | `files` | a new key among files, while the service runs |

mod files;
mod keeper;
mod secret;

use std::{path::Path, sync::Arc, time::Duration};

use jiff::SignedDuration;
use tracing::{info, warn};

pub use self::files::KeyFiles;
pub(super) use self::keeper::Keeper;
pub(super) use self::secret::needed;
use self::secret::{Secret, seal};
pub use self::secret::{SecretError, check_secret};
use super::{KEYS_DIR, OpenError, keys_beside, lock};
use crate::{
    config::Config,
    model::{Clock, Timestamp},
    store::{KeptKeys, KeyVault, RedisKeys, StoreError, waiting},
    token::{
        KeyCopy, KeyError, KeyInfo, KeyRing, KeySet, PUBLISHED_FOR, Rule, Seal, copy_keys,
        has_keys, list_keys, place_keys, put_aside,
    },
};

/// What becomes of the name of a folder whose keys are in the store.
const ASIDE: &str = "keys.in-redis";

/// How often a node reads the keys anew.
const EVERY: Duration = Duration::from_secs(5);

/// How many nodes may be quicker, one after the other, before one gives up.
const ATTEMPTS: usize = 20;

fn rule(config: &Config) -> Rule {
    Rule {
        algorithm: config.token.algorithm,
        longest_token: config.policy().lifetimes.longest_token(),
        notice: notice(config.store.redis.timeout.unsigned()),
    }
}

/// The same for keys that are files, when an operator asks for a new one. The server that has them
/// knows it at once, whoever verifies elsewhere when they ask again.
pub(super) fn rule_of_files(config: &Config) -> Rule {
    Rule { notice: notice(Duration::ZERO), ..rule(config) }
}

/// How long a key is in the store before it signs. A reading comes [`EVERY`] so often and takes twice
/// the time that Redis is given, at most. A node has three of them to learn of the key; and whoever
/// verifies elsewhere, and asked a node just before its first, asks again in time.
fn notice(patience: Duration) -> SignedDuration {
    let reading = EVERY + 2 * patience;
    let notice = reading + (2 * reading).max(PUBLISHED_FOR);
    SignedDuration::try_from(notice).unwrap_or(SignedDuration::MAX)
}

/// What a start finds.
pub(super) struct Begun {
    pub(super) keys: KeySet,
    pub(super) keeper: Keeper,
}

/// Opens the keys in the store, and makes the first one at the first start. Waits for the store.
pub(super) fn begin(
    config: &Config,
    vault: RedisKeys,
    secret: &Secret,
    clock: &dyn Clock,
) -> Result<Begun, OpenError> {
    let (seal, rule) = (secret.seal(vault.name())?, rule(config));
    // It ends with the runtime of its own that it is made in.
    let at_start = vault.anew();
    let dir = config.data_dir.join(KEYS_DIR);
    let opened = waiting(open(&at_start, &seal, &rule, &dir, clock))
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let (ring, kept) = opened?;
    let keeper = Keeper::new(Arc::new(vault), seal, rule.notice, kept, &ring);
    Ok(Begun { keys: ring.into_set(clock.now())?, keeper })
}

/// What a node does that starts. Of key files in `dir`, the first node's become the store's.
async fn open(
    vault: &dyn KeyVault,
    seal: &Seal,
    rule: &Rule,
    dir: &Path,
    clock: &dyn Clock,
) -> Result<(KeyRing, KeptKeys), OpenError> {
    let has_files = has_keys(dir)?;
    for _ in 0..ATTEMPTS {
        let kept = vault.keys().await?;
        // The notice of a key begins when it is put, not when the first attempt began.
        let now = clock.now();
        let mut ring = KeyRing::open(&kept.keys, seal)?;
        if ring.is_empty() && has_files {
            ring.admit(KeyRing::read(dir, now)?, rule, now);
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
        if has_files {
            retire(dir, &ring, now);
        }
        return Ok((ring, kept));
    }
    Err(KeyError::Contended.into())
}

/// Says what became of key files. Those that are in the store get out of the way: left there, they
/// would be the store's again when an operator has thrown its keys away. Others are the operator's.
fn retire(dir: &Path, ring: &KeyRing, now: Timestamp) {
    if !KeyRing::read(dir, now).is_ok_and(|files| ring.has_all(&files)) {
        warn!(
            event = "keys",
            "the signing keys in {} are not used, those in the store are: move the directory away",
            dir.display()
        );
        return;
    }
    match put_aside(dir, ASIDE) {
        Ok(aside) => info!(
            event = "keys",
            "the signing keys of {} are in the store now, sealed, and used from there: the directory \
             is {} now, and nothing needs it",
            dir.display(),
            aside.display()
        ),
        Err(error) => warn!(
            event = "keys",
            %error,
            "the signing keys of {} are in the store now, sealed, and used from there: move the \
             directory away",
            dir.display()
        ),
    }
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
/// [`OpenError`]; after one of the store ([`OpenError::Vault`]) they may have been put there all the
/// same, and of files some may be there.
pub async fn place(
    config: &Config,
    copies: &[KeyCopy],
    clock: &dyn Clock,
) -> Result<usize, OpenError> {
    let Some(vault) = keys_beside(config)? else {
        return Ok(place_keys(&config.data_dir.join(KEYS_DIR), copies)?);
    };
    let (seal, rule) = (seal(config, &vault)?, rule(config));
    for _ in 0..ATTEMPTS {
        let kept = vault.keys().await?;
        let now = clock.now();
        let mut ring = KeyRing::open(&kept.keys, &seal)?;
        let placed = ring.admit(KeyRing::of_copies(copies, now)?, &rule, now);
        if placed == 0 || put(&vault, &ring, &seal, kept.revision).await?.is_some() {
            return Ok(placed);
        }
    }
    Err(KeyError::Contended.into())
}

/// Announces a new key of the configured algorithm, wherever the keys are: it takes over from the one
/// in force when its notice is over. Returns all keys, oldest first. Of files, no server may have them
/// meanwhile: one that runs is to be [asked](KeyFiles::rotate).
///
/// # Errors
/// [`OpenError`]; after one of the store ([`OpenError::Vault`]) it may have been done all the same.
pub async fn rotate(config: &Config, clock: &dyn Clock) -> Result<Vec<KeyInfo>, OpenError> {
    let Some(vault) = keys_beside(config)? else {
        let _lock = lock(config)?;
        let (dir, now) = (config.data_dir.join(KEYS_DIR), clock.now());
        return Ok(KeyRing::rotate_files(&dir, &rule_of_files(config), now)?.list(now));
    };
    rotate_in(&vault, &seal(config, &vault)?, &rule(config), clock).await
}

async fn rotate_in(
    vault: &dyn KeyVault,
    seal: &Seal,
    rule: &Rule,
    clock: &dyn Clock,
) -> Result<Vec<KeyInfo>, OpenError> {
    for _ in 0..ATTEMPTS {
        let kept = vault.keys().await?;
        let now = clock.now();
        let mut ring = KeyRing::open(&kept.keys, seal)?;
        ring.rotate(rule, now)?;
        if put(vault, &ring, seal, kept.revision).await?.is_some() {
            return Ok(ring.list(now));
        }
    }
    Err(KeyError::Contended.into())
}

/// Seals the keys in the store with the configured secret; until now they are sealed with the one in
/// a file. Returns how many, or nothing where keys are files. Those that are sealed with the new one
/// already are not counted: it can be asked for again when nobody knows whether it was done.
///
/// # Errors
/// [`OpenError`]; after one of the store ([`OpenError::Vault`]) it may have been done all the same.
pub async fn reseal(config: &Config, old_secret: &Path) -> Result<Option<usize>, OpenError> {
    const OLD: &str = "--old-secret-file";

    let Some(vault) = keys_beside(config)? else {
        return Ok(None);
    };
    let new = seal(config, &vault)?;
    let old = Secret::in_file(old_secret, OLD)?.seal(vault.name())?;
    for _ in 0..ATTEMPTS {
        let kept = vault.keys().await?;
        let ring = match KeyRing::open(&kept.keys, &new) {
            Ok(_) => return Ok(Some(0)),
            Err(KeyError::Secret) => match KeyRing::open(&kept.keys, &old) {
                Err(KeyError::Secret) => return Err(SecretError::NotTheOld(OLD).into()),
                opened => opened?,
            },
            Err(error) => return Err(error.into()),
        };
        if put(&vault, &ring, &new, kept.revision).await?.is_some() {
            return Ok(Some(ring.len()));
        }
    }
    Err(KeyError::Contended.into())
}
