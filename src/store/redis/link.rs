//! The connection to Redis: one for all requests, kept as long as it works.
//!
//! A command is sent once. Whether one that got no answer was done, nobody knows, so it is never
//! sent again; the one exception is a function that is not there, of which nothing was done. When
//! the connection breaks, or an answer does not come in time, the next command finds another one:
//! it is made once, all that come meanwhile wait for it together, and after a failure the next
//! attempt waits a moment. So everything ends within twice the time that is given to Redis.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::library::LIBRARY;
use crate::store::{Result, StoreError};

/// How long after a connection could not be made the next attempt begins.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection that is there, that is being made, or that could not be made.
type Attempt = Shared<BoxFuture<'static, Result<MultiplexedConnection, RedisError>>>;

/// The connection.
pub(super) struct Link {
    client: Client,
    /// Whom errors name: without user and password.
    address: String,
    patience: Duration,
    current: Mutex<Current>,
    closed: AtomicBool,
}

#[derive(Default)]
struct Current {
    attempt: Option<Attempt>,
    /// Counts attempts, so that a late failure of one gives no later one up.
    number: u64,
    failed_at: Option<Instant>,
}

impl Link {
    pub(super) fn new(client: Client, address: String, patience: Duration) -> Self {
        Self {
            client,
            address,
            patience,
            current: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value> {
        // Each part has its own limit; this is for what none of them thought of.
        match timeout(2 * self.patience + PAUSE, self.ask_and_load(command)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unavailable("it does not answer in time")),
        }
    }

    /// Sends a command that ends sessions, and waits until so many replicas have what it did. Both go
    /// over one connection, since Redis tells how far replicas are with what that connection wrote;
    /// it does nothing else there meanwhile, which is why these have a link of their own.
    pub(super) async fn ask_replicated(&self, command: &Cmd, replicas: u64) -> Result<Value> {
        match timeout(3 * self.patience, self.ask_and_wait(command, replicas)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unavailable("it does not answer in time")),
        }
    }

    async fn ask_and_wait(&self, command: &Cmd, replicas: u64) -> Result<Value> {
        let answer = self.ask_and_load(command).await?;
        let mut wait = ::redis::cmd("WAIT");
        // Less than the connection waits for an answer.
        wait.arg(replicas).arg((self.patience / 2).as_millis());
        let have = self.send(&wait).await.map_err(|error| self.failed(&error))?;
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

    async fn ask_and_load(&self, command: &Cmd) -> Result<Value> {
        match self.send(command).await {
            // Redis was started anew without its library, or another one took its place.
            Err(error) if is_unknown_function(&error) => {
                self.send(&load()).await.map_err(|error| self.failed(&error))?;
                tracing::info!(event = "redis_library", "the library of functions was loaded");
                self.send(command).await
            }
            answer => answer,
        }
        .map_err(|error| self.failed(&error))
    }

    async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let (number, attempt) = self.attempt()?;
        let mut connection = match attempt.await {
            Ok(connection) => connection,
            Err(error) => {
                self.give_up(number, true);
                return Err(error);
            }
        };
        let answer = connection.send_packed_command(command).await;
        if let Err(error) = &answer
            && is_fatal(error)
        {
            self.give_up(number, false);
        }
        answer.and_then(Value::extract_error)
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
        let (client, patience) = (self.client.clone(), self.patience);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(patience))
            .set_response_timeout(Some(patience));
        let attempt =
            async move { client.get_multiplexed_async_connection_with_config(&config).await }
                .boxed()
                .shared();
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

    fn unavailable(&self, why: &str) -> StoreError {
        StoreError::Unavailable(format!("Redis at {}: {why}", self.address))
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

fn is_unknown_function(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.starts_with("Function not found"))
}

/// Whether another connection has to be made: this one is broken or does not answer, or its server
/// is no primary any more.
fn is_fatal(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_unrecoverable_error()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// What a function found amiss: `kind: reason`.
fn damaged(detail: &str) -> StoreError {
    const KINDS: [&str; 6] = ["account", "audit", "e-mail", "epoch", "session", "variables"];
    let (kind, reason) = detail.split_once(": ").unwrap_or(("store", detail));
    let kind = KINDS.into_iter().find(|known| *known == kind).unwrap_or("store");
    StoreError::Damaged { kind, reason: reason.to_owned() }
}
