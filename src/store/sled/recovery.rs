//! From a failed commit back to a working store, without a restart and without being asked.
//!
//! What a failed commit leaves: sled refuses every further write until it is reopened; what it
//! could not write is still in its memory, and perhaps, whole or in part, in its file. Those who
//! waited were answered "unavailable", so none of it may ever be seen. Until all is well again:
//!
//! 1. Changes are refused at once. Readers go on with the old handle and the shadow over it.
//! 2. The [reserve](super::database) is written anew. If the disk is only full, giving it up has
//!    made enough room for the next steps. If it takes no data at all, reopening would fail too,
//!    and lose the readers their old handle: then it is tried again, later.
//! 3. The old handle is let go. Readers wait, for a bounded time.
//! 4. If a sync had failed, the log is written anew: see [`Database::reopen`].
//! 5. The database is opened; readers go on.
//! 6. What the failed commit was about to replace is written back, flushed and synced, with the
//!    visits that were answered before it. Only then does the shadow go. If it was a frame of the
//!    [journal](super::journal) that could not be written, there is a new journal.
//! 7. When there is a reserve again, and a change that means nothing was recorded, changes are
//!    accepted.
//!
//! What fails is tried again. If the process is killed before 6, a change that was answered
//! "unavailable" may turn out to be recorded: without a disk there is nowhere to note that it
//! should not be.
//!
//! [`Database::reopen`]: super::database::Database::reopen

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use super::{contained, database::let_go, writer::Writer};
use crate::store::{records, view::Changes};

/// How often a broken store tries to heal.
const TRY_EVERY: Duration = Duration::from_millis(250);

/// How far a broken store has got.
pub(super) struct Broken {
    next_try: Instant,
    /// Whether the failed commit is undone: readers have all they should.
    set_back: bool,
}

impl Broken {
    /// When to try to heal.
    pub(super) fn next_try(&self) -> Instant {
        self.next_try
    }
}

impl Writer {
    /// Takes the reserve at the start, and records what is only in the journal. On a full disk the
    /// store begins as one that is set back and waits for room: what can be done without a change
    /// is done.
    pub(super) fn begin(&mut self) -> Option<Broken> {
        metrics::gauge!("countersign_store_healthy").set(1.0);
        if let Err(error) = self.database.reserve() {
            let mut broken = self.break_down(&error.to_string());
            broken.set_back = true;
            return Some(broken);
        }
        let begun = contained(|| {
            if !self.unrecorded.is_empty() {
                self.record(Changes::new())?;
            }
            self.renew_journal()
        });
        begun.err().map(|reason| self.break_down(&reason))
    }

    /// Notes that nothing can be recorded, and why.
    pub(super) fn break_down(&self, reason: &str) -> Broken {
        tracing::error!(%reason, "a commit failed: changes are refused until the store has healed");
        metrics::gauge!("countersign_store_healthy").set(0.0);
        *self.shared.trouble.lock() = Some(reason.to_owned());
        Broken { next_try: Instant::now(), set_back: false }
    }

    /// Returns whether all is well again.
    pub(super) fn try_to_heal(&mut self, broken: &mut Broken) -> bool {
        match contained(|| self.heal(broken)) {
            Ok(()) => {
                tracing::info!("the store has healed: changes are accepted again");
                metrics::gauge!("countersign_store_healthy").set(1.0);
                *self.shared.trouble.lock() = None;
                true
            }
            Err(reason) => {
                tracing::debug!(%reason, "the store has not healed yet");
                broken.next_try = Instant::now() + TRY_EVERY;
                false
            }
        }
    }

    fn heal(&mut self, broken: &mut Broken) -> Result<(), String> {
        self.set_back(broken)?;
        self.database.reserve().map_err(|error| error.to_string())?;
        // Until this works, sled may have got into trouble again by itself.
        broken.set_back = false;
        let touch = Changes::from([(records::PING.to_vec(), Some(Vec::new()))]);
        self.record(touch)?;
        self.renew_journal()
    }

    /// Undoes the failed commit, unless that is done.
    pub(super) fn set_back(&mut self, broken: &mut Broken) -> Result<(), String> {
        if broken.set_back {
            return Ok(());
        }
        match self.database.reserve() {
            Err(error) if !is_full(error.kind()) => return Err(error.to_string()),
            _ => {}
        }
        let_go(self.shared.committed.take_away());
        let handle = self.database.reopen()?;
        self.shared.committed.bring_back(handle);
        self.record(self.shared.committed.shadow())?;
        self.renew_journal()?;
        broken.set_back = true;
        Ok(())
    }
}

fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
