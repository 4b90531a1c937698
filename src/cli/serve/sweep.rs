//! Dead sessions leave the store: round by round, in small steps, beside everything else.

use std::{sync::Arc, time::Duration};

use metrics::counter;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{debug, warn};

use super::server::until;
use crate::{
    model::Clock,
    store::{Result, Store},
};

/// How many records one step looks at: some milliseconds of the store's time.
const BUDGET: usize = 2_000;

/// How long the store is left alone between two steps of a round.
const PAUSE: Duration = Duration::from_millis(100);

/// Goes round for ever, starting a round every `every` or when the last one is over, until the
/// server stops.
pub(super) async fn run(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    every: Duration,
    stopped: watch::Receiver<bool>,
) {
    let mut due = interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rounds = async {
        loop {
            due.tick().await;
            match round(&*store, &*clock).await {
                Ok(0) => {}
                Ok(removed) => debug!(event = "swept", removed, "dead sessions removed"),
                // Dead sessions are refused all the same; the next round tries again.
                Err(error) => warn!(event = "sweep_failed", %error, "dead sessions stay for now"),
            }
        }
    };
    tokio::select! {
        () = until(stopped) => {}
        () = rounds => {}
    }
}

/// Goes through the whole store once. Returns how many dead sessions it removed.
async fn round(store: &dyn Store, clock: &dyn Clock) -> Result<u64> {
    let mut removed = 0;
    let mut from = None;
    loop {
        let swept = store.sweep(from, BUDGET, clock.now()).await?;
        removed += swept.removed;
        counter!("countersign_sessions_swept_total").increment(swept.removed);
        if swept.next.is_none() {
            return Ok(removed);
        }
        from = swept.next;
        sleep(PAUSE).await;
    }
}
