//! `countersign account`: who can log in.

use clap::{Args, Subcommand};

use super::{
    Failure, input,
    operator::{self, Operator, unexpected},
    output,
};
use crate::{
    config::Config,
    model::{AccountState, Email, email::InvalidEmail},
    session::operate::{ACCOUNTS_PER_PAGE, AccountLine, Command, Reply},
};

/// Make, list, lock and remove accounts
///
/// Works beside a running server, and without one.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  countersign account add ann@example.com
  countersign account add ann@example.com < password.txt
  countersign account list --json
  countersign account disable ann@example.com    logs ann out everywhere, too")]
pub(super) enum Account {
    /// Make an account, also where registration is closed
    ///
    /// The password is asked for, or is the first line of standard input.
    Add(Whose),
    /// List all accounts
    List {
        /// Show a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Set an account's password and end all its sessions
    ///
    /// The password is asked for, or is the first line of standard input.
    Password(Whose),
    /// Lock an account and end all its sessions
    Disable(Whose),
    /// Unlock an account; no session comes back
    Enable(Whose),
    /// Remove an account and end all its sessions
    Remove {
        #[command(flatten)]
        whose: Whose,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// The account that is meant.
#[derive(Debug, Args)]
pub(super) struct Whose {
    /// The account's e-mail address
    #[arg(value_name = "EMAIL", value_parser = email)]
    pub(super) email: Email,
}

/// An e-mail address of the command line.
pub(super) fn email(text: &str) -> Result<Email, InvalidEmail> {
    Email::parse(text)
}

impl Account {
    /// Does it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        match self {
            Self::Add(Whose { email }) => {
                let password = input::new_password()?;
                match operator::run(config, Command::AddAccount { email, password }).await? {
                    Reply::Added { account } => {
                        output::say(&format!("added {} ({})", account.email, account.id))
                    }
                    _ => Err(unexpected()),
                }
            }
            Self::List { json } => list(config, json).await,
            Self::Password(Whose { email }) => {
                let password = input::new_password()?;
                let said = format!("changed the password of {email}");
                ended(config, Command::SetPassword { email, password }, &said).await
            }
            Self::Disable(Whose { email }) => {
                let said = format!("disabled {email}");
                ended(config, Command::DisableAccount { email }, &said).await
            }
            Self::Enable(Whose { email }) => {
                let said = format!("enabled {email}");
                ended(config, Command::EnableAccount { email }, &said).await
            }
            Self::Remove { whose, yes } => {
                let email = whose.email;
                input::confirm(&format!("Remove {email} and end all its sessions?"), yes)?;
                let said = format!("removed {email}");
                ended(config, Command::RemoveAccount { email }, &said).await
            }
        }
    }
}

/// Carries out a command that ends sessions and says what came of it.
pub(super) async fn ended(config: &Config, command: Command, said: &str) -> Result<(), Failure> {
    match operator::run(config, command).await? {
        Reply::Ended { ended: 0 } => output::say(said),
        Reply::Ended { ended: 1 } => output::say(&format!("{said}; 1 session ended")),
        Reply::Ended { ended } => output::say(&format!("{said}; {ended} sessions ended")),
        Reply::AllEnded => output::say(&format!("{said}; every session ended")),
        _ => Err(unexpected()),
    }
}

async fn list(config: &Config, json: bool) -> Result<(), Failure> {
    let mut operator = Operator::of(config)?;
    let accounts = all(&mut operator).await;
    operator.close().await?;
    output::list(&accounts?, json, ["E-MAIL", "STATE", "CREATED", "ID"], |account| {
        let state = match account.state {
            AccountState::Active => "active",
            AccountState::Disabled => "disabled",
        };
        [
            account.email.to_string(),
            state.to_owned(),
            output::time(account.created_at),
            account.id.to_string(),
        ]
    })
}

async fn all(operator: &mut Operator<'_>) -> Result<Vec<AccountLine>, Failure> {
    let mut all: Vec<AccountLine> = Vec::new();
    loop {
        let after = all.last().map(|account| account.email.clone());
        let Reply::Accounts { accounts } = operator.run(Command::ListAccounts { after }).await?
        else {
            return Err(unexpected());
        };
        let is_last = accounts.len() < ACCOUNTS_PER_PAGE;
        all.extend(accounts);
        if is_last {
            return Ok(all);
        }
    }
}
