//! Attempts at passwords: counted within a window, forgotten, bounded.

use std::sync::Arc;

use countersign::{
    model::{AttemptKey, Attempts},
    store::Store,
};
use jiff::SignedDuration;
use tokio::task::JoinSet;

use crate::store_world::{World, at, join, log_in};

const WINDOW: SignedDuration = SignedDuration::from_secs(900);

/// Keys that begin alike lie in one place.
fn key(first: u8, last: u8) -> AttemptKey {
    let mut bytes = [first; AttemptKey::BYTES];
    bytes[AttemptKey::BYTES - 1] = last;
    AttemptKey::from_bytes(bytes)
}

async fn counts(store: &dyn Store, keys: &[AttemptKey], seconds: i64) -> Vec<u32> {
    let found = store.attempts(keys, at(seconds)).await.unwrap();
    found.into_iter().map(|attempts| attempts.count).collect()
}

pub(super) async fn attempts_are_counted_until_the_window_of_the_first_is_over(world: &World) {
    let store = &*world.store;
    let keys = [key(1, 1), key(1, 2), key(2, 1)];
    assert_eq!(counts(store, &keys, 0).await, [0, 0, 0]);
    store.count_attempt(keys[..2].to_vec(), WINDOW, at(0), None).await.unwrap();
    store.count_attempt(keys[1..].to_vec(), WINDOW, at(100), None).await.unwrap();
    assert_eq!(counts(store, &keys, 100).await, [1, 2, 1]);
    let found = store.attempts(&keys, at(100)).await.unwrap();
    assert_eq!(found[1], Attempts { count: 2, until: at(900) }, "of the first");
    assert_eq!(found[2].until, at(1_000));
    assert_eq!(counts(store, &keys, 899).await, [1, 2, 1]);
    assert_eq!(counts(store, &keys, 900).await, [0, 0, 1], "no sweep is needed");
    store.count_attempt(keys.to_vec(), WINDOW, at(900), None).await.unwrap();
    assert_eq!(counts(store, &keys, 999).await, [1, 1, 2], "a new window");
    assert_eq!(counts(store, &keys, 1_000).await, [1, 1, 0]);
}

pub(super) async fn attempts_of_one_key_are_forgotten_and_no_others(world: &World) {
    let store = &*world.store;
    let keys = [key(1, 1), key(1, 2), key(2, 1)];
    store.count_attempt(keys.to_vec(), WINDOW, at(0), None).await.unwrap();
    for forgotten in [keys[0], keys[2], key(3, 3)] {
        store.forget_attempts(forgotten).await.unwrap();
    }
    assert_eq!(counts(store, &keys, 1).await, [0, 1, 0]);
}

pub(super) async fn parallel_attempts_count_once_each(world: &World) {
    let mut tasks = JoinSet::new();
    for n in 0..50 {
        let store = Arc::clone(&world.store);
        tasks.spawn(async move {
            store.count_attempt(vec![key(1, 1), key(1, n % 5)], WINDOW, at(0), None).await.unwrap();
        });
    }
    tasks.join_all().await;
    // Those under the key itself, and ten more that named it twice.
    assert_eq!(counts(&*world.store, &[key(1, 1), key(1, 2)], 1).await, [60, 10]);
}

/// Whatever clients make up.
pub(super) async fn keys_have_bounded_room_and_those_with_many_attempts_stay(world: &World) {
    let store = &*world.store;
    let tried = key(1, 0);
    for _ in 0..3 {
        store.count_attempt(vec![tried], WINDOW, at(0), None).await.unwrap();
    }
    let made_up: Vec<_> = (1..=255).map(|last| key(1, last)).collect();
    store.count_attempt(made_up.clone(), WINDOW, at(1), None).await.unwrap();
    assert_eq!(counts(store, &[tried], 2).await, [3]);
    let kept: u32 = counts(store, &made_up, 2).await.into_iter().sum();
    assert!(kept < 32, "{kept} of them are kept in one place");
}

pub(super) async fn attempts_that_are_over_are_swept_and_in_no_backup(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    log_in(store, &ann, 0).await;
    let before = super::backup::export(store).await;
    for first in 0..10 {
        let seconds = if first < 7 { 0 } else { 500 };
        store.count_attempt(vec![key(first, 1)], WINDOW, at(seconds), None).await.unwrap();
    }
    assert_eq!(super::backup::export(store).await, before);
    // One session and ten places: the budget is for both.
    let mut from = None;
    for looked_at in [4, 8] {
        let swept = store.sweep(from, 4, at(1_000)).await.unwrap();
        assert_eq!(swept.removed, 0, "no session is over");
        assert!(swept.next.is_some(), "after {looked_at}");
        from = swept.next;
    }
    assert_eq!(store.sweep(from, 4, at(1_000)).await.unwrap().next, None);
    let swept = store.sweep(None, 4, at(1_000)).await.unwrap();
    assert_eq!(swept.next, None, "the session and what is left: three");
    // What was swept is not there at an earlier moment either.
    let keys: Vec<_> = (0..10).map(|first| key(first, 1)).collect();
    assert_eq!(counts(store, &keys, 600).await, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
}
