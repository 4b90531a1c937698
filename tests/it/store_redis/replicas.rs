//! What ends sessions waits for replicas, if it is told to.

use std::time::{Duration, Instant};

use countersign::store::{Created, RedisOptions, RedisStore, Store, StoreError, Visited};

use crate::{
    store_world::{PLENTY, alive, at, cause, count, join, log_in, session, visit},
    support::{PATIENCE, RedisServer, redis::redis_works},
};

/// A replica that has all there is.
pub(super) async fn replica_of(primary: &RedisServer) -> RedisServer {
    let port = primary.url().port().unwrap();
    let replica = RedisServer::with(&["--replicaof", &format!("127.0.0.1 {port}")]);
    let started = Instant::now();
    while !replica.ask(&["INFO", "replication"]).contains("master_link_status:up") {
        assert!(started.elapsed() < PATIENCE, "the replica does not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    replica
}

fn open(server: &RedisServer, replicas: u64) -> RedisStore {
    let patience = Duration::from_secs(2);
    let options = RedisOptions { patience, replicas, ..RedisOptions::default() };
    RedisStore::open(&server.url(), options).unwrap()
}

#[tokio::test]
async fn an_answered_logout_outlives_the_primary() {
    if !redis_works() {
        return;
    }
    let mut primary = RedisServer::with(&["--repl-diskless-sync-delay", "0"]);
    let replica = replica_of(&primary).await;
    let store = open(&primary, 1);
    let ann = join(&store, "ann").await;
    let (one, other) = (log_in(&store, &ann, 0).await, log_in(&store, &ann, 0).await);
    assert_eq!(count(&store, &other, 1).await.visits, 1);
    assert!(store.revoke_session(ann.id, one.id, cause(at(1))).await.unwrap());
    primary.kill_hard();
    replica.ask(&["REPLICAOF", "NO", "ONE"]);
    let store = open(&replica, 0);
    assert!(!alive(&store, &one, 1).await);
    assert!(alive(&store, &other, 1).await, "what came before it is there, too");
}

#[tokio::test]
async fn a_logout_that_no_replica_has_is_not_answered() {
    if !redis_works() {
        return;
    }
    let primary = RedisServer::with(&["--repl-diskless-sync-delay", "0"]);
    let replica = replica_of(&primary).await;
    let store = open(&primary, 1);
    let ann = join(&store, "ann").await;
    let sessions = [log_in(&store, &ann, 0).await, log_in(&store, &ann, 0).await];
    replica.freeze();
    let started = Instant::now();
    match store.revoke_session(ann.id, sessions[0].id, cause(at(1))).await {
        Err(StoreError::Unavailable(reason)) => assert!(reason.contains("0 of 1"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!(count(&store, &sessions[1], 1).await.visits, 1, "visits do not wait");
    replica.thaw();
    assert!(store.revoke_session(ann.id, sessions[1].id, cause(at(2))).await.unwrap());
    // The one that nobody was told of was done: asked again, it is over.
    assert!(!store.revoke_session(ann.id, sessions[0].id, cause(at(2))).await.unwrap());
}

/// What ends a session on the way, too: the end of a copied one, and of the oldest at a log-in.
#[tokio::test]
async fn an_end_that_came_with_something_else_waits_as_well() {
    if !redis_works() {
        return;
    }
    let primary = RedisServer::with(&["--repl-diskless-sync-delay", "0"]);
    let replica = replica_of(&primary).await;
    let store = open(&primary, 1);
    let ann = join(&store, "ann").await;
    let (copied, oldest) = (log_in(&store, &ann, 0).await, log_in(&store, &ann, 1).await);
    count(&store, &copied, 1).await;
    let unknown = |answer: Result<(), StoreError>| match answer {
        Err(StoreError::Unavailable(reason)) => assert!(reason.contains("0 of 1"), "{reason}"),
        other => panic!("{other:?}"),
    };
    replica.freeze();
    // A token that is of neither end of the chain, long after.
    let copy = store.visit(visit(&copied, 7, 2, 600)).await;
    assert!(matches!(copy, Ok(Visited::Counted(_))), "an unknown number is no copy yet: {copy:?}");
    unknown(store.visit(visit(&copied, 1, 1, 900)).await.map(drop));
    let new = session(ann.id, 2);
    let id = new.id;
    unknown(store.create_session(new, &ann.password, 1, cause(at(2))).await.map(drop));
    let calm = store.create_session(session(ann.id, 3), &ann.password, PLENTY, cause(at(3))).await;
    assert!(matches!(calm, Ok(Created::Added { ended, .. }) if ended.is_empty()));
    replica.thaw();
    // They were done.
    assert!(!alive(&store, &copied, 4).await && !alive(&store, &oldest, 4).await);
    assert!(store.session(ann.id, id, at(4)).await.unwrap().is_some());
}

/// A replica answers what was true a moment ago, so it is not asked.
#[tokio::test]
async fn a_primary_that_became_a_replica_is_left() {
    if !redis_works() {
        return;
    }
    let (first, other) = (RedisServer::start(), RedisServer::start());
    let store = open(&first, 0);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    let port = other.url().port().unwrap().to_string();
    first.ask(&["CONFIG", "SET", "replica-read-only", "yes"]);
    first.ask(&["REPLICAOF", "127.0.0.1", &port]);
    // The connection that is there is found to be no good by what must be written.
    assert!(store.visit(visit(&one, 0, 0, 1)).await.is_err());
    match store.session(ann.id, one.id, at(1)).await {
        Err(StoreError::Unavailable(reason)) => assert!(reason.contains("replica"), "{reason}"),
        other => panic!("{other:?}"),
    }
    first.ask(&["REPLICAOF", "NO", "ONE"]);
    let started = Instant::now();
    while let Err(error) = store.session(ann.id, one.id, at(1)).await {
        assert!(started.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
