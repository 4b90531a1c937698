//! What administrators do with the accounts and sessions of others.
//!
//! Who is an administrator stands in the store and is looked up for every request, never in a
//! token: a role that is taken away is gone at the next request (ASVS 8.3.2). Nothing here gives a
//! role; that is the command line's alone ([`Command::SetRole`](super::operate::Command::SetRole)).
//!
//! Every operation takes an [`Administrator`] for a proof. What changes something also needs the
//! password to have been shown lately.

use super::{AccountSummary, Error, Result, Sessions, SignedIn, events::Event};
use crate::{
    model::{
        Account, AccountId, AccountState, AuditKind, Email, Role, Session, SessionId, Transport,
    },
    store::{AuditFilter, AuditPage, AuditPlace, FoundAccounts},
};

/// Proof that a request is an administrator's: only [`Sessions::administrator`] makes one.
#[derive(Clone, Debug)]
pub struct Administrator {
    who: SignedIn,
}

impl Administrator {
    /// The session of the request.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.who.session
    }

    /// Whether the request came by cookie and its session was among those that ended: all of an
    /// account, or this one. Then the cookie has to go.
    #[must_use]
    pub fn has_ended(&self, account: AccountId, session: Option<SessionId>) -> bool {
        let own = &self.who.session;
        own.transport == Transport::Cookie
            && own.account == account
            && session.is_none_or(|session| session == own.id)
    }
}

/// An account as an administrator sees it.
#[derive(Clone, Debug)]
pub struct AccountDetails {
    /// The account and its visits.
    pub summary: AccountSummary,
    /// How many living sessions it has.
    pub sessions: u64,
}

impl Sessions {
    /// Asks the store whether somebody who is signed in is an administrator now.
    ///
    /// # Errors
    /// [`Error::NotAnAdministrator`]; [`Error::NotSignedIn`] when the account was removed
    /// meanwhile; [`Error::Store`].
    pub async fn administrator(&self, who: SignedIn) -> Result<Administrator> {
        let account = self.own_account(&who).await?;
        if account.role != Role::Admin {
            Event::AdministrationRefused { account: account.id }.record();
            return Err(Error::NotAnAdministrator);
        }
        Ok(Administrator { who })
    }

    /// At most `limit` accounts whose e-mails have `part` in them, upper and lower case being one,
    /// from the first after `after`; and where to go on, since no more than so many are looked at.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn find_accounts(
        &self,
        _: &Administrator,
        part: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<FoundAccounts> {
        self.search(part, after, limit).await
    }

    /// [`Self::find_accounts`], by whoever may: an administrator or the command line.
    pub(super) async fn search(
        &self,
        part: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<FoundAccounts> {
        // As e-mails are written in the store.
        let part = part.trim().to_lowercase();
        Ok(self.store.find_accounts(&part, after, limit).await?)
    }

    /// The account that has exactly this e-mail.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn account_with_email(
        &self,
        _: &Administrator,
        email: &str,
    ) -> Result<Option<Account>> {
        // What cannot be an address belongs to nobody.
        let Ok(email) = Email::parse(email) else {
            return Ok(None);
        };
        Ok(self.store.account_by_email(&email).await?)
    }

    /// Everything about an account that an administrator is shown.
    ///
    /// # Errors
    /// [`Error::NoSuchAccount`], [`Error::Store`].
    pub async fn account_details(
        &self,
        _: &Administrator,
        id: AccountId,
    ) -> Result<AccountDetails> {
        let account = self.store.account(id).await?.ok_or(Error::NoSuchAccount)?;
        self.details(account).await
    }

    /// [`Self::account_details`], by whoever may.
    pub(super) async fn details(&self, account: Account) -> Result<AccountDetails> {
        let visits = self.store.total_visits(account.id).await?;
        let sessions = self.store.sessions(account.id, self.clock.now()).await?.len() as u64;
        Ok(AccountDetails { summary: AccountSummary { account, visits }, sessions })
    }

    /// Locks an account, which ends all its sessions in the same step, or unlocks it, which revives
    /// none. Returns how many ended.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`]; [`Error::OwnAccount`] when it is the administrator's own
    /// that is to be locked; [`Error::NoSuchAccount`]; [`Error::Store`].
    pub async fn set_account_state(
        &self,
        admin: &Administrator,
        id: AccountId,
        state: AccountState,
    ) -> Result<u64> {
        self.require_recent(&admin.who)?;
        // Nobody locks themselves out: the last administrator could not be let in again from here.
        if state == AccountState::Disabled && id == admin.who.session.account {
            return Err(Error::OwnAccount);
        }
        let what = match state {
            AccountState::Active => AuditKind::AccountEnabled,
            AccountState::Disabled => AuditKind::AccountDisabled,
        };
        let cause = self.cause(what, admin.who.by());
        let ended = self.store.set_account_state(id, state, cause).await?;
        let ended = ended.ok_or(Error::NoSuchAccount)?;
        Event::Happened(cause.about(id).ending(ended)).record();
        Ok(ended)
    }

    /// The living sessions of an account, oldest first.
    ///
    /// # Errors
    /// [`Error::NoSuchAccount`], [`Error::Store`].
    pub async fn account_sessions(&self, _: &Administrator, id: AccountId) -> Result<Vec<Session>> {
        self.require_account(id).await?;
        Ok(self.store.sessions(id, self.clock.now()).await?)
    }

    /// Ends all sessions of an account. Returns how many.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`], [`Error::NoSuchAccount`], [`Error::Store`].
    pub async fn end_account_sessions(&self, admin: &Administrator, id: AccountId) -> Result<u64> {
        self.require_recent(&admin.who)?;
        self.require_account(id).await?;
        let cause = self.cause(AuditKind::SessionsEnded, admin.who.by());
        let ended = self.store.revoke_sessions(id, None, cause).await?;
        Event::Happened(cause.about(id).ending(ended)).record();
        Ok(ended)
    }

    /// Ends one session of an account.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`]; [`Error::NoSuchAccount`]; [`Error::NoSuchSession`] when
    /// the account has no such living session, be it another account's; [`Error::Store`].
    pub async fn end_account_session(
        &self,
        admin: &Administrator,
        id: AccountId,
        session: SessionId,
    ) -> Result<()> {
        self.require_recent(&admin.who)?;
        self.require_account(id).await?;
        let cause = self.cause(AuditKind::SessionEnded, admin.who.by());
        if !self.store.revoke_session(id, session, cause).await? {
            return Err(Error::NoSuchSession);
        }
        Event::Happened(cause.about(id).of_session(session).ending(1)).record();
        Ok(())
    }

    /// Ends every session of everybody, the administrator's own among them.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`], [`Error::Store`].
    pub async fn end_every_session(&self, admin: &Administrator) -> Result<()> {
        self.require_recent(&admin.who)?;
        let cause = self.cause(AuditKind::AllSessionsEnded, admin.who.by());
        self.store.revoke_all_sessions(cause).await?;
        Event::Happened(cause.about_nobody()).record();
        Ok(())
    }

    /// At most `limit` audit events, the newest first, from those before `before` on: of all, or
    /// those about an account and done by it, be that still there or not.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list_events(
        &self,
        _: &Administrator,
        account: Option<AccountId>,
        before: Option<AuditPlace>,
        limit: usize,
    ) -> Result<AuditPage> {
        self.audit_events(&AuditFilter { account }, before, limit).await
    }

    async fn require_account(&self, id: AccountId) -> Result<()> {
        match self.store.account(id).await? {
            Some(_) => Ok(()),
            None => Err(Error::NoSuchAccount),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::By,
        session::{
            Issued,
            testing::{Fixture, shown},
        },
    };

    async fn set_role(fixture: &Fixture, whose: &Issued, role: Role) {
        let cause = fixture.sessions.cause(AuditKind::RoleGiven, By::COMMAND_LINE);
        fixture.store.set_role(whose.session.account, role, cause).await.unwrap();
    }

    /// Somebody who was given the role and logged in then.
    async fn admin(fixture: &Fixture) -> Issued {
        let issued = fixture.signed_up("root@example.com").await;
        set_role(fixture, &issued, Role::Admin).await;
        fixture.logged_in("root@example.com").await
    }

    async fn as_admin(fixture: &Fixture, issued: &Issued) -> Result<Administrator> {
        let who = fixture.sessions.authenticate(&shown(issued)).await.unwrap();
        fixture.sessions.administrator(who).await
    }

    #[tokio::test]
    async fn the_role_is_what_the_store_says_now() {
        let fixture = Fixture::new();
        let member = fixture.signed_up("ann@example.com").await;
        assert!(matches!(as_admin(&fixture, &member).await, Err(Error::NotAnAdministrator)));
        let admin = admin(&fixture).await;
        assert!(as_admin(&fixture, &admin).await.is_ok());
        set_role(&fixture, &admin, Role::Member).await;
        assert!(matches!(as_admin(&fixture, &admin).await, Err(Error::NotAnAdministrator)));
    }

    #[tokio::test]
    async fn what_changes_something_needs_the_password_to_be_shown_lately() {
        let fixture = Fixture::new();
        let ann = fixture.signed_up("ann@example.com").await;
        let issued = admin(&fixture).await;
        fixture.later(11);
        let admin = as_admin(&fixture, &issued).await.unwrap();
        let (sessions, id) = (&fixture.sessions, ann.session.account);
        for refused in [
            sessions.set_account_state(&admin, id, AccountState::Disabled).await.map(drop),
            sessions.end_account_sessions(&admin, id).await.map(drop),
            sessions.end_account_session(&admin, id, ann.session.id).await,
            sessions.end_every_session(&admin).await,
        ] {
            assert!(matches!(refused, Err(Error::ReauthenticationRequired)), "{refused:?}");
        }
        assert!(sessions.authenticate(&shown(&ann)).await.is_ok());
        assert_eq!(
            sessions.account_sessions(&admin, id).await.unwrap().len(),
            1,
            "looking does not"
        );
    }

    #[tokio::test]
    async fn nobody_locks_themselves_out() {
        let fixture = Fixture::new();
        let issued = admin(&fixture).await;
        let admin = as_admin(&fixture, &issued).await.unwrap();
        let own = issued.session.account;
        let refused = fixture.sessions.set_account_state(&admin, own, AccountState::Disabled).await;
        assert!(matches!(refused, Err(Error::OwnAccount)));
        let enabled = fixture.sessions.set_account_state(&admin, own, AccountState::Active).await;
        assert_eq!(enabled.unwrap(), 0);
        assert!(fixture.sessions.authenticate(&shown(&issued)).await.is_ok());
    }

    #[tokio::test]
    async fn a_session_ends_under_its_own_account_alone() {
        let fixture = Fixture::new();
        let ann = fixture.signed_up("ann@example.com").await;
        let bob = fixture.signed_up("bob@example.com").await;
        let issued = admin(&fixture).await;
        let admin = as_admin(&fixture, &issued).await.unwrap();
        let end = async |account, session| {
            fixture.sessions.end_account_session(&admin, account, session).await
        };
        let wrong = end(ann.session.account, bob.session.id).await;
        assert!(matches!(wrong, Err(Error::NoSuchSession)));
        let nobody = end(AccountId::from_bytes([0; 16]), bob.session.id).await;
        assert!(matches!(nobody, Err(Error::NoSuchAccount)));
        assert!(fixture.sessions.authenticate(&shown(&bob)).await.is_ok());
        end(bob.session.account, bob.session.id).await.unwrap();
        assert!(fixture.sessions.authenticate(&shown(&bob)).await.is_err());
    }
}
