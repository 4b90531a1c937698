//! Where changes wait for the writer, and how long the writer lets them gather.
//!
//! A commit costs the same whether it is for one change or for hundreds, so a group should be
//! large; but nobody should wait for company that does not come. Clients that were just answered
//! are about to ask again: the writer waits until half of all who are under way, those it just
//! answered and those who came meanwhile, are here. The other half is then on its way while the
//! disk works, and the groups of a steady load become equal. It waits for [`PATIENCE`] at most,
//! and not at all when only one is under way.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{closed, job::Job};
use crate::store::{Result, StoreError};

/// How many changes may wait for the writer. More are refused: by then the disk is seconds behind,
/// and waiting would only cost memory.
const ROOM: usize = 16_384;

/// The most changes in one commit. While a batch is made, sled holds on to the part of its log
/// buffer where it began: a batch must stay far smaller than the cache.
const MAX_GROUP: usize = 1_024;

/// The longest that a change waits for others to come.
const PATIENCE: Duration = Duration::from_millis(1);

/// Changes in the order in which they came.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Enough have come, or no more will.
    enough: Condvar,
}

struct State {
    jobs: Vec<Box<dyn Job>>,
    /// How many the writer waits for: it sleeps until then, and is woken once.
    wanted: usize,
    open: bool,
}

/// The queue is closed, and nothing is left in it.
pub(super) struct Closed;

impl Queue {
    pub(super) fn new() -> Self {
        let state = State { jobs: Vec::new(), wanted: usize::MAX, open: true };
        Self { state: Mutex::new(state), enough: Condvar::new() }
    }

    /// Puts a change at the end.
    ///
    /// # Errors
    /// When there is no room, or the queue is closed.
    pub(super) fn put(&self, job: Box<dyn Job>) -> Result<()> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(closed());
        }
        if state.jobs.len() >= ROOM {
            return Err(StoreError::Unavailable("too many changes are waiting".to_owned()));
        }
        state.jobs.push(job);
        let enough = state.jobs.len() == state.wanted;
        drop(state);
        if enough {
            self.enough.notify_one();
        }
        Ok(())
    }

    /// Takes nothing more. What is there can still be taken.
    pub(super) fn close(&self) {
        self.state.lock().open = false;
        self.enough.notify_one();
    }

    /// As [`close`](Self::close), and drops what is there.
    pub(super) fn abandon(&self) {
        self.close();
        let left = std::mem::take(&mut self.state.lock().jobs);
        drop(left);
    }

    /// Waits for changes, at most until `wake`, and takes them. `answered` have been answered just
    /// now, and may be about to come again.
    pub(super) fn take(
        &self,
        answered: usize,
        wake: Option<Instant>,
    ) -> Result<Vec<Box<dyn Job>>, Closed> {
        let mut state = self.state.lock();
        let half = answered.midpoint(state.jobs.len());
        let patience = Instant::now() + PATIENCE;
        let gathered = wake.map_or(patience, |wake| wake.min(patience));
        self.wait(&mut state, half.min(MAX_GROUP), Some(gathered));
        self.wait(&mut state, 1, wake);
        if state.jobs.is_empty() && !state.open {
            return Err(Closed);
        }
        if state.jobs.len() <= MAX_GROUP {
            // The next group will be about as large.
            let next = Vec::with_capacity(state.jobs.len());
            return Ok(std::mem::replace(&mut state.jobs, next));
        }
        Ok(state.jobs.drain(..MAX_GROUP).collect())
    }

    /// Waits until so many are there, or no more will come, or it is `until`.
    fn wait(
        &self,
        state: &mut parking_lot::MutexGuard<'_, State>,
        wanted: usize,
        until: Option<Instant>,
    ) {
        state.wanted = wanted;
        while state.jobs.len() < wanted && state.open {
            match until {
                None => self.enough.wait(state),
                Some(until) => {
                    if self.enough.wait_until(state, until).timed_out() {
                        break;
                    }
                }
            }
        }
        state.wanted = usize::MAX;
    }
}
