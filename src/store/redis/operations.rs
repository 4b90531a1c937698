//! The operations: one function each.

use std::sync::atomic::Ordering;

use ::redis::Value;
use async_trait::async_trait;
use jiff::SignedDuration;

use super::{
    RedisStore,
    codec::{self, Parts, millis},
    events, export,
    upkeep::sweep_budget,
};
use crate::{
    model::{
        Account, AccountId, AccountState, AttemptKey, Attempts, AuditEvent, Cause, Email,
        PasswordHash, Role, Session, SessionId, Succession, Timestamp, VariableRefused, Variables,
        VisitDays,
        clock::later,
        variables::{MAX_BYTES, MAX_NAME_BYTES, MAX_VALUE_BYTES, MOST_VARIABLES},
    },
    store::{
        AuditFilter, AuditPage, AuditPlace, BackupRecord, Created, EmailChange, Export,
        FoundAccounts, MOST_EMAILS_SEARCHED, PasswordChange, Result, Store, SweepCursor, Swept,
        VariableChange, Visit, Visited, records::damaged,
    },
};

#[async_trait]
impl Store for RedisStore {
    async fn create_account(&self, account: Account, cause: Cause) -> Result<bool> {
        Ok(self.create_account_until(&account, cause, "").await? == Some(true))
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>> {
        let mut command = self.read("account");
        command.arg(id.as_bytes());
        codec::account_if_any(self.ask(&command).await?)
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>> {
        let mut command = self.read("account_by_email");
        command.arg(email.as_str());
        codec::account_if_any(self.ask(&command).await?)
    }

    async fn find_accounts(
        &self,
        part: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<FoundAccounts> {
        Ok(self.search_accounts(part, after, limit, MOST_EMAILS_SEARCHED).await?.found)
    }

    async fn set_account_state(
        &self,
        id: AccountId,
        state: AccountState,
        cause: Cause,
    ) -> Result<Option<u64>> {
        let mut command = self.change("set_state");
        command.arg(id.as_bytes()).arg(codec::state(state));
        self.add_event(&mut command, &cause, |cause| cause.about(id))?;
        self.end_of_account(id, &command).await
    }

    async fn set_role(&self, id: AccountId, role: Role, cause: Cause) -> Result<Option<u64>> {
        let mut command = self.change("set_role");
        command.arg(id.as_bytes()).arg(codec::role(role));
        self.add_event(&mut command, &cause, |cause| cause.about(id))?;
        self.end_of_account(id, &command).await
    }

    async fn remove_account(&self, id: AccountId, cause: Cause) -> Result<Option<u64>> {
        Ok(self.remove_with_email(id, None, cause).await?.map(|(ended, _)| ended))
    }

    async fn close_account(
        &self,
        id: AccountId,
        by: SessionId,
        cause: Cause,
    ) -> Result<Option<u64>> {
        Ok(self.remove_with_email(id, Some(by), cause).await?.map(|(ended, _)| ended))
    }

    async fn change_password(
        &self,
        id: AccountId,
        checked: Option<&PasswordHash>,
        new: PasswordHash,
        goes_on: Option<Succession>,
        cause: Cause,
    ) -> Result<PasswordChange> {
        let mut command = self.change("change_password");
        command
            .arg(id.as_bytes())
            .arg(u8::from(checked.is_some()))
            .arg(checked.map_or("", PasswordHash::as_str))
            .arg(new.as_str())
            .arg(u8::from(goes_on.is_some()));
        match &goes_on {
            Some(succession) => codec::add_succession(&mut command, succession),
            None => codec::add_no_succession(&mut command),
        }
        self.add_event(&mut command, &cause, |cause| {
            let event = cause.about(id);
            goes_on.map_or(event, |it| event.going_on(it.from, it.to))
        })?;
        let mut parts = Parts::of("account", self.ask_end(Some(id), &command).await?)?;
        if parts.count()? == 0 {
            return Ok(PasswordChange::AccountChanged);
        }
        let ended = parts.count()?;
        let session = match goes_on {
            Some(succession) => Some(codec::session(id, succession.to, parts.next())?),
            None => None,
        };
        Ok(PasswordChange::Changed { ended, session })
    }

    async fn rehash_password(
        &self,
        id: AccountId,
        checked: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool> {
        let mut command = self.change("rehash");
        command.arg(id.as_bytes()).arg(checked.as_str()).arg(new.as_str());
        Ok(self.count("account", &command).await? == 1)
    }

    async fn change_email(
        &self,
        id: AccountId,
        new: Email,
        goes_on: Succession,
        cause: Cause,
    ) -> Result<EmailChange> {
        match self.change_email_until(id, &new, &goes_on, cause, "").await? {
            Some((change, _)) => Ok(change),
            None => Err(damaged("account", "a change without a deadline came too late")),
        }
    }

    async fn total_visits(&self, id: AccountId) -> Result<u64> {
        self.visits(id).await?.count()
    }

    async fn visit_days(&self, id: AccountId) -> Result<VisitDays> {
        let mut visits = self.visits(id).await?;
        drop(visits.next());
        codec::days(visits.next())
    }

    async fn create_session(
        &self,
        session: Session,
        checked: &PasswordHash,
        max_per_account: usize,
        cause: Cause,
    ) -> Result<Created> {
        let (account, id) = (session.account, session.id);
        let mut command = self.change("create_session");
        command
            .arg(account.as_bytes())
            .arg(id.as_bytes())
            .arg(checked.as_str())
            .arg(max_per_account);
        // Its epoch is the one in force, which the function knows.
        codec::add_session(&mut command, &session, 0)?;
        self.add_event(&mut command, &cause, |cause| cause.about(account).of_session(id))?;
        let changing = self.changing(Some(account));
        let mut parts = Parts::of("session", self.ask(&command).await?)?;
        if parts.count()? == 0 {
            return Ok(Created::AccountChanged);
        }
        let session = codec::session(account, id, parts.next())?;
        let mut ended = Vec::new();
        for part in Parts::of("session", parts.next())?.rest() {
            ended.push(session_id(codec::bytes("session", part)?)?);
        }
        if !ended.is_empty() {
            self.some_ended(parts.next()).await?;
        }
        if let Some(changing) = changing {
            changing.keep(&session);
        }
        Ok(Created::Added { session, ended })
    }

    async fn reauthenticate_session(
        &self,
        account: AccountId,
        checked: &PasswordHash,
        succession: Succession,
        cause: Cause,
    ) -> Result<Option<Session>> {
        let mut command = self.change("reauthenticate");
        command.arg(account.as_bytes()).arg(checked.as_str());
        codec::add_succession(&mut command, &succession);
        self.add_event(&mut command, &cause, |cause| {
            cause.about(account).going_on(succession.from, succession.to)
        })?;
        let answer = self.ask_end(Some(account), &command).await?;
        codec::session_if_any(account, succession.to, answer)
    }

    async fn session(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>> {
        let item = codec::check(account, id, now);
        let ask =
            async { codec::session_if_any(account, id, self.functions.ask_check(&item).await?) };
        match &self.local {
            Some(local) => local.session(account, id, now, ask).await,
            None => ask.await,
        }
    }

    async fn sessions(&self, account: AccountId, now: Timestamp) -> Result<Vec<Session>> {
        let mut command = self.read("sessions");
        command.arg(account.as_bytes()).arg(millis(now));
        let mut sessions = Vec::new();
        for part in Parts::of("session", self.ask(&command).await?)?.rest() {
            let mut pair = Parts::of("session", part)?;
            let id = SessionId::from_bytes(pair.id()?);
            sessions.push(codec::session(account, id, pair.next())?);
        }
        sessions.sort_by_key(|session| (session.created_at, session.id));
        Ok(sessions)
    }

    async fn visit(&self, visit: Visit) -> Result<Visited> {
        let token = visit.token;
        let item = codec::visit(&visit)?;
        let changing = self.changing(Some(token.account));
        match self.functions.ask_visit(&item, self.audit).await? {
            Value::Int(0) => Ok(Visited::Absent),
            Value::Int(2) => Ok(Visited::Copied),
            Value::Array(mut at) => {
                self.some_ended(at.pop().unwrap_or(Value::Nil)).await?;
                Ok(Visited::Copied)
            }
            answer => {
                let session = codec::session(token.account, token.session, answer)?;
                if let Some(changing) = changing {
                    changing.keep(&session);
                }
                Ok(Visited::Counted(session))
            }
        }
    }

    async fn renew_session(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
        idle: SignedDuration,
    ) -> Result<Option<Session>> {
        let mut command = self.change("renew");
        command
            .arg(account.as_bytes())
            .arg(id.as_bytes())
            .arg(millis(now))
            .arg(millis(later(now, idle)));
        let changing = self.changing(Some(account));
        let session = codec::session_if_any(account, id, self.ask(&command).await?)?;
        if let (Some(changing), Some(session)) = (changing, &session) {
            changing.keep(session);
        }
        Ok(session)
    }

    async fn revoke_session(
        &self,
        account: AccountId,
        id: SessionId,
        cause: Cause,
    ) -> Result<bool> {
        self.revoke(account, id, false, &cause).await
    }

    async fn revoke_copied_session(
        &self,
        account: AccountId,
        id: SessionId,
        cause: Cause,
    ) -> Result<bool> {
        self.revoke(account, id, true, &cause).await
    }

    async fn revoke_sessions(
        &self,
        account: AccountId,
        keep: Option<SessionId>,
        cause: Cause,
    ) -> Result<u64> {
        let mut command = self.change("revoke_others");
        command
            .arg(account.as_bytes())
            .arg(keep.as_ref().map_or(&[][..], |id| id.as_bytes().as_slice()))
            .arg(millis(cause.at));
        self.add_event(&mut command, &cause, |cause| cause.about(account))?;
        codec::count("session", &self.ask_end(Some(account), &command).await?)
    }

    async fn revoke_all_sessions(&self, cause: Cause) -> Result<()> {
        self.revoke_all(Some(cause)).await
    }

    /// Of the ends that were asked for here. Of another node's, the function knew that answered last:
    /// to ask it again would only move the moment to which its answer belongs.
    fn ends(&self) -> Option<u64> {
        Some(self.ends.load(Ordering::SeqCst))
    }

    async fn variables(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Variables>> {
        let mut command = self.read("variables");
        command.arg(account.as_bytes()).arg(id.as_bytes()).arg(millis(now));
        match self.ask(&command).await? {
            Value::Nil => Ok(None),
            answer => codec::variables(Parts::of("variables", answer)?).map(Some),
        }
    }

    async fn change_variable(
        &self,
        account: AccountId,
        id: SessionId,
        name: String,
        value: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<VariableChange> {
        let mut command = self.change("change_variable");
        command
            .arg(account.as_bytes())
            .arg(id.as_bytes())
            .arg(millis(now))
            .arg(name)
            .arg(u8::from(value.is_some()))
            .arg(value.unwrap_or_default())
            .arg(MAX_NAME_BYTES)
            .arg(MAX_VALUE_BYTES)
            .arg(MOST_VARIABLES)
            .arg(MAX_BYTES);
        let mut parts = Parts::of("variables", self.ask(&command).await?)?;
        match parts.count()? {
            0 => Ok(VariableChange::Absent),
            1 => Ok(VariableChange::Made { was_there: parts.count()? == 1 }),
            _ => Ok(VariableChange::Refused(match parts.text()?.as_str() {
                "name" => VariableRefused::Name,
                "value" => VariableRefused::Value,
                "many" => VariableRefused::TooMany,
                _ => VariableRefused::TooMuch,
            })),
        }
    }

    async fn attempts(&self, keys: &[AttemptKey], now: Timestamp) -> Result<Vec<Attempts>> {
        let mut command = self.read("attempts");
        command.arg(millis(now));
        for key in keys {
            command.arg(key.as_bytes());
        }
        let mut all = Vec::with_capacity(keys.len());
        for part in Parts::of("attempts", self.ask(&command).await?)?.rest() {
            let mut pair = Parts::of("attempts", part)?;
            let count = u32::try_from(pair.count()?).unwrap_or(u32::MAX);
            all.push(Attempts { count, until: pair.moment()? });
        }
        Ok(all)
    }

    async fn count_attempt(
        &self,
        keys: Vec<AttemptKey>,
        window: SignedDuration,
        now: Timestamp,
        event: Option<AuditEvent>,
    ) -> Result<()> {
        let mut command = self.change("count_attempt");
        command.arg(millis(now)).arg(millis(later(now, window))).arg(u8::from(event.is_some()));
        match &event {
            Some(event) => codec::add_event(&mut command, event, self.audit)?,
            None => codec::add_no_event(&mut command),
        }
        for key in keys {
            command.arg(key.as_bytes());
        }
        self.ask(&command).await.map(drop)
    }

    async fn forget_attempts(&self, key: AttemptKey) -> Result<()> {
        let mut command = self.change("forget_attempts");
        command.arg(key.as_bytes());
        self.ask(&command).await.map(drop)
    }

    async fn write_event(&self, event: AuditEvent) -> Result<()> {
        let mut command = self.change("write_event");
        codec::add_event(&mut command, &event, self.audit)?;
        self.ask(&command).await.map(drop)
    }

    async fn audit_events(
        &self,
        filter: &AuditFilter,
        before: Option<AuditPlace>,
        limit: usize,
        now: Timestamp,
    ) -> Result<AuditPage> {
        events::list(std::slice::from_ref(self), *filter, before, limit, now).await
    }

    async fn sweep(
        &self,
        from: Option<SweepCursor>,
        budget: usize,
        now: Timestamp,
    ) -> Result<Swept> {
        let mut budget = sweep_budget(budget);
        self.sweep_step(from, &mut budget, now).await
    }

    async fn export(&self) -> Result<Box<dyn Export>> {
        Ok(Box::new(export::begin(self.functions.clone()).await?))
    }

    async fn import(&self, records: Vec<BackupRecord>) -> Result<()> {
        self.import_records(records, false).await
    }

    async fn ping(&self) -> Result<()> {
        self.ask(&self.change("ping")).await.map(drop)
    }

    async fn close(&self) -> Result<()> {
        self.close_links();
        drop(self.lock.lock().take());
        Ok(())
    }
}

/// What a search found, and the last e-mail it looked at.
pub(super) struct Searched {
    pub(super) found: FoundAccounts,
    pub(super) last: Option<Email>,
}

/// What several shards need to know of an operation, beside what [`Store`] tells.
impl RedisStore {
    /// Makes an account, unless it is too late by `deadline`, if there is one: then nothing.
    pub(super) async fn create_account_until(
        &self,
        account: &Account,
        cause: Cause,
        deadline: &str,
    ) -> Result<Option<bool>> {
        let mut command = self.change("create_account");
        codec::add_account(&mut command, account);
        self.add_event(&mut command, &cause, |cause| cause.about(account.id))?;
        command.arg(deadline);
        Ok(match self.count("account", &command).await? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }

    /// Changes an e-mail, unless it is too late by `deadline`, if there is one: then nothing. Returns the e-mail of before, too, if it was changed.
    pub(super) async fn change_email_until(
        &self,
        id: AccountId,
        new: &Email,
        goes_on: &Succession,
        cause: Cause,
        deadline: &str,
    ) -> Result<Option<(EmailChange, Option<Email>)>> {
        let mut command = self.change("change_email");
        command.arg(id.as_bytes()).arg(new.as_str());
        codec::add_succession(&mut command, goes_on);
        self.add_event(&mut command, &cause, |cause| {
            cause.about(id).going_on(goes_on.from, goes_on.to)
        })?;
        command.arg(deadline);
        let mut parts = Parts::of("account", self.ask_end(Some(id), &command).await?)?;
        Ok(match parts.count()? {
            0 => Some((EmailChange::AccountChanged, None)),
            1 => {
                let ended = parts.count()?;
                let session = codec::session(id, goes_on.to, parts.next())?;
                let old = codec::email(&parts.text()?)?;
                Some((EmailChange::Changed { ended, session }, Some(old)))
            }
            2 => Some((EmailChange::Taken, None)),
            _ => None,
        })
    }

    /// Whether the session that wants another e-mail is alive, and its account active.
    pub(super) async fn may_change_email(
        &self,
        id: AccountId,
        goes_on: &Succession,
    ) -> Result<bool> {
        let mut command = self.read("may_change_email");
        command.arg(id.as_bytes()).arg(goes_on.from.as_bytes()).arg(millis(goes_on.now));
        Ok(self.count("account", &command).await? == 1)
    }

    /// Removes an account, only while the session `by` is alive if there is one. Returns how many
    /// sessions ended, and its e-mail.
    pub(super) async fn remove_with_email(
        &self,
        id: AccountId,
        by: Option<SessionId>,
        cause: Cause,
    ) -> Result<Option<(u64, Email)>> {
        let mut command = self.change("remove_account");
        command
            .arg(id.as_bytes())
            .arg(by.as_ref().map_or(&[][..], |id| id.as_bytes().as_slice()))
            .arg(millis(cause.at));
        self.add_event(&mut command, &cause, |cause| cause.about(id))?;
        match self.ask_end(Some(id), &command).await? {
            Value::Nil => Ok(None),
            answer => {
                let mut parts = Parts::of("account", answer)?;
                Ok(Some((parts.count()?, codec::email(&parts.text()?)?)))
            }
        }
    }

    /// Searches at most `most` e-mails.
    pub(super) async fn search_accounts(
        &self,
        part: &str,
        after: Option<&str>,
        limit: usize,
        most: usize,
    ) -> Result<Searched> {
        let mut command = self.read("find_accounts");
        command.arg(after.unwrap_or_default()).arg(part).arg(limit).arg(most);
        let mut parts = Parts::of("account", self.ask(&command).await?)?;
        let accounts = found(Parts::of("account", parts.next())?)?;
        let next = codec::email_if_any(parts.next())?;
        let last = codec::email_if_any(parts.next())?;
        Ok(Searched { found: FoundAccounts { accounts, next }, last })
    }

    /// Ends all sessions, and writes that down if it is told why.
    pub(super) async fn revoke_all(&self, cause: Option<Cause>) -> Result<()> {
        let mut command = self.change("revoke_all");
        match &cause {
            Some(cause) => self.add_event(&mut command, cause, Cause::about_nobody)?,
            None => codec::add_no_event(&mut command),
        }
        self.ask_end(None, &command).await.map(drop)
    }

    /// Refuses what comes from now on.
    pub(super) fn close_links(&self) {
        self.functions.link.close();
        if let Some(local) = &self.local {
            local.close();
        }
        if let Some((link, _)) = &self.waiting {
            link.close();
        }
    }
}

impl RedisStore {
    /// The visits over all sessions of an account, and by the day.
    async fn visits(&self, id: AccountId) -> Result<Parts> {
        let mut command = self.read("visits");
        command.arg(id.as_bytes());
        Parts::of("visits", self.ask(&command).await?)
    }

    async fn revoke(
        &self,
        account: AccountId,
        id: SessionId,
        was_copied: bool,
        cause: &Cause,
    ) -> Result<bool> {
        let mut command = self.change("revoke");
        command
            .arg(account.as_bytes())
            .arg(id.as_bytes())
            .arg(millis(cause.at))
            .arg(u8::from(was_copied));
        self.add_event(&mut command, cause, |cause| cause.about(account).of_session(id))?;
        Ok(codec::count("session", &self.ask_end(Some(account), &command).await?)? == 1)
    }
}

fn found(parts: Parts) -> Result<Vec<Account>> {
    let mut accounts = Vec::new();
    for part in parts.rest() {
        let account = codec::account_if_any(part)?;
        accounts.push(account.ok_or_else(|| damaged("account", "it is not there"))?);
    }
    Ok(accounts)
}

fn session_id(bytes: Vec<u8>) -> Result<SessionId> {
    let bytes = bytes.try_into().map_err(|_| damaged("session", "its id has another length"))?;
    Ok(SessionId::from_bytes(bytes))
}
