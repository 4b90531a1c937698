//! What the operator's command line asks for, as data: it is carried out here whether the command
//! line opened the store itself or sent the command to the server that has it open.
//!
//! A new command is a variant of [`Command`], an arm in [`Sessions::operate`], and a subcommand in
//! `cli/`. What lists show of things is in `lines`.

mod lines;

use serde::{Deserialize, Serialize};

pub use self::lines::{AccountLine, DetailsLine, EventLine, SessionLine};
use super::{Error, Result, Sessions, events::Event};
use crate::{
    model::{
        Account, AccountId, AccountState, AuditKind, By, Cause, Email, Password, Role, SessionId,
    },
    store::{AuditFilter, InvalidAuditPlace, PasswordChange},
};

/// How many accounts a list shows at most in one go.
pub const ACCOUNTS_PER_PAGE: usize = 1_000;

/// How many audit events a list shows at most in one go.
pub const EVENTS_PER_PAGE: usize = 1_000;

/// Something an operator asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Make an account, also where registration is closed.
    AddAccount {
        /// Its e-mail.
        email: Email,
        /// Its password.
        #[serde(with = "typed")]
        password: Password,
    },
    /// List accounts by e-mail, [`ACCOUNTS_PER_PAGE`] at a time at the most.
    ListAccounts {
        /// Those with this in their e-mail.
        #[serde(default)]
        search: String,
        /// From the first after this one.
        after: Option<Email>,
    },
    /// Show one account.
    ShowAccount {
        /// Which.
        email: Email,
    },
    /// Give an account a role, or take it away. Given another than that of a member, all its
    /// sessions end.
    SetRole {
        /// Which.
        email: Email,
        /// From now on.
        role: Role,
    },
    /// Set a password; all sessions of the account end.
    SetPassword {
        /// Whose.
        email: Email,
        /// The new one.
        #[serde(with = "typed")]
        password: Password,
    },
    /// Lock an account; all its sessions end.
    DisableAccount {
        /// Which.
        email: Email,
    },
    /// Unlock an account; no session comes back.
    EnableAccount {
        /// Which.
        email: Email,
    },
    /// Remove an account and end all its sessions.
    RemoveAccount {
        /// Which.
        email: Email,
    },
    /// List the living sessions of an account.
    ListSessions {
        /// Whose.
        email: Email,
    },
    /// End one session of an account.
    RevokeSession {
        /// Whose.
        email: Email,
        /// Which.
        session: SessionId,
    },
    /// End all sessions of an account.
    RevokeSessions {
        /// Whose.
        email: Email,
    },
    /// End all sessions of all accounts.
    RevokeAll,
    /// List audit events, the newest first, [`EVENTS_PER_PAGE`] at a time at the most.
    ListEvents {
        /// Those about this account, or done by it.
        account: Option<Email>,
        /// From those before this place on.
        before: Option<String>,
        /// At most so many.
        limit: usize,
    },
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The account was made.
    Added {
        /// The account.
        account: AccountLine,
    },
    /// The accounts.
    Accounts {
        /// By e-mail; perhaps none, though more will come.
        accounts: Vec<AccountLine>,
        /// After which to go on; `None` at the end.
        next: Option<Email>,
    },
    /// The account.
    Account {
        /// All about it.
        account: DetailsLine,
    },
    /// The sessions.
    Sessions {
        /// Oldest first.
        sessions: Vec<SessionLine>,
    },
    /// It was done, and this many sessions ended.
    Ended {
        /// How many.
        ended: u64,
    },
    /// It was done, and every session ended.
    AllEnded,
    /// The events.
    Events {
        /// The newest first; perhaps none, though there are more.
        events: Vec<EventLine>,
        /// Before which place to go on; `None` when there are no more.
        next: Option<String>,
    },
}

impl Sessions {
    /// Carries out an operator's command; `by` is written down.
    ///
    /// # Errors
    /// [`Error::NoSuchAccount`], [`Error::NoSuchSession`], [`Error::EmailTaken`],
    /// [`Error::PasswordRefused`], [`Error::Store`].
    pub async fn operate(&self, command: Command, by: &By) -> Result<Reply> {
        match command {
            Command::AddAccount { email, password } => {
                let account = self.add_account(email, password, by).await?;
                Ok(Reply::Added { account: account.into() })
            }
            Command::ListAccounts { search, after } => {
                let after = after.as_ref().map(Email::as_str);
                let found = self.search(&search, after, ACCOUNTS_PER_PAGE).await?;
                let accounts = found.accounts.into_iter().map(Into::into).collect();
                Ok(Reply::Accounts { accounts, next: found.next })
            }
            Command::ShowAccount { email } => {
                let account = self.account_of(&email).await?;
                Ok(Reply::Account { account: self.details(account).await?.into() })
            }
            Command::SetRole { email, role } => {
                let account = self.account_of(&email).await?;
                let what = match role {
                    Role::Admin => AuditKind::RoleGiven,
                    Role::Member => AuditKind::RoleTaken,
                };
                let cause = self.cause(what, *by);
                let ended = self.store.set_role(account.id, role, cause).await?;
                Self::changed(&account, cause, ended)
            }
            Command::SetPassword { email, password } => {
                let account = self.account_of(&email).await?;
                let rules = self.policy.passwords.clone();
                let hash = self.hasher.hash_new(password, email, rules).await?;
                let cause = self.cause(AuditKind::PasswordChanged, *by);
                match self.store.change_password(account.id, None, hash, None, cause).await? {
                    PasswordChange::Changed { ended, .. } => {
                        Event::Happened(cause.about(account.id).ending(ended)).record();
                        Ok(Reply::Ended { ended })
                    }
                    PasswordChange::AccountChanged => Err(Error::NoSuchAccount),
                }
            }
            Command::DisableAccount { email } => {
                let cause = self.cause(AuditKind::AccountDisabled, *by);
                self.set_state(&email, AccountState::Disabled, cause).await
            }
            Command::EnableAccount { email } => {
                let cause = self.cause(AuditKind::AccountEnabled, *by);
                self.set_state(&email, AccountState::Active, cause).await
            }
            Command::RemoveAccount { email } => {
                let account = self.account_of(&email).await?;
                let cause = self.cause(AuditKind::AccountRemoved, *by);
                let ended = self.store.remove_account(account.id, cause).await?;
                Self::changed(&account, cause, ended)
            }
            Command::ListSessions { email } => {
                let account = self.account_of(&email).await?;
                let sessions = self.store.sessions(account.id, self.clock.now()).await?;
                Ok(Reply::Sessions { sessions: sessions.into_iter().map(Into::into).collect() })
            }
            Command::RevokeSession { email, session } => {
                let account = self.account_of(&email).await?;
                let cause = self.cause(AuditKind::SessionEnded, *by);
                if !self.store.revoke_session(account.id, session, cause).await? {
                    return Err(Error::NoSuchSession);
                }
                Event::Happened(cause.about(account.id).of_session(session).ending(1)).record();
                Ok(Reply::Ended { ended: 1 })
            }
            Command::RevokeSessions { email } => {
                let account = self.account_of(&email).await?;
                let cause = self.cause(AuditKind::SessionsEnded, *by);
                let ended = self.store.revoke_sessions(account.id, None, cause).await?;
                Event::Happened(cause.about(account.id).ending(ended)).record();
                Ok(Reply::Ended { ended })
            }
            Command::RevokeAll => {
                let cause = self.cause(AuditKind::AllSessionsEnded, *by);
                self.store.revoke_all_sessions(cause).await?;
                Event::Happened(cause.about_nobody()).record();
                Ok(Reply::AllEnded)
            }
            Command::ListEvents { account, before, limit } => {
                self.list_for_operator(account, before, limit).await
            }
        }
    }

    /// The e-mail of an account, to show an operator who an id is; `None` when it is gone.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn email_of_account(&self, id: AccountId) -> Result<Option<Email>> {
        Ok(self.store.account(id).await?.map(|account| account.email))
    }

    async fn list_for_operator(
        &self,
        account: Option<Email>,
        before: Option<String>,
        limit: usize,
    ) -> Result<Reply> {
        let account = match account {
            Some(email) => Some(self.account_of(&email).await?.id),
            None => None,
        };
        // What is no place was never handed out: there is nothing before it.
        let before = match before.map(|place| place.parse()).transpose() {
            Ok(before) => before,
            Err(InvalidAuditPlace) => return Ok(Reply::Events { events: Vec::new(), next: None }),
        };
        let page = self.audit_events(&AuditFilter { account }, before, limit).await?;
        let events = page.events.into_iter().map(Into::into).collect();
        Ok(Reply::Events { events, next: page.next.map(|next| next.to_string()) })
    }

    async fn account_of(&self, email: &Email) -> Result<Account> {
        self.store.account_by_email(email).await?.ok_or(Error::NoSuchAccount)
    }

    async fn set_state(&self, email: &Email, state: AccountState, cause: Cause) -> Result<Reply> {
        let account = self.account_of(email).await?;
        let ended = self.store.set_account_state(account.id, state, cause).await?;
        Self::changed(&account, cause, ended)
    }

    fn changed(account: &Account, cause: Cause, ended: Option<u64>) -> Result<Reply> {
        let ended = ended.ok_or(Error::NoSuchAccount)?;
        Event::Happened(cause.about(account.id).ending(ended)).record();
        Ok(Reply::Ended { ended })
    }
}

/// A password as text, for the way from the command line to its server and nothing else: the type
/// itself cannot be serialised, so that none slips into a log or an answer.
mod typed {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::Password;

    pub(super) fn serialize<S: Serializer>(password: &Password, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(password.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Password, D::Error> {
        String::deserialize(from).map(Password::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Timestamp,
        session::testing::{Fixture, PASSWORD, address, password, shown},
    };

    #[tokio::test]
    async fn disabling_ends_all_sessions_and_enabling_revives_none() {
        let fixture = Fixture::new();
        let issued = fixture.signed_up("ann@example.com").await;
        let email = address("ann@example.com");
        let disable = Command::DisableAccount { email: email.clone() };
        assert_eq!(
            fixture.sessions.operate(disable, &By::COMMAND_LINE).await.unwrap(),
            Reply::Ended { ended: 1 }
        );
        assert!(fixture.sessions.authenticate(&shown(&issued)).await.is_err());
        let enable = Command::EnableAccount { email };
        assert_eq!(
            fixture.sessions.operate(enable, &By::COMMAND_LINE).await.unwrap(),
            Reply::Ended { ended: 0 }
        );
        assert!(fixture.sessions.authenticate(&shown(&issued)).await.is_err());
        fixture.logged_in("ann@example.com").await;
    }

    #[tokio::test]
    async fn all_sessions_of_all_accounts_end_at_once() {
        let fixture = Fixture::new();
        let ann = fixture.signed_up("ann@example.com").await;
        let bob = fixture.signed_up("bob@example.com").await;
        assert_eq!(
            fixture.sessions.operate(Command::RevokeAll, &By::COMMAND_LINE).await.unwrap(),
            Reply::AllEnded
        );
        for ended in [&ann, &bob] {
            assert!(fixture.sessions.authenticate(&shown(ended)).await.is_err());
        }
        let new = fixture.logged_in("ann@example.com").await;
        assert!(fixture.sessions.authenticate(&shown(&new)).await.is_ok());
    }

    #[tokio::test]
    async fn commands_about_nobody_say_so() {
        let fixture = Fixture::new();
        let email = address("nobody@example.com");
        let session = SessionId::new(Timestamp::UNIX_EPOCH);
        for command in [
            Command::DisableAccount { email: email.clone() },
            Command::ShowAccount { email: email.clone() },
            Command::SetRole { email: email.clone(), role: Role::Admin },
            Command::RemoveAccount { email: email.clone() },
            Command::ListSessions { email: email.clone() },
            Command::RevokeSession { email: email.clone(), session },
            Command::SetPassword { email: email.clone(), password: password(PASSWORD) },
        ] {
            let refused = fixture.sessions.operate(command, &By::COMMAND_LINE).await;
            assert!(matches!(refused, Err(Error::NoSuchAccount)));
        }
    }

    #[test]
    fn a_command_travels_whole_and_refuses_what_it_does_not_know() {
        let command =
            Command::AddAccount { email: address("ann@example.com"), password: password(PASSWORD) };
        assert!(!format!("{command:?}").contains(PASSWORD), "not in a log");
        let text = serde_json::to_string(&command).unwrap();
        let Ok(Command::AddAccount { password, .. }) = serde_json::from_str(&text) else {
            panic!("{text}");
        };
        assert_eq!(password.expose(), PASSWORD);
        let unknown = r#"{"command":"list_accounts","after":null,"extra":1}"#;
        assert!(serde_json::from_str::<Command>(unknown).is_err());
    }
}
