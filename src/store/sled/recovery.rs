//! From a failed commit back to a working store, without a restart and without being asked.
//!
//! What a failed commit leaves: sled refuses every further write until it is reopened; what it
//! could not write is still in its memory, and perhaps, whole or in part, in its file. Those who
//! waited were answered "unavailable", so none of it may ever be seen. Until all is well again:
//!
//! 1. Changes are refused at once. Readers go on with the old handle and the shadow over it.
//! 2. A plain file is written and synced. As long as that fails, reopening would fail too, and
//!    lose the readers their old handle.
//! 3. The old handle is let go. Readers wait, for a bounded time.
//! 4. If a sync had failed, the log is written anew: see [`Database::reopen`].
//! 5. The database is opened; readers go on.
//! 6. What the failed commit was about to replace is written back, flushed and synced. Only then
//!    does the shadow go, and changes are accepted.
//!
//! Whatever fails, it starts again from 2. If the process is killed before 6, a change that was
//! answered "unavailable" may turn out to be recorded: without a disk there is nowhere to note
//! that it should not be.
//!
//! [`Database::reopen`]: super::database::Database::reopen

use std::time::{Duration, Instant};

use super::{contained, database::let_go, writer::Writer};

/// How often a broken store tries to heal.
const TRY_EVERY: Duration = Duration::from_millis(250);

impl Writer {
    /// Notes that nothing can be recorded, and why. Returns when to try to heal: now.
    pub(super) fn break_down(&self, reason: &str) -> Instant {
        tracing::error!(%reason, "a commit failed: changes are refused until the store has healed");
        metrics::gauge!("countersign_store_healthy").set(0.0);
        *self.shared.trouble.lock() = Some(reason.to_owned());
        Instant::now()
    }

    /// Returns when to try again, `None` when all is well.
    pub(super) fn try_to_heal(&mut self) -> Option<Instant> {
        match contained(|| self.heal()) {
            Ok(()) => {
                tracing::info!("the store has healed: changes are accepted again");
                metrics::gauge!("countersign_store_healthy").set(1.0);
                *self.shared.trouble.lock() = None;
                None
            }
            Err(reason) => {
                tracing::debug!(%reason, "the store has not healed yet");
                Some(Instant::now() + TRY_EVERY)
            }
        }
    }

    pub(super) fn heal(&mut self) -> Result<(), String> {
        self.database.probe()?;
        let_go(self.shared.committed.take_away());
        let handle = self.database.reopen()?;
        self.shared.committed.bring_back(handle);
        self.record(self.shared.committed.shadow())
    }
}
