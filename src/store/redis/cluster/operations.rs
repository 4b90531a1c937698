//! The operations. What is about an account is its shard's to do.

use async_trait::async_trait;
use futures_util::future::select_ok;
use jiff::SignedDuration;

use super::{ClusterStore, claims::Claimed, shard};
use crate::{
    model::{
        Account, AccountId, AccountState, AttemptKey, Attempts, AuditEvent, Cause, Email,
        PasswordHash, Role, Session, SessionId, Succession, Timestamp, Variables, VisitDays,
    },
    store::{
        AuditFilter, AuditPage, AuditPlace, BackupRecord, Created, EmailChange, Export,
        FoundAccounts, PasswordChange, Result, Store, StoreError, SweepCursor, Swept,
        VariableChange, Visit, Visited,
        redis::{RedisStore, events},
    },
};

#[async_trait]
impl Store for ClusterStore {
    async fn create_account(&self, account: Account, cause: Cause) -> Result<bool> {
        let claim = match self.claim(&account.email, account.id).await? {
            Claimed::Ours(claim) => claim,
            Claimed::Taken(_) => return Ok(false),
        };
        let shard = self.of(account.id);
        match shard.create_account_until(&account, cause, &claim.deadline).await? {
            Some(true) => {
                self.settle(&claim, true).await;
                Ok(true)
            }
            // The id is somebody's.
            Some(false) => {
                self.settle_as_it_is(&claim).await;
                Ok(false)
            }
            None => {
                self.settle_as_it_is(&claim).await;
                Err(too_late())
            }
        }
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>> {
        self.of(id).account(id).await
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>> {
        let Some(id) = self.claimant(email).await? else {
            return Ok(None);
        };
        Ok(self.account(id).await?.filter(|account| account.email == *email))
    }

    async fn find_accounts(
        &self,
        part: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<FoundAccounts> {
        self.search_all_accounts(part, after, limit).await
    }

    async fn set_account_state(
        &self,
        id: AccountId,
        state: AccountState,
        cause: Cause,
    ) -> Result<Option<u64>> {
        self.of(id).set_account_state(id, state, cause).await
    }

    async fn set_role(&self, id: AccountId, role: Role, cause: Cause) -> Result<Option<u64>> {
        self.of(id).set_role(id, role, cause).await
    }

    async fn remove_account(&self, id: AccountId, cause: Cause) -> Result<Option<u64>> {
        let removed = self.of(id).remove_with_email(id, None, cause).await?;
        Ok(self.freed(removed).await)
    }

    async fn close_account(
        &self,
        id: AccountId,
        by: SessionId,
        cause: Cause,
    ) -> Result<Option<u64>> {
        let removed = self.of(id).remove_with_email(id, Some(by), cause).await?;
        Ok(self.freed(removed).await)
    }

    async fn change_password(
        &self,
        id: AccountId,
        checked: Option<&PasswordHash>,
        new: PasswordHash,
        goes_on: Option<Succession>,
        cause: Cause,
    ) -> Result<PasswordChange> {
        self.of(id).change_password(id, checked, new, goes_on, cause).await
    }

    async fn rehash_password(
        &self,
        id: AccountId,
        checked: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool> {
        self.of(id).rehash_password(id, checked, new).await
    }

    async fn change_email(
        &self,
        id: AccountId,
        new: Email,
        goes_on: Succession,
        cause: Cause,
    ) -> Result<EmailChange> {
        let shard = self.of(id);
        // Whoever is no longer signed in is not told whose the address is, nor holds up anybody.
        if !shard.may_change_email(id, &goes_on).await? {
            return Ok(EmailChange::AccountChanged);
        }
        let claim = match self.claim(&new, id).await? {
            Claimed::Ours(claim) => claim,
            // It was alive before the address was found taken, and if it still is, it was then.
            Claimed::Taken(_) if shard.may_change_email(id, &goes_on).await? => {
                return Ok(EmailChange::Taken);
            }
            Claimed::Taken(_) => return Ok(EmailChange::AccountChanged),
        };
        match shard.change_email_until(id, &new, &goes_on, cause, &claim.deadline).await {
            Ok(Some((change @ EmailChange::Changed { .. }, old))) => {
                self.settle(&claim, true).await;
                if let Some(old) = old.filter(|old| *old != new) {
                    self.release(&old).await;
                }
                Ok(change)
            }
            Ok(Some((change, _))) => {
                self.settle_as_it_is(&claim).await;
                Ok(change)
            }
            Ok(None) => {
                self.settle_as_it_is(&claim).await;
                Err(too_late())
            }
            // The function refused.
            Err(error @ StoreError::Damaged { .. }) => {
                self.settle_as_it_is(&claim).await;
                Err(error)
            }
            // Perhaps it was done, perhaps it will be: the claim stays until its end.
            Err(error @ StoreError::Unavailable(_)) => Err(error),
        }
    }

    async fn total_visits(&self, id: AccountId) -> Result<u64> {
        self.of(id).total_visits(id).await
    }

    async fn visit_days(&self, id: AccountId) -> Result<VisitDays> {
        self.of(id).visit_days(id).await
    }

    async fn create_session(
        &self,
        session: Session,
        checked: &PasswordHash,
        max_per_account: usize,
        cause: Cause,
    ) -> Result<Created> {
        self.of(session.account).create_session(session, checked, max_per_account, cause).await
    }

    async fn reauthenticate_session(
        &self,
        account: AccountId,
        checked: &PasswordHash,
        succession: Succession,
        cause: Cause,
    ) -> Result<Option<Session>> {
        self.of(account).reauthenticate_session(account, checked, succession, cause).await
    }

    async fn session(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>> {
        self.of(account).session(account, id, now).await
    }

    async fn sessions(&self, account: AccountId, now: Timestamp) -> Result<Vec<Session>> {
        self.of(account).sessions(account, now).await
    }

    async fn visit(&self, visit: Visit) -> Result<Visited> {
        self.of(visit.token.account).visit(visit).await
    }

    async fn renew_session(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
        idle: SignedDuration,
    ) -> Result<Option<Session>> {
        self.of(account).renew_session(account, id, now, idle).await
    }

    async fn revoke_session(
        &self,
        account: AccountId,
        id: SessionId,
        cause: Cause,
    ) -> Result<bool> {
        self.of(account).revoke_session(account, id, cause).await
    }

    async fn revoke_copied_session(
        &self,
        account: AccountId,
        id: SessionId,
        cause: Cause,
    ) -> Result<bool> {
        self.of(account).revoke_copied_session(account, id, cause).await
    }

    async fn revoke_sessions(
        &self,
        account: AccountId,
        keep: Option<SessionId>,
        cause: Cause,
    ) -> Result<u64> {
        self.of(account).revoke_sessions(account, keep, cause).await
    }

    /// The shard that writes it down is the last: what is written down was done.
    async fn revoke_all_sessions(&self, cause: Cause) -> Result<()> {
        let last = self.of_nobody();
        let others =
            self.all(
                async |shard| {
                    if std::ptr::eq(shard, last) { Ok(()) } else { shard.revoke_all(None).await }
                },
            );
        let ended = match others.await {
            Ok(_) => last.revoke_all(Some(cause)).await,
            Err(error) => Err(error),
        };
        ended.map_err(|error| match error {
            StoreError::Unavailable(why) => StoreError::Unavailable(format!(
                "{why}; some sessions may have ended, and some not: it has to be asked for again"
            )),
            error @ StoreError::Damaged { .. } => error,
        })
    }

    fn ends(&self) -> Option<u64> {
        self.shards.iter().map(Store::ends).sum()
    }

    async fn variables(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Variables>> {
        self.of(account).variables(account, id, now).await
    }

    async fn change_variable(
        &self,
        account: AccountId,
        id: SessionId,
        name: String,
        value: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<VariableChange> {
        self.of(account).change_variable(account, id, name, value, now).await
    }

    async fn attempts(&self, keys: &[AttemptKey], now: Timestamp) -> Result<Vec<Attempts>> {
        let asked = keys.iter().map(|key| async move {
            let found = self.shards[shard::of_attempts(key)].attempts(&[*key], now).await?;
            let none = Attempts { count: 0, until: now };
            Ok(found.first().copied().unwrap_or(none))
        });
        futures_util::future::try_join_all(asked).await
    }

    /// The event is written down with the first of the keys.
    async fn count_attempt(
        &self,
        keys: Vec<AttemptKey>,
        window: SignedDuration,
        now: Timestamp,
        mut event: Option<AuditEvent>,
    ) -> Result<()> {
        let Some(first) = keys.first().copied() else {
            return match event {
                Some(event) => self.write_event(event).await,
                None => Ok(()),
            };
        };
        let mut by_shard: Vec<(usize, Vec<AttemptKey>)> =
            vec![(shard::of_attempts(&first), Vec::new())];
        for key in keys {
            let shard = shard::of_attempts(&key);
            match by_shard.iter_mut().find(|(other, _)| *other == shard) {
                Some((_, keys)) => keys.push(key),
                None => by_shard.push((shard, vec![key])),
            }
        }
        let counted = by_shard
            .into_iter()
            .map(|(shard, keys)| self.shards[shard].count_attempt(keys, window, now, event.take()));
        futures_util::future::try_join_all(counted).await.map(drop)
    }

    async fn forget_attempts(&self, key: AttemptKey) -> Result<()> {
        self.shards[shard::of_attempts(&key)].forget_attempts(key).await
    }

    async fn write_event(&self, event: AuditEvent) -> Result<()> {
        let shard = event.account.map_or(self.of_nobody(), |account| self.of(account));
        shard.write_event(event).await
    }

    async fn audit_events(
        &self,
        filter: &AuditFilter,
        before: Option<AuditPlace>,
        limit: usize,
        now: Timestamp,
    ) -> Result<AuditPage> {
        events::list(&self.shards, *filter, before, limit, now).await
    }

    async fn sweep(
        &self,
        from: Option<SweepCursor>,
        budget: usize,
        now: Timestamp,
    ) -> Result<Swept> {
        self.sweep_shards(from, budget, now).await
    }

    async fn export(&self) -> Result<Box<dyn Export>> {
        Ok(Box::new(self.begin_export().await?))
    }

    async fn import(&self, records: Vec<BackupRecord>) -> Result<()> {
        self.import_into_shards(records).await
    }

    /// Good where one shard is, and as soon as it says so: a node is of use as long as it can record
    /// something somewhere, and of none more where another has the same shards away.
    async fn ping(&self) -> Result<()> {
        select_ok(self.shards.iter().map(Store::ping)).await.map(drop)
    }

    async fn close(&self) -> Result<()> {
        self.shards.iter().for_each(RedisStore::close_links);
        drop(self.lock.lock().take());
        Ok(())
    }
}

impl ClusterStore {
    /// Frees the e-mail of an account that was removed. Returns how many sessions ended.
    async fn freed(&self, removed: Option<(u64, Email)>) -> Option<u64> {
        let (ended, email) = removed?;
        self.release(&email).await;
        Some(ended)
    }
}

fn too_late() -> StoreError {
    StoreError::Unavailable("Redis: it took too long to be done, and was not".to_owned())
}
