//! Every event that is logged and counted, in one place: the log inventory (ASVS 16.1.1).
//!
//! One line and one metric per login, refusal, logout and revocation. No event carries an e-mail,
//! a password, a token or its id; accounts and sessions are named by their ids, which open
//! nothing. The request's id and address are added to the line by the HTTP layer.
//!
//! What the store keeps, too, has its name, its sentence and its content from one
//! [`AuditEvent`], and is a line in the table of [`AuditKind`]. Any other event is a variant here.

use metrics::counter;
use tracing::{field::display, info, warn};

use super::Refusal;
use crate::model::{AccountId, AuditEvent, AuditKind, SessionId};

/// Something that happened to an account or a session.
pub(crate) enum Event {
    /// What is an audit event, too.
    Happened(AuditEvent),
    TooManyAttempts {
        operation: &'static str,
    },
    LogInRefused {
        account: Option<AccountId>,
        reason: &'static str,
    },
    TokenRefused {
        refusal: Refusal,
    },
    Visited,
    Renewed {
        account: AccountId,
        session: SessionId,
    },
    ReauthenticationRequired {
        account: AccountId,
    },
    AdministrationRefused {
        account: AccountId,
    },
}

impl Event {
    /// Logs and counts it.
    pub(crate) fn record(self) {
        match self {
            Self::Happened(event) => {
                count(&event);
                log(&event);
            }
            Self::LogInRefused { account, reason } => {
                counter!("countersign_log_ins_total", "result" => reason).increment(1);
                let (event, account) = (AuditKind::LogInRefused.code(), account.map(display));
                warn!(event, account, reason, "log-in refused");
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
            Self::ReauthenticationRequired { account } => {
                count_reauthentication("required");
                info!(event = "reauthentication_required", %account, "password not shown lately");
            }
            Self::AdministrationRefused { account } => {
                counter!("countersign_administration_refused_total").increment(1);
                warn!(event = "administration_refused", %account, "not an administrator");
            }
        }
    }
}

fn log(happened: &AuditEvent) {
    let (event, by, ended) = (happened.what.code(), happened.by.actor, happened.ended);
    let account = happened.account.map(display);
    let session = happened.session.map(display);
    let replaced = happened.replaced.map(display);
    let sentence = happened.what.sentence();
    match happened.what {
        AuditKind::AllSessionsEnded | AuditKind::CopyFound | AuditKind::CurrentPasswordRefused => {
            warn!(event, account, session, replaced, %by, ended, "{sentence}");
        }
        _ => info!(event, account, session, replaced, %by, ended, "{sentence}"),
    }
}

fn count(happened: &AuditEvent) {
    match happened.what {
        AuditKind::SignedUp | AuditKind::AccountAdded => {
            counter!("countersign_sign_ups_total").increment(1);
        }
        AuditKind::LoggedIn => {
            counter!("countersign_log_ins_total", "result" => "ok").increment(1);
        }
        AuditKind::CopyFound => counter!("countersign_copies_total").increment(1),
        AuditKind::Reauthenticated => count_reauthentication("ok"),
        AuditKind::CurrentPasswordRefused => count_reauthentication("wrong_password"),
        _ => {}
    }
    if happened.ended > 0 {
        let reason = happened.what.code();
        counter!("countersign_sessions_ended_total", "reason" => reason).increment(happened.ended);
    }
}

fn count_reauthentication(result: &'static str) {
    counter!("countersign_reauthentications_total", "result" => result).increment(1);
}
