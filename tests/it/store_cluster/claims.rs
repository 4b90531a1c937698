//! Nobody takes an e-mail that somebody is at, and what is left of a claim goes.

use std::{sync::Arc, time::Duration};

use countersign::{
    model::Account,
    store::{AuditBounds, EmailChange, Store, StoreError},
};
use tokio::{task::JoinSet, time::timeout};

use super::{claims, forget_accounts, hasty, held::Held, rival};
use crate::{
    store_world::{account, at, cause, email, everybody, join, log_in, open_shards, succession},
    support::{RedisServer, redis::redis_works},
};

#[tokio::test(flavor = "multi_thread")]
async fn who_was_held_up_too_long_makes_no_second_account_of_an_email() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let held = Held::before(&server).await;
    let slow = open_shards(&held.url(), AuditBounds::default());
    let store = open_shards(&server.url(), AuditBounds::default());
    let (ann, bob) = (account("ann"), account("bob"));
    let bob = Account { email: ann.email.clone(), ..bob };
    held.hold(&["cs_create_account"]);
    let late = ann.clone();
    let late = tokio::spawn(async move { slow.create_account(late, cause(at(0))).await });
    held.reached().await;
    // Somebody is at it: nobody else is told that it is free, nor that it is taken.
    let refused = hasty(&server.url()).create_account(bob.clone(), cause(at(0))).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), None);
    // Waits as long as the claim may be of use, ten seconds by the server's clock.
    assert!(store.create_account(bob.clone(), cause(at(0))).await.unwrap());
    held.release();
    let late = late.await.unwrap();
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    assert_eq!(store.account(ann.id).await.unwrap(), None);
    assert_eq!(everybody(&store).await, [bob]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_gives_an_account_an_email_that_is_anothers_by_then() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let held = Held::before(&server).await;
    let slow = open_shards(&held.url(), AuditBounds::default());
    let store = open_shards(&server.url(), AuditBounds::default());
    let ann = join(&store, "ann").await;
    let (one, bob) = (log_in(&store, &ann, 0).await, account("bob"));
    held.hold(&["cs_change_email"]);
    let (goes_on, wanted) = (succession(&one, 1), bob.email.clone());
    let late =
        tokio::spawn(
            async move { slow.change_email(one.account, wanted, goes_on, cause(at(1))).await },
        );
    held.reached().await;
    assert!(store.create_account(bob.clone(), cause(at(0))).await.unwrap());
    held.release();
    let late = late.await.unwrap();
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann.clone()));
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), Some(ann));
    assert_eq!(store.account_by_email(&bob.email).await.unwrap(), Some(bob));
    assert_eq!(claims(&server), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_take_over_what_a_dead_node_left_one_does() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let nodes = [(); 3].map(|()| Arc::new(open_shards(&server.url(), AuditBounds::default())));
    for round in 0..10 {
        let gone = join(&*nodes[0], &format!("user{round}")).await;
        forget_accounts(&server);
        assert_eq!(nodes[1].account_by_email(&gone.email).await.unwrap(), None);
        let mut tasks = JoinSet::new();
        for n in 0..12 {
            let (node, rival) = (Arc::clone(&nodes[n % 3]), rival(&gone));
            tasks.spawn(async move { node.create_account(rival, cause(at(0))).await.unwrap() });
        }
        let made = tasks.join_all().await.into_iter().filter(|made| *made).count();
        let there = everybody(&*nodes[0]).await;
        assert_eq!((made, there.len()), (1, 1), "in round {round}");
    }
}

/// Whether the account has the e-mail is asked after its claim was read: what was true before may
/// not be any more.
#[tokio::test(flavor = "multi_thread")]
async fn who_looked_before_an_account_was_made_looks_again() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let (first, second) = (Held::before(&server).await, Held::before(&server).await);
    let slow = open_shards(&first.url(), AuditBounds::default());
    let other = open_shards(&second.url(), AuditBounds::default());
    let ann = account("ann");
    first.hold(&["cs_create_account"]);
    let wanted = ann.clone();
    let making = tokio::spawn(async move { slow.create_account(wanted, cause(at(0))).await });
    first.reached().await;
    second.hold(&["cs_has_email"]);
    let rival = rival(&ann);
    let loses = tokio::spawn(async move { other.create_account(rival, cause(at(0))).await });
    second.reached().await;
    // It has read the claim, that somebody is at; it will see that he was not done, and read it again.
    second.hold(&["cs_claim"]);
    second.release();
    second.reached().await;
    first.release();
    assert!(making.await.unwrap().unwrap());
    second.release();
    assert!(!loses.await.unwrap().unwrap());
    let store = open_shards(&server.url(), AuditBounds::default());
    assert_eq!(everybody(&store).await, [ann]);
}

/// Whoever frees an e-mail removes the claim that he looked at, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_over_is_not_freed_by_who_had_it_before() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let held = Held::before(&server).await;
    let slow = open_shards(&held.url(), AuditBounds::default());
    let store = open_shards(&server.url(), AuditBounds::default());
    let ann = join(&store, "ann").await;
    let bob = rival(&ann);
    held.hold(&["cs_settle_claim"]);
    let removing = tokio::spawn(async move { slow.remove_account(ann.id, cause(at(1))).await });
    held.reached().await;
    assert!(store.create_account(bob.clone(), cause(at(1))).await.unwrap());
    held.release();
    assert_eq!(removing.await.unwrap().unwrap(), Some(0));
    assert_eq!(store.account_by_email(&bob.email).await.unwrap(), Some(bob.clone()));
    assert!(!store.create_account(rival(&bob), cause(at(2))).await.unwrap());
}

#[tokio::test]
async fn nothing_is_left_of_an_email_that_nobody_has() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open_shards(&server.url(), AuditBounds::default());
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    assert!(!store.create_account(rival(&ann), cause(at(0))).await.unwrap());
    let there = Account { email: email("other"), ..ann.clone() };
    assert!(!store.create_account(there, cause(at(0))).await.unwrap(), "its id is taken");
    assert_eq!(claims(&server), 1);
    let goes_on = succession(&one, 1);
    let changed = store.change_email(ann.id, email("anna"), goes_on, cause(at(1))).await.unwrap();
    assert!(matches!(changed, EmailChange::Changed { .. }));
    let lost = store.change_email(ann.id, email("late"), goes_on, cause(at(1))).await.unwrap();
    assert_eq!((lost, claims(&server)), (EmailChange::AccountChanged, 1));
    store.remove_account(ann.id, cause(at(2))).await.unwrap();
    assert_eq!(claims(&server), 0);

    let kept = join(&store, "kept").await;
    for n in 0..20 {
        join(&store, &format!("user{n}")).await;
    }
    store.remove_account(kept.id, cause(at(3))).await.unwrap();
    forget_accounts(&server);
    join(&store, "ann").await;
    assert_eq!(claims(&server), 21);
    assert_eq!(store.sweep(None, 100, at(4)).await.unwrap().next, None);
    assert_eq!(claims(&server), 1);
    assert!(store.account_by_email(&email("ann")).await.unwrap().is_some());
}

/// What is removed is free, and who wants it has it, but not in the moment in which a backup begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_no_email_twice() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let held = Held::before(&server).await;
    let slow = open_shards(&held.url(), AuditBounds::default());
    let store = Arc::new(open_shards(&server.url(), AuditBounds::default()));
    let ann = join(&*store, "ann").await;
    let shard_of = |account: &Account| countersign::store::redis::shard_of(account.id.as_bytes());
    let mut bob = rival(&ann);
    while shard_of(&bob) == shard_of(&ann) {
        bob = rival(&ann);
    }
    held.hold(&["cs_begin_export", &format!("{{store-{:02}-", shard_of(&bob))]);
    let exporting = tokio::spawn(async move { crate::store_contract::backup::export(&slow).await });
    held.reached().await;
    let begun = || server.ask(&["EVAL", "return #redis.call('KEYS', '*:0:x')", "0"]);
    while begun().trim() != "31" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    store.remove_account(ann.id, cause(at(1))).await.unwrap();
    let (node, wanted) = (Arc::clone(&store), bob.clone());
    let mut making =
        tokio::spawn(async move { node.create_account(wanted, cause(at(1))).await.unwrap() });
    let early = timeout(Duration::from_millis(500), &mut making).await;
    held.release();
    let records = exporting.await.unwrap();
    let copy = countersign::store::MemoryStore::new();
    copy.import(records).await.unwrap();
    assert_eq!(copy.account_by_email(&ann.email).await.unwrap(), Some(ann));
    assert!(early.is_err(), "it was made while the backup began");
    assert!(making.await.unwrap());
    assert_eq!(store.account_by_email(&bob.email).await.unwrap(), Some(bob));
}
