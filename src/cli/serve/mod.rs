//! `countersign serve`: a configuration becomes a running server. What it serves, [`service`](crate::service) puts
//! together.
//!
//! | file | what it holds |
//! |---|---|
//! | `server` | addresses, routes, and the order of stopping |
//! | `connections` | accepting them, answering on them, ending them |
//! | `patience` | how long a connection may be silent |
//! | `signals` | when to stop |
//!
//! Tests call [`start`] with a clock of their own and a store that fails on demand.

mod connections;
mod patience;
mod server;
mod signals;

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use clap::Args;
use tracing::{debug, warn};

pub use self::server::{Server, StartError, StopError, start};
use super::{Failure, Global, output};
use crate::{
    config::{Address, Config, LogFormat, Overrides, PublicUrl, StoreUrl},
    http,
    model::clock::SystemClock,
    telemetry::{self, Format},
};

/// Serve, until SIGTERM or ctrl-c
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:
  countersign serve
  countersign serve --listen 127.0.0.1:0                 pick a free port and print it
  countersign serve --public-url https://login.example.com --data-dir /var/lib/countersign

Everything else is set in countersign.toml or by COUNTERSIGN_* variables:
`countersign config show` prints every key.")]
pub(super) struct Serve {
    /// Address and port to listen on; port 0 picks a free one [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<Address>,
    /// Where browsers find the service
    #[arg(
        long,
        value_name = "URL",
        help = "Where browsers find the service [default: http://localhost:3000]"
    )]
    public_url: Option<PublicUrl>,
    /// Where accounts and sessions are kept: sled, or redis://... [default: sled]
    ///
    /// A password in it is seen by everybody who sees this machine's processes: better set the
    /// variable `COUNTERSIGN_STORE__URL`, or write it into the configuration file.
    #[arg(long, value_name = "URL")]
    store: Option<StoreUrl>,
    /// Address and port of the admin interface [default: 127.0.0.1:3001]
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Option<Address>,
}

impl Serve {
    /// Serves until it is told to stop.
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load_with(Overrides {
            listen: self.listen,
            public_url: self.public_url,
            store_url: self.store,
            admin_listen: self.admin_listen,
            data_dir: None,
        })?;
        telemetry::install(log_format(&config), &config.log.filter, http::describe_request)
            .map_err(|error| Failure::System("log", error.to_string()))?;
        let stop = signals::stop()
            .map_err(|error| Failure::System("listen for signals", error.to_string()))?;
        for warning in config.warnings() {
            warn!(event = "configuration", "{warning}");
        }
        let server = start(&config, Arc::new(SystemClock), |store| store).await?;
        // A program that reads the first line and closes its end of the pipe has seen what it needs.
        if let Err(error) = announce(&config, &server) {
            debug!(event = "started", %error, "nobody reads standard output");
        }
        Ok(server.run(stop).await?)
    }
}

/// The first line names the bound address, for programs; the rest says where to click.
fn announce(config: &Config, server: &Server) -> Result<(), Failure> {
    let url = server.url();
    let home =
        if config.listen.0.port() == 0 { url.clone() } else { config.public_url.to_string() };
    let admin = server.admin_url();
    // In one piece: who has read the first line finds the others there, too.
    output::say(&format!(
        "listening on {url}\n  home page  {home}/\n  API        {home}/docs\n  metrics    {admin}/metrics\n  \
         dashboard  `countersign dashboard` prints a link"
    ))
}

fn log_format(config: &Config) -> Format {
    let terminal = io::stderr().is_terminal();
    match config.log.format {
        LogFormat::Auto if !terminal => Format::Json,
        LogFormat::Auto | LogFormat::Text => Format::Text { colours: terminal },
        LogFormat::Json => Format::Json,
    }
}
