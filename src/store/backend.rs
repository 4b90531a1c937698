//! [`Store`] for every backend that can run a step: the one list of operations and their steps.
//!
//! A backend that holds ordered keys implements [`Backend`] and has the whole contract. One that
//! does not (a server with functions of its own) implements [`Store`] itself.

use std::future::Future;

use async_trait::async_trait;
use jiff::SignedDuration;

use super::{
    AuditBounds, AuditFilter, AuditPage, AuditPlace, BackupRecord, Created, EmailChange, Export,
    FoundAccounts, PasswordChange, Result, Store, SweepCursor, Swept, VariableChange, Visit,
    Visited,
    export::{Exported, Snapshot},
    steps::{
        accounts, attempts,
        audit::{self, Scribe},
        import, sessions, upkeep, variables, visits,
    },
    view::{Read, Write},
};
use crate::model::{
    Account, AccountId, AccountState, AttemptKey, Attempts, AuditEvent, Cause, Email, PasswordHash,
    Role, Session, SessionId, Succession, Timestamp, Variables, VisitDays, clock::later,
};

/// Ordered keys, read as they were recorded, and changed by one step at a time.
pub(super) trait Backend: Send + Sync + 'static {
    /// Runs a step that only reads, again if the backend could not be read. It sees one recorded
    /// moment, and nothing that is under way.
    fn read<T: Send>(
        &self,
        step: impl Fn(&dyn Read) -> Result<T> + Send + Sync,
    ) -> impl Future<Output = Result<T>> + Send;

    /// Runs a step that changes, after all earlier ones, and answers when its changes and those
    /// it has seen are recorded. If the step fails or they cannot be recorded, nothing changed.
    fn commit<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut dyn Write) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send;

    /// [`commit`](Self::commit) for a visit, which the operator may have chosen to be answered
    /// before it is recorded.
    fn commit_visit(
        &self,
        step: impl FnOnce(&mut dyn Write) -> Result<Visited> + Send + 'static,
    ) -> impl Future<Output = Result<Visited>> + Send {
        self.commit(step)
    }

    /// How many audit events are kept, and for how long.
    fn audit_bounds(&self) -> AuditBounds;

    /// Who writes a change down.
    fn scribe(&self, cause: Cause) -> Scribe {
        Scribe { cause, bounds: self.audit_bounds() }
    }

    /// [`Store::ends`].
    fn ends(&self) -> Option<u64> {
        None
    }

    /// [`Store::bytes`].
    fn bytes(&self) -> impl Future<Output = Result<Option<u64>>> + Send {
        async { Ok(None) }
    }

    /// Holds on to this moment, for [`Store::export`].
    fn snapshot(&self) -> impl Future<Output = Result<impl Snapshot>> + Send;

    /// [`Store::ping`].
    fn ping(&self) -> impl Future<Output = Result<()>> + Send;

    /// [`Store::close`].
    fn close(&self) -> impl Future<Output = Result<()>> + Send;
}

#[async_trait]
impl<B: Backend> Store for B {
    async fn create_account(&self, account: Account, cause: Cause) -> Result<bool> {
        let scribe = self.scribe(cause);
        self.commit(move |w| accounts::create(w, account, scribe)).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>> {
        self.read(|r| accounts::find(r, id)).await
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>> {
        self.read(|r| accounts::find_by_email(r, email)).await
    }

    async fn find_accounts(
        &self,
        part: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<FoundAccounts> {
        self.read(|r| accounts::search(r, part, after, limit)).await
    }

    async fn set_role(&self, id: AccountId, role: Role, cause: Cause) -> Result<Option<u64>> {
        let scribe = self.scribe(cause);
        self.commit(move |w| accounts::set_role(w, id, role, scribe)).await
    }

    async fn set_account_state(
        &self,
        id: AccountId,
        state: AccountState,
        cause: Cause,
    ) -> Result<Option<u64>> {
        let scribe = self.scribe(cause);
        self.commit(move |w| accounts::set_state(w, id, state, scribe)).await
    }

    async fn remove_account(&self, id: AccountId, cause: Cause) -> Result<Option<u64>> {
        let scribe = self.scribe(cause);
        self.commit(move |w| accounts::remove(w, id, scribe)).await
    }

    async fn close_account(
        &self,
        id: AccountId,
        by: SessionId,
        cause: Cause,
    ) -> Result<Option<u64>> {
        let scribe = self.scribe(cause);
        self.commit(move |w| accounts::close(w, id, by, scribe)).await
    }

    async fn change_password(
        &self,
        id: AccountId,
        checked: Option<&PasswordHash>,
        new: PasswordHash,
        goes_on: Option<Succession>,
        cause: Cause,
    ) -> Result<PasswordChange> {
        let (checked, scribe) = (checked.cloned(), self.scribe(cause));
        self.commit(move |w| {
            accounts::change_password(w, id, checked.as_ref(), new, goes_on, scribe)
        })
        .await
    }

    async fn rehash_password(
        &self,
        id: AccountId,
        checked: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool> {
        let checked = checked.clone();
        self.commit(move |w| accounts::rehash(w, id, &checked, new)).await
    }

    async fn change_email(
        &self,
        id: AccountId,
        new: Email,
        goes_on: Succession,
        cause: Cause,
    ) -> Result<EmailChange> {
        let scribe = self.scribe(cause);
        self.commit(move |w| accounts::change_email(w, id, new, goes_on, scribe)).await
    }

    async fn total_visits(&self, id: AccountId) -> Result<u64> {
        self.read(|r| accounts::total_visits(r, id)).await
    }

    async fn visit_days(&self, id: AccountId) -> Result<VisitDays> {
        self.read(|r| accounts::visit_days(r, id)).await
    }

    async fn create_session(
        &self,
        session: Session,
        checked: &PasswordHash,
        max_per_account: usize,
        cause: Cause,
    ) -> Result<Created> {
        let (checked, scribe) = (checked.clone(), self.scribe(cause));
        self.commit(move |w| sessions::create(w, session, &checked, max_per_account, scribe)).await
    }

    async fn reauthenticate_session(
        &self,
        account: AccountId,
        checked: &PasswordHash,
        succession: Succession,
        cause: Cause,
    ) -> Result<Option<Session>> {
        let (checked, scribe) = (checked.clone(), self.scribe(cause));
        self.commit(move |w| accounts::reauthenticate(w, account, &checked, &succession, scribe))
            .await
    }

    async fn session(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>> {
        self.read(|r| sessions::find(r, account, id, now)).await
    }

    async fn sessions(&self, account: AccountId, now: Timestamp) -> Result<Vec<Session>> {
        self.read(|r| sessions::list(r, account, now)).await
    }

    async fn visit(&self, visit: Visit) -> Result<Visited> {
        let bounds = self.audit_bounds();
        self.commit_visit(move |w| visits::visit(w, &visit, bounds)).await
    }

    async fn renew_session(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
        idle: SignedDuration,
    ) -> Result<Option<Session>> {
        self.commit(move |w| sessions::renew(w, account, id, now, idle)).await
    }

    async fn revoke_session(
        &self,
        account: AccountId,
        id: SessionId,
        cause: Cause,
    ) -> Result<bool> {
        let scribe = self.scribe(cause);
        self.commit(move |w| sessions::revoke(w, account, id, scribe)).await
    }

    async fn revoke_copied_session(
        &self,
        account: AccountId,
        id: SessionId,
        cause: Cause,
    ) -> Result<bool> {
        let scribe = self.scribe(cause);
        self.commit(move |w| sessions::revoke_copied(w, account, id, scribe)).await
    }

    async fn revoke_sessions(
        &self,
        account: AccountId,
        keep: Option<SessionId>,
        cause: Cause,
    ) -> Result<u64> {
        let scribe = self.scribe(cause);
        self.commit(move |w| sessions::revoke_all_of(w, account, keep, scribe)).await
    }

    async fn revoke_all_sessions(&self, cause: Cause) -> Result<()> {
        let scribe = self.scribe(cause);
        self.commit(move |w| sessions::revoke_all(w, scribe)).await
    }

    fn ends(&self) -> Option<u64> {
        Backend::ends(self)
    }

    async fn variables(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Variables>> {
        self.read(|r| variables::find(r, account, id, now)).await
    }

    async fn change_variable(
        &self,
        account: AccountId,
        id: SessionId,
        name: String,
        value: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<VariableChange> {
        self.commit(move |w| variables::change(w, account, id, name, value, now)).await
    }

    async fn attempts(&self, keys: &[AttemptKey], now: Timestamp) -> Result<Vec<Attempts>> {
        self.read(|r| attempts::find(r, keys, now)).await
    }

    async fn count_attempt(
        &self,
        keys: Vec<AttemptKey>,
        window: SignedDuration,
        now: Timestamp,
        event: Option<AuditEvent>,
    ) -> Result<()> {
        let bounds = self.audit_bounds();
        self.commit(move |w| attempts::count(w, &keys, window, now, event.as_ref(), bounds)).await
    }

    async fn forget_attempts(&self, key: AttemptKey) -> Result<()> {
        // Nearly always there is nothing, and a log-in waits for one commit less.
        if !self.read(|r| attempts::is_known(r, key)).await? {
            return Ok(());
        }
        self.commit(move |w| attempts::forget(w, key)).await
    }

    async fn write_event(&self, event: AuditEvent) -> Result<()> {
        let bounds = self.audit_bounds();
        self.commit(move |w| audit::append(w, &event, bounds)).await
    }

    async fn audit_events(
        &self,
        filter: &AuditFilter,
        before: Option<AuditPlace>,
        limit: usize,
        now: Timestamp,
    ) -> Result<AuditPage> {
        let over = later(now, -self.audit_bounds().keep);
        self.read(|r| audit::list(r, *filter, before.clone(), limit, over)).await
    }

    async fn sweep(
        &self,
        from: Option<SweepCursor>,
        budget: usize,
        now: Timestamp,
    ) -> Result<Swept> {
        let bounds = self.audit_bounds();
        let find = |r: &dyn Read| upkeep::find_dead(r, from.as_ref(), budget, now, bounds);
        let mut found = self.read(find).await?;
        let (next, living) = (found.next.take(), found.living);
        let removed = if found.is_empty() {
            0
        } else {
            self.commit(move |w| upkeep::remove_dead(w, &found, now, bounds)).await?
        };
        Ok(Swept { removed, living, next })
    }

    async fn bytes(&self) -> Result<Option<u64>> {
        Backend::bytes(self).await
    }

    async fn export(&self) -> Result<Box<dyn Export>> {
        Ok(Box::new(Exported(self.snapshot().await?)))
    }

    async fn import(&self, records: Vec<BackupRecord>) -> Result<()> {
        self.commit(move |w| import::import(w, records)).await
    }

    async fn ping(&self) -> Result<()> {
        Backend::ping(self).await
    }

    async fn close(&self) -> Result<()> {
        Backend::close(self).await
    }
}
