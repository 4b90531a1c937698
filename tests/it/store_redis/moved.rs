//! From one kind of store to another and back, and one generation in the place of another.

use countersign::store::{
    RedisOptions, Store,
    redis::{RedisReplacement, RedisReplacementError},
};

use super::open;
use crate::{
    store_contract::backup::export,
    store_world::{World, alive, at, cause, count, email, everybody, join, log_in},
    support::{RedisServer, redis::redis_works},
};

/// A store with a bit of everything.
pub(crate) async fn fill(store: &dyn Store) {
    for n in 0..20 {
        let person = join(store, &format!("user{n}")).await;
        for _ in 0..n % 4 {
            let one = log_in(store, &person, 0).await;
            count(store, &one, 1).await;
        }
        if n == 9 {
            store.revoke_all_sessions(cause(at(2))).await.unwrap();
        }
        if let Some(one) = store.sessions(person.id, at(2)).await.unwrap().first() {
            let value = Some(vec![0, 0xff, b' ']);
            store.change_variable(person.id, one.id, "cart".into(), value, at(2)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn everything_goes_there_and_back() {
    if !redis_works() {
        return;
    }
    let (first, redis, last) = (World::sled(), World::redis(), World::sled());
    fill(&*first.store).await;
    let records = export(&*first.store).await;
    redis.store.import(records.clone()).await.unwrap();
    assert_eq!(export(&*redis.store).await, records);
    last.store.import(export(&*redis.store).await).await.unwrap();
    assert_eq!(export(&*last.store).await, records);
    for account in everybody(&*first.store).await {
        let sessions = first.store.sessions(account.id, at(2)).await.unwrap();
        for store in [&redis.store, &last.store] {
            let total = store.total_visits(account.id).await.unwrap();
            assert_eq!(total, first.store.total_visits(account.id).await.unwrap());
            assert_eq!(store.sessions(account.id, at(2)).await.unwrap(), sessions);
        }
        for session in sessions {
            assert!(alive(&*redis.store, &session, 3).await);
            assert_eq!(count(&*redis.store, &session, 3).await.visits, 2, "and goes on");
        }
    }
}

#[tokio::test]
async fn a_generation_comes_into_force_whole_or_not_at_all() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    let begin = async |must_be_empty| {
        RedisReplacement::begin(&server.url(), RedisOptions::default(), must_be_empty).await
    };
    let ann = join(&store, "ann").await;
    let keys = || server.ask(&["DBSIZE"]);
    let before = keys();
    assert!(matches!(begin(true).await.err(), Some(RedisReplacementError::NotEmpty)));

    let new = begin(false).await.unwrap();
    join(new.store(), "bob").await;
    assert_eq!(store.account_by_email(&email("bob")).await.unwrap(), None, "not yet");
    new.discard().await.unwrap();
    assert_eq!((keys(), export(&store).await.len()), (before, 2), "as if it had never been");

    let new = begin(false).await.unwrap();
    let bob = join(new.store(), "bob").await;
    new.finish().await.unwrap();
    assert_eq!(store.account_by_email(&email("bob")).await.unwrap(), Some(bob));
    assert_eq!(store.account(ann.id).await.unwrap(), None);
    let left = server.ask(&["EVAL", "return #redis.call('KEYS', '*:0:*')", "0"]);
    assert_eq!(left.trim(), "0", "nothing of the old one is left");

    // Somebody joined while an empty store was to be replaced.
    store.remove_account(everybody(&store).await[0].id, cause(at(1))).await.unwrap();
    let new = begin(true).await.unwrap();
    join(new.store(), "carol").await;
    join(&store, "dora").await;
    assert!(matches!(new.finish().await.err(), Some(RedisReplacementError::NotEmpty)));
    let people = everybody(&store).await;
    assert_eq!(people.iter().map(|it| it.email.as_str()).collect::<Vec<_>>(), ["dora@example.com"]);
}
