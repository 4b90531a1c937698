//! Claims that are lost, as by a failover, or left behind by a change that nobody heard of.

use countersign::{
    model::{Account, AccountId},
    store::{
        AuditBounds, EmailChange, Store,
        redis::{SHARDS, shard_of},
    },
};

use super::{claims, hasty, held::Held, rival, sweep_all, unavailable, until};
use crate::{
    store_world::{
        account, account_record, at, cause, email, everybody, join, log_in, open_shards, succession,
    },
    support::{RedisServer, redis::redis_works},
};

/// All claims are gone.
fn lose_claims(server: &RedisServer) {
    let script = "for _, key in ipairs(redis.call('KEYS', '*:c')) do redis.call('DEL', key) end";
    server.ask(&["EVAL", script, "0"]);
    assert_eq!(claims(server), 0);
}

/// Whoever was at a claim had his time, without anybody having to wait for its end.
fn end_claims(server: &RedisServer) {
    let script = "for _, key in ipairs(redis.call('KEYS', '*:c')) do \
                  local all = redis.call('HGETALL', key) \
                  for at = 1, #all, 2 do \
                  redis.call('HSET', key, all[at], all[at + 1]:sub(1, 32) .. '1') end end";
    server.ask(&["EVAL", script, "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_lost_is_put_back_by_a_sweep() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open_shards(&server.url(), AuditBounds::default());
    // More in one shard than a sweep looks at in one step, and somebody in each.
    let crowd = (0..).map(|n: u128| AccountId::from_bytes(n.to_be_bytes()));
    let crowd = crowd.filter(|id| shard_of(id.as_bytes()) == 7).take(1_100);
    let everywhere = (0..8 * SHARDS).map(|_| AccountId::new(at(0)));
    let crowd: Vec<_> = (crowd.chain(everywhere).enumerate())
        .map(|(n, id)| Account { id, ..account(&format!("user{n}")) })
        .collect();
    let records = crowd.iter().map(|person| account_record(person.clone(), 0));
    store.import(records.collect()).await.unwrap();
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    let new = email("anna");
    store.change_email(ann.id, new.clone(), succession(&one, 1), cause(at(1))).await.unwrap();
    let ann = Account { email: new, ..ann };
    let before = claims(&server);
    lose_claims(&server);
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), None);

    sweep_all(&store).await.unwrap();
    assert_eq!(claims(&server), before);
    for person in crowd.iter().chain([&ann]) {
        let found = store.account_by_email(&person.email).await.unwrap();
        assert_eq!(found.as_ref(), Some(person));
    }
    assert!(!store.create_account(rival(&ann), cause(at(2))).await.unwrap());
    // What it gave up is not put back.
    assert!(store.create_account(account("ann"), cause(at(2))).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_that_two_have_is_the_others_when_one_lets_it_go() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open_shards(&server.url(), AuditBounds::default());
    let ann = join(&store, "ann").await;
    lose_claims(&server);
    // In another shard nothing tells that it is somebody's.
    let mut bob = rival(&ann);
    while shard_of(bob.id.as_bytes()) == shard_of(ann.id.as_bytes()) {
        bob = rival(&ann);
    }
    assert!(store.create_account(bob.clone(), cause(at(0))).await.unwrap());
    sweep_all(&store).await.unwrap();
    let named = async || store.account_by_email(&ann.email).await.unwrap();
    assert_eq!(named().await, Some(bob.clone()), "it is not taken from who has the claim");
    let one = log_in(&store, &bob, 0).await;
    let goes_on = succession(&one, 1);
    store.change_email(bob.id, email("bob"), goes_on, cause(at(1))).await.unwrap();
    sweep_all(&store).await.unwrap();
    assert_eq!(named().await, Some(ann.clone()));
    let bob = Account { email: email("bob"), ..bob };
    assert_eq!(everybody(&store).await, [ann, bob]);
    assert_eq!(claims(&server), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_of_email_without_an_answer_leaves_is_healed() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open_shards(&server.url(), AuditBounds::default());
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    let unanswered = async |wanted: &str| {
        let held = Held::before(&server).await;
        held.hold(&["cs_change_email"]);
        let goes_on = succession(&one, 1);
        let slow = hasty(&held.url());
        unavailable(slow.change_email(ann.id, email(wanted), goes_on, cause(at(1))).await);
        held
    };
    // It never arrives: the e-mail is nobody's when the claim is over.
    drop(unanswered("never").await);
    assert_eq!(claims(&server), 2);
    assert_eq!(store.account_by_email(&email("never")).await.unwrap(), None);
    sweep_all(&store).await.unwrap();
    assert_eq!(claims(&server), 2, "it may still arrive");
    end_claims(&server);
    sweep_all(&store).await.unwrap();
    assert_eq!(claims(&server), 1);
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), Some(ann.clone()));

    // It arrives late: both claims are there, and the one that is left behind goes.
    let held = unanswered("anna").await;
    held.release();
    let anna = Account { email: email("anna"), ..ann.clone() };
    until("the change is made", async || {
        store.account(ann.id).await.unwrap().as_ref() == Some(&anna)
    })
    .await;
    assert_eq!(claims(&server), 2);
    assert_eq!(store.account_by_email(&anna.email).await.unwrap(), Some(anna.clone()));
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), None);
    sweep_all(&store).await.unwrap();
    assert_eq!(claims(&server), 1);
    assert!(store.create_account(rival(&ann), cause(at(2))).await.unwrap());
    assert!(!store.create_account(rival(&anna), cause(at(2))).await.unwrap());
    let goes_on = succession(&one, 3);
    let again = store.change_email(ann.id, email("else"), goes_on, cause(at(3))).await.unwrap();
    assert_eq!(again, EmailChange::AccountChanged, "its session went on under another id");
}
