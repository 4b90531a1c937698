//! What an export of an account looks like: every value that is kept about it but the password's
//! hash. A new field of [`Account`](crate::model::Account) or [`Session`] belongs in here.

use std::collections::BTreeMap;

use poem_openapi::{Object, types::Example};
use serde::Serialize;

use super::{
    text::{Date, DateTime, EmailAddress, Text, Uuid},
    view::{AccountStateView, RoleView, TokenTransport},
};
use crate::{
    model::{AuditEvent, Session, Timestamp, Variables, VisitDays},
    session::AccountExport,
};

/// Everything that is kept about an account.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "AccountExport", example)]
pub(super) struct ExportView {
    /// When it was put together.
    exported_at: Text<DateTime>,
    /// The account.
    account: ExportedAccount,
    /// Its living sessions, oldest first. Of those that are over only their visits are kept.
    sessions: Vec<ExportedSession>,
    /// What happened to the account: the latest first, at most a thousand.
    events: Vec<ExportedEvent>,
}

/// The account in an export.
#[derive(Debug, Object, Serialize)]
struct ExportedAccount {
    /// Names the account for ever.
    id: Text<Uuid>,
    /// The e-mail address, normalised.
    email: Text<EmailAddress>,
    /// Whether it can log in.
    state: AccountStateView,
    /// What it may do.
    role: RoleView,
    /// When it was made.
    created_at: Text<DateTime>,
    /// Visits over all its sessions, ended ones included.
    visits: u64,
    /// Those of the latest day with a visit and the 13 before it, by days of UTC, the earliest first.
    /// Days without visits are left out.
    visits_by_day: Vec<ExportedDay>,
    /// When a session was ended because its cookie had two holders, until that was told.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    copied_at: Option<Text<DateTime>>,
}

/// Visits of a day in an export.
#[derive(Debug, Object, Serialize)]
struct ExportedDay {
    /// The day.
    day: Text<Date>,
    /// Visits over all sessions.
    visits: u32,
}

/// A session in an export.
#[derive(Debug, Object, Serialize)]
struct ExportedSession {
    /// Names the session.
    sid: Text<Uuid>,
    /// When the password was last shown for it.
    created_at: Text<DateTime>,
    /// When it was last used in a way that is recorded.
    last_seen_at: Text<DateTime>,
    /// When it ends whatever happens.
    expires_at: Text<DateTime>,
    /// When it ends unless it is used.
    idle_expires_at: Text<DateTime>,
    /// Visits counted.
    visits: u64,
    /// Whether to stay logged in was asked for.
    remember: bool,
    /// How its tokens travel.
    transport: TokenTransport,
    /// What the device called itself at log-in.
    user_agent: String,
    /// When an earlier session was ended because its cookie had two holders, as told in this one.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    copied_at: Option<Text<DateTime>>,
    /// What an app that embeds the service keeps in it: names, and values as JSON texts.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<BTreeMap<String, String>>,
    /// The tokens that were shown for visits, as far as they are kept to tell copies.
    chain: ExportedChain,
}

/// What is kept of the tokens that a session showed.
#[derive(Debug, Object, Serialize)]
struct ExportedChain {
    /// The number of the latest.
    number: u64,
    /// When it came.
    at: Text<DateTime>,
    /// The number before the last rest.
    left: u64,
    /// When that was left.
    left_at: Text<DateTime>,
}

/// Something that happened, in an export.
#[derive(Debug, Object, Serialize)]
struct ExportedEvent {
    /// When.
    at: Text<DateTime>,
    /// What: its code.
    event: String,
    /// Who did it: an account's id, `command_line`, or `unknown`.
    by: String,
    /// The address it came from, but for an administrator's.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The account that it is about.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Text<Uuid>>,
    /// The session that it is about.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Text<Uuid>>,
    /// The id that the session had before, if it went on under a new one.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<Text<Uuid>>,
    /// How many sessions ended with it.
    ended: u64,
}

fn time(moment: Timestamp) -> Text<DateTime> {
    Text::of(moment.to_string())
}

impl From<AccountExport> for ExportView {
    fn from(export: AccountExport) -> Self {
        let AccountExport { exported_at, summary, days, sessions, events } = export;
        let account = summary.account;
        Self {
            exported_at: time(exported_at),
            account: ExportedAccount {
                id: Text::of(account.id.to_string()),
                email: Text::of(account.email.as_str()),
                state: account.state.into(),
                role: account.role.into(),
                created_at: time(account.created_at),
                visits: summary.visits,
                visits_by_day: by_day(&days),
                copied_at: account.copied_at.map(time),
            },
            sessions: sessions.into_iter().map(Into::into).collect(),
            events: events.into_iter().map(Into::into).collect(),
        }
    }
}

fn by_day(days: &VisitDays) -> Vec<ExportedDay> {
    let day = |(begin, visits): (Timestamp, u32)| ExportedDay {
        day: Text::of(begin.strftime("%F").to_string()),
        visits,
    };
    days.all().into_iter().filter(|(_, visits)| *visits > 0).map(day).collect()
}

impl From<(Session, Variables)> for ExportedSession {
    fn from((session, variables): (Session, Variables)) -> Self {
        let text = |value| String::from_utf8_lossy(value).into_owned();
        let variables: BTreeMap<_, _> =
            variables.iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
        Self {
            sid: Text::of(session.id.to_string()),
            created_at: time(session.created_at),
            last_seen_at: time(session.last_seen_at),
            expires_at: time(session.expires_at),
            idle_expires_at: time(session.idle_expires_at),
            visits: session.visits,
            remember: session.remember,
            transport: session.transport.into(),
            user_agent: session.user_agent,
            copied_at: session.copied_at.map(time),
            variables: Some(variables).filter(|variables| !variables.is_empty()),
            chain: ExportedChain {
                number: session.chain.number,
                at: time(session.chain.at),
                left: session.chain.left,
                left_at: time(session.chain.left_at),
            },
        }
    }
}

impl From<AuditEvent> for ExportedEvent {
    fn from(event: AuditEvent) -> Self {
        Self {
            at: time(event.at),
            event: event.what.code().into(),
            by: event.by.actor.to_string(),
            from: event.by.from.map(|from| from.to_string()),
            account: event.account.map(|id| Text::of(id.to_string())),
            sid: event.session.map(|id| Text::of(id.to_string())),
            replaced: event.replaced.map(|id| Text::of(id.to_string())),
            ended: event.ended,
        }
    }
}

impl Example for ExportView {
    fn example() -> Self {
        let at = |text: &str| Text::of(text);
        Self {
            exported_at: at("2026-11-23T09:15:00Z"),
            account: ExportedAccount {
                id: Text::of("019ab2ef-11aa-7c55-8a01-93d0b7a1c2f4"),
                email: Text::of("ann@example.com"),
                state: AccountStateView::Active,
                role: RoleView::Member,
                created_at: at("2026-11-20T08:30:00Z"),
                visits: 42,
                visits_by_day: vec![
                    ExportedDay { day: Text::of("2026-11-20"), visits: 39 },
                    ExportedDay { day: Text::of("2026-11-23"), visits: 3 },
                ],
                copied_at: None,
            },
            sessions: vec![ExportedSession {
                sid: Text::of("019ab2f0-5c1e-7d3a-9b7e-2f6c1a4d8e90"),
                created_at: at("2026-11-23T09:00:00Z"),
                last_seen_at: at("2026-11-23T09:12:30Z"),
                expires_at: at("2026-11-23T21:00:00Z"),
                idle_expires_at: at("2026-11-23T09:42:30Z"),
                visits: 3,
                remember: false,
                transport: TokenTransport::Cookie,
                user_agent: "curl/8.10.1".into(),
                copied_at: None,
                variables: Some([("theme".into(), "\"dark\"".into())].into()),
                chain: ExportedChain {
                    number: 2,
                    at: at("2026-11-23T09:12:30Z"),
                    left: 0,
                    left_at: at("2026-11-23T09:05:00Z"),
                },
            }],
            events: vec![ExportedEvent {
                at: at("2026-11-23T09:00:00Z"),
                event: "log_in".into(),
                by: "019ab2ef-11aa-7c55-8a01-93d0b7a1c2f4".into(),
                from: Some("192.0.2.7".into()),
                account: Some(Text::of("019ab2ef-11aa-7c55-8a01-93d0b7a1c2f4")),
                sid: Some(Text::of("019ab2f0-5c1e-7d3a-9b7e-2f6c1a4d8e90")),
                replaced: None,
                ended: 0,
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;

    #[test]
    fn what_is_written_is_what_the_document_says() {
        let mut export = ExportView::example();
        assert_eq!(serde_json::to_value(&export).ok(), export.to_json());
        export.account.copied_at = Some(Text::of("2026-11-20T08:30:00Z"));
        export.sessions[0].copied_at = Some(Text::of("2026-11-20T08:30:00Z"));
        assert_eq!(serde_json::to_value(&export).ok(), export.to_json());
    }
}
