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
    /// The file cannot be read.
    #[error("cannot read the file of the secret, {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

/// The seal of the configured secret.
pub(super) fn seal(config: &Config, vault: &dyn KeyVault) -> Result<Seal, SecretError> {
    let (key, secret) = secret(config)?;
    Seal::new(&secret, vault.name()).map_err(|ShortSecret| SecretError::Short(key))
}

/// The configured secret, and which key of the configuration has it.
fn secret(config: &Config) -> Result<(&'static str, Zeroizing<String>), SecretError> {
    let token = &config.token;
    if !token.secret_file.as_os_str().is_empty() {
        return Ok(("token.secret_file", read_secret(&token.secret_file)?));
    }
    match token.secret.expose() {
        "" => Err(SecretError::Missing),
        secret => Ok(("token.secret", Zeroizing::new(secret.to_owned()))),
    }
}

pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<String>, SecretError> {
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

/// Whether a server would find its secret, if it needs one.
///
/// # Errors
/// [`SecretError`]
pub fn check_secret(config: &Config) -> Result<(), SecretError> {
    if config.store.url == StoreUrl::Sled {
        return Ok(());
    }
    let (key, secret) = secret(config)?;
    Seal::new(&secret, "").map(drop).map_err(|ShortSecret| SecretError::Short(key))
}
