//! The operations of a store and their answers as values, to be made up, compared and printed.

use std::collections::BTreeMap;

use countersign::{
    model::{
        Account, AccountId, AccountState, Actor, AttemptKey, Attempts, AuditEvent, AuditKind, By,
        Cause, Email, PasswordHash, Role, Session, SessionId, Succession, Timestamp, Variables,
        session::ReplayPolicy,
    },
    store::{
        AuditFilter, Created, EmailChange, FoundAccounts, PasswordChange, Store, StoreError,
        VariableChange, Visit, Visited,
    },
};
use jiff::SignedDuration;

use crate::store_world::{at, by_day};

/// One call of a method of [`Store`]. The sweep is not among them: its answer depends on where the
/// last one stopped, and of what it does only the counts of later answers tell.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    CreateAccount(Account),
    FindAccount(AccountId),
    FindByEmail(Email),
    SearchAccounts {
        part: &'static str,
        after: Option<Email>,
        limit: usize,
    },
    SetState(AccountId, AccountState),
    SetRole(AccountId, Role),
    RemoveAccount(AccountId),
    CloseAccount(AccountId, SessionId, Timestamp),
    ChangePassword(AccountId, PasswordUpdate, Option<Succession>),
    ChangeEmail(AccountId, Email, Succession),
    Reauthenticate(AccountId, PasswordHash, Succession),
    Rehash(AccountId, PasswordHash, PasswordHash),
    TotalVisits(AccountId),
    VisitDays(AccountId),
    CreateSession {
        session: Session,
        checked: PasswordHash,
        limit: usize,
    },
    FindSession(AccountId, SessionId, Timestamp),
    ListSessions(AccountId, Timestamp),
    FindVariables(AccountId, SessionId, Timestamp),
    ChangeVariable(AccountId, SessionId, &'static str, Option<Vec<u8>>, Timestamp),
    Visit(Visit),
    Renew(AccountId, SessionId, Timestamp, SignedDuration),
    Revoke(AccountId, SessionId, Timestamp),
    RevokeCopied(AccountId, SessionId, Timestamp),
    RevokeOthers(AccountId, Option<SessionId>, Timestamp),
    RevokeAll,
    /// What everybody's end is to one account, where it is not one step. No store is asked for it.
    RevokeAllOf(AccountId),
    CountAttempt(Vec<AttemptKey>, SignedDuration, Timestamp),
    ForgetAttempts(AttemptKey),
    FindAttempts(Vec<AttemptKey>, Timestamp),
    /// All there are, so many at a time.
    ListEvents {
        account: Option<AccountId>,
        limit: usize,
        now: Timestamp,
    },
    Ping,
}

/// A new password, and the one that was checked for it, if its owner changes it.
#[derive(Clone, Debug)]
pub(crate) struct PasswordUpdate {
    pub(crate) checked: Option<PasswordHash>,
    pub(crate) new: PasswordHash,
}

/// What a store answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// The store found something amiss, and changed nothing.
    Refused,
    WhetherDone(bool),
    Ended(u64),
    EndedIfThere(Option<u64>),
    Visits(u64),
    /// By days after 1970-01-01.
    VisitDays(BTreeMap<i32, u32>),
    Account(Option<Account>),
    Found(FoundAccounts),
    Session(Option<Session>),
    Sessions(Vec<Session>),
    Visited(Visited),
    Created(Created),
    PasswordChange(PasswordChange),
    EmailChange(EmailChange),
    Attempts(Vec<Attempts>),
    Variables(Option<Variables>),
    VariableChange(VariableChange),
    Events(Vec<AuditEvent>),
}

impl Operation {
    /// Has the store do it.
    ///
    /// # Panics
    /// When the store is unavailable: nothing here is the fault of a disk.
    pub(crate) async fn ask(&self, store: &dyn Store) -> Answer {
        match self.try_ask(store).await {
            Ok(answer) => answer,
            Err(StoreError::Unavailable(reason)) => panic!("{self:?}: unavailable, {reason}"),
            Err(_) => Answer::Refused,
        }
    }

    /// Has the store do it, or say why it does not.
    pub(crate) async fn try_ask(&self, store: &dyn Store) -> Result<Answer, StoreError> {
        let cause = self.cause();
        Ok(match self {
            Self::CreateAccount(account) => {
                Answer::WhetherDone(store.create_account(account.clone(), cause).await?)
            }
            Self::FindAccount(id) => Answer::Account(store.account(*id).await?),
            Self::FindByEmail(email) => Answer::Account(store.account_by_email(email).await?),
            Self::SearchAccounts { part, after, limit } => {
                let after = after.as_ref().map(Email::as_str);
                Answer::Found(store.find_accounts(part, after, *limit).await?)
            }
            Self::SetRole(id, role) => {
                Answer::EndedIfThere(store.set_role(*id, *role, cause).await?)
            }
            Self::SetState(id, state) => {
                Answer::EndedIfThere(store.set_account_state(*id, *state, cause).await?)
            }
            Self::RemoveAccount(id) => {
                Answer::EndedIfThere(store.remove_account(*id, cause).await?)
            }
            Self::CloseAccount(id, by, _) => {
                Answer::EndedIfThere(store.close_account(*id, *by, cause).await?)
            }
            Self::ChangePassword(id, PasswordUpdate { checked, new }, goes_on) => {
                let (checked, new) = (checked.as_ref(), new.clone());
                let change = store.change_password(*id, checked, new, *goes_on, cause);
                Answer::PasswordChange(change.await?)
            }
            Self::ChangeEmail(id, new, goes_on) => {
                Answer::EmailChange(store.change_email(*id, new.clone(), *goes_on, cause).await?)
            }
            Self::Reauthenticate(id, checked, succession) => {
                let session = store.reauthenticate_session(*id, checked, *succession, cause);
                Answer::Session(session.await?)
            }
            Self::Rehash(id, checked, new) => {
                Answer::WhetherDone(store.rehash_password(*id, checked, new.clone()).await?)
            }
            Self::TotalVisits(id) => Answer::Visits(store.total_visits(*id).await?),
            Self::VisitDays(id) => Answer::VisitDays(by_day(&store.visit_days(*id).await?)),
            Self::CreateSession { session, checked, limit } => {
                let created = store.create_session(session.clone(), checked, *limit, cause);
                Answer::Created(created.await?)
            }
            Self::FindSession(account, id, now) => {
                Answer::Session(store.session(*account, *id, *now).await?)
            }
            Self::ListSessions(account, now) => {
                Answer::Sessions(store.sessions(*account, *now).await?)
            }
            Self::FindVariables(account, id, now) => {
                Answer::Variables(store.variables(*account, *id, *now).await?)
            }
            Self::ChangeVariable(account, id, name, value, now) => {
                let (name, value) = ((*name).to_owned(), value.clone());
                let change = store.change_variable(*account, *id, name, value, *now);
                Answer::VariableChange(change.await?)
            }
            Self::Visit(visit) => Answer::Visited(store.visit(*visit).await?),
            Self::Renew(account, id, now, idle) => {
                Answer::Session(store.renew_session(*account, *id, *now, *idle).await?)
            }
            Self::Revoke(account, id, _) => {
                Answer::WhetherDone(store.revoke_session(*account, *id, cause).await?)
            }
            Self::RevokeCopied(account, id, _) => {
                Answer::WhetherDone(store.revoke_copied_session(*account, *id, cause).await?)
            }
            Self::RevokeOthers(account, keep, _) => {
                Answer::Ended(store.revoke_sessions(*account, *keep, cause).await?)
            }
            Self::RevokeAll => {
                store.revoke_all_sessions(cause).await?;
                Answer::Done
            }
            Self::RevokeAllOf(_) => panic!("it is a part of another operation"),
            Self::CountAttempt(keys, window, now) => {
                let event = Some(cause.about_nobody());
                store.count_attempt(keys.clone(), *window, *now, event).await?;
                Answer::Done
            }
            Self::ForgetAttempts(key) => {
                store.forget_attempts(*key).await?;
                Answer::Done
            }
            Self::FindAttempts(keys, now) => Answer::Attempts(store.attempts(keys, *now).await?),
            Self::ListEvents { account, limit, now } => {
                Answer::Events(list(store, *account, *limit, *now).await?)
            }
            Self::Ping => {
                store.ping().await?;
                Answer::Done
            }
        })
    }

    /// Why it is asked for; for what is only looked at, anything.
    pub(crate) fn cause(&self) -> Cause {
        let (what, at) = match self {
            Self::CreateAccount(account) => (AuditKind::SignedUp, account.created_at),
            Self::SetState(_, AccountState::Active) => (AuditKind::AccountEnabled, at(0)),
            Self::SetState(_, AccountState::Disabled) => (AuditKind::AccountDisabled, at(0)),
            Self::SetRole(_, Role::Admin) => (AuditKind::RoleGiven, at(0)),
            Self::SetRole(_, Role::Member) => (AuditKind::RoleTaken, at(0)),
            Self::RemoveAccount(_) => (AuditKind::AccountRemoved, at(0)),
            Self::CloseAccount(_, _, now) => (AuditKind::AccountClosed, *now),
            Self::ChangePassword(_, _, goes_on) => {
                (AuditKind::PasswordChanged, goes_on.map_or(at(0), |goes_on| goes_on.now))
            }
            Self::ChangeEmail(_, _, goes_on) => (AuditKind::EmailChanged, goes_on.now),
            Self::Reauthenticate(_, _, succession) => (AuditKind::Reauthenticated, succession.now),
            Self::CreateSession { session, .. } => (AuditKind::LoggedIn, session.created_at),
            Self::Visit(visit) => (AuditKind::CopyFound, visit.now),
            Self::RevokeCopied(_, _, now) => (AuditKind::CopyFound, *now),
            Self::Revoke(_, _, now) => (AuditKind::LoggedOut, *now),
            Self::RevokeOthers(_, _, now) => (AuditKind::SessionsEnded, *now),
            Self::CountAttempt(_, _, now) => (AuditKind::LogInRefused, *now),
            _ => (AuditKind::AllSessionsEnded, at(0)),
        };
        let by = match self {
            Self::Visit(visit) => By { actor: Actor::Unknown, from: visit.from },
            _ => By { actor: Actor::CommandLine, from: Some([192, 0, 2, 7].into()) },
        };
        Cause { what, by, at }
    }

    /// What is written down of it when it was answered so. Of a state or role that was set, only if it was
    /// another one before or sessions ended, which the answer does not tell.
    pub(crate) fn event(&self, answer: &Answer) -> Option<AuditEvent> {
        let cause = self.cause();
        match (self, answer) {
            (Self::CreateAccount(account), Answer::WhetherDone(true)) => {
                Some(cause.about(account.id))
            }
            (
                Self::SetState(id, _)
                | Self::SetRole(id, _)
                | Self::RemoveAccount(id)
                | Self::CloseAccount(id, ..),
                Answer::EndedIfThere(Some(ended)),
            ) => Some(AuditEvent { ended: *ended, ..cause.about(*id) }),
            (
                Self::ChangePassword(id, _, goes_on),
                Answer::PasswordChange(PasswordChange::Changed { ended, .. }),
            ) => Some(AuditEvent {
                ended: *ended,
                session: goes_on.map(|goes_on| goes_on.to),
                replaced: goes_on.map(|goes_on| goes_on.from),
                ..cause.about(*id)
            }),
            (
                Self::ChangeEmail(id, _, goes_on),
                Answer::EmailChange(EmailChange::Changed { ended, .. }),
            ) => Some(AuditEvent {
                ended: *ended,
                session: Some(goes_on.to),
                replaced: Some(goes_on.from),
                ..cause.about(*id)
            }),
            (Self::Reauthenticate(id, _, goes_on), Answer::Session(Some(_))) => Some(AuditEvent {
                session: Some(goes_on.to),
                replaced: Some(goes_on.from),
                ..cause.about(*id)
            }),
            (
                Self::CreateSession { session, .. },
                Answer::Created(Created::Added { ended, .. }),
            ) => Some(AuditEvent {
                ended: ended.len() as u64,
                session: Some(session.id),
                ..cause.about(session.account)
            }),
            (Self::Visit(visit), Answer::Visited(Visited::Copied))
                if visit.replay.policy == ReplayPolicy::Revoke =>
            {
                let session = Some(visit.token.session);
                Some(AuditEvent { ended: 1, session, ..cause.about(visit.token.account) })
            }
            (
                Self::Revoke(account, id, _) | Self::RevokeCopied(account, id, _),
                Answer::WhetherDone(true),
            ) => Some(AuditEvent { ended: 1, session: Some(*id), ..cause.about(*account) }),
            (Self::RevokeOthers(account, ..), Answer::Ended(ended)) if *ended > 0 => {
                Some(AuditEvent { ended: *ended, ..cause.about(*account) })
            }
            (Self::RevokeAll | Self::CountAttempt(..), Answer::Done) => Some(cause.about_nobody()),
            _ => None,
        }
    }
}

/// All events, asked for in pages of so many.
pub(crate) async fn list(
    store: &dyn Store,
    account: Option<AccountId>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<AuditEvent>, StoreError> {
    let filter = AuditFilter { account };
    let (mut events, mut before) = (Vec::new(), None);
    loop {
        let page = store.audit_events(&filter, before, limit, now).await?;
        assert!(page.events.len() <= limit.max(1), "no more than was asked for");
        events.extend(page.events);
        match page.next {
            // As a client carries it.
            Some(next) => before = Some(next.to_string().parse().expect("a place")),
            None => return Ok(events),
        }
    }
}
