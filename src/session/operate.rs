//! What the operator's command line asks for, as data: it is carried out here whether the command
//! line opened the store itself or sent the command to the server that has it open.
//!
//! A new command is a variant of [`Command`], an arm in [`Sessions::operate`], and a subcommand in
//! `cli/`.

use serde::{Deserialize, Serialize};

use super::{AccountDetails, Error, Result, Sessions, events::Event};
use crate::{
    model::{
        Account, AccountId, AccountState, Email, Password, Role, Session, SessionId, Timestamp,
        Transport,
    },
    store::PasswordChange,
};

/// How many accounts a list shows at most in one go.
pub const ACCOUNTS_PER_PAGE: usize = 1_000;

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

impl Sessions {
    /// Carries out an operator's command.
    ///
    /// # Errors
    /// [`Error::NoSuchAccount`], [`Error::NoSuchSession`], [`Error::EmailTaken`],
    /// [`Error::PasswordRefused`], [`Error::Store`].
    pub async fn operate(&self, command: Command) -> Result<Reply> {
        match command {
            Command::AddAccount { email, password } => {
                let account = self.add_account(email, password).await?;
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
                let ended = self.store.set_role(account.id, role).await?;
                let ended = ended.ok_or(Error::NoSuchAccount)?;
                Event::RoleSet { account: account.id, role, ended }.record();
                Ok(Reply::Ended { ended })
            }
            Command::SetPassword { email, password } => {
                let account = self.account_of(&email).await?;
                let rules = self.policy.passwords.clone();
                let hash = self.hasher.hash_new(password, email, rules).await?;
                match self.store.change_password(account.id, None, hash, None).await? {
                    PasswordChange::Changed { ended, .. } => {
                        Event::PasswordChanged { account: account.id, by: "operator", ended }
                            .record();
                        Ok(Reply::Ended { ended })
                    }
                    PasswordChange::AccountChanged => Err(Error::NoSuchAccount),
                }
            }
            Command::DisableAccount { email } => {
                self.set_state(&email, AccountState::Disabled, "disabled").await
            }
            Command::EnableAccount { email } => {
                self.set_state(&email, AccountState::Active, "enabled").await
            }
            Command::RemoveAccount { email } => {
                let account = self.account_of(&email).await?;
                let ended = self.store.remove_account(account.id).await?;
                Self::changed(&account, "removed", ended)
            }
            Command::ListSessions { email } => {
                let account = self.account_of(&email).await?;
                let sessions = self.store.sessions(account.id, self.clock.now()).await?;
                Ok(Reply::Sessions { sessions: sessions.into_iter().map(Into::into).collect() })
            }
            Command::RevokeSession { email, session } => {
                let account = self.account_of(&email).await?;
                if !self.store.revoke_session(account.id, session, self.clock.now()).await? {
                    return Err(Error::NoSuchSession);
                }
                Event::Revoked { account: account.id, ended: 1, reason: "operator" }.record();
                Ok(Reply::Ended { ended: 1 })
            }
            Command::RevokeSessions { email } => {
                let account = self.account_of(&email).await?;
                let ended = self.store.revoke_sessions(account.id, None, self.clock.now()).await?;
                Event::Revoked { account: account.id, ended, reason: "operator" }.record();
                Ok(Reply::Ended { ended })
            }
            Command::RevokeAll => {
                self.store.revoke_all_sessions().await?;
                Event::AllRevoked.record();
                Ok(Reply::AllEnded)
            }
        }
    }

    async fn account_of(&self, email: &Email) -> Result<Account> {
        self.store.account_by_email(email).await?.ok_or(Error::NoSuchAccount)
    }

    async fn set_state(
        &self,
        email: &Email,
        state: AccountState,
        word: &'static str,
    ) -> Result<Reply> {
        let account = self.account_of(email).await?;
        let ended = self.store.set_account_state(account.id, state).await?;
        Self::changed(&account, word, ended)
    }

    fn changed(account: &Account, state: &'static str, ended: Option<u64>) -> Result<Reply> {
        let ended = ended.ok_or(Error::NoSuchAccount)?;
        Event::AccountState { account: account.id, state, ended }.record();
        Ok(Reply::Ended { ended })
    }
}

impl From<Account> for AccountLine {
    fn from(account: Account) -> Self {
        let Account { id, email, state, role, created_at, .. } = account;
        Self { id, email, state, role, created_at }
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
    use crate::session::testing::{Fixture, PASSWORD, address, password, shown};

    #[tokio::test]
    async fn disabling_ends_all_sessions_and_enabling_revives_none() {
        let fixture = Fixture::new();
        let issued = fixture.signed_up("ann@example.com").await;
        let email = address("ann@example.com");
        let disable = Command::DisableAccount { email: email.clone() };
        assert_eq!(fixture.sessions.operate(disable).await.unwrap(), Reply::Ended { ended: 1 });
        assert!(fixture.sessions.authenticate(&shown(&issued)).await.is_err());
        let enable = Command::EnableAccount { email };
        assert_eq!(fixture.sessions.operate(enable).await.unwrap(), Reply::Ended { ended: 0 });
        assert!(fixture.sessions.authenticate(&shown(&issued)).await.is_err());
        fixture.logged_in("ann@example.com").await;
    }

    #[tokio::test]
    async fn all_sessions_of_all_accounts_end_at_once() {
        let fixture = Fixture::new();
        let ann = fixture.signed_up("ann@example.com").await;
        let bob = fixture.signed_up("bob@example.com").await;
        assert_eq!(fixture.sessions.operate(Command::RevokeAll).await.unwrap(), Reply::AllEnded);
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
            let refused = fixture.sessions.operate(command).await;
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
