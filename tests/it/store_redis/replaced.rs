//! One generation in the place of another, on one server and in shards: what holds of both.

use std::time::Duration;

use countersign::store::{
    AuditBounds, RedisOptions, Store, StoreError,
    redis::{RedisReplacement, RedisReplacementError},
};
use url::Url;

use super::{open, replicas::replica_of};
use crate::{
    store_cluster::held::Held,
    store_contract::backup::export,
    store_durability::until,
    store_world::{at, cause, email, everybody, join, open_shards},
    support::{PATIENCE, RedisServer, redis::redis_works},
};

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

/// A replacement of one server's store, or of that in its shards.
async fn begin(
    url: &Url,
    is_in_shards: bool,
    options: RedisOptions,
) -> Result<RedisReplacement, RedisReplacementError> {
    if is_in_shards {
        RedisReplacement::begin_in_shards(url, options, false).await
    } else {
        RedisReplacement::begin(url, options, false).await
    }
}

fn patient() -> RedisOptions {
    RedisOptions { patience: PATIENCE / 4, ..RedisOptions::default() }
}

fn store(server: &RedisServer, is_in_shards: bool) -> Box<dyn Store> {
    if is_in_shards {
        Box::new(open_shards(&server.url(), AuditBounds::default()))
    } else {
        Box::new(open(server))
    }
}

/// The generations of which something is there.
pub(crate) fn generations(server: &RedisServer) -> Vec<String> {
    let script = "local found, names = {}, {} \
                  for _, key in ipairs(redis.call('KEYS', 'countersign:*')) do \
                  local name = key:match('^countersign:{[^}]*}:([^:]*):') \
                  if name and not found[name] then found[name] = 1; names[#names + 1] = name end \
                  end return names";
    let said = server.ask(&["EVAL", script, "0"]);
    said.split_whitespace().map(str::to_owned).collect()
}

/// Nothing but the store in force is there, in so many generations.
pub(crate) fn only(server: &RedisServer, count: usize) {
    let found = generations(server);
    assert_eq!(found.len(), count, "{found:?}");
    assert_eq!(server.ask(&["KEYS", "*:beside"]).trim(), "", "nothing is to be removed");
}

/// As if what is being built had not been heard of for long.
fn unheard_of(server: &RedisServer) {
    set_all_beside(server, "1");
}

/// As if another restore had found it so.
fn given_up(server: &RedisServer) {
    set_all_beside(server, "0");
}

fn set_all_beside(server: &RedisServer, till: &str) {
    let script = "for _, key in ipairs(redis.call('KEYS', '*:beside')) do \
                  for _, name in ipairs(redis.call('ZRANGE', key, 0, -1)) do \
                  redis.call('ZADD', key, ARGV[1], name) end end";
    server.ask(&["EVAL", script, "0", till]);
}

async fn people(store: &dyn Store) -> Vec<String> {
    let people = everybody(store).await;
    people.iter().map(|it| it.email.as_str().to_owned()).collect()
}

/// What was killed is found again, and what lives is left alone.
#[tokio::test]
async fn a_killed_restore_leaves_nothing_that_a_later_one_does_not_remove() {
    if !redis_works() {
        return;
    }
    for is_in_shards in [false, true] {
        let server = RedisServer::start();
        let store = store(&server, is_in_shards);
        join(&*store, "ann").await;
        let begin = async || begin(&server.url(), is_in_shards, patient()).await.unwrap();
        let killed = begin().await;
        join(killed.store(), "bob").await;
        drop(killed);
        let lives = begin().await;
        join(lives.store(), "carol").await;
        let good = begin().await;
        join(good.store(), "dora").await;
        good.finish().await.unwrap();
        assert_eq!(generations(&server).len(), 3, "either may be one that is being built");
        lives.finish().await.unwrap();
        assert_eq!(people(&*store).await, ["carol@example.com"]);
        assert_eq!(generations(&server).len(), 2);

        unheard_of(&server);
        let good = begin().await;
        assert_eq!(generations(&server).len(), 1, "before it needs room itself");
        join(good.store(), "erna").await;
        good.finish().await.unwrap();
        only(&server, 1);
        assert_eq!(people(&*store).await, ["erna@example.com"]);
    }
}

/// One that was stopped for so long that another one took it for killed.
#[tokio::test]
async fn a_restore_that_was_given_up_does_nothing_any_more() {
    if !redis_works() {
        return;
    }
    for is_in_shards in [false, true] {
        let server = RedisServer::start();
        let store = store(&server, is_in_shards);
        join(&*store, "ann").await;
        let begin = async || begin(&server.url(), is_in_shards, patient()).await.unwrap();
        let stopped = begin().await;
        let full = begin().await;
        join(full.store(), "bob").await;
        given_up(&server);
        let records = export(&*store).await;
        match stopped.store().import(records).await {
            Err(StoreError::Unavailable(why)) => assert!(why.contains("GIVENUP"), "{why}"),
            other => panic!("{other:?}"),
        }
        for given_up in [stopped, full] {
            let failed = given_up.finish().await.err();
            assert!(matches!(failed, Some(RedisReplacementError::TakenOver)), "{failed:?}");
        }
        assert_eq!(people(&*store).await, ["ann@example.com"]);
        assert_eq!(generations(&server), ["0"]);
    }
}

#[tokio::test]
async fn a_restore_says_that_it_lives_while_it_is_built() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let new = begin(&server.url(), false, patient()).await.unwrap();
    unheard_of(&server);
    let key = "countersign:{store}:beside";
    until("it is heard of", async || server.ask(&["ZCOUNT", key, "2", "+inf"]).trim() == "1").await;
    drop(begin(&server.url(), false, patient()).await.unwrap());
    join(new.store(), "bob").await;
    new.finish().await.unwrap();
}

#[tokio::test]
async fn a_restore_ends_well_where_memory_is_full() {
    if !redis_works() {
        return;
    }
    for is_in_shards in [false, true] {
        let server = RedisServer::start();
        let store = store(&server, is_in_shards);
        join(&*store, "ann").await;
        let begin = async || begin(&server.url(), is_in_shards, patient()).await.unwrap();
        let killed = begin().await;
        join(killed.store(), "bob").await;
        drop(killed);
        unheard_of(&server);
        let records = export(&*store).await;
        server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        let new = begin().await;
        assert_eq!(generations(&server), ["0"], "that made room");
        assert!(new.store().import(records).await.is_err());
        new.discard().await.unwrap();
        only(&server, 1);

        server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        let new = begin().await;
        join(new.store(), "carol").await;
        server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        new.finish().await.unwrap();
        only(&server, 1);
        assert_eq!(people(&*store).await, ["carol@example.com"]);
    }
}

/// Its last step is lost on the way there, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_at_last_leaves_the_store_as_it_was() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let held = Held::before(&server).await;
    let store = open(&server);
    join(&store, "ann").await;
    let new = begin(&held.url(), false, patient()).await.unwrap();
    join(new.store(), "bob").await;
    held.lose(&["cs_replace_at_once_"]);
    let failed = new.finish().await.err();
    assert!(matches!(failed, Some(RedisReplacementError::Store(_))), "{failed:?}");
    only(&server, 1);
    assert_eq!(people(&store).await, ["ann@example.com"]);

    // Nobody can say what became of it, and then it was done.
    let options = RedisOptions { patience: Duration::from_secs(1), ..RedisOptions::default() };
    let new = begin(&held.url(), false, options).await.unwrap();
    join(new.store(), "carol").await;
    held.lose(&["nothing"]);
    held.hold(&["cs_replace_at_once_"]);
    let finishing = tokio::spawn(new.finish());
    held.reached().await;
    held.lose(&["FCALL"]);
    let failed = finishing.await.unwrap().err();
    assert!(matches!(failed, Some(RedisReplacementError::Unknown(_))), "{failed:?}");
    assert_eq!(people(&store).await, ["ann@example.com"]);
    held.release();
    until("it is done", async || people(&store).await == ["carol@example.com"]).await;
}

/// A primary with a replica: what that does not have may be lost, and is not said to be done.
struct Replicated {
    primary: RedisServer,
    replica: RedisServer,
    held: Held,
    is_in_shards: bool,
    store: Box<dyn Store>,
}

impl Replicated {
    async fn start(is_in_shards: bool) -> Self {
        let primary = RedisServer::with(&["--repl-diskless-sync-delay", "0"]);
        let replica = replica_of(&primary).await;
        let held = Held::before(&primary).await;
        let store = store(&primary, is_in_shards);
        join(&*store, "ann").await;
        Self { primary, replica, held, is_in_shards, store }
    }

    /// A replacement that waits for the replica.
    async fn begin(&self, name: &str) -> RedisReplacement {
        let patience = Duration::from_secs(1);
        let options = RedisOptions { patience, replicas: 1, ..RedisOptions::default() };
        let new = begin(&self.held.url(), self.is_in_shards, options).await.unwrap();
        join(new.store(), name).await;
        new
    }

    /// What is said where the replica stands still when this step is taken.
    async fn without_replica(&self, step: &[&str], name: &str) -> RedisReplacementError {
        let new = self.begin(name).await;
        self.held.hold(step);
        let finishing = tokio::spawn(new.finish());
        self.held.reached().await;
        self.replica.freeze();
        self.held.release();
        let failed = finishing.await.unwrap().unwrap_err();
        self.replica.thaw();
        assert!(failed.to_string().contains("0 of 1"), "{step:?}: {failed}");
        failed
    }

    /// One that ends well is whole on the replica.
    async fn ends_well(mut self) {
        self.begin("dora").await.finish().await.unwrap();
        self.primary.kill_hard();
        self.replica.ask(&["REPLICAOF", "NO", "ONE"]);
        let store = store(&self.replica, self.is_in_shards);
        assert_eq!(people(&*store).await, ["dora@example.com"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_done_when_replicas_have_it() {
    if !redis_works() {
        return;
    }
    let world = Replicated::start(false).await;
    let new = world.begin("bob").await;
    world.replica.freeze();
    let failed = new.finish().await.unwrap_err();
    world.replica.thaw();
    assert!(matches!(failed, RedisReplacementError::Store(_)), "{failed:?}");
    assert_eq!(people(&*world.store).await, ["ann@example.com"]);
    only(&world.primary, 1);
    let failed = world.without_replica(&["cs_replace_at_once_"], "carol").await;
    assert!(matches!(failed, RedisReplacementError::InForce(_)), "{failed:?}");
    assert_eq!(people(&*world.store).await, ["carol@example.com"]);
    assert_eq!(generations(&world.primary).len(), 2, "the old one is there, too");
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_closed_and_switched_when_replicas_have_it() {
    if !redis_works() {
        return;
    }
    let world = Replicated::start(true).await;
    let failed = world.without_replica(&["cs_close_generation_", "{store-07-"], "bob").await;
    assert!(matches!(failed, RedisReplacementError::Store(_)), "{failed:?}");
    assert_eq!(people(&*world.store).await, ["ann@example.com"]);
    only(&world.primary, 1);
    let failed = world.without_replica(&["cs_replace_", "{store-07-"], "carol").await;
    assert!(matches!(failed, RedisReplacementError::Interrupted(_)), "{failed:?}");
    assert_eq!(people(&*world.store).await, ["carol@example.com"]);
    world.ends_well().await;
}
