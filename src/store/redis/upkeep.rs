//! The sweep, and the import of a backup's records.

use ::redis::{Cmd, Value};

use super::{
    RedisStore,
    codec::{self, Parts, exact, millis},
};
use crate::{
    model::{AuditEvent, AuditTrail, Timestamp, clock::later},
    store::{
        BackupRecord, Result, SweepCursor, Swept,
        backup::EVENTS_IN_RUN,
        records::{EVENTS_IN_PAGE, damaged},
    },
};

/// The most sessions and places of attempts that one step looks at, whatever its budget.
const MOST_LOOKED_AT: usize = 500;

/// How many sessions and places a step looks at that is allowed so many.
pub(super) fn sweep_budget(asked: usize) -> u64 {
    asked.clamp(1, MOST_LOOKED_AT) as u64
}

/// How many pages of audit events a step removes; with fewer it was the last.
const MOST_PAGES: u64 = 64;

/// How much longer than its events a page of them lives: as in `common.lua`.
const MARGIN: i64 = 60 * 60 * 1_000;

/// The highest number of a page that can be counted on from.
const LAST_PAGE: u64 = 1 << 48;

// What a cursor begins with.
const SESSIONS: u8 = b's';
const ATTEMPTS: u8 = b't';
const EVENTS: u8 = b'u';

impl RedisStore {
    /// Sessions, then attempts, then audit events, as `steps/upkeep.rs` does it. Leaves of the budget
    /// what it did not need.
    pub(super) async fn sweep_step(
        &self,
        from: Option<SweepCursor>,
        budget: &mut u64,
        now: Timestamp,
    ) -> Result<Swept> {
        // What it removes was over at `now`, which need not be the present.
        let _changing = self.changing(None);
        let from = from.map_or_else(|| vec![SESSIONS], |cursor| cursor.0);
        let nothing = Swept { removed: 0, living: 0, next: None };
        match from.split_first() {
            Some((&SESSIONS, ids)) => {
                let swept = self.sweep_sessions(ids, budget, now).await?;
                if swept.next.is_some() {
                    return Ok(swept);
                }
                self.sweep_attempts(&[], budget, now, swept).await
            }
            Some((&ATTEMPTS, place)) => self.sweep_attempts(place, budget, now, nothing).await,
            Some((&EVENTS, [])) => self.sweep_events(now, nothing).await,
            _ => Err(damaged("sweep", "its place is none of this store")),
        }
    }

    async fn sweep_sessions(&self, from: &[u8], budget: &mut u64, now: Timestamp) -> Result<Swept> {
        let mut swept = Swept { removed: 0, living: 0, next: None };
        let (mut account, mut first) = match from.split_at_checked(16) {
            Some((account, session)) => (account.to_vec(), session.to_vec()),
            None => (Vec::new(), Vec::new()),
        };
        loop {
            let mut command = self.change("sweep_sessions");
            command.arg(millis(now)).arg(&account).arg(&first).arg(*budget);
            let mut parts = Parts::of("session", self.ask(&command).await?)?;
            let (removed, looked_at) = (parts.count()?, parts.count()?);
            swept.removed += removed;
            swept.living += looked_at.saturating_sub(removed);
            *budget -= looked_at.min(*budget);
            let Value::BulkString(next) = parts.next() else {
                return Ok(swept);
            };
            (account, first) = (next, parts.bytes()?);
            // An account alone: they were many, and have had few sessions.
            if !first.is_empty() {
                swept.next = Some(cursor(SESSIONS, &[&account, &first]));
                return Ok(swept);
            }
        }
    }

    async fn sweep_attempts(
        &self,
        from: &[u8],
        budget: &mut u64,
        now: Timestamp,
        swept: Swept,
    ) -> Result<Swept> {
        let mut command = self.change("sweep_attempts");
        command.arg(millis(now)).arg(from).arg(*budget);
        let mut parts = Parts::of("attempts", self.ask(&command).await?)?;
        *budget -= parts.count()?.min(*budget);
        match parts.next() {
            Value::BulkString(place) => {
                Ok(Swept { next: Some(cursor(ATTEMPTS, &[&place])), ..swept })
            }
            _ => self.sweep_events(now, swept).await,
        }
    }

    async fn sweep_events(&self, now: Timestamp, swept: Swept) -> Result<Swept> {
        let mut command = self.change("sweep_events");
        command.arg(millis(later(now, -self.audit.keep))).arg(codec::pages(self.audit));
        let pages = self.count("audit", &command).await?;
        Ok(Swept { next: (pages >= MOST_PAGES).then(|| cursor(EVENTS, &[])), ..swept })
    }

    /// All of them, or none; none, too, if it is only asked whether they could be.
    pub(super) async fn import_records(
        &self,
        records: Vec<BackupRecord>,
        only_look: bool,
    ) -> Result<()> {
        let _changing = self.changing(None);
        let mut command = self.change("import");
        command.arg(u8::from(only_look));
        for record in records {
            self.add_record(&mut command, record)?;
        }
        self.ask(&command).await.map(drop)
    }

    fn add_record(&self, command: &mut Cmd, record: BackupRecord) -> Result<()> {
        match record {
            BackupRecord::Account { account, ended_visits, ended_days } => {
                command.arg("a");
                codec::add_account(command, &account);
                command.arg(exact("account", ended_visits)?);
                codec::add_days(command, &ended_days);
            }
            BackupRecord::Session { session, epoch, days } => {
                command.arg("s").arg(session.account.as_bytes()).arg(session.id.as_bytes());
                codec::add_session(command, &session, epoch)?;
                codec::add_days(command, &days);
            }
            BackupRecord::Variables { account, session, variables } => {
                command.arg("v").arg(account.as_bytes()).arg(session.as_bytes());
                command.arg(variables.iter().count());
                for (name, value) in variables.iter() {
                    command.arg(name).arg(value);
                }
            }
            BackupRecord::Epoch(epoch) => {
                command.arg("e").arg(exact("epoch", epoch)?);
            }
            BackupRecord::Events { trail, first, events } => {
                self.add_events(command, trail, first, &events)?;
            }
        }
        Ok(())
    }

    /// A run of events is the page that it is.
    fn add_events(
        &self,
        command: &mut Cmd,
        trail: AuditTrail,
        first: u64,
        events: &[AuditEvent],
    ) -> Result<()> {
        let fits = first.is_multiple_of(EVENTS_IN_RUN)
            && first / EVENTS_IN_RUN <= LAST_PAGE
            && events.len() as u64 <= EVENTS_IN_RUN
            && events.iter().all(|event| event.what.trail() == trail);
        if !fits {
            return Err(damaged("audit", "it is no run of a trail's events"));
        }
        command.arg("u").arg(codec::letter(trail)).arg(first / EVENTS_IN_PAGE);
        command.arg(codec::page_life(self.audit).saturating_add(MARGIN)).arg(events.len());
        for event in events {
            command.arg(codec::kept_event(event)?);
        }
        Ok(())
    }
}

// One is one.
const _: () = assert!(EVENTS_IN_RUN == EVENTS_IN_PAGE);

fn cursor(kind: u8, parts: &[&[u8]]) -> SweepCursor {
    SweepCursor([&[kind], parts.concat().as_slice()].concat())
}
