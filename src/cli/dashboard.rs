//! `countersign dashboard`: a link that lets a browser into the running server's dashboard.

use clap::Args;

use super::{Failure, operator, output};
use crate::config::Config;

/// Print a link that opens the running server's dashboard
///
/// The link opens it once, within two minutes; the browser then stays in for eight hours, or until
/// the server stops.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign dashboard
  ssh -t -L 3001:127.0.0.1:3001 login.example.com countersign dashboard

The link is for a browser on the server's machine, or at the end of a tunnel to its admin address, as
in the second example. No browser is started: its arguments, and the code with them, could be read by
everybody on the machine.")]
pub(super) struct Dashboard {}

impl Dashboard {
    /// Does it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        output::say(&operator::dashboard_link(config).await?)
    }
}
