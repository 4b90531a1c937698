//! What the API shows of an account and of a session.

use poem_openapi::{Object, types::Example};

use crate::{
    model::{Email, Session, SessionId, Timestamp},
    session::{AccountSummary, Issued},
};

/// A session: one login on one device.
#[derive(Clone, Debug, Object)]
#[oai(rename = "Session", example)]
pub(super) struct SessionView {
    /// Names the session. Not a secret.
    #[oai(validator(pattern = "^[0-9a-f-]{36}$"))]
    pub(super) sid: String,
    /// The account's e-mail address.
    pub(super) email: String,
    /// Visits counted.
    pub(super) visits: u64,
    /// When the log-in was.
    pub(super) created_at: String,
    /// When it was last used in a way that is recorded: log-in, visit or renewal.
    pub(super) last_seen_at: String,
    /// When it ends whatever happens.
    pub(super) expires_at: String,
    /// When it ends unless it is used.
    pub(super) idle_expires_at: String,
    /// Whether it is the session of this request.
    pub(super) current: bool,
    /// What the device called itself at log-in.
    pub(super) user_agent: String,
}

/// A session and, for clients without a cookie jar, the token to send from now on.
#[derive(Clone, Debug, Object)]
#[oai(rename = "SessionWithToken", example)]
pub(super) struct SessionWithToken {
    /// The session.
    #[oai(flatten)]
    pub(super) session: SessionView,
    /// The token, with `transport: bearer` only: send it as `Authorization: Bearer TOKEN`. Each
    /// counted visit gives a newer one; older ones of a living session stay good until they expire.
    #[oai(skip_serializing_if_is_none)]
    pub(super) token: Option<String>,
}

/// An account as its owner sees it.
#[derive(Clone, Debug, Object)]
#[oai(rename = "Account", example)]
pub(super) struct AccountView {
    /// Names the account for ever.
    #[oai(validator(pattern = "^[0-9a-f-]{36}$"))]
    pub(super) id: String,
    /// The e-mail address, normalised.
    pub(super) email: String,
    /// When it was made.
    pub(super) created_at: String,
    /// Visits over all its sessions, ended ones included.
    pub(super) visits: u64,
}

impl SessionView {
    pub(super) fn of(session: &Session, email: &Email, current: SessionId) -> Self {
        Self {
            sid: session.id.to_string(),
            email: email.to_string(),
            visits: session.visits,
            created_at: time(session.created_at),
            last_seen_at: time(session.last_seen_at),
            expires_at: time(session.expires_at),
            idle_expires_at: time(session.idle_expires_at),
            current: session.id == current,
            user_agent: session.user_agent.clone(),
        }
    }
}

impl SessionWithToken {
    pub(super) fn of(issued: &Issued, token: Option<String>) -> Self {
        let session = SessionView::of(&issued.session, &issued.email, issued.session.id);
        Self { session, token }
    }
}

impl From<AccountSummary> for AccountView {
    fn from(summary: AccountSummary) -> Self {
        Self {
            id: summary.account.id.to_string(),
            email: summary.account.email.to_string(),
            created_at: time(summary.account.created_at),
            visits: summary.visits,
        }
    }
}

fn time(at: Timestamp) -> String {
    at.to_string()
}

impl Example for SessionView {
    fn example() -> Self {
        Self {
            sid: "019ab2f0-5c1e-7d3a-9b7e-2f6c1a4d8e90".into(),
            email: "ann@example.com".into(),
            visits: 3,
            created_at: "2026-11-23T09:00:00Z".into(),
            last_seen_at: "2026-11-23T09:12:30Z".into(),
            expires_at: "2026-11-23T21:00:00Z".into(),
            idle_expires_at: "2026-11-23T09:42:30Z".into(),
            current: true,
            user_agent: "curl/8.10.1".into(),
        }
    }
}

impl Example for SessionWithToken {
    fn example() -> Self {
        Self {
            session: SessionView::example(),
            token: None,
        }
    }
}

impl Example for AccountView {
    fn example() -> Self {
        Self {
            id: "019ab2ef-11aa-7c55-8a01-93d0b7a1c2f4".into(),
            email: "ann@example.com".into(),
            created_at: "2026-11-20T08:30:00Z".into(),
            visits: 42,
        }
    }
}
