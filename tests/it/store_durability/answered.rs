//! What was answered stays, and nothing is answered too early.

use std::{sync::Arc, time::Duration};

use countersign::{
    model::AccountState,
    store::{Durability, Store, Visited},
};
use tokio::{task::JoinSet, time::timeout};

use super::{LIMIT, Mode, Rig};
use crate::store_world::{alive, at, cause, count, join, log_in, visit};

#[tokio::test]
async fn reopening_keeps_everything() {
    let mut rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let bob = join(&*rig.store, "bob").await;
    let live = log_in(&*rig.store, &ann, 0).await;
    let live = count(&*rig.store, &live, 1).await;
    let gone = log_in(&*rig.store, &ann, 0).await;
    count(&*rig.store, &gone, 1).await;
    assert!(rig.store.revoke_session(ann.id, gone.id, cause(at(1))).await.unwrap());
    rig.store.set_account_state(bob.id, AccountState::Disabled, cause(at(0))).await.unwrap();
    for _ in 0..3 {
        rig.reopen().await;
        assert_eq!(rig.store.account(ann.id).await.unwrap(), Some(ann.clone()));
        let found = rig.store.account_by_email(&bob.email).await.unwrap().unwrap();
        assert_eq!(found.state, AccountState::Disabled);
        let found = rig.store.session(ann.id, live.id, at(1)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&live));
        assert!(!alive(&*rig.store, &gone, 1).await);
        assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), 2);
    }
    rig.store.revoke_all_sessions(cause(at(0))).await.unwrap();
    rig.reopen().await;
    assert!(!alive(&*rig.store, &live, 1).await, "the epoch is kept too");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_in_the_files() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    for visits in 1..=20 {
        count(&*rig.store, &one, 1).await;
        let (_copy, killed) = rig.killed_now();
        assert_eq!(killed.total_visits(ann.id).await.unwrap(), visits);
    }
    assert!(rig.revoke(&one).await.unwrap().unwrap());
    let (_copy, killed) = rig.killed_now();
    assert!(!alive(&killed, &one, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_before_it_is_synced() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;

    rig.disk.set(Mode::Holds);
    let first = rig.revoke(&one);
    rig.disk.reached().await;
    let second = rig.revoke(&one);
    let late_visit = {
        let (store, visit) = (Arc::clone(&rig.store), visit(&one, 0, 0, 1));
        tokio::spawn(async move { store.visit(visit).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    // The end is applied, and in the file. But it is not synced, so it has not happened yet:
    // nobody may build on it, and nobody is told.
    assert!(alive(&*rig.store, &one, 1).await);
    let listed = rig.store.sessions(ann.id, at(1)).await.unwrap();
    assert_eq!(listed.as_slice(), std::slice::from_ref(&one));
    assert!(!first.is_finished() && !second.is_finished() && !late_visit.is_finished());
    let (_copy, killed) = rig.killed_now();
    assert!(!alive(&killed, &one, 1).await, "what is synced is what was flushed before");

    rig.disk.set(Mode::Works);
    assert!(timeout(LIMIT, first).await.unwrap().unwrap().unwrap());
    assert!(!timeout(LIMIT, second).await.unwrap().unwrap().unwrap());
    let visited = timeout(LIMIT, late_visit).await.unwrap().unwrap();
    assert_eq!(visited.unwrap(), Visited::Absent);
    assert!(!alive(&*rig.store, &one, 1).await);
}

/// As above, where the two are worked off in one group.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_from_the_same_commit_before_it_is_synced() {
    for durability in [Durability::Commit, Durability::Interval(Durability::LONGEST)] {
        let rig = Rig::with(durability);
        let ann = join(&*rig.store, "ann").await;
        let first = log_in(&*rig.store, &ann, 0).await;
        let one = log_in(&*rig.store, &ann, 0).await;
        let other = log_in(&*rig.store, &ann, 0).await;
        rig.disk.set(Mode::Holds);
        let earlier = rig.revoke(&first);
        rig.disk.reached().await;
        let ends = rig.revoke(&one);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let again = rig.revoke(&one);
        let visits = [&one, &other].map(|session| {
            let (store, visit) = (Arc::clone(&rig.store), visit(session, 0, 0, 1));
            tokio::spawn(async move { store.visit(visit).await })
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        rig.disk.pass_one().await;
        assert!(timeout(LIMIT, earlier).await.unwrap().unwrap().unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!ends.is_finished() && !again.is_finished());
        assert!(visits.iter().all(|visit| !visit.is_finished()));
        rig.disk.set(Mode::Fails);
        assert!(timeout(LIMIT, ends).await.unwrap().unwrap().is_err());
        assert!(timeout(LIMIT, again).await.unwrap().unwrap().is_err());
        for visit in visits {
            assert!(timeout(LIMIT, visit).await.unwrap().unwrap().is_err());
        }
        assert!(alive(&*rig.store, &one, 1).await);
        assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sync_serves_all_that_wait() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let mut sessions = Vec::new();
    for _ in 0..101 {
        sessions.push(log_in(&*rig.store, &ann, 0).await);
    }
    rig.disk.set(Mode::Holds);
    let first = rig.revoke(&sessions[0]);
    rig.disk.reached().await;
    let before = rig.disk.syncs();
    let rest: Vec<_> = sessions[1..].iter().map(|session| rig.revoke(session)).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    rig.disk.set(Mode::Works);
    assert!(timeout(LIMIT, first).await.unwrap().unwrap().unwrap());
    for revoked in rest {
        assert!(timeout(LIMIT, revoked).await.unwrap().unwrap().unwrap());
    }
    let syncs = rig.disk.syncs() - before;
    assert!(syncs <= 5, "{syncs} syncs for 100 changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_waits_for_no_sync() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    assert!(rig.revoke(&one).await.unwrap().unwrap());
    let before = rig.disk.syncs();
    assert!(!rig.revoke(&one).await.unwrap().unwrap());
    assert_eq!(rig.store.visit(visit(&one, 0, 0, 1)).await.unwrap(), Visited::Absent);
    rig.store.ping().await.unwrap();
    assert_eq!(rig.disk.syncs(), before);
}

/// `Tree::flush_async` hangs for good at 16 tasks.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_parallel_revokes_end() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let mut sessions = Vec::new();
    for _ in 0..100 {
        sessions.push(log_in(&*rig.store, &ann, 0).await);
    }
    let mut tasks = JoinSet::new();
    for session in sessions {
        let store = Arc::clone(&rig.store);
        tasks.spawn(async move {
            store.revoke_session(session.account, session.id, cause(at(1))).await.unwrap()
        });
    }
    let ended = timeout(LIMIT, tasks.join_all()).await.expect("it does not hang");
    assert_eq!(ended, vec![true; 100]);
}
