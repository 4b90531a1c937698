//! `countersign keys`: what tokens are signed with.

use clap::Subcommand;

use super::{Failure, output, serve::StartError};
use crate::{
    config::Config,
    model::clock::{Clock as _, SystemClock},
    service::{KEYS_DIR, look},
    token::{KeyStatus, list_keys},
};

/// Show the signing keys
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// List the keys: which one signs, which still verify, and until when
    ///
    /// Shows no secret; reads the key files, whether a server runs or not.
    List {
        /// Show a JSON array
        #[arg(long)]
        json: bool,
    },
}

impl Keys {
    /// Does it.
    pub(super) fn run(self, config: &Config) -> Result<(), Failure> {
        let Self::List { json } = self;
        look(config).map_err(StartError::from)?;
        let dir = config.data_dir.join(KEYS_DIR);
        if !dir.exists() {
            return Err(Failure::Input(format!(
                "there are no signing keys in {}: name their directory with --data-dir",
                config.data_dir.display()
            )));
        }
        let keys = list_keys(&dir, SystemClock.now())?;
        output::list(&keys, json, ["KID", "ALGORITHM", "CREATED", "STATUS"], |key| {
            let status = match key.status {
                KeyStatus::Signing => "signing".to_owned(),
                KeyStatus::Verifying { until } => {
                    format!("verifying until {}", output::time(until))
                }
                KeyStatus::Expired => "expired".to_owned(),
            };
            [key.kid.clone(), key.algorithm.to_string(), output::time(key.created_at), status]
        })
    }
}
