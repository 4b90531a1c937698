//! The connection to the primary: one for all requests, kept as long as it works and that is the
//! primary.
//!
//! When the connection breaks, or an answer does not come in time, the next command finds another one,
//! and where the [primary](super::finder) is by then: it is made once, all that come meanwhile wait for
//! it together, and after a failure the next attempt waits a moment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, aio::MultiplexedConnection};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::{
    finder::{Finder, Primary, slot_of},
    library::LIBRARY,
    trust::connect_to,
};
use crate::store::{Result, StoreError};

/// How long after a connection could not be made the next attempt begins.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// A connection that is there, that is being made, or that could not be made, and whom it is to.
type Attempt =
    Shared<BoxFuture<'static, Result<(MultiplexedConnection, Arc<Primary>), RedisError>>>;

/// The connection.
pub(super) struct Link {
    pub(super) finder: Arc<Finder>,
    /// The slot of all keys that commands are about.
    slot: u16,
    current: Mutex<Current>,
    closed: AtomicBool,
}

/// A connection that is there.
pub(super) struct Connected {
    number: u64,
    pub(super) connection: MultiplexedConnection,
}

#[derive(Default)]
struct Current {
    attempt: Option<Attempt>,
    /// Counts attempts, so that a late failure of one gives no later one up.
    number: u64,
    failed_at: Option<Instant>,
}

impl Link {
    /// A connection to the primary that has the slot of `key`. It is made when it is needed.
    pub(super) fn new(finder: Arc<Finder>, key: &str) -> Self {
        let slot = slot_of(key);
        Self { finder, slot, current: Mutex::default(), closed: AtomicBool::new(false) }
    }

    /// Another connection to the same.
    pub(super) fn another(&self) -> Self {
        self.found_by(Arc::clone(&self.finder))
    }

    /// Another connection to the same, which has nothing in common with this one: for a runtime of its
    /// own.
    pub(super) fn anew(&self) -> Self {
        self.found_by(Arc::new(self.finder.anew()))
    }

    fn found_by(&self, finder: Arc<Finder>) -> Self {
        Self { finder, slot: self.slot, current: Mutex::default(), closed: AtomicBool::new(false) }
    }

    /// Refuses what comes from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        *self.current.lock() = Current::default();
    }

    pub(super) fn give_up_if(&self, is_over: bool, over: &Connected) {
        if is_over {
            self.give_up(over.number, false);
        }
    }

    /// A connection to the primary.
    pub(super) async fn connected(&self) -> Result<Connected, RedisError> {
        loop {
            let (number, attempt) = self.attempt()?;
            match attempt.await {
                Ok((connection, primary)) => {
                    if self.finder.is_still(self.slot, &primary).await? {
                        return Ok(Connected { number, connection });
                    }
                    // It was replaced.
                    self.give_up(number, false);
                }
                Err(error) => {
                    self.give_up(number, true);
                    return Err(error);
                }
            }
        }
    }

    /// The connection that is there or on its way, or else a new one.
    fn attempt(&self) -> Result<(u64, Attempt), RedisError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err((ErrorKind::Client, "it is closed").into());
        }
        let mut current = self.current.lock();
        if let Some(attempt) = &current.attempt {
            return Ok((current.number, attempt.clone()));
        }
        if current.failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err((ErrorKind::Io, "it cannot be reached").into());
        }
        let (finder, slot) = (Arc::clone(&self.finder), self.slot);
        let attempt = async move {
            let patience = finder.patience();
            let made = async {
                let primary = finder.primary(slot).await?;
                Ok((connect_to(&primary, &finder).await?, Arc::new(primary)))
            };
            timeout(patience, made).await.unwrap_or_else(|_| Err(timed_out()))
        };
        let attempt = attempt.boxed().shared();
        current.number += 1;
        current.attempt = Some(attempt.clone());
        Ok((current.number, attempt))
    }

    fn give_up(&self, number: u64, could_not_be_made: bool) {
        let mut current = self.current.lock();
        if current.number == number && current.attempt.take().is_some() && could_not_be_made {
            current.failed_at = Some(Instant::now());
        }
    }

    pub(super) fn patience(&self) -> Duration {
        self.finder.patience()
    }

    pub(super) fn unavailable(&self, why: &str) -> StoreError {
        StoreError::Unavailable(format!("Redis at {}: {why}", self.finder.address()))
    }

    pub(super) fn failed(&self, error: &RedisError) -> StoreError {
        match (error.code(), error.detail()) {
            // One of our functions says so.
            (Some("DAMAGED"), Some(detail)) => damaged(detail),
            (Some(code), detail) => {
                self.unavailable(&format!("{code} {}", detail.unwrap_or_default()))
            }
            (None, Some(detail)) if error.kind() == ErrorKind::Client => self.unavailable(detail),
            _ if error.is_timeout() => self.unavailable("it does not answer in time"),
            _ => self.unavailable(&error.to_string()),
        }
    }
}

/// What loads the library, in the place of the same one.
pub(super) fn load() -> Cmd {
    let mut load = ::redis::cmd("FUNCTION");
    load.arg("LOAD").arg("REPLACE").arg(LIBRARY.as_str());
    load
}

pub(super) fn is_unknown_function(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.starts_with("Function not found"))
}

pub(super) fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// Whether another node has the slot by now.
pub(super) fn is_moved(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::Moved)
}

/// Whether another connection has to be made: this one is broken or does not answer, or its server
/// is not the primary any more.
pub(super) fn is_fatal(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_unrecoverable_error()
        || is_moved(error)
        || matches!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::ClusterDown)
        )
}

/// What a function found amiss: `kind: reason`.
fn damaged(detail: &str) -> StoreError {
    const KINDS: [&str; 6] = ["account", "audit", "e-mail", "epoch", "session", "variables"];
    let (kind, reason) = detail.split_once(": ").unwrap_or(("store", detail));
    let kind = KINDS.into_iter().find(|known| *known == kind).unwrap_or("store");
    StoreError::Damaged { kind, reason: reason.to_owned() }
}
