//! The store in shards: what the contract's suites, which run on it as on every store, do not show.
//!
//! | file | what it shows |
//! |---|---|
//! | `claims` | nobody takes an e-mail that somebody is at, and what is left of a claim goes |
//! | `failover` | a primary of a real cluster that dies, and what it had not told its replica |
//! | `held` | a Redis whose commands can be held on their way |
//! | `mended` | claims that are lost, or left behind |
//! | `moved` | backups of all shards |
//! | `replaced` | the replacement of all shards by a backup: interrupted, failed, two at once |
//! | `slots` | a slot that moves from one node of a real cluster to another |

mod claims;
mod failover;
pub(crate) mod held;
mod mended;
mod moved;
mod replaced;
mod slots;

use std::time::{Duration, Instant};

use countersign::{
    model::Account,
    store::{AuditBounds, ClusterStore, RedisOptions, RedisServers, Result, Store, StoreError},
};

use crate::{
    store_redis::cost::asked,
    store_world::{account, at, cause, email, join, log_in, open_shards, succession, visit},
    support::{PATIENCE, RedisServer, redis::redis_works},
};

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[track_caller]
fn unavailable<T: std::fmt::Debug>(answer: Result<T>) -> String {
    match answer {
        Err(StoreError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Somebody else who wants the same e-mail.
fn rival(of: &Account) -> Account {
    Account { email: of.email.clone(), ..account("x") }
}

/// Sweeps to the end.
async fn sweep_all(store: &dyn Store) -> Result<()> {
    let mut from = None;
    loop {
        from = store.sweep(from, 100, at(4)).await?.next;
        if from.is_none() {
            return Ok(());
        }
    }
}

/// One that does not wait for long.
fn hasty(servers: impl Into<RedisServers>) -> ClusterStore {
    let options = RedisOptions { patience: Duration::from_secs(1), ..RedisOptions::default() };
    ClusterStore::open(servers, options).unwrap()
}

#[tokio::test]
async fn what_is_done_to_an_account_is_one_round_trip_and_what_is_done_to_an_email_some() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open_shards(&server.url(), AuditBounds::default());
    let asked = || asked(&server).values().sum::<u64>();
    asked();
    let ann = join(&store, "ann").await;
    assert_eq!(asked(), 3, "a sign-up");
    let one = log_in(&store, &ann, 0).await;
    assert_eq!(asked(), 1, "a log-in");
    store.account_by_email(&ann.email).await.unwrap();
    assert_eq!(asked(), 2, "somebody by an e-mail");
    store.session(ann.id, one.id, at(1)).await.unwrap();
    assert_eq!(asked(), 1, "a check");
    store.visit(visit(&one, 0, 0, 1)).await.unwrap();
    assert_eq!(asked(), 1, "a visit");
    let goes_on = succession(&one, 2);
    store.change_email(ann.id, email("anna"), goes_on, cause(at(2))).await.unwrap();
    assert_eq!(asked(), 7, "a change of e-mail");
    store.revoke_session(ann.id, goes_on.to, cause(at(3))).await.unwrap();
    assert_eq!(asked(), 1, "a log-out");
    store.remove_account(ann.id, cause(at(4))).await.unwrap();
    assert_eq!(asked(), 4, "a removal");
}

/// How many claims to e-mails there are.
fn claims(server: &RedisServer) -> u64 {
    let script = "local all = 0 for _, key in ipairs(redis.call('KEYS', '*:c')) do \
                  all = all + redis.call('HLEN', key) end return all";
    server.ask(&["EVAL", script, "0"]).trim().parse().unwrap()
}

/// Accounts are gone as nobody removes them, and so are their places in the lists: as if a node had
/// died in the middle of making them.
fn forget_accounts(server: &RedisServer) {
    let script = "for _, kind in ipairs { 'a*', 'e', 'i' } do \
                  for _, key in ipairs(redis.call('KEYS', '*:0:' .. kind)) do \
                  redis.call('DEL', key) end end";
    server.ask(&["EVAL", script, "0"]);
}
