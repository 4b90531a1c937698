//! From one kind of store to another and back.

use countersign::store::Store;

use crate::{
    store_contract::backup::export,
    store_world::{World, alive, at, cause, count, everybody, join, log_in},
    support::redis::redis_works,
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
