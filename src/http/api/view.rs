//! What the API shows of an account and of a session.

use poem_openapi::{Enum, Object, types::Example};
use serde::{Deserialize, Serialize};

use super::text::{DateTime, EmailAddress, Text, Uuid};
use crate::{
    model::{AccountState, Email, Role, Session, SessionId, Timestamp, Transport},
    session::AccountSummary,
};

/// A session: one login on one device.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "Session", example)]
pub(super) struct SessionView {
    /// Names the session. Not a secret.
    pub(super) sid: Text<Uuid, SessionId>,
    /// The account's e-mail address.
    pub(super) email: Text<EmailAddress, Email>,
    /// Visits counted.
    pub(super) visits: u64,
    /// When the password was last shown for it: at the log-in, or since.
    pub(super) created_at: Text<DateTime, Timestamp>,
    /// When it was last used in a way that is recorded: log-in, visit or renewal.
    pub(super) last_seen_at: Text<DateTime, Timestamp>,
    /// When it ends whatever happens.
    pub(super) expires_at: Text<DateTime, Timestamp>,
    /// When it ends unless it is used.
    pub(super) idle_expires_at: Text<DateTime, Timestamp>,
    /// Whether it is the session of this request.
    pub(super) current: bool,
    /// What the device called itself at log-in.
    pub(super) user_agent: String,
}

/// A session and, for clients without a cookie jar, the token to send from now on.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "SessionWithToken", example)]
pub(super) struct SessionWithToken {
    /// The session.
    #[oai(flatten)]
    #[serde(flatten)]
    pub(super) session: SessionView,
    /// The token, with `transport: bearer` only: send it as `Authorization: Bearer TOKEN`. Each
    /// counted visit gives a newer one; older ones of a living session stay good until they expire.
    /// Where the session goes on under a new `sid`, no older one does.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
}

/// An account as its owner sees it.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "Account", example)]
pub(super) struct AccountView {
    /// Names the account for ever.
    pub(super) id: Text<Uuid>,
    /// The e-mail address, normalised.
    pub(super) email: Text<EmailAddress>,
    /// When it was made.
    pub(super) created_at: Text<DateTime>,
    /// Visits over all its sessions, ended ones included.
    pub(super) visits: u64,
}

/// How the session's token is to travel.
#[derive(Clone, Copy, Debug, Default, Enum, Deserialize, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum TokenTransport {
    /// In the session cookie.
    #[default]
    Cookie,
    /// In the answer's body, to be sent as `Authorization: Bearer`.
    Bearer,
}

/// Whether an account can log in.
#[derive(Clone, Copy, Debug, Enum, Deserialize, Serialize)]
#[oai(rename = "AccountState", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum AccountStateView {
    /// It can.
    Active,
    /// It cannot, and has no sessions.
    Disabled,
}

/// What an account may do.
#[derive(Clone, Copy, Debug, Enum, Serialize)]
#[oai(rename = "Role", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum RoleView {
    /// What concerns itself.
    Member,
    /// What is for administrators, too.
    Admin,
}

impl From<TokenTransport> for Transport {
    fn from(transport: TokenTransport) -> Self {
        match transport {
            TokenTransport::Cookie => Self::Cookie,
            TokenTransport::Bearer => Self::Bearer,
        }
    }
}

impl From<Transport> for TokenTransport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Cookie => Self::Cookie,
            Transport::Bearer => Self::Bearer,
        }
    }
}

impl From<AccountState> for AccountStateView {
    fn from(state: AccountState) -> Self {
        match state {
            AccountState::Active => Self::Active,
            AccountState::Disabled => Self::Disabled,
        }
    }
}

impl From<AccountStateView> for AccountState {
    fn from(state: AccountStateView) -> Self {
        match state {
            AccountStateView::Active => Self::Active,
            AccountStateView::Disabled => Self::Disabled,
        }
    }
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
        }
    }
}

/// How many sessions were ended.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub(super) struct Ended {
    /// The number of sessions that ended.
    pub(super) ended: u64,
}

impl SessionView {
    pub(super) fn of(session: &Session, email: &Email, current: SessionId) -> Self {
        Self {
            sid: Text::of(session.id),
            email: Text::of(email.clone()),
            visits: session.visits,
            created_at: Text::of(session.created_at),
            last_seen_at: Text::of(session.last_seen_at),
            expires_at: Text::of(session.expires_at),
            idle_expires_at: Text::of(session.idle_expires_at),
            current: session.id == current,
            user_agent: session.user_agent.clone(),
        }
    }
}

impl From<AccountSummary> for AccountView {
    fn from(summary: AccountSummary) -> Self {
        Self {
            id: Text::of(summary.account.id.to_string()),
            email: Text::of(summary.account.email.as_str()),
            created_at: Text::of(summary.account.created_at.to_string()),
            visits: summary.visits,
        }
    }
}

impl Example for SessionView {
    fn example() -> Self {
        Self {
            sid: Text::example("019ab2f0-5c1e-7d3a-9b7e-2f6c1a4d8e90"),
            email: Text::example("ann@example.com"),
            visits: 3,
            created_at: Text::example("2026-11-23T09:00:00Z"),
            last_seen_at: Text::example("2026-11-23T09:12:30Z"),
            expires_at: Text::example("2026-11-23T21:00:00Z"),
            idle_expires_at: Text::example("2026-11-23T09:42:30Z"),
            current: true,
            user_agent: "curl/8.10.1".into(),
        }
    }
}

impl Example for SessionWithToken {
    fn example() -> Self {
        Self {
            session: SessionView::example(),
            token: Some("eyJhbGciOiJFZERTQSJ9.eyJ2aXNpdHMiOjN9.c2lnbmF0dXJl".into()),
        }
    }
}

impl Example for Ended {
    fn example() -> Self {
        Self { ended: 2 }
    }
}

impl Example for AccountView {
    fn example() -> Self {
        Self {
            id: Text::of("019ab2ef-11aa-7c55-8a01-93d0b7a1c2f4"),
            email: Text::of("ann@example.com"),
            created_at: Text::of("2026-11-20T08:30:00Z"),
            visits: 42,
        }
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
        same(&SessionView::example());
        same(&AccountView::example());
        same(&SessionWithToken::example());
        same(&SessionWithToken { token: None, ..Example::example() });
    }
}
