//! Hears which sessions end, wherever they do, for what a node [remembers](Remembered).
//!
//! Whatever ends sessions writes their account into a stream, in the same step
//! (`functions/common.lua`). The follower asks for what is behind its place there; and where nothing
//! is, waits on a connection of its own until something is, but no longer than a quarter of the lag
//! that is allowed, and asks again. So it knows at any time *since when* it may have missed
//! something.
//!
//! It goes on from its place when a connection broke, if it finds there what it left: the same run of
//! Redis, the same generation, and the entry that it had come to. The oldest entries go first, so all
//! that came after that one are there, too. Otherwise everything is forgotten, and it begins where
//! the stream is now.

use std::{sync::Arc, time::Duration};

use metrics::gauge;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Functions,
    codec::{self, Parts},
    remembered::Remembered,
};
use crate::{model::AccountId, store::Result};

/// How long after a failure it tries again.
const PAUSE: Duration = Duration::from_millis(100);

/// Where many sessions end, it asks no more often than this.
const PACE: Duration = Duration::from_millis(5);

/// How often it is told how long ago something was heard.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// The most entries of one answer.
const MOST_AT_ONCE: usize = 1_000;

/// Follows the stream.
pub(super) struct Follower {
    /// On a link of its own, for it waits there.
    pub(super) functions: Functions,
    pub(super) remembered: Arc<Remembered>,
    /// The longest that it waits for the next entry: less than an answer may take.
    pub(super) wait: Duration,
}

/// Tells how long ago something was heard: beside the follower, for what it waits for may hang, and as
/// long as anybody remembers, though it may have ended.
pub(super) async fn tell_lag(
    root: &'static str,
    remembered: Arc<Remembered>,
    mut follower: JoinHandle<()>,
) {
    let tell = || {
        if let Some(lag) = remembered.lag() {
            gauge!("countersign_redis_lag_seconds", "store" => root).set(lag.as_secs_f64());
        }
    };
    let ended = loop {
        tell();
        if let Ok(ended) = timeout(TELL_EVERY, &mut follower).await {
            break ended;
        }
    };
    match ended {
        // The store is closed.
        Err(error) if error.is_cancelled() => return,
        ended => tracing::error!(
            event = "redis_not_followed",
            ?ended,
            "nobody listens any more which sessions end: checks ask, until the node is restarted"
        ),
    }
    loop {
        tell();
        sleep(TELL_EVERY).await;
    }
}

/// A place in the stream.
struct Place {
    /// Of Redis: another one may have lost what was read, and written something else since.
    run: Vec<u8>,
    stream: Vec<u8>,
    entry: Vec<u8>,
}

impl Follower {
    /// Follows, until it is dropped.
    pub(super) async fn run(self) {
        let mut place = None;
        let mut is_heard = true;
        loop {
            let began = Instant::now();
            let step = self.step(&mut place, began).await;
            match (&step, is_heard) {
                (Err(error), true) => tracing::warn!(
                    event = "redis_not_heard",
                    %error,
                    "which sessions end is not heard: before long, checks ask"
                ),
                (Ok(()), false) => {
                    tracing::info!(event = "redis_heard", "which sessions end is heard again");
                }
                _ => {}
            }
            is_heard = step.is_ok();
            match step {
                Ok(()) => sleep_until(began + PACE).await,
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Waits for something to be there, and hears everything that is.
    async fn step(&self, place: &mut Option<Place>, mut asked: Instant) -> Result<()> {
        if let Some(place) = place {
            self.wait_at(place).await?;
            asked = Instant::now();
        }
        while !self.hear(place).await? {
            asked = Instant::now();
        }
        self.remembered.heard_at(asked);
        Ok(())
    }

    async fn wait_at(&self, place: &Place) -> Result<()> {
        let mut wait = ::redis::cmd("XREAD");
        wait.arg("COUNT").arg(1).arg("BLOCK").arg(self.wait.as_millis().max(1));
        wait.arg("STREAMS").arg(&place.stream).arg(&place.entry);
        self.functions.ask(&wait).await.map(drop)
    }

    /// Asks what is there, or begins. Returns whether that was all.
    async fn hear(&self, place: &mut Option<Place>) -> Result<bool> {
        let Some(at) = place else {
            *place = Some(self.begin().await?);
            return Ok(true);
        };
        let mut command = self.functions.read("ended_since");
        command.arg(&at.run).arg(&at.stream).arg(&at.entry).arg(MOST_AT_ONCE);
        let answer = self.functions.ask(&command).await?;
        if answer == ::redis::Value::Nil {
            *place = None;
            return Ok(false);
        }
        let mut parts = Parts::of("ends", answer)?;
        let entry = parts.bytes()?;
        let mut ended = 0;
        for part in parts.rest() {
            // What is no id is all accounts.
            let account = codec::bytes("ends", part)?.try_into().ok();
            self.remembered.ended(account.map(AccountId::from_bytes));
            ended += 1;
        }
        at.entry = entry;
        Ok(ended < MOST_AT_ONCE)
    }

    async fn begin(&self) -> Result<Place> {
        let mut parts =
            Parts::of("ends", self.functions.ask(&self.functions.change("follow_ends")).await?)?;
        let place = Place { run: parts.bytes()?, stream: parts.bytes()?, entry: parts.bytes()? };
        // What ended before is not heard. Whatever was asked for until now is forgotten; what is asked
        // for from now on has it.
        self.remembered.ended(None);
        Ok(place)
    }
}
