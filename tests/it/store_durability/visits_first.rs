//! Visits that are answered before they are recorded: `Durability::Interval`.

use std::time::Duration;

use countersign::store::{Durability, Store};
use tokio::time::timeout;

use super::{LIMIT, Mode, Rig, until};
use crate::store_world::{alive, at, count, join, log_in, visit};

#[tokio::test(flavor = "multi_thread")]
async fn visits_may_be_answered_first_and_nothing_else() {
    let mut rig = Rig::with(Durability::Interval(Duration::from_millis(500)));
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Holds);
    for visits in 1..=5 {
        let visited = timeout(LIMIT, count(&*rig.store, &one, 1)).await.unwrap();
        assert_eq!(visited.visits, visits);
        assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), visits, "seen by readers");
    }
    let ended = rig.revoke(&one);
    rig.disk.reached().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!ended.is_finished() && alive(&*rig.store, &one, 1).await);
    rig.disk.set(Mode::Works);
    assert!(timeout(LIMIT, ended).await.unwrap().unwrap().unwrap());
    assert!(!alive(&*rig.store, &one, 1).await);
    rig.reopen().await;
    assert!(!alive(&*rig.store, &one, 1).await);
    assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn visits_answered_first_are_recorded_in_time_and_at_close() {
    let mut rig = Rig::with(Durability::Interval(Duration::from_millis(50)));
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    let before = rig.disk.syncs();
    count(&*rig.store, &one, 1).await;
    until("the visit is recorded", async || rig.disk.syncs() > before).await;
    until("it is in the files", async || {
        rig.killed_now().1.total_visits(ann.id).await.unwrap() == 1
    })
    .await;
    count(&*rig.store, &one, 1).await;
    rig.reopen().await;
    assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn visits_answered_first_outlive_a_failed_commit() {
    let mut rig = Rig::with(Durability::Interval(Duration::from_millis(500)));
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Fails);
    let one = count(&*rig.store, &one, 1).await;
    assert!(rig.revoke(&one).await.unwrap().is_err());
    let found = rig.store.session(ann.id, one.id, at(1)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&one));
    assert!(rig.store.visit(visit(&one, 1, 1, 1)).await.is_err(), "no longer");
    rig.disk.set(Mode::Works);
    rig.healed().await;
    rig.reopen().await;
    let found = rig.store.session(ann.id, one.id, at(1)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&one));
}
