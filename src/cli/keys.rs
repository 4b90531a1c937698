//! `countersign keys`: what tokens are signed with.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Failure, operator, output, serve::StartError};
use crate::{
    config::{Config, StoreUrl},
    model::clock::{Clock as _, SystemClock},
    service::{self, KEYS_DIR, look},
    token::{KeyInfo, KeyStatus, random_secret},
};

/// Show the signing keys, change the one in force, and seal them
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// List the keys: which one signs, which still verify, and until when
    ///
    /// Shows no secret; reads the key files, or the keys in Redis, whether a server runs or not.
    List {
        /// Show a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Announce a new signing key, which takes over from the one in force
    ///
    /// It is published at once and signs some seconds later, so that whoever verifies tokens elsewhere
    /// knows it by then. Nobody is logged out: the old key verifies until its last token is over. A
    /// running server takes it up without a restart, and in Redis all nodes do. While a key is
    /// announced, nothing is changed. It is of the configured `token.algorithm`.
    Rotate {
        /// Show a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Print a new random secret, for `token.secret_file` or `COUNTERSIGN_TOKEN__SECRET`
    ///
    /// All nodes on one Redis have the same: it seals the signing keys there.
    Secret,
    /// Seal the keys in Redis with another secret
    ///
    /// The new secret is the configured one. Nodes that run with the old one go on with the keys they
    /// have until they are restarted with the new one.
    Reseal {
        /// A file with the secret that they are sealed with now
        #[arg(long, value_name = "FILE")]
        old_secret_file: PathBuf,
    },
}

impl Keys {
    /// Does it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        match self {
            Self::List { json } => list(config, json).await,
            Self::Rotate { json } => {
                has_keys(config)?;
                show(&operator::rotate_keys(config).await?, json)
            }
            Self::Secret => output::say(&random_secret()?),
            Self::Reseal { old_secret_file } => {
                let resealed = service::keys::reseal(config, &old_secret_file).await;
                match resealed.map_err(StartError::from)? {
                    Some(0) => output::say(
                        "there are no signing keys that are not sealed with the configured secret already",
                    ),
                    Some(number) => output::say(&format!("signing keys sealed anew: {number}")),
                    None => Err(Failure::Input(
                        "there is nothing to seal: with `store.url = \"sled\"` the signing keys are \
                         files of the data directory"
                            .to_owned(),
                    )),
                }
            }
        }
    }
}

async fn list(config: &Config, json: bool) -> Result<(), Failure> {
    has_keys(config)?;
    let keys = service::keys::list(config, SystemClock.now()).await.map_err(StartError::from)?;
    show(&keys, json)
}

/// Refuses a data directory that is none, or has no keys where they should be files of it.
fn has_keys(config: &Config) -> Result<(), Failure> {
    look(config).map_err(StartError::from)?;
    if config.store.url == StoreUrl::Sled && !config.data_dir.join(KEYS_DIR).exists() {
        return Err(Failure::Input(format!(
            "there are no signing keys in {}: name their directory with --data-dir",
            config.data_dir.display()
        )));
    }
    Ok(())
}

fn show(keys: &[KeyInfo], json: bool) -> Result<(), Failure> {
    output::list(keys, json, ["KID", "ALGORITHM", "CREATED", "STATUS"], |key| {
        let status = match key.status {
            KeyStatus::Signing => "signing".to_owned(),
            KeyStatus::Announced { from } => format!("to sign from {}", output::time(from)),
            KeyStatus::Verifying { until } => {
                format!("verifying until {}", output::time(until))
            }
            KeyStatus::Expired => "expired".to_owned(),
        };
        [key.kid.clone(), key.algorithm.to_string(), output::time(key.created_at), status]
    })
}
