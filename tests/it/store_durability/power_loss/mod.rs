//! Power fails at any moment: whatever it may leave of the files opens, and holds what was answered.
//!
//! Clients work on a store whose disk is a recorder. Nothing is durable for it but what was in the
//! log when a sync was asked for; of what was written to it since, power loss keeps all, nothing,
//! or any part: that is how the *cuts* are made, copies of the directory as it might be found
//! afterwards. Each is opened and compared, client by client, with what that client had been told,
//! to the visit. The next round goes on from one of the cuts.
//!
//! | file | what it holds |
//! |---|---|
//! | `client` | who asks for changes and writes down what it was told |
//! | `cut` | the recorder, and the cuts |
//! | `names` | files whose names, or settings, were not synced yet |
//! | `tail` | a log that something cut off |
//!
//! `COUNTERSIGN_POWER_ROUNDS` sets how many rounds there are; the seed is printed, and
//! `COUNTERSIGN_POWER_SEED` repeats one (but for the order in which the clients come to their turn).

mod client;
mod cut;
mod names;
mod tail;

use std::sync::{Arc, Mutex};

use countersign::store::{SledOptions, SledStore, Store};
use tempfile::TempDir;

use self::{
    client::{Book, Client, Told},
    cut::Recorder,
};
use crate::support::{Dice, at_once, number};

/// How many clients there are, each with an account of its own.
const CLIENTS: usize = 400;

/// How many of them work in a round: then as many may wait for one sync.
const AT_ONCE: [usize; 3] = [8, 60, CLIENTS];

/// How many things are asked for in a round.
const STEPS: usize = 3_000;

/// How many cuts are made in a round at most.
const CUTS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_power_loss_leaves_holds_what_was_answered() {
    let rounds = number("COUNTERSIGN_POWER_ROUNDS").unwrap_or(3);
    let mut dice = Dice::of("COUNTERSIGN_POWER_SEED");
    let mut dir = TempDir::new().unwrap();
    let mut told = vec![Told::default(); CLIENTS];
    let mut checked = 0;
    for _ in 0..rounds {
        let active = dice.pick(AT_ONCE.into_iter()).unwrap();
        let book: Book = Arc::new(Mutex::new(told));
        let one_in = (STEPS / active / CUTS) as u64 + 1;
        let disk = Arc::new(Recorder::new(dir.path(), Arc::clone(&book), one_in, dice.split()));
        let options = SledOptions { disk: disk.clone(), ..SledOptions::default() };
        let store: Arc<dyn Store> = Arc::new(SledStore::open(dir.path(), options).unwrap());
        let clients: Vec<_> = (0..active)
            .map(|n| Client::new(n, Arc::clone(&store), Arc::clone(&book), dice.split()))
            .collect();
        at_once(clients.into_iter().map(|client| client.work(STEPS / active))).await;
        store.close().await.unwrap();
        let cuts = disk.cuts();
        assert!(!cuts.is_empty(), "no sync was cut");
        checked += cuts.len();
        let next = dice.pick(0..cuts.len());
        let mut after = None;
        for (n, cut) in cuts.into_iter().enumerate() {
            let found = cut.check().await;
            if Some(n) == next {
                after = Some((cut.dir, found));
            }
        }
        (dir, told) = after.unwrap();
    }
    println!("{checked} cuts in {rounds} rounds");
}
