//! `countersign completions` and `countersign man`: the command line described for a shell and for
//! `man`, from the same definitions that parse it.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Failure, output};

/// Print what a shell needs to complete commands and flags
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign completions bash > /etc/bash_completion.d/countersign
  countersign completions fish > ~/.config/fish/completions/countersign.fish")]
pub(super) struct Completions {
    /// Which shell
    shell: Shell,
}

/// Write a manual page for every command into a directory
#[derive(Debug, Args)]
#[command(after_help = "Example:
  countersign man /usr/local/share/man/man1 && man countersign-serve")]
pub(super) struct Man {
    /// An existing directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Completions {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "countersign", &mut script);
        output::say(String::from_utf8_lossy(&script).trim_end())
    }
}

impl Man {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        clap_mangen::generate_to(Cli::command(), &self.dir).map_err(|error| {
            Failure::Input(format!("cannot write into {}: {error}", self.dir.display()))
        })
    }
}
