//! The command line: one file per subcommand, and `serve`, where everything is put together.
//!
//! | file | what it holds |
//! |---|---|
//! | `serve/` | the composition root: [`serve::start`] builds a server from a configuration |
//! | `account`, `session` | what an operator does to accounts and their sessions |
//! | `audit` | what happened |
//! | `dashboard` | lets a browser into the running server's dashboard |
//! | `backup`, `restore` | accounts and sessions into a file, and back |
//! | `keys`, `openapi`, `config` | what can be shown without a server |
//! | `completions` | the command line itself, for shells and for `man` |
//! | `operator` | carries a command out: by the running server, in the store itself, or by `remote` |
//! | `remote` | by another machine's server, through its API, as an administrator |
//! | `admin_file` | how the command line finds the running server |
//! | `input`, `output`, `progress` | passwords, confirmations, tables, a bar |
//! | `failure` | what goes wrong, in one line |
//!
//! A new subcommand is a file here and a variant of [`Command`]. Exit codes: 0 done, 1 failed with
//! one line on standard error, 2 not understood.

mod account;
mod admin_file;
mod audit;
mod backup;
mod completions;
mod config;
mod dashboard;
mod failure;
mod input;
mod keys;
mod openapi;
mod operator;
mod output;
mod progress;
mod remote;
mod restore;
pub mod serve;
mod session;

use std::path::PathBuf;

use clap::{
    Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};

pub use self::failure::Failure;
use crate::config::{Config, ConfigError, Overrides, Sources};

/// Countersign: logs people in, counts their visits, and can take any of it back at once.
///
/// Without a command, it serves.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    after_help = "Examples:
  countersign                                 serve on http://localhost:3000
  countersign account add ann@example.com     make an account (asks for the password)
  countersign session revoke ann@example.com  log ann out everywhere
  countersign config show                     every key of the configuration, as it is now"
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Flags that every command takes.
#[derive(Debug, clap::Args)]
struct Global {
    /// Configuration file [default: countersign.toml in the working directory, if there is one]
    #[arg(long, value_name = "FILE", global = true, env = "COUNTERSIGN_CONFIG")]
    config: Option<PathBuf>,
    /// Directory of the store, the keys and admin.json [default: data]
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Account(account::Account),
    Session(session::Session),
    Audit(audit::Audit),
    Dashboard(dashboard::Dashboard),
    #[command(subcommand)]
    Keys(keys::Keys),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Openapi(openapi::Openapi),
    #[command(subcommand)]
    Config(config::Config),
    Completions(completions::Completions),
    Man(completions::Man),
}

impl Cli {
    /// Reads the arguments of this process. Help, and what is not understood, ends it here.
    ///
    /// A word that has no place here is not repeated: it may be a password that somebody typed where
    /// it does not belong, and what a command writes is kept by whoever runs it. Nor is a URL: it may
    /// have one in it.
    #[must_use]
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|mut error| {
            let word = error.get(ContextKind::InvalidArg).map(ToString::to_string);
            let is_flag = word.is_some_and(|word| word.starts_with('-'));
            if error.kind() == ErrorKind::UnknownArgument && !is_flag {
                error.remove(ContextKind::InvalidArg);
            }
            let value = error.get(ContextKind::InvalidValue).map(ToString::to_string);
            if value.is_some_and(|value| value.contains("://")) {
                let hidden = ContextValue::String("...".to_owned());
                error.insert(ContextKind::InvalidValue, hidden);
            }
            error.exit()
        })
    }

    /// Does what the command line asks for.
    ///
    /// # Errors
    /// [`Failure`]: one line for the person who typed it.
    pub async fn run(self) -> Result<(), Failure> {
        let global = self.global;
        match self.command {
            None => serve::Serve::default().run(&global).await,
            Some(Command::Serve(command)) => command.run(&global).await,
            Some(Command::Account(command)) => command.run(&global.load()?).await,
            Some(Command::Session(command)) => command.run(&global.load()?).await,
            Some(Command::Audit(command)) => command.run(&global.load()?).await,
            Some(Command::Dashboard(command)) => command.run(&global.load()?).await,
            Some(Command::Keys(command)) => command.run(&global.load()?).await,
            Some(Command::Backup(command)) => command.run(&global.load()?).await,
            Some(Command::Restore(command)) => command.run(&global.load()?).await,
            Some(Command::Openapi(command)) => command.run(),
            Some(Command::Config(command)) => command.run(&global.load()?),
            Some(Command::Completions(command)) => command.run(),
            Some(Command::Man(command)) => command.run(),
        }
    }
}

impl Global {
    /// The configuration that holds for a command without flags of its own.
    fn load(&self) -> Result<Config, ConfigError> {
        self.load_with(Overrides::default())
    }

    fn load_with(&self, flags: Overrides) -> Result<Config, ConfigError> {
        let sources = Sources {
            file: self.config.clone(),
            environment: std::env::vars_os().collect(),
            flags: Overrides { data_dir: self.data_dir.clone(), ..flags },
        };
        sources.load()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_come_before_or_behind_the_command() {
        for line in [
            ["countersign", "--data-dir", "x", "serve"],
            ["countersign", "serve", "--data-dir", "x"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.global.data_dir, Some("x".into()));
        }
    }

    #[test]
    fn no_command_takes_a_password() {
        fn all(command: &clap::Command, found: &mut Vec<String>) {
            let names = command.get_arguments().map(|arg| arg.get_id().to_string());
            found.extend(names);
            for sub in command.get_subcommands() {
                all(sub, found);
            }
        }
        let mut names = Vec::new();
        all(&Cli::command(), &mut names);
        assert!(names.contains(&"email".to_owned()), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("password")), "{names:?}");
    }
}
