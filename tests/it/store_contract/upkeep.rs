//! The sweep, and the end of the store itself.

use countersign::{
    model::{Timestamp, clock::from_millis},
    store::{Store, SweepCursor},
};

use crate::{
    store_world::{World, account, at, cause, everybody, join, log_in},
    support::PATIENCE,
};

/// Sweeps to the end. Returns how many were removed and how many calls it took.
pub(super) async fn sweep_all(store: &dyn Store, budget: usize, now: Timestamp) -> (u64, u64) {
    let (mut removed, mut calls) = (0, 0);
    let mut from: Option<SweepCursor> = None;
    loop {
        let swept = store.sweep(from, budget, now).await.unwrap();
        removed += swept.removed;
        calls += 1;
        match swept.next {
            Some(next) => from = Some(next),
            None => return (removed, calls),
        }
    }
}

pub(super) async fn a_sweep_removes_exactly_the_dead(world: &World) {
    let store = &*world.store;
    assert_eq!(sweep_all(store, 10, at(0)).await, (0, 1), "nothing there");
    let mut living = Vec::new();
    for n in 0..3 {
        let account = join(store, &format!("user{n}")).await;
        log_in(store, &account, 0).await;
        log_in(store, &account, 1).await;
        living.push(log_in(store, &account, 1_000).await);
    }
    let now = 30 * 60 + 1;
    let swept = store.sweep(None, 100, at(now)).await.unwrap();
    assert_eq!((swept.removed, swept.living, swept.next), (6, 3, None));
    for session in &living {
        let found = store.session(session.account, session.id, at(now)).await.unwrap();
        assert_eq!(found.as_ref(), Some(session));
    }
    assert_eq!(sweep_all(store, 100, at(now)).await, (0, 1));
    store.revoke_all_sessions(cause(at(0))).await.unwrap();
    assert_eq!(sweep_all(store, 100, at(now)).await, (3, 1));
    // At a moment before their end, too, nothing of them is left.
    assert_eq!(sweep_all(store, 100, from_millis(0)).await, (0, 1));
    assert_eq!(everybody(store).await.len(), 3);
}

pub(super) async fn a_sweep_keeps_its_budget_and_reaches_the_end(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    for n in 0..10 {
        log_in(store, &ann, if n % 2 == 0 { 0 } else { 1_000 }).await;
    }
    let first = store.sweep(None, 3, at(1_900)).await.unwrap();
    assert!(first.removed <= 3 && first.next.is_some());
    let (removed, calls) = sweep_all(store, 3, at(1_900)).await;
    assert_eq!(first.removed + removed, 5);
    let (mut living, mut from) = (0, None);
    loop {
        let swept = store.sweep(from, 3, at(1_900)).await.unwrap();
        living += swept.living;
        let Some(next) = swept.next else { break };
        from = Some(next);
    }
    assert_eq!(living, 5, "each is passed once");
    assert!(calls >= 2, "{calls} calls");
    assert_eq!(store.sessions(ann.id, at(1_900)).await.unwrap().len(), 5);
    // It gets on even with a budget of nothing.
    let (removed, _) = sweep_all(store, 0, at(10_000)).await;
    assert_eq!(removed, 5);
}

pub(super) async fn a_closed_store_refuses(world: &World) {
    let store = &*world.store;
    store.ping().await.unwrap();
    let ann = join(store, "ann").await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let refused = tokio::time::timeout(PATIENCE, async {
        assert!(store.ping().await.is_err());
        assert!(store.account(ann.id).await.is_err());
        assert!(store.create_account(account("bob"), cause(at(0))).await.is_err());
    });
    refused.await.expect("at once");
}
