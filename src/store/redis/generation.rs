//! A shard's part of a generation that is built beside the one in force: the steps of
//! `functions/generations.lua`, and the removal of what is not wanted any more.

use std::time::Duration;

use ::redis::{Cmd, Value};
use futures_util::future::join_all;
use tokio::{
    task::JoinSet,
    time::{Instant, interval_at},
};

use super::{Functions, Waiting, codec};
use crate::store::{Result, StoreError, records::damaged};

/// For how long it is left alone that is not heard of, in milliseconds.
const LIFE: u64 = 60_000;

/// How often it says that it is still being built.
const BEAT: Duration = Duration::from_secs(5);

/// How often a step is asked for, and how long after the last time: until a replica has taken the place
/// of a primary.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// How many keys are looked at in one step while a generation is removed.
const STEP: u32 = 1_000;

/// It in one shard.
pub(super) struct Generation {
    functions: Functions,
    waiting: Option<Waiting>,
}

/// What came of a step.
pub(super) enum Came {
    /// It was done; these generations are to be removed.
    Done(Vec<String>),
    /// It was given up, or another one came in between.
    GivenUp,
    /// The one in force has to be empty and is not.
    NotEmpty,
}

impl Generation {
    /// The one that these functions are called on.
    pub(super) fn new(functions: &Functions, replicas: u64) -> Self {
        let waiting = (replicas > 0).then(|| (functions.link.another(), replicas));
        Self { functions: functions.clone(), waiting }
    }

    /// Whether the one in force is empty.
    pub(super) async fn is_empty(&self) -> Result<bool> {
        let answer = self.functions.ask(&self.functions.read("is_empty")).await?;
        Ok(codec::count("store", &answer)? == 1)
    }

    pub(super) async fn begin(&self) -> Result<Came> {
        let mut command = self.functions.change("begin_generation");
        command.arg(LIFE);
        came(self.functions.ask(&command).await?)
    }

    /// Looks whether nobody gave it up, and waits until replicas have what it has.
    pub(super) async fn hold(&self) -> Result<Came> {
        self.surely(&held(&self.functions)).await
    }

    pub(super) async fn close(&self, must_be_empty: bool) -> Result<Came> {
        self.surely(self.functions.change("close_generation").arg(u8::from(must_be_empty))).await
    }

    pub(super) async fn is_closed_by_it(&self) -> Result<Came> {
        came(self.functions.ask(&self.functions.read("is_closed_by")).await?)
    }

    pub(super) async fn replace(&self) -> Result<Came> {
        self.surely(&self.functions.change("replace")).await
    }

    pub(super) async fn replace_at_once(&self, must_be_empty: bool) -> Result<Came> {
        self.surely(self.functions.change("replace_at_once").arg(u8::from(must_be_empty))).await
    }

    /// [`Came::Done`] if it is in force, and was not given up.
    pub(super) async fn give_up(&self) -> Result<Came> {
        let command = self.functions.change("give_up_generation");
        came(again(|| self.functions.ask(&command)).await?)
    }

    /// Removes generations that nobody needs.
    pub(super) async fn remove(&self, names: &[String]) -> Result<()> {
        for name in names {
            remove(&self.functions, name).await?;
            let mut forget = self.functions.change("forget_generation");
            forget.arg(name);
            self.functions.ask(&forget).await?;
        }
        Ok(())
    }

    pub(super) async fn remove_it(&self) -> Result<()> {
        self.remove(std::slice::from_ref(&self.functions.generation)).await
    }

    /// Asks until it was done and replicas have it.
    async fn surely(&self, command: &Cmd) -> Result<Came> {
        let ask = || self.functions.ask_replicated(self.waiting.as_ref(), command);
        came(again(ask).await?)
    }
}

/// Says in all shards that it is being built, as long as what is returned is kept.
pub(super) fn keep_hold(shards: &[Generation]) -> JoinSet<()> {
    let shards: Vec<_> = shards.iter().map(|shard| shard.functions.clone()).collect();
    let mut holding = JoinSet::new();
    holding.spawn(async move {
        let mut beats = interval_at(Instant::now() + BEAT, BEAT);
        loop {
            beats.tick().await;
            // Whether it was given up is found out by what is asked for next.
            join_all(shards.iter().map(async |shard| shard.ask(&held(shard)).await)).await;
        }
    });
    holding
}

fn held(functions: &Functions) -> Cmd {
    let mut command = functions.change("hold_generation");
    command.arg(LIFE);
    command
}

/// Asks again where there was no good answer, for what may be done twice.
async fn again<F: Future<Output = Result<Value>>>(ask: impl Fn() -> F) -> Result<Value> {
    let mut tries = 1;
    loop {
        match ask().await {
            Err(StoreError::Unavailable(_)) if tries < TRIES => tries += 1,
            answer => return answer,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn came(answer: Value) -> Result<Came> {
    if matches!(answer, Value::Array(_)) {
        let names = codec::Parts::of("store", answer)?.rest().map(name);
        return names.collect::<Result<_>>().map(Came::Done);
    }
    match codec::count("store", &answer)? {
        0 => Ok(Came::GivenUp),
        1 => Ok(Came::Done(Vec::new())),
        2 => Ok(Came::NotEmpty),
        _ => Err(damaged("store", "a step of its replacement has an unknown answer")),
    }
}

fn name(value: Value) -> Result<String> {
    String::from_utf8(codec::bytes("store", value)?).map_err(|error| damaged("store", error))
}

/// Removes a generation, some keys at a time.
async fn remove(functions: &Functions, generation: &str) -> Result<()> {
    // Braces mean themselves in a pattern; a generation is letters and digits.
    let pattern = format!("{}:{generation}:*", functions.root);
    let mut cursor = b"0".to_vec();
    loop {
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
        let mut parts = codec::Parts::of("store", functions.ask(&scan).await?)?;
        cursor = parts.bytes()?;
        let mut unlink: Cmd = ::redis::cmd("UNLINK");
        let mut keys = 0;
        for key in codec::Parts::of("store", parts.next())?.rest() {
            unlink.arg(codec::bytes("store", key)?);
            keys += 1;
        }
        if keys > 0 {
            functions.ask(&unlink).await?;
        }
        if cursor == b"0" {
            return Ok(());
        }
    }
}
