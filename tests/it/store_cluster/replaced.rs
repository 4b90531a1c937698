//! The replacement of all shards by a backup: interrupted, failed, two at once.

use countersign::store::{
    AuditBounds, RedisOptions, Store, StoreError,
    redis::{RedisReplacement, RedisReplacementError, shard_of},
};
use url::Url;

use super::held::Held;
use crate::{
    store_durability::until,
    store_redis::{
        cost::{asked, asked_so_far},
        replaced::{generations, only},
    },
    store_world::{account, at, cause, email, everybody, join, open_shards},
    support::{PATIENCE, RedisServer, SharedCluster, in_time, redis::redis_works},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_comes_into_force_in_all_shards_or_none_is_served() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let held = Held::before(&server).await;
    let store = open_shards(&server.url(), AuditBounds::default());
    let options = || RedisOptions { patience: crate::support::PATIENCE / 4, ..Default::default() };
    let begin = async |must_be_empty| {
        RedisReplacement::begin_in_shards(&server.url(), options(), must_be_empty).await
    };
    let ann = join(&store, "ann").await;
    assert!(matches!(begin(true).await.err(), Some(RedisReplacementError::NotEmpty)));
    let keys = || server.ask(&["DBSIZE"]);
    let before = keys();
    let new = begin(false).await.unwrap();
    join(new.store(), "bob").await;
    assert_eq!(store.account_by_email(&email("bob")).await.unwrap(), None, "not yet");
    new.discard().await.unwrap();
    assert_eq!(keys(), before, "as if it had never been");

    // Somebody joined while an empty store was to be replaced.
    store.remove_account(ann.id, cause(at(1))).await.unwrap();
    let new = begin(true).await.unwrap();
    join(new.store(), "carol").await;
    let dora = join(&store, "dora").await;
    assert!(matches!(new.finish().await.err(), Some(RedisReplacementError::NotEmpty)));
    assert_eq!(everybody(&store).await, std::slice::from_ref(&dora));
    assert_eq!(store.account_by_email(&dora.email).await.unwrap(), Some(dora.clone()));

    // It dies in the middle.
    let new = RedisReplacement::begin_in_shards(&held.url(), options(), false).await.unwrap();
    // Not where it stops, or the store would be empty.
    let mut bob = account("bob");
    while shard_of(bob.id.as_bytes()) == 7 {
        bob = account("bob");
    }
    assert!(new.store().create_account(bob, cause(at(1))).await.unwrap());
    held.hold(&["cs_replace_", "{store-07-"]);
    let dying = tokio::spawn(new.finish());
    held.reached().await;
    dying.abort();
    match store.find_accounts("", None, 9).await {
        Err(StoreError::Unavailable(why)) => {
            assert!(why.contains("REPLACING") && why.contains("run it again"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(begin(true).await.err(), Some(RedisReplacementError::NotEmpty)));

    let new = begin(false).await.unwrap();
    let bob = join(new.store(), "bob").await;
    new.finish().await.unwrap();
    assert_eq!(everybody(&store).await, std::slice::from_ref(&bob));
    assert_eq!(store.account_by_email(&bob.email).await.unwrap(), Some(bob));
    assert_eq!(store.account(dora.id).await.unwrap(), None);
    let left = server.ask(&["EVAL", "return #redis.call('KEYS', '*:0:*')", "0"]);
    assert_eq!(left.trim(), "0", "nothing of the old one is left");
}

async fn begin(url: &Url) -> RedisReplacement {
    let options = RedisOptions { patience: PATIENCE / 4, ..RedisOptions::default() };
    RedisReplacement::begin_in_shards(url, options, false).await.unwrap()
}

/// What the roots hold. One that was never replaced is not there.
fn roots(server: &RedisServer) -> Vec<String> {
    let script = "local all = {} for _, key in ipairs(redis.call('KEYS', 'countersign:{store*}')) do \
                  all[#all + 1] = redis.call('GET', key) end table.sort(all) return all";
    let said = server.ask(&["EVAL", script, "0"]);
    said.split_whitespace().map(str::to_owned).collect()
}

/// Those that are closed.
fn closed(server: &RedisServer) -> usize {
    roots(server).iter().filter(|root| root.starts_with('!')).count()
}

/// Begins one with somebody in it, and lets it die when it has switched all shards but one.
async fn interrupted(server: &RedisServer, held: &Held, name: &str) {
    let new = begin(&held.url()).await;
    join(new.store(), name).await;
    held.hold(&["cs_replace_", "{store-07-"]);
    let dying = tokio::spawn(new.finish());
    held.reached().await;
    until("all but one are switched", async || closed(server) == 1).await;
    dying.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_opens_nothing_that_an_interrupted_one_closed() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let (held, second) = (Held::before(&server).await, Held::before(&server).await);
    let store = open_shards(&server.url(), AuditBounds::default());
    join(&store, "ann").await;
    interrupted(&server, &held, "bob").await;
    let (before, there) = (roots(&server), generations(&server));

    let new = begin(&second.url()).await;
    join(new.store(), "carol").await;
    second.lose(&["cs_close_generation_", "{store-09-"]);
    let failed = new.finish().await.err();
    assert!(matches!(failed, Some(RedisReplacementError::Store(_))), "{failed:?}");
    assert_eq!(roots(&server), before, "as the first one left it");
    match store.find_accounts("", None, 9).await {
        Err(StoreError::Unavailable(why)) => assert!(why.contains("REPLACING"), "{why}"),
        other => panic!("{other:?}"),
    }
    let left = generations(&server);
    assert!(left.iter().all(|name| there.contains(name)), "and nothing of the second: {left:?}");

    let new = begin(&server.url()).await;
    let dora = join(new.store(), "dora").await;
    new.finish().await.unwrap();
    let all = || async { everybody(&store).await };
    assert_eq!(all().await, std::slice::from_ref(&dora));
    only(&server, 1);
    // What the first one asked for arrives at last.
    held.release();
    assert_eq!((all().await, closed(&server)), (vec![dora], 0));
    only(&server, 1);
}

/// A step of one shard comes late, when another restore has closed all of them.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_restores_at_once_one_is_in_force_and_the_other_says_so() {
    if !redis_works() {
        return;
    }
    for (step, closed_by_first) in [("cs_close_generation_", 31), ("cs_replace_", 1)] {
        let server = RedisServer::start();
        let (first, second) = (Held::before(&server).await, Held::before(&server).await);
        let store = open_shards(&server.url(), AuditBounds::default());
        join(&store, "ann").await;
        let (one, other) = (begin(&first.url()).await, begin(&second.url()).await);
        join(one.store(), "bob").await;
        let carol = join(other.store(), "carol").await;
        first.hold(&[step, "{store-07-"]);
        let one = tokio::spawn(one.finish());
        first.reached().await;
        until("the others are done", async || closed(&server) == closed_by_first).await;
        second.hold(&["cs_is_closed_by_", "{store-03-"]);
        asked(&server);
        let other = tokio::spawn(other.finish());
        second.reached().await;
        // Those who are asked later are told that the first came in between.
        let looked = async || asked_so_far(&server).get("fcall_ro") == Some(&31);
        until("the others were looked at", looked).await;
        first.release();
        let failed = one.await.unwrap().unwrap_err();
        assert!(matches!(failed, RedisReplacementError::TakenOver), "{step}: {failed:?}");
        second.release();
        other.await.unwrap().unwrap();
        assert_eq!(everybody(&store).await, [carol]);
        only(&server, 1);
    }
}

/// Whoever comes first where: what is served is one of them.
#[tokio::test(flavor = "multi_thread")]
async fn restores_that_race_never_mix() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open_shards(&server.url(), AuditBounds::default());
    let mut ended = [0; 3];
    for _ in 0..20 {
        let new = [begin(&server.url()).await, begin(&server.url()).await];
        for new in &new {
            join(new.store(), "ann").await;
        }
        let finishing = new.map(|new| tokio::spawn(new.finish()));
        let mut well = 0;
        for finishing in finishing {
            match in_time("a restore", finishing).await.unwrap() {
                Ok(()) => well += 1,
                Err(RedisReplacementError::TakenOver) => {}
                Err(error) => panic!("{error}"),
            }
        }
        ended[well] += 1;
        let mut open = roots(&server);
        open.retain(|root| !root.starts_with('!'));
        let count = open.len();
        open.sort();
        open.dedup();
        assert!(open.len() <= 1, "{open:?}");
        assert!(well == 0 || count == 32, "{well} ended well, {count} are open");
    }
    println!("ended well: none of two {}, one {}, both {}", ended[0], ended[1], ended[2]);
    let new = begin(&server.url()).await;
    let bob = join(new.store(), "bob").await;
    new.finish().await.unwrap();
    assert_eq!(everybody(&store).await, [bob]);
    only(&server, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_cluster_is_replaced_as_a_whole() {
    if !redis_works() {
        return;
    }
    let cluster = SharedCluster::take();
    let store = open_shards(cluster.servers(), AuditBounds::default());
    for n in 0..40 {
        join(&store, &format!("old{n}")).await;
    }
    let options = || RedisOptions { patience: PATIENCE / 4, ..RedisOptions::default() };
    let begin = async |must_be_empty| {
        RedisReplacement::begin(cluster.servers(), options(), must_be_empty).await
    };
    assert!(matches!(begin(true).await.err(), Some(RedisReplacementError::NotEmpty)));
    let new = begin(false).await.unwrap();
    join(new.store(), "nobody").await;
    new.discard().await.unwrap();
    assert_eq!(everybody(&store).await.len(), 40);
    let new = begin(false).await.unwrap();
    for n in 0..50 {
        join(new.store(), &format!("new{n}")).await;
    }
    new.finish().await.unwrap();
    let people = everybody(&store).await;
    assert_eq!(people.len(), 50);
    for person in people {
        assert!(person.email.as_str().starts_with("new"));
        assert_eq!(store.account_by_email(&person.email).await.unwrap(), Some(person));
    }
    let mut found: Vec<_> = cluster.nodes.iter().flat_map(generations).collect();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 1, "{found:?}");
    for node in &cluster.nodes {
        only(node, 1);
    }
}

/// Memory became full while a backup of all shards began.
#[tokio::test(flavor = "multi_thread")]
async fn emails_can_be_claimed_again_where_memory_is_full() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let held = Held::before(&server).await;
    let store = std::sync::Arc::new(open_shards(&held.url(), AuditBounds::default()));
    join(&*store, "ann").await;
    held.hold(&["cs_thaw_", "{store-07-"]);
    let exporting = std::sync::Arc::clone(&store);
    let export = tokio::spawn(async move { exporting.export().await.map(drop) });
    held.reached().await;
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    held.release();
    export.await.unwrap().unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(server.ask(&["KEYS", "*:z"]).trim(), "", "nothing is frozen");
}
