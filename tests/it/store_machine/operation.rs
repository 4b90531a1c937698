//! The operations of a store and their answers as values, to be made up, compared and printed.

use countersign::{
    model::{
        Account, AccountId, AccountState, AttemptKey, Attempts, Email, PasswordHash, Role, Session,
        SessionId, Succession, Timestamp,
    },
    store::{
        Created, EmailChange, FoundAccounts, PasswordChange, Store, StoreError, Visit, Visited,
    },
};
use jiff::SignedDuration;

/// One call of a method of [`Store`]. The sweep is not among them: its answer depends on where the
/// last one stopped, and of what it does only the counts of later answers tell.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    CreateAccount(Account),
    FindAccount(AccountId),
    FindByEmail(Email),
    PageAccounts { after: Option<Email>, limit: usize },
    SearchAccounts { part: &'static str, after: Option<Email>, limit: usize },
    SetState(AccountId, AccountState),
    SetRole(AccountId, Role),
    RemoveAccount(AccountId),
    CloseAccount(AccountId, SessionId, Timestamp),
    ChangePassword(AccountId, PasswordUpdate, Option<Succession>),
    ChangeEmail(AccountId, Email, Succession),
    Reauthenticate(AccountId, PasswordHash, Succession),
    Rehash(AccountId, PasswordHash, PasswordHash),
    TotalVisits(AccountId),
    CreateSession { session: Session, checked: PasswordHash, limit: usize },
    FindSession(AccountId, SessionId, Timestamp),
    ListSessions(AccountId, Timestamp),
    Visit(Visit),
    Renew(AccountId, SessionId, Timestamp, SignedDuration),
    Revoke(AccountId, SessionId, Timestamp),
    RevokeCopied(AccountId, SessionId, Timestamp),
    RevokeOthers(AccountId, Option<SessionId>, Timestamp),
    RevokeAll,
    CountAttempt(Vec<AttemptKey>, SignedDuration, Timestamp),
    ForgetAttempts(AttemptKey),
    FindAttempts(Vec<AttemptKey>, Timestamp),
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
    Account(Option<Account>),
    Accounts(Vec<Account>),
    Found(FoundAccounts),
    Session(Option<Session>),
    Sessions(Vec<Session>),
    Visited(Visited),
    Created(Created),
    PasswordChange(PasswordChange),
    EmailChange(EmailChange),
    Attempts(Vec<Attempts>),
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
        Ok(match self {
            Self::CreateAccount(account) => {
                Answer::WhetherDone(store.create_account(account.clone()).await?)
            }
            Self::FindAccount(id) => Answer::Account(store.account(*id).await?),
            Self::FindByEmail(email) => Answer::Account(store.account_by_email(email).await?),
            Self::PageAccounts { after, limit } => {
                Answer::Accounts(store.accounts(after.as_ref(), *limit).await?)
            }
            Self::SearchAccounts { part, after, limit } => {
                let after = after.as_ref().map(Email::as_str);
                Answer::Found(store.find_accounts(part, after, *limit).await?)
            }
            Self::SetRole(id, role) => Answer::EndedIfThere(store.set_role(*id, *role).await?),
            Self::SetState(id, state) => {
                Answer::EndedIfThere(store.set_account_state(*id, *state).await?)
            }
            Self::RemoveAccount(id) => Answer::EndedIfThere(store.remove_account(*id).await?),
            Self::CloseAccount(id, by, now) => {
                Answer::EndedIfThere(store.close_account(*id, *by, *now).await?)
            }
            Self::ChangePassword(id, PasswordUpdate { checked, new }, goes_on) => {
                let change = store.change_password(*id, checked.as_ref(), new.clone(), *goes_on);
                Answer::PasswordChange(change.await?)
            }
            Self::ChangeEmail(id, new, goes_on) => {
                Answer::EmailChange(store.change_email(*id, new.clone(), *goes_on).await?)
            }
            Self::Reauthenticate(id, checked, succession) => {
                Answer::Session(store.reauthenticate_session(*id, checked, *succession).await?)
            }
            Self::Rehash(id, checked, new) => {
                Answer::WhetherDone(store.rehash_password(*id, checked, new.clone()).await?)
            }
            Self::TotalVisits(id) => Answer::Visits(store.total_visits(*id).await?),
            Self::CreateSession { session, checked, limit } => {
                Answer::Created(store.create_session(session.clone(), checked, *limit).await?)
            }
            Self::FindSession(account, id, now) => {
                Answer::Session(store.session(*account, *id, *now).await?)
            }
            Self::ListSessions(account, now) => {
                Answer::Sessions(store.sessions(*account, *now).await?)
            }
            Self::Visit(visit) => Answer::Visited(store.visit(*visit).await?),
            Self::Renew(account, id, now, idle) => {
                Answer::Session(store.renew_session(*account, *id, *now, *idle).await?)
            }
            Self::Revoke(account, id, now) => {
                Answer::WhetherDone(store.revoke_session(*account, *id, *now).await?)
            }
            Self::RevokeCopied(account, id, now) => {
                Answer::WhetherDone(store.revoke_copied_session(*account, *id, *now).await?)
            }
            Self::RevokeOthers(account, keep, now) => {
                Answer::Ended(store.revoke_sessions(*account, *keep, *now).await?)
            }
            Self::RevokeAll => {
                store.revoke_all_sessions().await?;
                Answer::Done
            }
            Self::CountAttempt(keys, window, now) => {
                store.count_attempt(keys.clone(), *window, *now).await?;
                Answer::Done
            }
            Self::ForgetAttempts(key) => {
                store.forget_attempts(*key).await?;
                Answer::Done
            }
            Self::FindAttempts(keys, now) => Answer::Attempts(store.attempts(keys, *now).await?),
            Self::Ping => {
                store.ping().await?;
                Answer::Done
            }
        })
    }
}
