//! A new key because an operator wants one: all nodes take it up.

use std::sync::Arc;

use countersign::{
    service::{self, OpenError},
    token::KeyError,
};
use jiff::SignedDuration;

use super::*;
use crate::support::{TestApp, at_once};

/// How long a key is announced with what Redis is given by default.
const NOTICE: SignedDuration = SignedDuration::from_secs(21);

/// A node on a clock that is moved by hand.
async fn node_in_time(redis: &RedisServer) -> TestApp {
    let url = redis.url().as_str().parse().unwrap();
    TestApp::with(|config| {
        config.store.url = url;
        config.token.secret = SECRET.parse().unwrap();
    })
    .await
}

async fn keys_of(node: &TestApp) -> Vec<String> {
    let keys = node.anonymous().get("/.well-known/jwks.json").await.expect(200).json();
    let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
    keys["keys"].as_array().unwrap().iter().map(kid).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_know_a_new_key_before_it_signs_and_nobody_is_logged_out() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let mut nodes = [node_in_time(&redis).await, node_in_time(&redis).await];
    let ann = nodes[0].program();
    ann.join("ann@example.com").await;
    let kid = |who: &User| header(&who.token())["kid"].as_str().unwrap().to_owned();
    let old = kid(&ann);
    // Of four at once one does it.
    let (config, clock) = (Arc::new(nodes[0].config.clone()), nodes[0].clock.clone());
    let rotations = at_once((0..4).map(|_| {
        let (config, clock) = (Arc::clone(&config), clock.clone());
        async move { service::keys::rotate(&config, &clock).await }
    }))
    .await;
    let (mut done, mut refused) = (Vec::new(), 0);
    for rotated in rotations {
        match rotated {
            Ok(keys) => done.push(keys),
            Err(OpenError::Keys(KeyError::Announced { .. })) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((done.len(), done[0].len(), refused), (1, 2, 3));
    let new = done[0][1].kid.clone();
    for node in &nodes {
        let started = Instant::now();
        while keys_of(node).await != [old.clone(), new.clone()] {
            assert!(started.elapsed() < PATIENCE, "it does not read them");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    nodes[1].restart().await;
    let mut early = Vec::new();
    let instant = SignedDuration::from_millis(1);
    for (wait, signs) in [(NOTICE - instant, &old), (instant, &new)] {
        for node in &nodes {
            node.pass(wait);
        }
        for node in &nodes {
            let there = node.program();
            there.take(&ann.token());
            there.visit().await;
            assert_eq!(kid(&there), *signs);
            early.push(there.token());
        }
        for (node, token) in nodes.iter().flat_map(|node| early.iter().map(move |it| (node, it))) {
            let there = node.program();
            there.take(token);
            there.check().await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_what_was_announced_and_when_it_signs() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let secret = [("COUNTERSIGN_TOKEN__SECRET", SECRET)];
    let rotate = ["keys", "rotate"];
    let early = refused(&command(&redis, &secret, dir.path(), &rotate));
    assert!(early.contains("there is no signing key yet"), "{early}");
    assert_eq!(redis.ask(&["EXISTS", KEYS]).trim(), "0", "nothing was made");

    let node = node_on(&redis, &[]);
    let blind = refused(&command(&redis, &[], dir.path(), &rotate));
    assert!(blind.contains("COUNTERSIGN_TOKEN__SECRET"), "{blind}");
    // A server that has its keys in Redis is not asked for files.
    fs::create_dir(node.data_dir().join("keys")).unwrap();
    let lost = refused(&command_on("sled", &secret, node.directory(), &rotate));
    assert!(lost.ends_with("give this command the configuration of the server"), "{lost}");
    assert_eq!(sealed(&redis).len(), 1);

    let table = said(&redis, dir.path(), &rotate);
    assert_eq!(table, said(&redis, dir.path(), &["keys", "list"]));
    assert!(table.contains("signing") && table.contains("to sign from 2"), "{table}");
    let before = sealed(&redis);
    let again = refused(&command(&redis, &secret, dir.path(), &rotate));
    assert!(again.contains("was announced") && again.ends_with("nothing was changed"), "{again}");
    assert_eq!(sealed(&redis), before);
}
