//! A store that can be held and can fail: what a test needs to stand in the middle of a race.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use countersign::{
    model::{
        Account, AccountId, AccountState, AttemptKey, Attempts, AuditEvent, Cause, Email,
        PasswordHash, Role, Session, SessionId, Succession, Timestamp, Variables, VisitDays,
    },
    store::{
        AuditFilter, AuditPage, AuditPlace, BackupRecord, Created, EmailChange, Export,
        FoundAccounts, PasswordChange, Result, Store, StoreError, SweepCursor, Swept,
        VariableChange, Visit, Visited,
    },
};
use jiff::SignedDuration;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::in_time;

/// The steps that can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Visit,
    Renew,
    CreateSession,
    CreateAccount,
    ChangePassword,
    ChangeEmail,
    Reauthenticate,
    CloseAccount,
    Revoke,
    LookUp,
    CountAttempt,
    ChangeVariable,
}

/// Where a step is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Nothing of it is done yet.
    Before,
    /// It is done, and not yet answered.
    After,
}

/// What does not work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outage {
    #[default]
    None,
    /// What must be recorded; what is there can be read.
    Writes,
    /// Everything.
    All,
    /// Everything, as a mistake in the program does.
    Panic,
}

/// The handle on a [`HeldStore`]; it outlives restarts of the server.
#[derive(Clone, Default)]
pub(crate) struct Control(Arc<State>);

#[derive(Default)]
struct State {
    held: Mutex<Vec<(Op, When, Gate)>>,
    outage: Mutex<Outage>,
    swept: AtomicU64,
}

/// Where steps wait.
#[derive(Clone)]
pub(crate) struct Gate(Arc<(Semaphore, Semaphore)>);

impl Gate {
    /// Waits until `steps` of them have come.
    pub(crate) async fn reached(&self, steps: u32) {
        let came = self.0.0.acquire_many(steps);
        in_time("reaching the gate", came).await.unwrap().forget();
    }

    /// Lets all go on, and holds nothing more.
    pub(crate) fn open(&self) {
        self.0.1.close();
    }

    async fn pass(&self) {
        self.0.0.add_permits(1);
        // It is never given a permit: closing it is what opens the gate.
        let _ = self.0.1.acquire().await;
    }
}

impl Control {
    /// Holds each step of that kind from now on, until the gate is opened.
    pub(crate) fn hold(&self, op: Op, when: When) -> Gate {
        let gate = Gate(Arc::new((Semaphore::new(0), Semaphore::new(0))));
        self.0.held.lock().push((op, when, gate.clone()));
        gate
    }

    /// Lets it fail, or work again.
    pub(crate) fn outage(&self, outage: Outage) {
        *self.0.outage.lock() = outage;
    }

    /// How many dead sessions were swept away so far.
    pub(crate) fn swept(&self) -> u64 {
        self.0.swept.load(Ordering::SeqCst)
    }

    /// The store to run on.
    pub(crate) fn wrap(&self, inner: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(HeldStore { inner, control: self.clone() })
    }

    async fn held(&self, op: Op, when: When) {
        let gate = {
            let held = self.0.held.lock();
            let found = held
                .iter()
                .rev()
                .find(|(o, w, gate)| (*o, *w) == (op, when) && !gate.0.1.is_closed());
            found.map(|(_, _, gate)| gate.clone())
        };
        if let Some(gate) = gate {
            gate.pass().await;
        }
    }

    fn read(&self) -> Result<()> {
        self.unless(|outage| outage == Outage::All)
    }

    fn write(&self) -> Result<()> {
        self.unless(|outage| outage != Outage::None)
    }

    fn unless(&self, out: impl FnOnce(Outage) -> bool) -> Result<()> {
        let outage = *self.0.outage.lock();
        assert_ne!(outage, Outage::Panic, "/secret/path: a panic that was asked for");
        if out(outage) {
            return Err(StoreError::Unavailable("/secret/path: disk full".into()));
        }
        Ok(())
    }
}

struct HeldStore {
    inner: Arc<dyn Store>,
    control: Control,
}

#[async_trait]
impl Store for HeldStore {
    /// A store that is away cannot tell.
    fn ends(&self) -> Option<u64> {
        self.control.read().ok()?;
        self.inner.ends()
    }

    async fn bytes(&self) -> Result<Option<u64>> {
        self.control.read()?;
        self.inner.bytes().await
    }

    async fn create_account(&self, account: Account, cause: Cause) -> Result<bool> {
        self.control.held(Op::CreateAccount, When::Before).await;
        self.control.write()?;
        self.inner.create_account(account, cause).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>> {
        self.control.read()?;
        self.inner.account(id).await
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>> {
        self.control.read()?;
        self.inner.account_by_email(email).await
    }

    async fn find_accounts(
        &self,
        part: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<FoundAccounts> {
        self.control.read()?;
        self.inner.find_accounts(part, after, limit).await
    }

    async fn set_account_state(
        &self,
        id: AccountId,
        state: AccountState,
        cause: Cause,
    ) -> Result<Option<u64>> {
        self.control.write()?;
        self.inner.set_account_state(id, state, cause).await
    }

    async fn set_role(&self, id: AccountId, role: Role, cause: Cause) -> Result<Option<u64>> {
        self.control.write()?;
        self.inner.set_role(id, role, cause).await
    }

    async fn remove_account(&self, id: AccountId, cause: Cause) -> Result<Option<u64>> {
        self.control.write()?;
        self.inner.remove_account(id, cause).await
    }

    async fn close_account(
        &self,
        id: AccountId,
        by: SessionId,
        cause: Cause,
    ) -> Result<Option<u64>> {
        self.control.held(Op::CloseAccount, When::Before).await;
        self.control.write()?;
        self.inner.close_account(id, by, cause).await
    }

    async fn change_password(
        &self,
        id: AccountId,
        checked: Option<&PasswordHash>,
        new: PasswordHash,
        goes_on: Option<Succession>,
        cause: Cause,
    ) -> Result<PasswordChange> {
        self.control.held(Op::ChangePassword, When::Before).await;
        self.control.write()?;
        let changed = self.inner.change_password(id, checked, new, goes_on, cause).await;
        self.control.held(Op::ChangePassword, When::After).await;
        changed
    }

    async fn change_email(
        &self,
        id: AccountId,
        new: Email,
        goes_on: Succession,
        cause: Cause,
    ) -> Result<EmailChange> {
        self.control.held(Op::ChangeEmail, When::Before).await;
        self.control.write()?;
        let changed = self.inner.change_email(id, new, goes_on, cause).await;
        self.control.held(Op::ChangeEmail, When::After).await;
        changed
    }

    async fn reauthenticate_session(
        &self,
        account: AccountId,
        checked: &PasswordHash,
        succession: Succession,
        cause: Cause,
    ) -> Result<Option<Session>> {
        self.control.held(Op::Reauthenticate, When::Before).await;
        self.control.write()?;
        let session = self.inner.reauthenticate_session(account, checked, succession, cause).await;
        self.control.held(Op::Reauthenticate, When::After).await;
        session
    }

    async fn rehash_password(
        &self,
        id: AccountId,
        checked: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool> {
        self.control.write()?;
        self.inner.rehash_password(id, checked, new).await
    }

    async fn total_visits(&self, id: AccountId) -> Result<u64> {
        self.control.read()?;
        self.inner.total_visits(id).await
    }

    async fn visit_days(&self, id: AccountId) -> Result<VisitDays> {
        self.control.read()?;
        self.inner.visit_days(id).await
    }

    async fn create_session(
        &self,
        session: Session,
        checked: &PasswordHash,
        max_per_account: usize,
        cause: Cause,
    ) -> Result<Created> {
        self.control.held(Op::CreateSession, When::Before).await;
        self.control.write()?;
        let created = self.inner.create_session(session, checked, max_per_account, cause).await;
        self.control.held(Op::CreateSession, When::After).await;
        created
    }

    async fn session(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>> {
        self.control.read()?;
        let found = self.inner.session(account, id, now).await;
        self.control.held(Op::LookUp, When::After).await;
        found
    }

    async fn sessions(&self, account: AccountId, now: Timestamp) -> Result<Vec<Session>> {
        self.control.read()?;
        self.inner.sessions(account, now).await
    }

    async fn visit(&self, visit: Visit) -> Result<Visited> {
        self.control.held(Op::Visit, When::Before).await;
        self.control.write()?;
        let visited = self.inner.visit(visit).await;
        self.control.held(Op::Visit, When::After).await;
        visited
    }

    async fn renew_session(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
        idle: SignedDuration,
    ) -> Result<Option<Session>> {
        self.control.held(Op::Renew, When::Before).await;
        self.control.write()?;
        let renewed = self.inner.renew_session(account, id, now, idle).await;
        self.control.held(Op::Renew, When::After).await;
        renewed
    }

    async fn revoke_session(
        &self,
        account: AccountId,
        id: SessionId,
        cause: Cause,
    ) -> Result<bool> {
        self.control.held(Op::Revoke, When::Before).await;
        self.control.write()?;
        self.inner.revoke_session(account, id, cause).await
    }

    async fn revoke_copied_session(
        &self,
        account: AccountId,
        id: SessionId,
        cause: Cause,
    ) -> Result<bool> {
        self.control.write()?;
        self.inner.revoke_copied_session(account, id, cause).await
    }

    async fn revoke_sessions(
        &self,
        account: AccountId,
        keep: Option<SessionId>,
        cause: Cause,
    ) -> Result<u64> {
        self.control.write()?;
        self.inner.revoke_sessions(account, keep, cause).await
    }

    async fn revoke_all_sessions(&self, cause: Cause) -> Result<()> {
        self.control.write()?;
        self.inner.revoke_all_sessions(cause).await
    }

    async fn variables(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Variables>> {
        self.control.read()?;
        self.inner.variables(account, id, now).await
    }

    async fn change_variable(
        &self,
        account: AccountId,
        id: SessionId,
        name: String,
        value: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<VariableChange> {
        self.control.held(Op::ChangeVariable, When::Before).await;
        self.control.write()?;
        self.inner.change_variable(account, id, name, value, now).await
    }

    async fn attempts(&self, keys: &[AttemptKey], now: Timestamp) -> Result<Vec<Attempts>> {
        self.control.read()?;
        self.inner.attempts(keys, now).await
    }

    async fn count_attempt(
        &self,
        keys: Vec<AttemptKey>,
        window: SignedDuration,
        now: Timestamp,
        event: Option<AuditEvent>,
    ) -> Result<()> {
        self.control.held(Op::CountAttempt, When::Before).await;
        self.control.write()?;
        self.inner.count_attempt(keys, window, now, event).await
    }

    async fn forget_attempts(&self, key: AttemptKey) -> Result<()> {
        self.control.write()?;
        self.inner.forget_attempts(key).await
    }

    async fn write_event(&self, event: AuditEvent) -> Result<()> {
        self.control.write()?;
        self.inner.write_event(event).await
    }

    async fn audit_events(
        &self,
        filter: &AuditFilter,
        before: Option<AuditPlace>,
        limit: usize,
        now: Timestamp,
    ) -> Result<AuditPage> {
        self.control.read()?;
        self.inner.audit_events(filter, before, limit, now).await
    }

    async fn sweep(
        &self,
        from: Option<SweepCursor>,
        budget: usize,
        now: Timestamp,
    ) -> Result<Swept> {
        self.control.write()?;
        let swept = self.inner.sweep(from, budget, now).await?;
        self.control.0.swept.fetch_add(swept.removed, Ordering::SeqCst);
        Ok(swept)
    }

    async fn export(&self) -> Result<Box<dyn Export>> {
        self.control.read()?;
        self.inner.export().await
    }

    async fn import(&self, records: Vec<BackupRecord>) -> Result<()> {
        self.control.write()?;
        self.inner.import(records).await
    }

    async fn ping(&self) -> Result<()> {
        self.control.write()?;
        self.inner.ping().await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
