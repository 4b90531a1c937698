//! Audit events as the pages list them: with words for codes and addresses for ids.

use std::collections::{HashMap, HashSet};

use super::{Dashboard, words::At};
use crate::{
    model::{AccountId, AuditKind, Email},
    session::{
        Error,
        operate::{Command, EventLine, Reply},
    },
};

/// An audit event.
pub(super) struct Line {
    pub(super) at: At,
    /// Its code, as the log and the command line call it.
    pub(super) code: String,
    /// What happened.
    pub(super) what: String,
    pub(super) whom: Option<Whom>,
    pub(super) by: String,
}

/// Whom it is about.
pub(super) enum Whom {
    /// Somebody who has an account.
    Person(Email),
    /// An account that is gone.
    Gone(AccountId),
}

/// The latest events: of all, or those about this account and done by it.
pub(super) async fn list(
    dashboard: &Dashboard,
    account: Option<Email>,
    limit: usize,
) -> Result<Vec<Line>, Error> {
    let command = Command::ListEvents { account, before: None, limit };
    let Reply::Events { events, .. } = dashboard.operate(command).await? else {
        return Ok(Vec::new());
    };
    let mut people = HashMap::new();
    for id in mentioned(&events) {
        people.insert(id, dashboard.sessions.email_of_account(id).await?);
    }
    Ok(events.into_iter().map(|event| line(event, &people)).collect())
}

/// The accounts that did something, or that something was done to.
fn mentioned(events: &[EventLine]) -> HashSet<AccountId> {
    let of_event = |event: &EventLine| [event.account, event.by.parse().ok()];
    events.iter().flat_map(of_event).flatten().collect()
}

/// Whether it is the end of one session, and says so itself.
fn is_one_end(kind: AuditKind) -> bool {
    use AuditKind::{CopyFound, LoggedOut, SessionEnded, SessionReplaced};
    matches!(kind, CopyFound | LoggedOut | SessionEnded | SessionReplaced)
}

fn line(event: EventLine, people: &HashMap<AccountId, Option<Email>>) -> Line {
    let email = |id: &AccountId| people.get(id).cloned().flatten();
    let doer = event.by.parse::<AccountId>().ok();
    let by = match doer {
        Some(id) if event.account == Some(id) => "the person".to_owned(),
        Some(id) => email(&id).map_or_else(|| id.to_string(), |email| email.to_string()),
        None if event.by == "command_line" => "the operator".to_owned(),
        None => "somebody unknown".to_owned(),
    };
    let by = event.from.map_or_else(|| by.clone(), |from| format!("{by}, from {from}"));
    let kind = AuditKind::of_code(&event.event);
    let mut what = kind.map_or_else(|| event.event.clone(), |kind| kind.sentence().to_owned());
    if let Some(first) = what.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    if event.ended > 0 && !kind.is_some_and(is_one_end) {
        what = format!("{what}; {} ended", super::words::many(event.ended, "session"));
    }
    let whom = event.account.map(|id| email(&id).map_or(Whom::Gone(id), Whom::Person));
    Line { at: At(event.at), code: event.event, what, whom, by }
}
