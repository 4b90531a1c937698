//! Everything of one moment, while it goes on changing.
//!
//! Redis takes no snapshot that could be read piece by piece. So an export says in the store that it
//! is under way, and from then on each function that changes an account keeps what was there, unless
//! the export has come past it (`touch` in `common.lua`). Accounts come first, in the order of their
//! ids; then those that changed meanwhile; then the audit events that there were when it began, whose
//! pages do not change. Those that leave meanwhile, because they are over or too many, are not in it.
//!
//! An export that nobody reads any more is given up after [`LIFE`], and what was kept for it goes.

use std::{collections::VecDeque, ops::Range};

use ::redis::Value;
use async_trait::async_trait;
use uuid::Uuid;

use super::{
    Functions,
    codec::{self, Parts},
    events,
};
use crate::{
    model::{AccountId, AuditEvent, AuditTrail, SessionId},
    store::{
        BackupRecord, Export, Result,
        backup::EVENTS_IN_RUN,
        records::{EVENTS_IN_PAGE, SessionRecord, damaged},
    },
};

/// How long an export waits to be read on, in milliseconds.
const LIFE: u32 = 10 * 60 * 1_000;

/// How many accounts, and about how many sessions, a page has.
const PAGE: u32 = 200;

/// How many pages of audit events are fetched at once.
pub(super) const EVENT_PAGES: u64 = 20;

/// An export that is under way.
pub(super) struct Exporting {
    functions: Functions,
    id: String,
    /// The epoch, if it was not handed out yet.
    pub(super) epoch: Option<u64>,
    /// What is left of the accounts: something, or nothing.
    pub(super) has_accounts: bool,
    /// What is left of the audit events: of a trail, from a page on, up to an event.
    pub(super) trails: VecDeque<(AuditTrail, u64, u64)>,
}

pub(super) async fn begin(functions: Functions) -> Result<Exporting> {
    let id = Uuid::new_v4().simple().to_string();
    let mut command = functions.change("begin_export");
    command.arg(&id).arg(LIFE);
    let mut parts = Parts::of("backup", functions.ask(&command).await?)?;
    let epoch = match parts.next() {
        Value::Nil => None,
        epoch => Some(codec::count("epoch", &epoch)?),
    };
    let ends = events::ends(parts.next())?;
    let mut trails = VecDeque::new();
    for (trail, end) in AuditTrail::ALL.into_iter().zip(ends) {
        trails.push_back((trail, parts.count()?, end));
    }
    Ok(Exporting { functions, id, epoch, has_accounts: true, trails })
}

#[async_trait]
impl Export for Exporting {
    async fn next(&mut self) -> Result<Option<Vec<BackupRecord>>> {
        let mut records: Vec<_> = self.epoch.take().map(BackupRecord::Epoch).into_iter().collect();
        while records.is_empty() && self.has_accounts {
            records = self.accounts().await?;
        }
        while records.is_empty() && !self.trails.is_empty() {
            records = self.events().await?;
        }
        Ok((!records.is_empty()).then_some(records))
    }
}

impl Exporting {
    pub(super) async fn accounts(&mut self) -> Result<Vec<BackupRecord>> {
        let mut command = self.functions.change("export_page");
        command.arg(&self.id).arg(LIFE).arg(PAGE);
        let mut found = Vec::new();
        let page = Parts::of("backup", self.functions.ask(&command).await?)?.rest();
        self.has_accounts = false;
        for bundle in page {
            self.has_accounts = true;
            // Nothing on this page, and there are others.
            if bundle != Value::Nil {
                add_bundle(bundle, &mut found)?;
            }
        }
        Ok(found)
    }

    async fn events(&mut self) -> Result<Vec<BackupRecord>> {
        let Some((trail, from, end)) = self.trails.pop_front() else {
            return Ok(Vec::new());
        };
        let last = end.div_ceil(EVENTS_IN_PAGE);
        let until = last.min(from + EVENT_PAGES);
        let mut found = Vec::new();
        if from < until {
            for (number, events) in self.event_pages(trail, from..until, end).await? {
                let first = number * EVENTS_IN_RUN;
                if !events.is_empty() {
                    found.push(BackupRecord::Events { trail, first, events });
                }
            }
            self.trails.push_front((trail, until, end));
        }
        Ok(found)
    }
}

impl Exporting {
    /// Pages of a trail by their numbers, without the events from `end` on.
    pub(super) async fn event_pages(
        &self,
        trail: AuditTrail,
        numbers: Range<u64>,
        end: u64,
    ) -> Result<Vec<(u64, Vec<AuditEvent>)>> {
        let mut command = self.functions.read("event_pages");
        command.arg(codec::letter(trail));
        for number in numbers.clone() {
            command.arg(number);
        }
        let mut pages: Vec<_> =
            numbers.zip(events::pages(self.functions.ask(&command).await?)?).collect();
        for (number, events) in &mut pages {
            let most = end.saturating_sub(*number * EVENTS_IN_PAGE);
            events.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        }
        Ok(pages)
    }
}

/// The records of an account with what it has.
fn add_bundle(bundle: Value, found: &mut Vec<BackupRecord>) -> Result<()> {
    let mut parts = Parts::of("account", bundle)?;
    let id = AccountId::from_bytes(parts.id()?);
    let record = parts.next();
    let (sessions, variables) = (parts.next(), parts.next());
    if record != Value::Nil {
        let mut record = Parts::of("account", record)?;
        let account = codec::account(id, &mut record)?;
        let ended_visits = record.count()?;
        let ended_days = codec::days(record.next())?;
        found.push(BackupRecord::Account { account, ended_visits, ended_days });
    }
    for pair in Parts::of("session", sessions)?.rest() {
        let mut pair = Parts::of("session", pair)?;
        let session = SessionId::from_bytes(pair.id()?);
        let SessionRecord { session, epoch, days } = codec::record(id, session, pair.next())?;
        found.push(BackupRecord::Session { session, epoch, days });
    }
    for kept in Parts::of("variables", variables)?.rest() {
        let mut kept = Parts::of("variables", kept)?;
        let session = SessionId::from_bytes(kept.id()?);
        let variables = codec::variables(kept)?;
        if variables.is_empty() {
            return Err(damaged("variables", "there are none"));
        }
        found.push(BackupRecord::Variables { account: id, session, variables });
    }
    Ok(())
}
