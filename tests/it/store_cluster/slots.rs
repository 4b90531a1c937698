//! A slot that moves from one node of a real cluster to another.

use countersign::{
    model::AccountId,
    store::{AuditBounds, Result, Store, StoreError, redis::shard_of},
};

use crate::{
    store_contract::backup::export,
    store_world::{at, cause, count, email, join, log_in, open_shards, succession},
    support::{RedisCluster, RedisServer, SharedCluster, redis::redis_works},
};

/// While it is under way what needs the slot is 503 and nothing of it is done; the rest goes on. Then
/// everything goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_moves_with_all_that_is_in_it() {
    if !redis_works() {
        return;
    }
    let cluster = SharedCluster::take();
    let store = open_shards(cluster.servers(), AuditBounds::default());
    let mut people = Vec::new();
    for n in 0..64 {
        let person = join(&store, &format!("user{n}")).await;
        let session = log_in(&store, &person, 0).await;
        people.push((person, session));
    }
    let shard = shard_of(people[0].0.id.as_bytes());
    let is_there = |id: AccountId| shard_of(id.as_bytes()) == shard;
    let (from, slot) = slot_of(&cluster, shard);
    let slot = slot.as_str();
    let (source, target) = (&cluster.nodes[from], &cluster.nodes[(from + 1) % 3]);
    let id = |node: &RedisServer| node.ask(&["CLUSTER", "MYID"]).trim().to_owned();
    let before = export(&store).await;
    for is_restored in [false, true] {
        if is_restored {
            // After a restore the root itself is a key, and functions begin to run.
            let key = String::from_utf8_lossy(&keys_in(source, slot)[0]).into_owned();
            let root = key.splitn(3, ':').take(2).collect::<Vec<_>>().join(":");
            source.ask(&["SET", &root, "0"]);
        }
        target.ask(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &id(source)]);
        source.ask(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &id(target)]);
        for (person, session) in &people {
            let (id, sid) = (person.id, session.id);
            if !is_there(id) {
                continue;
            }
            // Half of what is in the slot may be gone by then.
            refused(&store.visit(crate::store_world::visit(session, 0, 0, 1)).await);
            refused(&store.revoke_session(id, sid, cause(at(1))).await);
            refused(&store.remove_account(id, cause(at(1))).await);
            refused(
                &store.change_password(id, None, person.password.clone(), None, cause(at(1))).await,
            );
            let new = email(&format!("new{id}"));
            refused(&store.change_email(id, new, succession(session, 1), cause(at(1))).await);
            let value = Some(vec![1]);
            refused(&store.change_variable(id, sid, "cart".to_owned(), value, at(1)).await);
        }
        for (_, session) in people.iter().filter(|(person, _)| !is_there(person.id)).take(5) {
            assert!(store.session(session.account, session.id, at(1)).await.unwrap().is_some());
        }
        source.ask(&["CLUSTER", "SETSLOT", slot, "STABLE"]);
        target.ask(&["CLUSTER", "SETSLOT", slot, "STABLE"]);
        assert_eq!(export(&store).await, before, "nothing was done, not even half");
    }

    target.ask(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &id(source)]);
    source.ask(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &id(target)]);
    move_keys(source, target, slot);
    for node in [target, source] {
        node.ask(&["CLUSTER", "SETSLOT", slot, "NODE", &id(target)]);
    }
    for (person, session) in people.iter().filter(|(person, _)| is_there(person.id)) {
        assert_eq!(count(&store, session, 2).await.visits, 1, "it goes on with its session");
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
