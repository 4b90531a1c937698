//! `countersign audit`: what happened.

use clap::Args;

use super::{
    Failure,
    account::email,
    operator::{Operator, unexpected},
    output,
    remote::Through,
};
use crate::{
    config::Config,
    model::Email,
    session::operate::{Command, EVENTS_PER_PAGE, EventLine, Reply},
};

/// Show who did what, when, and from where, the newest first
///
/// Works beside a running server, and without one; with --server from anywhere, as an administrator.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign audit
  countersign audit --account ann@example.com --json")]
pub(super) struct Audit {
    #[command(flatten)]
    through: Through,
    /// Only what was done to this account, or by it
    #[arg(long, value_name = "EMAIL", value_parser = email)]
    account: Option<Email>,
    /// Show at most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
    /// Show a JSON array
    #[arg(long)]
    json: bool,
}

impl Audit {
    /// Does it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let mut operator = Operator::of(config, &self.through).await?;
        let events = self.events(&mut operator).await;
        let closed = operator.close().await;
        let events = events?;
        closed?;
        let head = ["WHEN", "WHAT", "BY", "FROM", "ACCOUNT", "ENDED"];
        output::list(&events, self.json, head, |event| {
            [
                output::time(event.at),
                event.event.clone(),
                event.by.clone(),
                event.from.map_or_else(String::new, |from| from.to_string()),
                event.account.map_or_else(String::new, |account| account.to_string()),
                if event.ended == 0 { String::new() } else { event.ended.to_string() },
            ]
        })
    }

    async fn events(&self, operator: &mut Operator<'_>) -> Result<Vec<EventLine>, Failure> {
        let mut all: Vec<EventLine> = Vec::new();
        let mut before = None;
        while all.len() < self.limit {
            let limit = (self.limit - all.len()).min(EVENTS_PER_PAGE);
            let account = self.account.clone();
            let command = Command::ListEvents { account, before, limit };
            let Reply::Events { events, next } = operator.run(command).await? else {
                return Err(unexpected());
            };
            all.extend(events);
            if next.is_none() {
                break;
            }
            before = next;
        }
        Ok(all)
    }
}
