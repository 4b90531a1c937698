//! What was refused never was, and the store heals.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use countersign::store::{SledOptions, SledStore, Store, StoreError};
use tokio::time::timeout;

use super::{LIMIT, Mode, Rig, until};
use crate::store_world::{alive, at, cause, count, join, log_in, opened, session, visit};

/// A commit fails in `mode`; all that must hold then, during it and after it.
async fn a_commit_fails(mode: Mode) {
    let mut rig = Rig::new();
    let store = Arc::clone(&rig.store);
    let ann = join(&*store, "ann").await;
    let one = log_in(&*store, &ann, 0).await;
    let one = count(&*store, &one, 1).await;

    rig.disk.set(mode);
    let refused = rig.revoke(&one).await.unwrap();
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    // Reads go on, with what was recorded; changes are refused at once.
    for _ in 0..3 {
        let found = store.session(ann.id, one.id, at(1)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&one));
        assert_eq!(store.sessions(ann.id, at(1)).await.unwrap().len(), 1);
        assert_eq!(store.total_visits(ann.id).await.unwrap(), 1);
        let asked = Instant::now();
        assert!(store.visit(visit(&one, 1, 1, 1)).await.is_err());
        let login = session(ann.id, 1);
        assert!(store.create_session(login, &ann.password, 9, cause(at(0))).await.is_err());
        assert!(store.ping().await.is_err());
        assert!(asked.elapsed() < LIMIT, "refused at once");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Nobody asks for anything, and it heals all the same.
    rig.disk.set(Mode::Works);
    rig.healed().await;
    let found = store.session(ann.id, one.id, at(1)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&one), "what was refused is not there");
    let one = count(&*store, &one, 2).await;
    assert_eq!(one.visits, 2);
    let (_copy, killed) = rig.killed_now();
    let found = killed.session(ann.id, one.id, at(2)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&one), "nor in the files");
    drop(store);
    rig.reopen().await;
    let found = rig.store.session(ann.id, one.id, at(2)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&one), "nor after a restart");
    assert_eq!(rig.store.sessions(ann.id, at(2)).await.unwrap().len(), 1);
    assert_eq!(rig.store.account(ann.id).await.unwrap(), Some(ann));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_undone_and_heals() {
    a_commit_fails(Mode::Fails).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_commit_is_undone_and_heals() {
    a_commit_fails(Mode::Panics).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_waited_for_a_failed_commit_are_refused() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Holds);
    let first = rig.revoke(&one);
    rig.disk.reached().await;
    // These wait behind the commit that is about to fail.
    let behind: Vec<_> = (0..50).map(|_| rig.revoke(&one)).collect();
    rig.disk.set(Mode::Fails);
    assert!(timeout(LIMIT, first).await.unwrap().unwrap().is_err());
    for revoked in behind {
        assert!(timeout(LIMIT, revoked).await.unwrap().unwrap().is_err());
    }
    assert!(alive(&*rig.store, &one, 1).await);
    rig.disk.set(Mode::Works);
    rig.healed().await;
    assert!(alive(&*rig.store, &one, 1).await);
    assert!(rig.revoke(&one).await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_again_while_healing_is_waited_for() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    for round in 0..5 {
        rig.disk.set(Mode::Fails);
        assert!(rig.revoke(&one).await.unwrap().is_err());
        // The reserve is there and the way back is cut off in the middle of it.
        rig.disk.set(Mode::Holds);
        rig.disk.reached().await;
        rig.disk.set(if round % 2 == 0 { Mode::Fails } else { Mode::Panics });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(rig.store.ping().await.is_err());
        rig.disk.set(Mode::Works);
        rig.healed().await;
        assert!(alive(&*rig.store, &one, 1).await, "round {round}");
    }
    assert!(rig.revoke(&one).await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_wait_a_bounded_time_for_a_database_that_is_away() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Fails);
    assert!(rig.revoke(&one).await.unwrap().is_err());
    // The old handle is gone, and the new one does not come.
    rig.disk.set(Mode::Holds);
    rig.disk.reached().await;
    let asked = Instant::now();
    assert!(rig.store.session(ann.id, one.id, at(1)).await.is_err());
    assert!(asked.elapsed() < LIMIT);
    // Changes do not wait at all.
    let ping = timeout(LIMIT, rig.store.ping()).await;
    assert!(ping.expect("at once").is_err());
    // One who still waits when it comes back is answered.
    let waiting = {
        let (store, one) = (Arc::clone(&rig.store), one.clone());
        tokio::spawn(async move { alive(&*store, &one, 1).await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    rig.disk.set(Mode::Works);
    assert!(timeout(LIMIT, waiting).await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_store_closes_and_says_so() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Fails);
    assert!(rig.revoke(&one).await.unwrap().is_err());
    assert!(timeout(LIMIT, rig.store.close()).await.unwrap().is_err());
    rig.disk.set(Mode::Works);
    let open = || SledStore::open(rig.dir.path(), SledOptions::default());
    let again = opened(open).unwrap();
    assert_eq!(again.account(ann.id).await.unwrap(), Some(ann));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_sessions_are_found_and_changes_refused() {
    let mut rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    let only_reads = async |store: &dyn Store| {
        until("changes are refused", async || store.ping().await.is_err()).await;
        assert!(store.visit(visit(&one, 0, 0, 1)).await.is_err());
        assert!(alive(store, &one, 1).await);
    };
    rig.disk.set(Mode::Full);
    rig.reopen().await;
    only_reads(&*rig.store).await;
    rig.disk.set(Mode::Works);
    rig.healed().await;
    assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), 0);
    count(&*rig.store, &one, 1).await;

    // The same when it fills up while it runs: a commit fails, is undone, and then it waits.
    rig.disk.set(Mode::Fails);
    assert!(rig.revoke(&one).await.unwrap().is_err());
    rig.disk.set(Mode::Full);
    let undone = rig.disk.syncs();
    until("the commit is undone", async || rig.disk.syncs() >= undone + 2).await;
    only_reads(&*rig.store).await;
    rig.disk.set(Mode::Works);
    rig.healed().await;
    assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), 1);
}
