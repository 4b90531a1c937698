//! The store in memory, for tests: a map behind a lock, gone when it is dropped.
//!
//! It runs the same [steps](super::steps) as the others, and nothing of it needs recording.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::{
    AuditBounds, Result, StoreError,
    backend::Backend,
    export::Snapshot,
    records::{Key, Value},
    view::{self, Overlay, Read, Write},
};

/// A [`Store`](super::Store) that forgets everything when it is dropped.
#[derive(Debug)]
pub struct MemoryStore {
    /// `None` once it is closed.
    records: Mutex<Option<BTreeMap<Key, Value>>>,
    audit: AuditBounds,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with(AuditBounds::default())
    }

    /// An empty store that keeps so many audit events.
    #[must_use]
    pub fn with(audit: AuditBounds) -> Self {
        Self { records: Mutex::new(Some(BTreeMap::new())), audit }
    }

    fn run<T>(&self, step: impl FnOnce(&mut BTreeMap<Key, Value>) -> Result<T>) -> Result<T> {
        match self.records.lock().as_mut() {
            Some(records) => step(records),
            None => Err(StoreError::Unavailable("it is closed".to_owned())),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for MemoryStore {
    async fn read<T: Send>(&self, step: impl FnOnce(&dyn Read) -> Result<T> + Send) -> Result<T> {
        self.run(|records| step(records))
    }

    async fn commit<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut dyn Write) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run(|records| {
            let mut overlay = Overlay::new(records);
            let answer = step(&mut overlay)?;
            let changes = overlay.into_changes();
            view::apply(records, changes);
            Ok(answer)
        })
    }

    fn audit_bounds(&self) -> AuditBounds {
        self.audit
    }

    async fn snapshot(&self) -> Result<impl Snapshot> {
        self.run(|records| Ok(Copied(Some(records.clone()))))
    }

    async fn ping(&self) -> Result<()> {
        self.run(|_| Ok(()))
    }

    async fn close(&self) -> Result<()> {
        *self.records.lock() = None;
        Ok(())
    }
}

/// All records, copied: one page.
struct Copied(Option<BTreeMap<Key, Value>>);

impl Snapshot for Copied {
    async fn page(&mut self) -> Result<Option<Vec<(Key, Value)>>> {
        Ok(self.0.take().map(|records| records.into_iter().collect()))
    }
}
