//! `countersign session`: who is logged in.

use clap::{Args, Subcommand};

use super::{
    Failure,
    account::{Whose, email, ended},
    input,
    operator::{self, unexpected},
    output,
    remote::Through,
};
use crate::{
    config::Config,
    model::{Email, SessionId, Transport},
    session::operate::{Command, Reply},
};

/// List and end sessions
///
/// Works beside a running server, and without one; with --server from anywhere, as an administrator.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign session list ann@example.com
  countersign session revoke ann@example.com     every session of ann
  countersign session revoke --all-accounts      every session of everybody")]
pub(super) struct Session {
    #[command(flatten)]
    through: Through,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List an account's living sessions, oldest first
    List {
        #[command(flatten)]
        whose: Whose,
        /// Show a JSON array
        #[arg(long)]
        json: bool,
    },
    /// End one session of an account, all of them, or all of all accounts
    Revoke {
        /// The account's e-mail address
        #[arg(value_name = "EMAIL", value_parser = email, required_unless_present = "all_accounts")]
        email: Option<Email>,
        /// The session's id; without it, all sessions of the account
        #[arg(value_name = "SESSION")]
        session: Option<SessionId>,
        /// End every session of every account
        #[arg(long, conflicts_with_all = ["email", "session"])]
        all_accounts: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl Session {
    /// Does it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let through = &self.through;
        match self.what {
            What::List { whose, json } => list(config, through, whose.email, json).await,
            What::Revoke { email: Some(email), session: Some(session), .. } => {
                let said = format!("revoked {session}");
                ended(config, through, Command::RevokeSession { email, session }, &said).await
            }
            What::Revoke { email: Some(email), yes, .. } => {
                input::confirm(&format!("End all sessions of {email}?"), yes)?;
                let said = format!("revoked the sessions of {email}");
                ended(config, through, Command::RevokeSessions { email }, &said).await
            }
            What::Revoke { yes, .. } => {
                input::confirm("End every session of every account?", yes)?;
                ended(config, through, Command::RevokeAll, "revoked all accounts' sessions").await
            }
        }
    }
}

async fn list(config: &Config, through: &Through, email: Email, json: bool) -> Result<(), Failure> {
    let Reply::Sessions { sessions } =
        operator::run(config, through, Command::ListSessions { email }).await?
    else {
        return Err(unexpected());
    };
    output::list(
        &sessions,
        json,
        ["SESSION", "VISITS", "CREATED", "LAST SEEN", "EXPIRES", "BY", "DEVICE"],
        |session| {
            let by = match session.transport {
                Transport::Cookie => "cookie",
                Transport::Bearer => "bearer",
            };
            [
                session.id.to_string(),
                session.visits.to_string(),
                output::time(session.created_at),
                output::time(session.last_seen_at),
                output::time(session.expires_at),
                by.to_owned(),
                session.user_agent.clone(),
            ]
        },
    )
}
