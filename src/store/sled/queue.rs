//! Where changes wait for the writer, and how long the writer lets them gather.
//!
//! A commit costs the same whether it is for one change or for hundreds, so a group should be
//! large; but nobody should wait for company that does not come. Clients that were just answered
//! are about to ask again: the writer waits until half of all who are under way are here. The
//! other half is then on its way while the disk works, and the groups of a steady load become
//! equal. Who is under way is a guess: those it just answered and those who came meanwhile, or an
//! eighth fewer than the last time, if that is more; a small group in between is no sign that the
//! others have gone. It waits for [`PATIENCE`] at most, and not at all when only one is under way.

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
    /// How many are under way, or were lately.
    under_way: usize,
    open: bool,
}

/// The queue is closed, and nothing is left in it.
pub(super) struct Closed;

impl Queue {
    pub(super) fn new() -> Self {
        let state = State { jobs: Vec::new(), wanted: usize::MAX, under_way: 0, open: true };
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
        state.under_way = (answered + state.jobs.len()).max(state.under_way * 7 / 8);
        let half = state.under_way / 2;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::view::Write;

    struct Nothing;

    impl Job for Nothing {
        fn run(&mut self, _: &mut dyn Write) -> bool {
            false
        }

        fn answer_first(&self) -> bool {
            false
        }

        fn answer(self: Box<Self>, _: Result<()>) {}
    }

    fn with(jobs: usize) -> Queue {
        let queue = Queue::new();
        for _ in 0..jobs {
            queue.put(Box::new(Nothing)).unwrap();
        }
        queue
    }

    fn taken(queue: &Queue, answered: usize) -> Option<usize> {
        queue.take(answered, None).ok().map(|jobs| jobs.len())
    }

    #[test]
    fn a_closed_queue_is_worked_off_and_takes_no_more() {
        let queue = with(3);
        queue.close();
        assert!(queue.put(Box::new(Nothing)).is_err());
        assert_eq!(taken(&queue, 1_000), Some(3), "at once: no more will come");
        assert_eq!(taken(&queue, 0), None);
        let queue = with(3);
        queue.abandon();
        assert_eq!(taken(&queue, 0), None);
    }

    #[test]
    fn groups_and_the_queue_are_bounded() {
        let queue = with(ROOM);
        assert!(queue.put(Box::new(Nothing)).is_err());
        assert_eq!(taken(&queue, 0), Some(MAX_GROUP));
        queue.put(Box::new(Nothing)).unwrap();
        let mut left = ROOM + 1 - MAX_GROUP;
        while left > 0 {
            left -= taken(&queue, 0).unwrap();
        }
    }

    #[test]
    fn who_waits_is_woken_by_the_first_to_come_and_by_the_end() {
        let queue = Arc::new(with(0));
        let writer = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || {
                let mut seen = 0;
                // The second time it waits in vain for half of a thousand, but not for ever.
                while let Some(jobs) = taken(&queue, seen * 1_000) {
                    seen += jobs;
                }
                seen
            })
        };
        for _ in 0..5 {
            queue.put(Box::new(Nothing)).unwrap();
            std::thread::sleep(PATIENCE * 5);
        }
        queue.close();
        assert_eq!(writer.join().unwrap(), 5);
    }

    #[test]
    fn who_was_there_lately_is_reckoned_with_but_not_for_ever() {
        let queue = with(64);
        let under_way = |answered| {
            drop(queue.take(answered, Some(Instant::now())));
            queue.state.lock().under_way
        };
        assert_eq!(under_way(0), 64);
        assert_eq!(under_way(1), 56, "one that was answered does not say that the others left");
        assert_eq!(under_way(100), 100);
        assert!((0..40).map(|_| under_way(0)).any(|left| left == 0), "forgotten");
    }

    #[test]
    fn it_waits_no_longer_than_until_it_is_to_wake() {
        let jobs = with(0).take(1_000, Some(Instant::now()));
        assert!(jobs.is_ok_and(|jobs| jobs.is_empty()));
    }
}
