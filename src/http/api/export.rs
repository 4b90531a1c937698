//! What an export of an account looks like: every value that is kept about it but the password's
//! hash. A new field of [`Account`](crate::model::Account) or [`Session`] belongs in here.

use poem_openapi::{Object, types::Example};
use serde::Serialize;

use super::text::{DateTime, EmailAddress, Text, Uuid};
use crate::{
    model::{Session, Timestamp, Transport},
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
}

/// The account in an export.
#[derive(Debug, Object, Serialize)]
struct ExportedAccount {
    /// Names the account for ever.
    id: Text<Uuid>,
    /// The e-mail address, normalised.
    email: Text<EmailAddress>,
    /// Whether it can log in: `active` or `disabled`.
    state: String,
    /// What it may do: `member` or `admin`.
    role: String,
    /// When it was made.
    created_at: Text<DateTime>,
    /// Visits over all its sessions, ended ones included.
    visits: u64,
    /// When a session was ended because its cookie had two holders, until that was told.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    copied_at: Option<Text<DateTime>>,
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
    /// How its tokens travel: `cookie` or `bearer`.
    transport: String,
    /// What the device called itself at log-in.
    user_agent: String,
    /// When an earlier session was ended because its cookie had two holders, as told in this one.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    copied_at: Option<Text<DateTime>>,
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

fn time(moment: Timestamp) -> Text<DateTime> {
    Text::of(moment.to_string())
}

impl From<AccountExport> for ExportView {
    fn from(export: AccountExport) -> Self {
        let AccountExport { exported_at, summary, sessions } = export;
        let account = summary.account;
        Self {
            exported_at: time(exported_at),
            account: ExportedAccount {
                id: Text::of(account.id.to_string()),
                email: Text::of(account.email.as_str()),
                state: account.state.as_str().into(),
                role: account.role.as_str().into(),
                created_at: time(account.created_at),
                visits: summary.visits,
                copied_at: account.copied_at.map(time),
            },
            sessions: sessions.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Session> for ExportedSession {
    fn from(session: Session) -> Self {
        Self {
            sid: Text::of(session.id.to_string()),
            created_at: time(session.created_at),
            last_seen_at: time(session.last_seen_at),
            expires_at: time(session.expires_at),
            idle_expires_at: time(session.idle_expires_at),
            visits: session.visits,
            remember: session.remember,
            transport: match session.transport {
                Transport::Cookie => "cookie".into(),
                Transport::Bearer => "bearer".into(),
            },
            user_agent: session.user_agent,
            copied_at: session.copied_at.map(time),
            chain: ExportedChain {
                number: session.chain.number,
                at: time(session.chain.at),
                left: session.chain.left,
                left_at: time(session.chain.left_at),
            },
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
                state: "active".into(),
                role: "member".into(),
                created_at: at("2026-11-20T08:30:00Z"),
                visits: 42,
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
                transport: "cookie".into(),
                user_agent: "curl/8.10.1".into(),
                copied_at: None,
                chain: ExportedChain {
                    number: 2,
                    at: at("2026-11-23T09:12:30Z"),
                    left: 0,
                    left_at: at("2026-11-23T09:05:00Z"),
                },
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
