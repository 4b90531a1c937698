//! Keys that are files of the data directory. Whoever holds its lock changes them, and nobody else: a
//! server that runs, which the command line asks, or the command line itself.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use tracing::{info, warn};

use crate::{
    model::Clock,
    token::{KeyError, KeyInfo, KeyRing, Rule, Tokens},
};

/// The key files of a service that runs.
pub struct KeyFiles {
    dir: PathBuf,
    rule: Rule,
    tokens: Arc<Tokens>,
    clock: Arc<dyn Clock>,
    changing: Mutex<()>,
}

impl KeyFiles {
    pub(in crate::service) fn new(
        dir: PathBuf,
        rule: Rule,
        tokens: Arc<Tokens>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { dir, rule, tokens, clock, changing: Mutex::default() }
    }

    /// Announces a new key, which the service publishes from now on and signs with after its notice.
    /// Returns all keys, oldest first. Once begun it is done, whoever still waits for it.
    ///
    /// # Errors
    /// [`KeyError`]; the service goes on with the keys it has.
    pub async fn rotate(self: Arc<Self>) -> Result<Vec<KeyInfo>, KeyError> {
        let path = self.dir.clone();
        let rotated = tokio::task::spawn_blocking(move || self.rotate_here()).await;
        rotated.unwrap_or_else(|failed| {
            Err(KeyError::Io { action: "change the keys in", path, reason: failed.to_string() })
        })
    }

    fn rotate_here(&self) -> Result<Vec<KeyInfo>, KeyError> {
        // Of two at once the second finds what the first has announced.
        let _changing = self.changing.lock();
        let now = self.clock.now();
        let rotated = KeyRing::rotate_files(&self.dir, &self.rule, now).and_then(|ring| {
            let keys = ring.list(now);
            // After they are on the disk: what it signs with is there after a power loss, too.
            self.tokens.replace_keys(ring.into_set(now)?, now)?;
            Ok(keys)
        });
        match &rotated {
            Ok(keys) => {
                info!(event = "keys", "a new signing key was announced: {} are there", keys.len());
            }
            Err(error) => warn!(event = "keys", %error, "no new signing key was announced"),
        }
        rotated
    }
}
