//! The connection to the primary: one for all requests, kept as long as it works and that is the
//! primary.
//!
//! A command is sent once. Whether one that got no answer was done, nobody knows, so it is never
//! sent again; the exceptions are a function that is not there, and a slot that is another node's: of
//! these nothing was done. When the connection breaks, or an answer does not come in time, the next
//! command finds another one, and where the [primary](super::finder) is by then: it is made once, all
//! that come meanwhile wait for it together, and after a failure the next attempt waits a moment. So
//! everything ends within twice the time that is given to Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::redis::{
    Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value, aio::MultiplexedConnection,
};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, join_all},
};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::{
    finder::{Finder, Primary, connect_to, slot_of},
    library::LIBRARY,
};
use crate::store::{Result, StoreError};

/// How long after a connection could not be made the next attempt begins.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection that is there, that is being made, or that could not be made, and whom it is to.
type Attempt =
    Shared<BoxFuture<'static, Result<(MultiplexedConnection, Arc<Primary>), RedisError>>>;

/// What was answered to one command.
type Answer = Result<Value, RedisError>;

/// The connection.
pub(super) struct Link {
    finder: Arc<Finder>,
    /// The slot of all keys that commands are about.
    slot: u16,
    current: Mutex<Current>,
    closed: AtomicBool,
}

/// A connection that is there.
struct Connected {
    number: u64,
    connection: MultiplexedConnection,
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
        Self {
            finder: Arc::clone(&self.finder),
            slot: self.slot,
            current: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value> {
        // Each part has its own limit; this is for what none of them thought of.
        match timeout(2 * self.patience() + PAUSE, self.ask_once(command)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unavailable("it does not answer in time")),
        }
    }

    /// Sends commands together and waits for all their answers.
    pub(super) async fn ask_all(&self, commands: &Pipeline) -> Vec<Result<Value>> {
        let sent = timeout(2 * self.patience() + PAUSE, self.send_all(commands)).await;
        let answers = match sent {
            Ok(Ok(answers)) => answers,
            failed => {
                let error = || match &failed {
                    Ok(Err(error)) => self.failed(error),
                    _ => self.unavailable("it does not answer in time"),
                };
                return commands.cmd_iter().map(|_| Err(error())).collect();
            }
        };
        let each = commands.cmd_iter().zip(answers).map(async |(command, answer)| match answer {
            // It was not done: once more, with what it lacks.
            Err(error) if is_moved(&error) || is_unknown_function(&error) => {
                self.ask(command).await
            }
            answer => answer.map_err(|error| self.failed(&error)),
        });
        join_all(each).await
    }

    /// Sends a command that ends sessions, and waits until so many replicas have what it did. Both go
    /// over one connection, since Redis tells how far replicas are with what that connection wrote;
    /// it does nothing else there meanwhile, which is why these have a link of their own.
    pub(super) async fn ask_replicated(&self, command: &Cmd, replicas: u64) -> Result<Value> {
        match timeout(3 * self.patience(), self.ask_and_wait(command, replicas)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unavailable("it does not answer in time")),
        }
    }

    async fn ask_and_wait(&self, command: &Cmd, replicas: u64) -> Result<Value> {
        let (answer, over) = self.ask_over(command).await.map_err(|error| self.failed(&error))?;
        let mut wait = ::redis::cmd("WAIT");
        // Less than the connection waits for an answer.
        wait.arg(replicas).arg((self.patience() / 2).as_millis());
        // On another connection, which wrote nothing yet, all replicas would have all of it.
        let have = self.send(&over, &wait).await.map_err(|error| self.failed(&error))?;
        match have {
            Value::Int(have) if u64::try_from(have).is_ok_and(|have| have >= replicas) => {
                Ok(answer)
            }
            Value::Int(have) => Err(self.unavailable(&format!(
                "{have} of {replicas} replicas have what was done: it may be lost"
            ))),
            _ => Err(self.unavailable("it does not tell what its replicas have")),
        }
    }

    /// Refuses what comes from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        *self.current.lock() = Current::default();
    }

    async fn ask_once(&self, command: &Cmd) -> Result<Value> {
        match self.ask_over(command).await {
            Ok((answer, _)) => Ok(answer),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The answer, and over which connection it came.
    async fn ask_over(&self, command: &Cmd) -> Result<(Value, Connected), RedisError> {
        let mut over = self.connected().await?;
        let mut answer = self.send(&over, command).await;
        if answer.as_ref().is_err_and(is_moved) {
            self.finder.forget();
            over = self.connected().await?;
            answer = self.send(&over, command).await;
        }
        // Redis was started anew without its library, or another one took its place.
        if answer.as_ref().is_err_and(is_unknown_function) {
            self.send(&over, &load()).await?;
            tracing::info!(event = "redis_library", "the library of functions was loaded");
            answer = self.send(&over, command).await;
        }
        answer.map(|answer| (answer, over))
    }

    async fn send(&self, over: &Connected, command: &Cmd) -> Result<Value, RedisError> {
        let mut connection = over.connection.clone();
        let answer = connection.send_packed_command(command).await.and_then(Value::extract_error);
        if answer.as_ref().is_err_and(is_fatal) {
            self.give_up(over.number, false);
        }
        answer
    }

    async fn send_all(&self, commands: &Pipeline) -> Result<Vec<Answer>, RedisError> {
        let over = self.connected().await?;
        let mut connection = over.connection.clone();
        let count = commands.cmd_iter().count();
        let answers = connection
            .send_packed_commands(commands, 0, count)
            .await
            .map(|answers| answers.into_iter().map(Value::extract_error).collect::<Vec<_>>());
        let is_over = match &answers {
            Ok(answers) => answers.iter().any(|answer| answer.as_ref().is_err_and(is_fatal)),
            Err(error) => is_fatal(error),
        };
        if is_over {
            self.give_up(over.number, false);
        }
        answers
    }

    /// A connection to the primary.
    async fn connected(&self) -> Result<Connected, RedisError> {
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
                Ok((connect_to(&primary, patience).await?, Arc::new(primary)))
            };
            let too_late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
            timeout(patience, made).await.map_err(too_late)?
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

    fn patience(&self) -> Duration {
        self.finder.patience()
    }

    fn unavailable(&self, why: &str) -> StoreError {
        StoreError::Unavailable(format!("Redis at {}: {why}", self.finder.address()))
    }

    fn failed(&self, error: &RedisError) -> StoreError {
        match (error.code(), error.detail()) {
            // One of our functions says so.
            (Some("DAMAGED"), Some(detail)) => damaged(detail),
            (Some(code), detail) => {
                self.unavailable(&format!("{code} {}", detail.unwrap_or_default()))
            }
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

/// Whether another node has the slot by now.
fn is_moved(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::Moved)
}

/// Whether another connection has to be made: this one is broken or does not answer, or its server
/// is not the primary any more.
fn is_fatal(error: &RedisError) -> bool {
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
