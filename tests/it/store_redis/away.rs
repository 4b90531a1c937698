//! What happens while Redis is not there, or not as it was.

use std::time::{Duration, Instant};

use countersign::{
    model::AccountState,
    store::{Store, StoreError, Visited},
};

use super::{hasty, open};
use crate::{
    store_world::{account, alive, at, cause, count, join, log_in, visit},
    support::{RedisServer, redis::redis_works},
};

/// The longest that anything takes: twice the second that is given to Redis, and what a busy machine
/// adds.
const BOUND: Duration = Duration::from_secs(4);

fn is_away<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Unavailable(reason)) => {
            assert!(!reason.contains('\n'), "{reason}");
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_library_that_is_lost_is_loaded_again_and_nothing_is_done_twice() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    for visits in 1..=3 {
        server.ask(&["FUNCTION", "FLUSH"]);
        assert_eq!(count(&store, &one, visits).await.visits, u64::try_from(visits).unwrap());
    }
    server.ask(&["FUNCTION", "FLUSH"]);
    let counted = store.visit(visit(&one, 3, 3, 4)).await.unwrap();
    assert!(matches!(counted, Visited::Counted(session) if session.visits == 4));
    server.ask(&["FUNCTION", "FLUSH"]);
    assert!(store.revoke_session(ann.id, one.id, cause(at(5))).await.unwrap());
    assert!(!alive(&store, &one, 5).await);
}

#[tokio::test]
async fn what_was_answered_is_there_after_kill_9_without_a_new_start() {
    if !redis_works() {
        return;
    }
    let mut server = RedisServer::start();
    let store = hasty(&server);
    let ann = join(&store, "ann").await;
    let (one, other) = (log_in(&store, &ann, 0).await, log_in(&store, &ann, 0).await);
    for round in 1..=5_u64 {
        assert_eq!(count(&store, &one, 1).await.visits, round);
        server.kill_hard();
        let started = Instant::now();
        let reason = is_away(store.session(ann.id, one.id, at(1)).await);
        assert!(reason.starts_with("Redis at 127.0.0.1:"), "{reason}");
        is_away(store.visit(visit(&one, 0, 1, 1)).await);
        is_away(store.ping().await);
        assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
        server.restart();
        until_it_is_back(&store).await;
        assert_eq!(store.total_visits(ann.id).await.unwrap(), round, "no more, no fewer");
    }
    assert!(store.revoke_session(ann.id, other.id, cause(at(2))).await.unwrap());
    server.kill_hard();
    server.restart();
    until_it_is_back(&store).await;
    assert!(alive(&store, &one, 2).await && !alive(&store, &other, 2).await);
}

#[tokio::test]
async fn a_frozen_redis_is_waited_for_in_bounds_and_goes_on() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = hasty(&server);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    count(&store, &one, 1).await;
    server.freeze();
    // Many at once wait no longer than one.
    let started = Instant::now();
    let waiting = (0..50).map(|_| store.session(ann.id, one.id, at(1)));
    for answer in futures_util::future::join_all(waiting).await {
        is_away(answer);
    }
    is_away(store.revoke_session(ann.id, one.id, cause(at(1))).await);
    assert!(started.elapsed() < 2 * BOUND, "{:?}", started.elapsed());
    server.thaw();
    until_it_is_back(&store).await;
    // Whether the log-out that got no answer was done is not known, but it was done at most once.
    let events = crate::store_machine::operation::list(&store, Some(ann.id), 10, at(2)).await;
    let ends = events.unwrap().into_iter().filter(|event| event.ended > 0).count();
    assert_eq!(ends, usize::from(!alive(&store, &one, 1).await));
}

#[tokio::test]
async fn where_memory_is_full_checks_and_logouts_go_on() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    let ann = join(&store, "ann").await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(log_in(&store, &ann, 0).await);
    }
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(is_away(store.visit(visit(&made[0], 0, 0, 1)).await).contains("OOM"));
    is_away(store.ping().await);
    is_away(store.create_account(account("bob"), cause(at(1))).await);
    assert!(alive(&store, &made[0], 1).await);
    assert!(store.revoke_session(ann.id, made[0].id, cause(at(1))).await.unwrap());
    assert_eq!(store.revoke_sessions(ann.id, Some(made[1].id), cause(at(1))).await.unwrap(), 2);
    let locked = store.set_account_state(ann.id, AccountState::Disabled, cause(at(1))).await;
    assert_eq!(locked.unwrap(), Some(1));
    store.revoke_all_sessions(cause(at(1))).await.unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    store.ping().await.unwrap();
    assert!(store.create_account(account("bob"), cause(at(2))).await.unwrap());
    let events = crate::store_machine::operation::list(&store, Some(ann.id), 20, at(2)).await;
    assert_eq!(events.unwrap().iter().filter(|event| event.ended > 0).count(), 3);
}

/// It heals by itself.
async fn until_it_is_back(store: &dyn Store) {
    let started = Instant::now();
    while let Err(error) = store.ping().await {
        assert!(started.elapsed() < crate::support::PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
