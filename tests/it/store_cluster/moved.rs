//! Backups of all shards.

use countersign::store::{AuditBounds, BackupRecord, Store};

use crate::{
    store_contract::backup::export,
    store_redis::moved::fill,
    store_world::{World, alive, at, cause, count, everybody, join, open_shards},
    support::{RedisServer, redis::redis_works},
};

#[tokio::test]
async fn everything_goes_from_one_kind_of_store_to_shards_and_back() {
    if !redis_works() {
        return;
    }
    let (first, shards, last) = (World::sled(), World::shards(), World::redis());
    fill(&*first.store).await;
    let records = export(&*first.store).await;
    shards.store.import(records.clone()).await.unwrap();
    let exported = export(&*shards.store).await;
    assert!(parts(exported.clone()) == parts(records.clone()));
    last.store.import(exported.clone()).await.unwrap();
    assert!(export(&*last.store).await == exported);
    let people = everybody(&*first.store).await;
    assert_eq!(everybody(&*shards.store).await, people);
    for person in people {
        let found = shards.store.account_by_email(&person.email).await.unwrap();
        assert_eq!(found.as_ref(), Some(&person));
        let again = countersign::model::Account { id: email_owner(), ..person.clone() };
        assert!(!shards.store.create_account(again, cause(at(3))).await.unwrap());
        for session in first.store.sessions(person.id, at(2)).await.unwrap() {
            assert!(alive(&*shards.store, &session, 3).await);
            assert_eq!(count(&*shards.store, &session, 3).await.visits, 2, "and goes on");
        }
    }
    // As many epochs as shards, and one for a backup: whoever was out in one is out in all.
    shards.store.revoke_all_sessions(cause(at(4))).await.unwrap();
    let copy = World::memory();
    copy.store.import(export(&*shards.store).await).await.unwrap();
    for person in everybody(&*copy.store).await {
        assert_eq!(copy.store.sessions(person.id, at(4)).await.unwrap(), []);
    }
}

/// The records without their events, and those: of different shards in the order of their times.
fn parts(records: Vec<BackupRecord>) -> (Vec<BackupRecord>, Vec<String>) {
    let is_events = |record: &BackupRecord| matches!(record, BackupRecord::Events { .. });
    let (with_events, others): (Vec<_>, Vec<_>) = records.into_iter().partition(is_events);
    let mut events = Vec::new();
    for record in with_events {
        let BackupRecord::Events { events: more, .. } = record else { continue };
        events.extend(more.iter().map(|event| format!("{event:?}")));
    }
    events.sort();
    (others, events)
}

fn email_owner() -> countersign::model::AccountId {
    countersign::model::AccountId::new(at(9))
}

/// A shard that heard of one end of all sessions more than the others, which nobody was told of.
#[tokio::test]
async fn a_backup_of_shards_in_different_epochs_revives_nobody() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open_shards(&server.url(), AuditBounds::default());
    let mut sessions = Vec::new();
    for n in 0..40 {
        let person = join(&store, &format!("user{n}")).await;
        sessions.push(crate::store_world::log_in(&store, &person, 0).await);
    }
    store.revoke_all_sessions(cause(at(0))).await.unwrap();
    let keys = "local keys = redis.call('KEYS', '*:epoch') table.sort(keys) \
                for n, key in ipairs(keys) do if n % 2 == 0 then redis.call('INCR', key) end end";
    for session in &mut sessions[20..] {
        let person = store.account(session.account).await.unwrap().unwrap();
        *session = crate::store_world::log_in(&store, &person, 1).await;
    }
    server.ask(&["EVAL", keys, "0"]);
    let copy = World::memory();
    copy.store.import(export(&store).await).await.unwrap();
    let mut living = 0;
    for session in &sessions {
        let lives = alive(&store, session, 2).await;
        assert_eq!(alive(&*copy.store, session, 2).await, lives);
        living += usize::from(lives);
    }
    assert!((1..20).contains(&living), "{living}");
}
