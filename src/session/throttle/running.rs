//! The attempts that are under way: not counted yet, and not to be forgotten.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};

use crate::model::{AttemptKey, Attempts};

/// The attempts that have begun and whose outcome is not counted yet.
#[derive(Default)]
pub(in crate::session) struct Running {
    state: Mutex<State>,
    finished: Notify,
}

#[derive(Default)]
struct State {
    by_key: HashMap<AttemptKey, u32>,
    /// How many have finished: what was read from the store before one did is out of date.
    finished: u64,
}

/// What came of wanting to begin.
pub(super) enum Begun {
    Yes(Turn),
    /// Another one finished since the store was asked.
    AskAgain,
    /// Those that run could all fail, and be as many as there may be.
    Wait,
}

/// An attempt that has begun. Dropped when its outcome is counted.
pub(in crate::session) struct Turn {
    running: Arc<Running>,
    keys: Vec<AttemptKey>,
}

impl Running {
    /// Ends when the next one finishes.
    pub(super) fn next_end(&self) -> Notified<'_> {
        self.finished.notified()
    }

    /// How many have finished.
    pub(super) fn finished(&self) -> u64 {
        self.state.lock().finished
    }

    /// Begins an attempt, unless it could be one too many. `counted` is what the store said after
    /// so many had `finished`.
    pub(super) fn begin(
        self: &Arc<Self>,
        limits: &[(AttemptKey, u32)],
        counted: &[Attempts],
        finished: u64,
    ) -> Begun {
        let mut state = self.state.lock();
        if state.finished != finished {
            return Begun::AskAgain;
        }
        let fits = |((key, most), counted): (&(AttemptKey, u32), &Attempts)| {
            let running = state.by_key.get(key).copied().unwrap_or_default();
            counted.count.saturating_add(running) < *most
        };
        if !limits.iter().zip(counted).all(fits) {
            return Begun::Wait;
        }
        let keys: Vec<_> = limits.iter().map(|(key, _)| *key).collect();
        for key in &keys {
            *state.by_key.entry(*key).or_default() += 1;
        }
        Begun::Yes(Turn { running: Arc::clone(self), keys })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().by_key.is_empty()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.running.state.lock();
        for key in &self.keys {
            if let Some(running) = state.by_key.get_mut(key) {
                *running -= 1;
                if *running == 0 {
                    state.by_key.remove(key);
                }
            }
        }
        state.finished += 1;
        drop(state);
        self.running.finished.notify_waiters();
    }
}
