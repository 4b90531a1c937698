//! What ends sessions waits for replicas, if it is told to.

use std::{
    process::{Child, Command},
    time::{Duration, Instant},
};

use countersign::{
    model::Session,
    store::{Created, KeyVault as _, RedisOptions, RedisStore, Store, StoreError, Visited},
};

use crate::{
    store_world::{PLENTY, alive, at, cause, count, join, log_in, session, visit},
    support::{PATIENCE, RedisServer, Wire, redis::redis_works},
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
    // The primary counts it when it has heard of it once more.
    assert_eq!(primary.ask(&["WAIT", "1", "60000"]).trim(), "1", "it is not counted");
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

/// A key that signs must not be lost with the primary.
#[tokio::test]
async fn keys_that_no_replica_has_are_not_answered_as_put() {
    if !redis_works() {
        return;
    }
    let mut primary = RedisServer::with(&["--repl-diskless-sync-delay", "0"]);
    let replica = replica_of(&primary).await;
    let keys = open(&primary, 1).keys();
    let one = [("kid".to_owned(), "sealed".to_owned())].into();
    replica.freeze();
    for (revision, vault) in (0..).zip([&keys, &keys.anew()]) {
        match vault.put(&one, revision).await {
            Err(StoreError::Unavailable(reason)) => assert!(reason.contains("0 of 1"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(keys.keys().await.unwrap().keys, one, "it was done");
    replica.thaw();
    assert!(keys.put(&one, 2).await.unwrap());
    primary.kill_hard();
    replica.ask(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(open(&replica, 0).keys().keys().await.unwrap().revision, 3);
}

/// What a server does, command by command, until this is dropped.
struct Monitor {
    child: Child,
    file: tempfile::NamedTempFile,
}

impl Monitor {
    async fn of(server: &RedisServer) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let child = Command::new("redis-cli")
            .args(["-p", &server.port().to_string(), "MONITOR"])
            .stdout(file.reopen().unwrap())
            .spawn()
            .unwrap();
        let this = Self { child, file };
        this.until("OK", 1).await;
        this
    }

    /// All that was done, when so many lines have this in them.
    async fn until(&self, part: &str, count: usize) -> Vec<String> {
        let started = Instant::now();
        loop {
            let said = std::fs::read_to_string(self.file.path()).unwrap();
            if said.lines().filter(|line| line.contains(part)).count() >= count {
                return said.lines().map(str::to_owned).collect();
            }
            assert!(started.elapsed() < PATIENCE, "{part}: {said}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of a session that somebody else has just ended, too: that may be on no replica yet. `WAIT` says
/// nothing of it, unless its connection has written something behind it.
#[tokio::test]
async fn an_end_that_was_asked_for_before_is_waited_for_as_well() {
    if !redis_works() {
        return;
    }
    let primary = RedisServer::with(&["--repl-diskless-sync-delay", "0"]);
    let replica = replica_of(&primary).await;
    let (store, other) = (open(&primary, 1), open(&primary, 1));
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    let monitor = Monitor::of(&primary).await;
    replica.freeze();
    for node in [&store, &other, &store] {
        let end = node.revoke_session(ann.id, one.id, cause(at(1))).await;
        assert!(
            matches!(&end, Err(StoreError::Unavailable(it)) if it.contains("0 of 1")),
            "{end:?}"
        );
        let ends = node.revoke_sessions(ann.id, None, cause(at(1))).await;
        assert!(matches!(ends, Err(StoreError::Unavailable(_))), "{ends:?}");
    }
    // On Redis 7.0 that was so without a mark; this is what later ones need.
    let done = monitor.until("\"WAIT\" \"1\"", 6).await;
    let from = |line: &str| line.split(['[', ']']).nth(1).map(str::to_owned);
    for (n, line) in done.iter().enumerate().filter(|(_, line)| line.contains("\"WAIT\" \"1\"")) {
        let before = done[..n].iter().rposition(|earlier| from(earlier) == from(line)).unwrap();
        assert!(done[before].contains("cs_mark_ends"), "{line} comes behind {}", done[before]);
        let writes = |line: &String| line.contains("lua] \"SET\"");
        assert!(done[before..n].iter().any(writes), "{:?}", &done[before..=n]);
    }
    replica.thaw();
    assert!(!other.revoke_session(ann.id, one.id, cause(at(2))).await.unwrap());
}

/// Also where memory is full: log-outs go on.
#[tokio::test]
async fn where_memory_is_full_ends_are_waited_for() {
    if !redis_works() {
        return;
    }
    let primary = RedisServer::with(&["--repl-diskless-sync-delay", "0"]);
    let _replica = replica_of(&primary).await;
    let store = open(&primary, 1);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    primary.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(store.revoke_session(ann.id, one.id, cause(at(1))).await.unwrap());
    assert!(!store.revoke_session(ann.id, one.id, cause(at(1))).await.unwrap());
}

/// The two connections of a node may be to two primaries, for a moment: that one's replicas have all
/// that the other did is not to be asked of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_at_another_primary_than_is_waited_at_is_not_answered() {
    if !redis_works() {
        return;
    }
    let more = ["--repl-diskless-sync-delay", "0"];
    let (old, new) = (RedisServer::with(&more), RedisServer::with(&more));
    let (_of_old, _of_new) = (replica_of(&old).await, replica_of(&new).await);
    let wire = Wire::to(old.port()).await;
    let options = RedisOptions { replicas: 1, ..RedisOptions::default() };
    let store = RedisStore::open(&wire.redis().parse().unwrap(), options).unwrap();
    let ann = join(&store, "ann").await;
    let (copied, _) = (log_in(&store, &ann, 0).await, log_in(&store, &ann, 1).await);
    for (visits, second) in [(0, 0), (1, 100), (2, 200)] {
        let counted = store.visit(visit(&copied, visits, second, second)).await.unwrap();
        assert!(matches!(counted, Visited::Counted(_)), "{counted:?}");
    }
    // The connection that is waited at is made when something ends.
    wire.lead_to(new.port());
    let elsewhere = |answer: Result<(), StoreError>| match answer {
        Err(StoreError::Unavailable(reason)) => {
            assert!(reason.contains("another primary"), "{reason}");
        }
        other => panic!("{other:?}"),
    };
    elsewhere(store.visit(visit(&copied, 0, 0, 300)).await.map(drop));
    let login = store.create_session(session(ann.id, 300), &ann.password, 1, cause(at(300))).await;
    elsewhere(login.map(drop));
    wire.lead_to(old.port());
    wire.reset_connections();
    let started = Instant::now();
    let new = loop {
        let new = session(ann.id, 301);
        match store.create_session(new, &ann.password, 1, cause(at(301))).await {
            Ok(new) => break new,
            Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(matches!(new, Created::Added { ended, .. } if ended.len() == 1));
}

/// A replica answers what was true a moment ago, so it is not asked; not even for what it would tell,
/// over a connection that is still there from when it was the primary.
#[tokio::test]
async fn a_primary_that_became_a_replica_answers_no_check() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, 0);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    assert!(alive(&store, &one, 1).await);
    for _ in 0..2 {
        server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
        // Together with others, and alone.
        let checks = (0..20).map(|_| store.session(ann.id, one.id, at(1)));
        for answer in futures_util::future::join_all(checks).await {
            match answer {
                Err(StoreError::Unavailable(it)) => assert!(it.contains("replica"), "{it}"),
                other => panic!("{other:?}"),
            }
        }
        assert!(store.session(ann.id, one.id, at(1)).await.is_err());
        assert!(store.account(ann.id).await.is_err());
        assert!(store.sessions(ann.id, at(1)).await.is_err());
        server.ask(&["REPLICAOF", "NO", "ONE"]);
        until_answered(&store, &one).await;
    }
}

async fn until_answered(store: &RedisStore, one: &Session) {
    let started = Instant::now();
    while let Err(error) = store.session(one.account, one.id, at(1)).await {
        assert!(started.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// After a failover it is another server that must not forget.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_primary_is_looked_at_as_the_first_one_was() {
    if !redis_works() {
        return;
    }
    let first = RedisServer::start();
    let wire = Wire::to(first.port()).await;
    let open = |must_append| {
        let options = RedisOptions { must_append, ..RedisOptions::default() };
        RedisStore::open(&wire.redis().parse().unwrap(), options).unwrap()
    };
    let (store, lenient) = (open(true), open(false));
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    assert!(alive(&lenient, &one, 1).await);
    let refused = async |store: &RedisStore, word: &str| {
        let started = Instant::now();
        loop {
            let answer = store.session(ann.id, one.id, at(1)).await;
            // The connection breaks first, and the next one is not made at once.
            match answer {
                Err(StoreError::Unavailable(reason)) if reason.contains(word) => return,
                Err(error) => assert!(started.elapsed() < PATIENCE, "{word}: {error}"),
                Ok(found) => panic!("{word}: {found:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    for (more, word) in [
        (["--appendonly", "no"], "no append-only file"),
        (["--maxmemory-policy", "allkeys-lru"], "maxmemory-policy is allkeys-lru"),
    ] {
        let other = RedisServer::with(&more);
        wire.lead_to(other.port());
        wire.reset_connections();
        refused(&store, word).await;
        if word.starts_with("no append") {
            until_answered(&lenient, &one).await;
            assert!(!alive(&lenient, &one, 1).await, "it is taken, and knows nobody");
        } else {
            refused(&lenient, word).await;
        }
        wire.lead_to(first.port());
        wire.reset_connections();
        for store in [&store, &lenient] {
            until_answered(store, &one).await;
        }
    }
}

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
    until_answered(&store, &one).await;
}
