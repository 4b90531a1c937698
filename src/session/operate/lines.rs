//! What lists and answers show an operator: accounts, sessions, events. No hash, no token.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    model::{
        Account, AccountId, AccountState, AuditEvent, Email, Role, Session, SessionId, Timestamp,
        Transport,
    },
    session::AccountDetails,
};

/// An audit event in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// When.
    pub at: Timestamp,
    /// What: its stable code.
    pub event: String,
    /// Who did it: an account's id, `command_line`, or `unknown`.
    pub by: String,
    /// The address it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// The account that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The session that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// The id that the session had before, if it went on under a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<SessionId>,
    /// How many sessions ended with it.
    pub ended: u64,
}

/// An account in a list. No hash, no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLine {
    /// Its id.
    pub id: AccountId,
    /// Its e-mail.
    pub email: Email,
    /// Whether it can log in.
    pub state: AccountState,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One account in full. No hash, no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetailsLine {
    /// As in a list.
    #[serde(flatten)]
    pub account: AccountLine,
    /// Visits over all its sessions, ended ones included.
    pub visits: u64,
    /// How many living sessions it has.
    pub sessions: u64,
}

/// A session in a list. No token, no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLine {
    /// Its id, which the API calls its `sid`.
    #[serde(alias = "sid")]
    pub id: SessionId,
    /// Visits counted.
    pub visits: u64,
    /// When the login was.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// How its tokens travel.
    pub transport: Transport,
    /// What the device calls itself.
    pub user_agent: String,
}

impl From<Account> for AccountLine {
    fn from(account: Account) -> Self {
        let Account { id, email, state, role, created_at, .. } = account;
        Self { id, email, state, role, created_at }
    }
}

impl From<AuditEvent> for EventLine {
    fn from(event: AuditEvent) -> Self {
        Self {
            at: event.at,
            event: event.what.code().to_owned(),
            by: event.by.actor.to_string(),
            from: event.by.from,
            account: event.account,
            sid: event.session,
            replaced: event.replaced,
            ended: event.ended,
        }
    }
}

impl From<AccountDetails> for DetailsLine {
    fn from(AccountDetails { summary, sessions }: AccountDetails) -> Self {
        Self { account: summary.account.into(), visits: summary.visits, sessions }
    }
}

impl From<Session> for SessionLine {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            visits: session.visits,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            transport: session.transport,
            user_agent: session.user_agent,
        }
    }
}
