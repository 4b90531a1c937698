//! What administrators are shown of accounts and sessions. No hash, no token.

use poem_openapi::{Object, types::Example};
use serde::Serialize;

use crate::{
    http::api::{
        text::{DateTime, EmailAddress, Text, Uuid},
        view::{AccountStateView, RoleView, TokenTransport},
    },
    model::{Account, AuditEvent, Session, SessionId},
    session::AccountDetails,
    store::{self, AuditPage},
};

/// An account in a list.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub(super) struct ListedAccount {
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
}

/// What a search found.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub(super) struct FoundAccounts {
    /// In the order of their e-mail addresses; perhaps none, though more will come.
    accounts: Vec<ListedAccount>,
    /// Ask again with this as `after`; not there when the search has come to its end.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One account in full.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "AccountDetails", example)]
pub(super) struct DetailsView {
    /// As in a list.
    #[oai(flatten)]
    #[serde(flatten)]
    account: ListedAccount,
    /// Visits over all its sessions, ended ones included.
    visits: u64,
    /// How many living sessions it has.
    sessions: u64,
}

/// A session of somebody.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub(super) struct ListedSession {
    /// Names the session. Not a secret.
    sid: Text<Uuid>,
    /// Visits counted.
    visits: u64,
    /// When the password was last shown for it: at the log-in, or since.
    created_at: Text<DateTime>,
    /// When it was last used in a way that is recorded: log-in, visit or renewal.
    last_seen_at: Text<DateTime>,
    /// When it ends whatever happens.
    expires_at: Text<DateTime>,
    /// When it ends unless it is used.
    idle_expires_at: Text<DateTime>,
    /// How its tokens travel.
    transport: TokenTransport,
    /// Whether it is the session of this request.
    current: bool,
    /// What the device called itself at log-in.
    user_agent: String,
}

/// Something that happened.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub(super) struct ListedEvent {
    /// When.
    at: Text<DateTime>,
    /// What: its stable code.
    event: String,
    /// Who did it: an account's id, `command_line`, or `unknown`.
    by: String,
    /// The address that it came from; not there for the command line.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The account that it is about, if it is about one that is known.
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

/// Some audit events.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub(super) struct ListedEvents {
    /// The newest first; perhaps none, though there are more.
    events: Vec<ListedEvent>,
    /// Ask again with this as `before`; not there when there are no more.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl From<AuditEvent> for ListedEvent {
    fn from(event: AuditEvent) -> Self {
        Self {
            at: Text::of(event.at.to_string()),
            event: event.what.code().into(),
            by: event.by.actor.to_string(),
            from: event.by.from.map(|from| from.to_string()),
            account: event.account.map(|account| Text::of(account.to_string())),
            sid: event.session.map(|session| Text::of(session.to_string())),
            replaced: event.replaced.map(|session| Text::of(session.to_string())),
            ended: event.ended,
        }
    }
}

impl From<AuditPage> for ListedEvents {
    fn from(page: AuditPage) -> Self {
        Self {
            events: page.events.into_iter().map(Into::into).collect(),
            next: page.next.map(|next| next.to_string()),
        }
    }
}

impl From<&Account> for ListedAccount {
    fn from(account: &Account) -> Self {
        Self {
            id: Text::of(account.id.to_string()),
            email: Text::of(account.email.as_str()),
            state: account.state.into(),
            role: account.role.into(),
            created_at: Text::of(account.created_at.to_string()),
        }
    }
}

impl From<store::FoundAccounts> for FoundAccounts {
    fn from(found: store::FoundAccounts) -> Self {
        Self {
            accounts: found.accounts.iter().map(Into::into).collect(),
            next: found.next.map(|next| next.to_string()),
        }
    }
}

impl From<AccountDetails> for DetailsView {
    fn from(details: AccountDetails) -> Self {
        Self {
            account: (&details.summary.account).into(),
            visits: details.summary.visits,
            sessions: details.sessions,
        }
    }
}

impl ListedSession {
    pub(super) fn of(session: &Session, current: SessionId) -> Self {
        Self {
            sid: Text::of(session.id.to_string()),
            visits: session.visits,
            created_at: Text::of(session.created_at.to_string()),
            last_seen_at: Text::of(session.last_seen_at.to_string()),
            expires_at: Text::of(session.expires_at.to_string()),
            idle_expires_at: Text::of(session.idle_expires_at.to_string()),
            transport: session.transport.into(),
            current: session.id == current,
            user_agent: session.user_agent.clone(),
        }
    }
}

impl Example for ListedAccount {
    fn example() -> Self {
        Self {
            id: Text::of("019ab2ef-11aa-7c55-8a01-93d0b7a1c2f4"),
            email: Text::of("ann@example.com"),
            state: AccountStateView::Active,
            role: RoleView::Member,
            created_at: Text::of("2026-11-20T08:30:00Z"),
        }
    }
}

impl Example for FoundAccounts {
    fn example() -> Self {
        Self { accounts: vec![Example::example()], next: Some("ann@example.com".into()) }
    }
}

impl Example for DetailsView {
    fn example() -> Self {
        Self { account: Example::example(), visits: 42, sessions: 2 }
    }
}

impl Example for ListedSession {
    fn example() -> Self {
        Self {
            sid: Text::of("019ab2f0-5c1e-7d3a-9b7e-2f6c1a4d8e90"),
            visits: 3,
            created_at: Text::of("2026-11-23T09:00:00Z"),
            last_seen_at: Text::of("2026-11-23T09:12:30Z"),
            expires_at: Text::of("2026-11-23T21:00:00Z"),
            idle_expires_at: Text::of("2026-11-23T09:42:30Z"),
            transport: TokenTransport::Cookie,
            current: false,
            user_agent: "curl/8.10.1".into(),
        }
    }
}

impl Example for ListedEvent {
    fn example() -> Self {
        Self {
            at: Text::of("2026-11-23T09:20:00Z"),
            event: "account_disabled".into(),
            by: "019ab2ee-7b3c-7aa0-8f5d-6c1e2d3f4a5b".into(),
            from: Some("192.0.2.7".into()),
            account: Some(Text::of("019ab2ef-11aa-7c55-8a01-93d0b7a1c2f4")),
            sid: None,
            replaced: None,
            ended: 2,
        }
    }
}

impl Example for ListedEvents {
    fn example() -> Self {
        Self { events: vec![Example::example()], next: Some("4711-12".into()) }
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;

    #[test]
    fn what_is_written_is_what_the_document_says() {
        fn same<T: ToJSON + Serialize>(view: &T) {
            assert_eq!(serde_json::to_value(view).ok(), view.to_json());
        }
        same(&FoundAccounts::example());
        same(&FoundAccounts { next: None, ..Example::example() });
        same(&DetailsView::example());
        same(&ListedSession::example());
        same(&ListedEvents::example());
        let sid = Some(Text::of("019ab2f0-5c1e-7d3a-9b7e-2f6c1a4d8e90"));
        let opened = ListedEvent { sid: sid.clone(), replaced: sid, ..Example::example() };
        same(&ListedEvents { events: vec![opened], next: None });
        same(&[AccountStateView::Active, AccountStateView::Disabled].to_vec());
        same(&[RoleView::Member, RoleView::Admin].to_vec());
        same(&[TokenTransport::Cookie, TokenTransport::Bearer].to_vec());
    }
}
