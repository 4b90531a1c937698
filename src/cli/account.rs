//! `countersign account`: who can log in, and who may do what.

use clap::{Args, Subcommand, ValueEnum};

use super::{
    Failure, input,
    operator::{self, Operator, unexpected},
    output,
    remote::Through,
};
use crate::{
    config::Config,
    model::{self, Email, email::InvalidEmail},
    session::operate::{AccountLine, Command, Reply},
};

/// Make, find, lock and remove accounts, and say who is an administrator
///
/// Works beside a running server, and without one; with --server from anywhere, as an administrator.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign account add ann@example.com
  countersign account add ann@example.com < password.txt
  countersign account list --json
  countersign account disable ann@example.com    logs ann out everywhere, too
  countersign account role ann@example.com admin
  countersign account find ann --server https://login.example.com --as root@example.com")]
pub(super) struct Account {
    #[command(flatten)]
    through: Through,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make an account, also where registration is closed
    ///
    /// The password is asked for, or is the first line of standard input.
    Add(Whose),
    /// List all accounts, or those with a text in their e-mail address
    List {
        /// Those with this in their e-mail address
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        search: String,
        /// Show a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Find accounts by a part of their e-mail address
    Find {
        /// What is in the address; upper and lower case are one
        #[arg(value_name = "TEXT")]
        text: String,
        /// Show a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one account: its state and role, its visits and sessions
    Show {
        #[command(flatten)]
        whose: Whose,
        /// Show a JSON object
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
    /// Make somebody an administrator, or a member again
    ///
    /// A new administrator is logged out everywhere: no session from before has what the role may
    /// do. What is taken away is gone at the next request.
    Role {
        #[command(flatten)]
        whose: Whose,
        /// What the account may do from now on
        #[arg(value_name = "ROLE")]
        role: Role,
    },
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// What concerns itself
    Member,
    /// See all accounts and sessions, end and lock them
    Admin,
}

/// An e-mail address of the command line.
pub(super) fn email(text: &str) -> Result<Email, InvalidEmail> {
    Email::parse(text)
}

impl Account {
    /// Does it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let through = &self.through;
        match self.what {
            What::Add(Whose { email }) => {
                through.must_be_here("accounts are made")?;
                let password = input::new_password()?;
                let command = Command::AddAccount { email, password };
                match operator::run(config, through, command).await? {
                    Reply::Added { account } => {
                        output::say(&format!("added {} ({})", account.email, account.id))
                    }
                    _ => Err(unexpected()),
                }
            }
            What::List { search: text, json } | What::Find { text, json } => {
                list(config, through, text, json).await
            }
            What::Show { whose, json } => show(config, through, whose.email, json).await,
            What::Password(Whose { email }) => {
                through.must_be_here("passwords are set")?;
                let password = input::new_password()?;
                let said = format!("changed the password of {email}");
                ended(config, through, Command::SetPassword { email, password }, &said).await
            }
            What::Disable(Whose { email }) => {
                let said = format!("disabled {email}");
                ended(config, through, Command::DisableAccount { email }, &said).await
            }
            What::Enable(Whose { email }) => {
                let said = format!("enabled {email}");
                ended(config, through, Command::EnableAccount { email }, &said).await
            }
            What::Role { whose, role } => {
                through.must_be_here("roles are given")?;
                let email = whose.email;
                let (role, said) = match role {
                    Role::Member => (model::Role::Member, format!("{email} is a member")),
                    Role::Admin => (model::Role::Admin, format!("{email} is an administrator")),
                };
                ended(config, through, Command::SetRole { email, role }, &said).await
            }
            What::Remove { whose, yes } => {
                through.must_be_here("accounts are removed")?;
                let email = whose.email;
                input::confirm(&format!("Remove {email} and end all its sessions?"), yes)?;
                let said = format!("removed {email}");
                ended(config, through, Command::RemoveAccount { email }, &said).await
            }
        }
    }
}

/// Carries out a command that ends sessions and says what came of it.
pub(super) async fn ended(
    config: &Config,
    through: &Through,
    command: Command,
    said: &str,
) -> Result<(), Failure> {
    match operator::run(config, through, command).await? {
        Reply::Ended { ended: 0 } => output::say(said),
        Reply::Ended { ended: 1 } => output::say(&format!("{said}; 1 session ended")),
        Reply::Ended { ended } => output::say(&format!("{said}; {ended} sessions ended")),
        Reply::AllEnded => output::say(&format!("{said}; every session ended")),
        _ => Err(unexpected()),
    }
}

async fn list(config: &Config, through: &Through, text: String, json: bool) -> Result<(), Failure> {
    let mut operator = Operator::of(config, through).await?;
    let accounts = all(&mut operator, text).await;
    let closed = operator.close().await;
    let accounts = accounts?;
    closed?;
    let head = ["E-MAIL", "STATE", "ROLE", "CREATED", "ID"];
    output::list(&accounts, json, head, |account| {
        [
            account.email.to_string(),
            account.state.as_str().to_owned(),
            account.role.as_str().to_owned(),
            output::time(account.created_at),
            account.id.to_string(),
        ]
    })
}

async fn all(operator: &mut Operator<'_>, search: String) -> Result<Vec<AccountLine>, Failure> {
    let mut all: Vec<AccountLine> = Vec::new();
    let mut after = None;
    loop {
        let command = Command::ListAccounts { search: search.clone(), after };
        let Reply::Accounts { accounts, next } = operator.run(command).await? else {
            return Err(unexpected());
        };
        all.extend(accounts);
        if next.is_none() {
            return Ok(all);
        }
        after = next;
    }
}

async fn show(config: &Config, through: &Through, email: Email, json: bool) -> Result<(), Failure> {
    let Reply::Account { account: details } =
        operator::run(config, through, Command::ShowAccount { email }).await?
    else {
        return Err(unexpected());
    };
    let account = &details.account;
    let parts = [
        ("e-mail", account.email.to_string()),
        ("id", account.id.to_string()),
        ("state", account.state.as_str().to_owned()),
        ("role", account.role.as_str().to_owned()),
        ("created", output::time(account.created_at)),
        ("visits", details.visits.to_string()),
        ("sessions", details.sessions.to_string()),
    ];
    output::one(&details, json, &parts)
}
