//! Every event that is logged and counted, in one place: the log inventory (ASVS 16.1.1).
//!
//! One line and one metric per login, refusal, logout and revocation. No event carries an e-mail,
//! a password, a token or its id; accounts and sessions are named by their ids, which open
//! nothing. The request's id and address are added to the line by the HTTP layer.
//! A new event is a variant here.

use metrics::counter;
use tracing::{info, warn};

use super::Refusal;
use crate::model::{AccountId, Actor, By, Role, SessionId};

/// Something that happened to an account or a session.
pub(crate) enum Event {
    SignedUp { account: AccountId },
    LoggedIn { account: AccountId, session: SessionId },
    TooManyAttempts { operation: &'static str },
    LogInRefused { account: Option<AccountId>, reason: &'static str },
    TokenRefused { refusal: Refusal },
    Visited,
    Renewed { account: AccountId, session: SessionId },
    LoggedOut { account: AccountId, session: SessionId },
    Revoked { account: AccountId, ended: u64, reason: &'static str },
    AllRevoked,
    BackupBegun,
    CopyFound { account: AccountId, session: SessionId, revoked: bool },
    PasswordChanged { account: AccountId, by: &'static str, ended: u64 },
    EmailChanged { account: AccountId, ended: u64 },
    Reauthenticated { account: AccountId, session: SessionId, replaced: SessionId },
    ReauthenticationRequired { account: AccountId },
    CurrentPasswordRefused { account: AccountId },
    Exported { account: AccountId },
    AccountState { account: AccountId, state: &'static str, ended: u64 },
    RoleSet { account: AccountId, role: Role, ended: u64 },
    AdministrationRefused { account: AccountId },
    Administered { what: Administered, by: By, account: Option<AccountId>, ended: u64 },
}

/// What an administrator did.
#[derive(Clone, Copy)]
pub(crate) enum Administered {
    Disabled,
    Enabled,
    SessionsEnded,
    EverySessionEnded,
}

impl Administered {
    fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::SessionsEnded => "sessions_ended",
            Self::EverySessionEnded => "every_session_ended",
        }
    }
}

impl Event {
    /// Logs and counts it.
    pub(crate) fn record(self) {
        match self {
            Self::SignedUp { account } => {
                counter!("countersign_sign_ups_total").increment(1);
                info!(event = "sign_up", %account, "account created");
            }
            Self::LoggedIn { account, session } => {
                counter!("countersign_log_ins_total", "result" => "ok").increment(1);
                info!(event = "log_in", %account, %session, "logged in");
            }
            Self::LogInRefused { account, reason } => {
                counter!("countersign_log_ins_total", "result" => reason).increment(1);
                let account = account.map(tracing::field::display);
                warn!(event = "log_in_refused", account, reason, "log-in refused");
            }
            Self::TooManyAttempts { operation } => {
                counter!("countersign_throttled_total", "operation" => operation).increment(1);
                warn!(event = "too_many_attempts", operation, "not tried: too many attempts");
            }
            Self::TokenRefused { refusal } => {
                counter!("countersign_refusals_total", "reason" => refusal.code()).increment(1);
                warn!(event = "token_refused", reason = refusal.code(), "token refused");
            }
            Self::Visited => counter!("countersign_visits_total").increment(1),
            Self::Renewed { account, session } => {
                counter!("countersign_renewals_total").increment(1);
                info!(event = "renewed", %account, %session, "session renewed");
            }
            Self::LoggedOut { account, session } => {
                count_ended(1, "log_out");
                info!(event = "log_out", %account, %session, "logged out");
            }
            Self::Revoked { account, ended, reason } => {
                count_ended(ended, reason);
                info!(event = "revoked", %account, ended, reason, "sessions ended");
            }
            Self::AllRevoked => {
                warn!(event = "all_revoked", "every session ended");
            }
            Self::BackupBegun => info!(event = "backup", "a backup was begun"),
            Self::CopyFound { account, session, revoked } => {
                count_ended(u64::from(revoked), "copied");
                counter!("countersign_copies_total").increment(1);
                warn!(
                    event = "copy_found", %account, %session, revoked,
                    "a token was used by two holders"
                );
            }
            Self::PasswordChanged { account, by, ended } => {
                count_ended(ended, "password");
                info!(event = "password_changed", %account, by, ended, "password changed");
            }
            Self::EmailChanged { account, ended } => {
                count_ended(ended, "email");
                info!(event = "email_changed", %account, ended, "e-mail changed");
            }
            Self::Reauthenticated { account, session, replaced } => {
                counter!("countersign_reauthentications_total", "result" => "ok").increment(1);
                info!(event = "reauthenticated", %account, %session, %replaced, "password shown");
            }
            Self::ReauthenticationRequired { account } => {
                counter!("countersign_reauthentications_total", "result" => "required")
                    .increment(1);
                info!(event = "reauthentication_required", %account, "password not shown lately");
            }
            Self::CurrentPasswordRefused { account } => {
                counter!("countersign_reauthentications_total", "result" => "wrong_password")
                    .increment(1);
                warn!(event = "current_password_refused", %account, "wrong current password");
            }
            Self::Exported { account } => {
                info!(event = "account_exported", %account, "account exported");
            }
            Self::AccountState { account, state, ended } => {
                count_ended(ended, state);
                info!(event = "account_state", %account, state, ended, "account changed");
            }
            Self::RoleSet { account, role, ended } => {
                count_ended(ended, "role");
                warn!(event = "role_set", %account, role = role.as_str(), ended, "role set");
            }
            Self::AdministrationRefused { account } => {
                counter!("countersign_administration_refused_total").increment(1);
                warn!(event = "administration_refused", %account, "not an administrator");
            }
            Self::Administered { what, by, account, ended } => {
                count_ended(ended, "administrator");
                let account = account.map(tracing::field::display);
                let by = match by.actor {
                    Actor::Account(by) => Some(tracing::field::display(by)),
                    Actor::CommandLine | Actor::Unknown => None,
                };
                let what = what.as_str();
                warn!(event = "administered", what, by, account, ended, "by an administrator");
            }
        }
    }
}

fn count_ended(sessions: u64, reason: &'static str) {
    counter!("countersign_sessions_ended_total", "reason" => reason).increment(sessions);
}
