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
    recovery::Broken,
};
use crate::store::{
    Result, StoreError,
    records::{Key, Value},
    view::{Changes, Layer, Overlay, Read, Scan},
};

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) database: Database,
    answers: Answers,
    /// How many of the last group waited for its commit.
    answered: usize,
    /// How long visits that were answered first may stay unrecorded.
    interval: Option<Duration>,
    /// Those visits: answered, shown to readers, not in the database yet.
    unrecorded: Changes,
    /// When the oldest of them has to be recorded.
    due: Option<Instant>,
}

/// What became of the steps of a group.
#[derive(Default)]
struct Outcome {
    /// What may be answered before it is recorded, and those who wait for no more than that.
    first: Changes,
    answered: Vec<Box<dyn Job>>,
    /// What to record before the rest is answered, and what is there until then.
    changes: Changes,
    images: Changes,
    waiting: Vec<Box<dyn Job>>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        database: Database,
        answers: Answers,
        interval: Option<Duration>,
    ) -> Self {
        let (unrecorded, due) = (Changes::new(), None);
        Self { shared, database, answers, answered: 0, interval, unrecorded, due }
    }

    /// Works until the store is closed and everything sent before is done.
    ///
    /// # Errors
    /// When it ends broken: what was answered "unavailable" may then be in the files.
    pub(super) fn run(mut self) -> Result<()> {
        let mut broken = self.take_reserve();
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
        let outcome = committed
            .read(|base| self.run_steps(base, group))
            .map_err(|error| error.to_string())?;
        if !outcome.first.is_empty() {
            committed.show(&outcome.first);
            self.unrecorded.extend(outcome.first);
            let interval = self.interval.unwrap_or_default();
            self.due.get_or_insert_with(|| Instant::now() + interval);
        }
        self.answers.send(outcome.answered, Ok(()));

        let due = self.due.is_some_and(|due| due <= Instant::now());
        if outcome.changes.is_empty() && !due {
            return Ok(());
        }
        committed.keep_showing(outcome.images);
        metrics::histogram!("countersign_store_commit_changes")
            .record(u32::try_from(outcome.waiting.len()).unwrap_or(u32::MAX));
        let recorded = self.record(outcome.changes);
        self.answered = outcome.waiting.len();
        self.answers.send(outcome.waiting, recorded.clone().map_err(StoreError::Unavailable));
        recorded
    }

    /// Runs the steps one after the other, each on what the ones before it left.
    fn run_steps(&self, base: &dyn Read, group: Vec<Box<dyn Job>>) -> Result<Outcome> {
        let base = Remembered::new(base);
        let mut outcome = Outcome::default();
        for mut job in group {
            let first = Layer { base: &base, changes: &outcome.first };
            let now = Layer { base: &first, changes: &outcome.changes };
            let mut step = Overlay::new(&now);
            let Ok(keep) = contained(|| Ok(job.run(&mut step))) else {
                // A step that panics is dropped unanswered: nothing of it is kept.
                continue;
            };
            let changes = if keep { step.into_changes() } else { Changes::new() };
            // Whoever saw nothing but what is recorded, and changed nothing, need not wait; nor
            // need a visit that may be answered first, if nothing before it has to wait.
            let may_be_first = self.interval.is_some() && job.answer_first();
            if outcome.changes.is_empty() && (changes.is_empty() || may_be_first) {
                outcome.first.extend(changes);
                outcome.answered.push(job);
            } else {
                outcome.changes.extend(changes);
                outcome.waiting.push(job);
            }
        }
        for key in outcome.changes.keys() {
            if !outcome.first.contains_key(key) {
                outcome.images.insert(key.clone(), base.get(key)?);
            }
        }
        Ok(outcome)
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
        recorded.map_err(StoreError::Unavailable)
    }
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
