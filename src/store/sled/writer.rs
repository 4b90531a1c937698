//! The one thread that changes the database: it takes all that waits, records it, answers it.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Shared,
    answers::Answers,
    contained,
    database::{self, Database},
    job::Job,
    journal::Journal,
    recovery::Broken,
};
use crate::store::{
    Result, StoreError,
    records::{Key, Value},
    steps::visits,
    view::{Changes, Layer, Overlay, Read, Scan},
};

/// The most records that visits change before the database gets them: it takes some milliseconds
/// for so many, and others wait meanwhile.
const MAX_UNRECORDED: usize = 1_024;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) database: Database,
    answers: Answers,
    /// How many of the last group waited for its commit.
    answered: usize,
    /// Where visits go before they are answered; not if they may be lost for a while.
    journal: Option<Journal>,
    /// How long visits that were answered may stay out of the database.
    interval: Duration,
    /// Those visits: answered, shown to readers, not in the database yet.
    pub(super) unrecorded: Changes,
    /// When the oldest of them has to be recorded.
    due: Option<Instant>,
}

/// What became of the steps of a group.
#[derive(Default)]
struct Outcome {
    /// What visits changed, which may be answered before it is in the database, and those who wait
    /// for no more than that.
    first: Changes,
    answered: Vec<Box<dyn Job>>,
    /// What to record before the rest is answered, and what is there until then.
    changes: Changes,
    images: Changes,
    waiting: Vec<Box<dyn Job>>,
}

impl Outcome {
    /// Lets visits wait like all else.
    fn wait_all(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        self.changes = std::mem::take(&mut self.first);
        self.changes.extend(changes);
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = std::mem::take(&mut self.answered);
        self.waiting.extend(waiting);
    }
}

impl Writer {
    /// A writer that answers visits when they are in the `journal`, or without one at once, and
    /// records them after `interval` at the latest.
    pub(super) fn new(
        shared: Arc<Shared>,
        database: Database,
        answers: Answers,
        journal: Option<Journal>,
        interval: Duration,
    ) -> Self {
        let (unrecorded, due) = (Changes::new(), None);
        Self { shared, database, answers, answered: 0, journal, interval, unrecorded, due }
    }

    /// Shows visits that were answered when the store was last open, and are perhaps not in the
    /// database. They are recorded before anything else is.
    pub(super) fn make_good(&mut self, visited: Vec<(Key, Value)>) -> Result<()> {
        let committed = &self.shared.committed;
        self.unrecorded = committed.read(|base| {
            let mut overlay = Overlay::new(base);
            visits::make_good(&mut overlay, visited)?;
            Ok(overlay.into_changes())
        })?;
        committed.show(&self.unrecorded);
        Ok(())
    }

    /// Works until the store is closed and everything sent before is done.
    ///
    /// # Errors
    /// When it ends broken: what was answered "unavailable" may then be in the files.
    pub(super) fn run(mut self) -> Result<()> {
        let mut broken = self.begin();
        loop {
            let wake = broken.as_ref().map(Broken::next_try).or(self.due);
            let Ok(group) = self.shared.queue.take(std::mem::take(&mut self.answered), wake) else {
                return self.end(broken);
            };
            let Some(trouble) = &mut broken else {
                let worked = self.work(group);
                broken = worked.err().map(|reason| self.break_down(&reason));
                continue;
            };
            // These came before the trouble was known to whoever sent them.
            drop(group);
            if trouble.next_try() <= Instant::now() && self.try_to_heal(trouble) {
                broken = None;
            }
        }
    }

    /// Runs a group, records what it changed, answers it.
    fn work(&mut self, group: Vec<Box<dyn Job>>) -> Result<(), String> {
        let committed = &self.shared.committed;
        let outcome = committed.read(|base| {
            let base = Remembered::new(base);
            let mut outcome = run_steps(&base, group);
            if !self.may_be_first(&outcome) {
                outcome.wait_all();
            }
            for key in outcome.changes.keys().filter(|key| !outcome.first.contains_key(*key)) {
                outcome.images.insert(key.clone(), base.get(key)?);
            }
            Ok(outcome)
        });
        let outcome = outcome.map_err(|error| error.to_string())?;
        if !outcome.first.is_empty() {
            let appended = self.append(&outcome.first, outcome.answered.len());
            if let Err(reason) = &appended {
                self.answers.send(outcome.answered, Err(StoreError::Unavailable(reason.clone())));
                return appended;
            }
            self.shared.committed.show(&outcome.first);
            self.unrecorded.extend(outcome.first);
            self.due.get_or_insert_with(|| Instant::now() + self.interval);
        }
        self.answers.send(outcome.answered, Ok(()));

        if outcome.changes.is_empty() && !self.is_due() {
            return Ok(());
        }
        self.shared.committed.keep_showing(outcome.images);
        self.answered += outcome.waiting.len();
        note_group(outcome.waiting.len());
        let recorded = self.record(outcome.changes);
        self.answers.send(outcome.waiting, recorded.clone().map_err(StoreError::Unavailable));
        recorded
    }

    /// Whether visits of a group are answered before they are in the database: not if it has to
    /// be written to now in any case.
    fn may_be_first(&self, outcome: &Outcome) -> bool {
        let Some(journal) = &self.journal else {
            return true;
        };
        outcome.first.is_empty()
            || outcome.changes.is_empty()
                && !self.is_due()
                && self.unrecorded.len() + outcome.first.len() <= MAX_UNRECORDED
                && journal.takes(&outcome.first)
    }

    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Makes visits durable for so many who wait, unless they may be lost for a while.
    fn append(&mut self, first: &Changes, waiting: usize) -> Result<(), String> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        self.answered = waiting;
        note_group(waiting);
        let started = Instant::now();
        contained(|| journal.append(first).map_err(|error| error.to_string()))?;
        metrics::histogram!("countersign_store_commit_seconds").record(started.elapsed());
        Ok(())
    }

    /// Makes the journal ready again, once all that was answered is in the database.
    pub(super) fn renew_journal(&mut self) -> Result<(), String> {
        match &mut self.journal {
            Some(journal) if !journal.is_ready() => {
                journal.renew().map_err(|error| error.to_string())
            }
            _ => Ok(()),
        }
    }

    /// Records what was answered already and `changes`, in one commit, and shows it to readers.
    pub(super) fn record(&mut self, changes: Changes) -> Result<(), String> {
        let started = Instant::now();
        let committed = &self.shared.committed;
        let handle = committed.database().ok_or("the database is not open")?;
        let mut batch = std::mem::take(&mut self.unrecorded);
        batch.extend(changes);
        self.due = None;
        self.database.record(&handle, &batch)?;
        if let Some(journal) = &mut self.journal {
            journal.restart();
        }
        committed.show_database(&batch);
        *self.shared.last_commit.lock() = Instant::now();
        metrics::histogram!("countersign_store_commit_seconds").record(started.elapsed());
        Ok(())
    }

    /// Records what was answered already and closes the database.
    fn end(mut self, broken: Option<Broken>) -> Result<()> {
        let recorded = if let Some(mut broken) = broken {
            contained(|| self.set_back(&mut broken))
        } else if self.unrecorded.is_empty() {
            Ok(())
        } else {
            self.record(Changes::new())
        };
        database::let_go(self.shared.committed.close());
        if let (Ok(()), Some(journal)) = (&recorded, self.journal.take())
            && let Err(reason) = journal.remove()
        {
            tracing::warn!(%reason, "the journal stays, and is read once more at the next start");
        }
        recorded.map_err(StoreError::Unavailable)
    }
}

/// Runs the steps one after the other, each on what the ones before it left.
fn run_steps(base: &dyn Read, group: Vec<Box<dyn Job>>) -> Outcome {
    let mut outcome = Outcome::default();
    for mut job in group {
        let first = Layer { base, changes: &outcome.first };
        let now = Layer { base: &first, changes: &outcome.changes };
        let mut step = Overlay::new(&now);
        let Ok(keep) = contained(|| Ok(job.run(&mut step))) else {
            // A step that panics is dropped unanswered: nothing of it is kept.
            continue;
        };
        let changes = if keep { step.into_changes() } else { Changes::new() };
        // Whoever saw nothing but what is recorded, and changed nothing, need not wait; nor
        // need a visit that may be answered first, if nothing before it has to wait.
        if outcome.changes.is_empty() && (changes.is_empty() || job.answer_first()) {
            outcome.first.extend(changes);
            outcome.answered.push(job);
        } else {
            outcome.changes.extend(changes);
            outcome.waiting.push(job);
        }
    }
    outcome
}

fn note_group(answers: usize) {
    metrics::histogram!("countersign_store_commit_changes")
        .record(u32::try_from(answers).unwrap_or(u32::MAX));
}

/// Remembers single records, so that a group reads each from the database once.
struct Remembered<'a> {
    base: &'a dyn Read,
    seen: RefCell<BTreeMap<Key, Option<Value>>>,
}

impl<'a> Remembered<'a> {
    fn new(base: &'a dyn Read) -> Self {
        Self { base, seen: RefCell::default() }
    }
}

impl Read for Remembered<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        if let Some(value) = self.seen.borrow().get(key) {
            return Ok(value.clone());
        }
        let value = self.base.get(key)?;
        self.seen.borrow_mut().insert(key.to_vec(), value.clone());
        Ok(value)
    }

    fn scan<'a>(&'a self, prefix: &'a [u8], start: &[u8]) -> Scan<'a> {
        self.base.scan(prefix, start)
    }
}
