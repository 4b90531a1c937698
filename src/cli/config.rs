//! `countersign config`: what holds, and whether it can.

use clap::Subcommand;

use super::{Failure, output, serve::StartError};
use crate::{config, service};

/// Check and show the configuration
///
/// Defaults < countersign.toml < `COUNTERSIGN_*` variables < flags.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  countersign config check --config /etc/countersign.toml
  COUNTERSIGN_SESSION__IDLE=10m countersign config show")]
pub(super) enum Config {
    /// Say whether a server would start with it, and what deserves a thought
    Check,
    /// Print every key with its value, as a file that can be used again
    Show,
}

impl Config {
    /// Does it. `config` was checked when it was loaded.
    pub(super) fn run(self, config: &config::Config) -> Result<(), Failure> {
        match self {
            Self::Check => {
                for warning in config.warnings() {
                    output::say(&format!("warning: {warning}"))?;
                }
                service::keys::check_secret(config)
                    .map_err(|error| StartError::Open(error.into()))?;
                output::say("the configuration is good")
            }
            Self::Show => output::say(config.to_toml()?.trim_end()),
        }
    }
}
