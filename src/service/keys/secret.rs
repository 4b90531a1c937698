//! The secret that seals the keys: where it comes from, and what is wrong with it.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tracing::warn;
use zeroize::Zeroizing;

use crate::{
    config::{Config, StoreUrl},
    store::KeyVault,
    token::{Seal, ShortSecret},
};

/// Why there is no secret to open the keys with. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// None is configured.
    #[error(
        "the signing keys are in the store, sealed with a secret that all nodes have, and none is \
         set: set COUNTERSIGN_TOKEN__SECRET, or name a file that has it with `token.secret_file`; \
         `countersign keys secret` makes one"
    )]
    Missing,
    /// It can be guessed.
    #[error(
        "the secret of `{0}` cannot be used: {ShortSecret}; `countersign keys secret` makes one"
    )]
    Short(&'static str),
    /// What seals the keys now is another one than was said.
    #[error(
        "the secret of `{0}` is not the one with which they were sealed, and `token.secret` or \
         `token.secret_file` is not either; nothing was changed"
    )]
    NotTheOld(&'static str),
    /// The file cannot be read.
    #[error("cannot read the file of the secret, {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

/// A secret that is long enough.
pub(in crate::service) struct Secret {
    text: Zeroizing<String>,
    /// Where it comes from.
    source: &'static str,
}

impl Secret {
    /// The configured one. It is read once for whatever needs it: reading it may warn.
    pub(in crate::service) fn of(config: &Config) -> Result<Self, SecretError> {
        let token = &config.token;
        if !token.secret_file.as_os_str().is_empty() {
            return Self::checked("token.secret_file", read(&token.secret_file)?);
        }
        match token.secret.expose() {
            "" => Err(SecretError::Missing),
            secret => Self::checked("token.secret", Zeroizing::new(secret.to_owned())),
        }
    }

    /// The one in a file that was named on the command line.
    pub(super) fn in_file(path: &Path, source: &'static str) -> Result<Self, SecretError> {
        Self::checked(source, read(path)?)
    }

    fn checked(source: &'static str, text: Zeroizing<String>) -> Result<Self, SecretError> {
        let secret = Self { text, source };
        secret.seal("")?;
        Ok(secret)
    }

    /// The seal that it makes for the keys in a store of that name.
    pub(super) fn seal(&self, store: &str) -> Result<Seal, SecretError> {
        Seal::new(&self.text, store).map_err(|ShortSecret| SecretError::Short(self.source))
    }
}

/// The seal of the configured secret.
pub(super) fn seal(config: &Config, vault: &dyn KeyVault) -> Result<Seal, SecretError> {
    Secret::of(config)?.seal(vault.name())
}

fn read(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let unreadable = |error: io::Error| SecretError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let secret = fs::read_to_string(path).map_err(unreadable)?;
    // A warning, not a refusal: that is how containers are given secrets.
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & 0o007 != 0 {
        warn!(
            event = "configuration",
            "the file of the secret, {}, is open to every user of this machine (mode {:03o})",
            path.display(),
            mode & 0o777
        );
    }
    Ok(Zeroizing::new(secret))
}

/// The secret of a server, if it needs one.
pub(in crate::service) fn needed(config: &Config) -> Result<Option<Secret>, SecretError> {
    match config.store.url {
        StoreUrl::Sled => Ok(None),
        StoreUrl::Redis(_) => Secret::of(config).map(Some),
    }
}

/// Whether a server would find its secret, if it needs one.
///
/// # Errors
/// [`SecretError`]
pub fn check_secret(config: &Config) -> Result<(), SecretError> {
    needed(config).map(drop)
}
