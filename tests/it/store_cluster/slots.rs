//! A slot that moves from one node of a real cluster to another.

use std::collections::BTreeMap;

use countersign::{
    model::{Account, AccountId, AttemptKey, Session},
    store::{
        AuditBounds, ClusterStore, KeyVault as _, Result, Store, StoreError,
        redis::{SHARDS, shard_of},
    },
};

use crate::{
    store_contract::backup::export,
    store_world::{GRACE, at, cause, count, email, join, log_in, open_shards, succession, visit},
    support::{RedisCluster, RedisServer, SharedCluster, redis::redis_works},
};

/// The shard that moves: that of the signing keys, too.
const MOVED: usize = 0;

/// While it is under way what needs the slot is 503 and nothing of it is done; the rest goes on. Then
/// everything goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_moves_with_all_that_is_in_it() {
    if !redis_works() {
        return;
    }
    let cluster = SharedCluster::take();
    let store = open_shards(cluster.servers(), AuditBounds::default());
    let is_there = |id: AccountId| shard_of(id.as_bytes()) == MOVED;
    let mut people = Vec::new();
    for n in 0.. {
        let person = join(&store, &format!("user{n}")).await;
        let session = log_in(&store, &person, 0).await;
        people.push((person, session));
        if n >= 64 && people.iter().filter(|(person, _)| is_there(person.id)).count() > 1 {
            break;
        }
    }
    // What there is sooner or later, and what a function would come by before it finds out.
    for (person, session) in people.iter().filter(|(person, _)| is_there(person.id)) {
        assert_eq!(count(&store, session, 600).await.visits, 1);
        let gone = log_in(&store, person, 0).await;
        assert!(store.revoke_session(person.id, gone.id, cause(at(0))).await.unwrap());
    }
    let (known, unknown) = (attempts_at("known"), attempts_at("unknown"));
    store.count_attempt(vec![known], GRACE, at(0), None).await.unwrap();
    let keys = BTreeMap::from([("a key".to_owned(), "sealed".to_owned())]);
    assert!(store.keys().put(&keys, 0).await.unwrap());
    let (from, slot) = slot_of(&cluster, MOVED);
    let slot = slot.as_str();
    let (source, target) = (&cluster.nodes[from], &cluster.nodes[(from + 1) % 3]);
    let id = |node: &RedisServer| node.ask(&["CLUSTER", "MYID"]).trim().to_owned();
    let before = there(&store).await;
    for is_restored in [false, true] {
        if is_restored {
            // After a restore the root itself is a key, and functions begin to run; after an end of all
            // sessions there is an epoch. What exports were under way is there since the first.
            let key = String::from_utf8_lossy(&keys_in(source, slot)[0]).into_owned();
            let root = key.splitn(3, ':').take(2).collect::<Vec<_>>().join(":");
            source.ask(&["SET", &root, "0"]);
            source.ask(&["SET", &format!("{root}:0:epoch"), "0"]);
            for there in ["x", "ends"] {
                assert_eq!(source.ask(&["EXISTS", &format!("{root}:0:{there}")]).trim(), "1");
            }
        }
        target.ask(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &id(source)]);
        source.ask(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &id(target)]);
        for (person, session) in people.iter().filter(|(person, _)| is_there(person.id)) {
            all_is_refused(&store, person, session).await;
        }
        refused(&store.count_attempt(vec![known, unknown], GRACE, at(1), None).await);
        refused(&store.keys().put(&BTreeMap::new(), 1).await);
        if is_restored {
            // Elsewhere it may be done.
            refused(&store.revoke_all_sessions(cause(at(1))).await);
        }
        for (person, session) in people.iter().filter(|(person, _)| !is_there(person.id)).take(5) {
            let found = store.session(person.id, session.id, at(1)).await.unwrap();
            assert_eq!(found.is_some(), !is_restored);
        }
        source.ask(&["CLUSTER", "SETSLOT", slot, "STABLE"]);
        target.ask(&["CLUSTER", "SETSLOT", slot, "STABLE"]);
        assert_eq!(there(&store).await, before, "nothing was done, not even half");
        let counted = store.attempts(&[known, unknown], at(1)).await.unwrap();
        assert_eq!((counted[0].count, counted[1].count), (1, 0));
        assert_eq!(store.keys().keys().await.unwrap().keys, keys);
    }

    target.ask(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &id(source)]);
    source.ask(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &id(target)]);
    move_keys(source, target, slot);
    for node in [target, source] {
        node.ask(&["CLUSTER", "SETSLOT", slot, "NODE", &id(target)]);
    }
    for (person, session) in people.iter().filter(|(person, _)| is_there(person.id)) {
        assert_eq!(count(&store, session, 600).await.visits, 2, "it goes on with its session");
        let found = store.account_by_email(&person.email).await.unwrap();
        assert_eq!(found.as_ref(), Some(person));
    }
    // Back, for who has the cluster next.
    source.ask(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &id(target)]);
    target.ask(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &id(source)]);
    move_keys(target, source, slot);
    for node in [source, target] {
        node.ask(&["CLUSTER", "SETSLOT", slot, "NODE", &id(source)]);
    }
    store.ping().await.unwrap();
}

/// Whatever is asked for about somebody whose slot is on its way. What is in it may be gone from here
/// in part: the session may be there, its variables not.
async fn all_is_refused(store: &ClusterStore, person: &Account, session: &Session) {
    let (id, sid, cause) = (person.id, session.id, cause(at(1)));
    let goes_on = succession(session, 1);
    refused(&store.session(id, sid, at(1)).await);
    refused(&store.visit(visit(session, 0, 0, 1)).await);
    // A copy, which ends the session.
    refused(&store.visit(visit(session, 5, 1, 900)).await);
    refused(&store.revoke_session(id, sid, cause).await);
    refused(&store.revoke_sessions(id, None, cause).await);
    refused(&store.remove_account(id, cause).await);
    let password = || person.password.clone();
    refused(&store.change_password(id, None, password(), None, cause).await);
    refused(&store.change_password(id, None, password(), Some(goes_on), cause).await);
    refused(&store.reauthenticate_session(id, &person.password, goes_on, cause).await);
    let new = crate::store_world::session(id, 1);
    refused(&store.create_session(new, &person.password, 1, cause).await);
    refused(&store.change_email(id, email(&format!("new{id}")), goes_on, cause).await);
    let value = Some(vec![1]);
    refused(&store.change_variable(id, sid, "cart".to_owned(), value, at(1)).await);
}

/// All there is in the shard that moves: its accounts with their sessions, and what happened to them.
async fn there(store: &ClusterStore) -> Vec<String> {
    let mut there = Vec::new();
    for record in export(store).await {
        use countersign::store::BackupRecord::{Account, Epoch, Events, Session, Variables};
        let is_there = |id: AccountId| shard_of(id.as_bytes()) == MOVED;
        match &record {
            Account { account, .. } if is_there(account.id) => there.push(format!("{record:?}")),
            // Its epoch is that of the latest shard.
            Session { session, days, .. } if is_there(session.account) => {
                there.push(format!("{session:?} {days:?}"));
            }
            Events { events, .. } => {
                let events = events.iter().filter(|event| event.account.is_none_or(is_there));
                there.extend(events.map(|event| format!("{event:?}")));
            }
            Account { .. } | Session { .. } | Variables { .. } | Epoch(_) => {}
        }
    }
    there.sort();
    there
}

/// Attempts whose place is in the shard that moves.
fn attempts_at(name: &str) -> AttemptKey {
    let key = |n: u16| {
        let mut bytes = [0; AttemptKey::BYTES];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        bytes[2..2 + name.len()].copy_from_slice(name.as_bytes());
        AttemptKey::from_bytes(bytes)
    };
    let first = u16::try_from(name.len() * SHARDS * 8).unwrap();
    let mut keys = (first..).map(key);
    keys.find(|key| shard_of(&key.as_bytes()[..2]) == MOVED).unwrap()
}

fn refused<T: std::fmt::Debug>(answer: &Result<T>) {
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
}

/// The node that has a shard, and the slot of it.
fn slot_of(cluster: &RedisCluster, shard: usize) -> (usize, String) {
    for (n, node) in cluster.nodes.iter().enumerate() {
        let mut connection = connect(node);
        for slot in shard * 512..(shard + 1) * 512 {
            let mut count = redis::cmd("CLUSTER");
            count.arg("COUNTKEYSINSLOT").arg(slot);
            if count.query::<u64>(&mut connection).unwrap() > 0 {
                return (n, slot.to_string());
            }
        }
    }
    panic!("nothing is in shard {shard}");
}

fn keys_in(node: &RedisServer, slot: &str) -> Vec<Vec<u8>> {
    let mut keys = redis::cmd("CLUSTER");
    keys.arg("GETKEYSINSLOT").arg(slot).arg(1_000_000).query(&mut connect(node)).unwrap()
}

/// As `redis-cli --cluster reshard` does it.
fn move_keys(from: &RedisServer, to: &RedisServer, slot: &str) {
    let mut command = redis::cmd("MIGRATE");
    command.arg("127.0.0.1").arg(to.port()).arg("").arg(0).arg(5_000).arg("KEYS");
    command.arg(keys_in(from, slot)).exec(&mut connect(from)).unwrap();
}

fn connect(node: &RedisServer) -> redis::Connection {
    redis::Client::open(node.url()).unwrap().get_connection().unwrap()
}
