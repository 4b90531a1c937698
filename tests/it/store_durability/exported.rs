//! What an export shows while commits are under way, or fail.

use std::time::Duration;

use countersign::store::{BackupRecord, Durability, Export};

use super::{Mode, Rig, until};
use crate::store_world::{alive, count, join, log_in};

/// The visits of each session.
async fn visits(mut export: Box<dyn Export>) -> Vec<u64> {
    let mut visits = Vec::new();
    while let Some(page) = export.next().await.unwrap() {
        visits.extend(page.iter().filter_map(|record| match record {
            BackupRecord::Session { session, .. } => Some(session.visits),
            _ => None,
        }));
    }
    visits
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_shows_nothing_that_is_not_recorded() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Holds);
    let ended = rig.revoke(&one);
    rig.disk.reached().await;
    // sled shows the change by now; nobody else may.
    let during = rig.store.export().await.unwrap();
    let before = rig.store.export().await.unwrap();
    assert_eq!(visits(during).await, [0]);
    rig.disk.set(Mode::Works);
    assert!(ended.await.unwrap().unwrap());
    assert_eq!(visits(before).await, [0], "it was begun before the end was recorded");
    assert!(visits(rig.store.export().await.unwrap()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_shows_the_visits_that_were_answered_when_it_began() {
    let rig = Rig::with(Durability::Interval(Duration::from_millis(500)));
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Holds);
    let none = rig.store.export().await.unwrap();
    count(&*rig.store, &one, 1).await;
    let first = rig.store.export().await.unwrap();
    count(&*rig.store, &one, 2).await;
    count(&*rig.store, &one, 3).await;
    let third = rig.store.export().await.unwrap();
    rig.disk.set(Mode::Works);
    join(&*rig.store, "bob").await;
    count(&*rig.store, &one, 4).await;
    for (export, expected) in [(none, 0), (first, 1), (third, 3)] {
        assert_eq!(visits(export).await, [expected]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_on_through_a_failed_commit_and_the_healing() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    let two = count(&*rig.store, &log_in(&*rig.store, &ann, 0).await, 1).await;
    let before = rig.store.export().await.unwrap();
    rig.disk.set(Mode::Fails);
    rig.revoke(&one).await.unwrap().unwrap_err();
    let broken = rig.store.export().await.unwrap();
    rig.disk.set(Mode::Works);
    rig.healed().await;
    assert!(rig.revoke(&two).await.unwrap().unwrap());
    until("it is gone", async || !alive(&*rig.store, &two, 1).await).await;
    for export in [before, broken] {
        let mut visits = visits(export).await;
        visits.sort_unstable();
        assert_eq!(visits, [0, 1]);
    }
}
