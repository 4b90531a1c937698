//! Keys that are thrown away because somebody has them, and keys that Redis only lost.

use super::*;
use crate::{
    attacks::forge::{Key, private_keys},
    support::{RedisCluster, claims},
};

/// Where the first shard of a cluster has them, as the document says.
const KEYS_IN_A_CLUSTER: &str = "countersign:{store-00-71}:keys";

/// The key of a node that has its keys in files.
fn stolen_from(node: &Process) -> Key {
    Key::of(&private_keys(&node.data_dir()).remove(0))
}

/// A node that had the embedded store, and is on Redis from now on.
fn move_to(redis: &RedisServer, node: &mut Process) {
    assert!(node.terminate().success());
    node.configure("COUNTERSIGN_STORE__URL", redis.url().as_str());
    node.restart();
}

/// Its key was a file once, and another node has files of its own: neither comes back.
#[tokio::test(flavor = "multi_thread")]
async fn by_the_documented_steps_a_stolen_key_is_gone_for_good() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let (mut first, mut second) = (Process::with(&[]), Process::with(&[]));
    let stolen = [stolen_from(&first), stolen_from(&second)];
    move_to(&redis, &mut first);
    move_to(&redis, &mut second);
    let mut third = first.beside();
    let before = published(&first).await;
    assert_eq!(before, [stolen[0].kid.clone()]);
    let ann = first.program();
    ann.join("ann@example.com").await;
    let forged = |key: &Key, who: &User| key.sign_claims(&claims(&who.token()));
    let eve = first.program();
    eve.take(&forged(&stolen[0], &ann));
    eve.check().await.expect(200);

    let port = redis.port().to_string();
    let steps = documented("docs/more-than-one-node.md", "redis-cli");
    assert!(steps.contains(KEYS));
    for node in [&mut first, &mut second, &mut third] {
        assert!(node.terminate().success());
    }
    for node in [&first, &second, &third] {
        let data = node.data_dir();
        let here = [
            ("/var/lib/countersign", data.to_str().unwrap()),
            ("--user operator --askpass", &format!("-p {port}")),
        ];
        run_documented(&steps, &here, &[]);
        assert!(!data.join("keys").exists() && !data.join("keys.in-redis").exists());
    }
    // The one first whose files would be taken.
    second.restart();
    first.restart();
    third.restart();
    let after = published(&first).await;
    assert_eq!(after.len(), 1);
    assert!(stolen.iter().all(|key| key.kid != after[0]));
    ann.check().await.expect(401);
    ann.log_in("ann@example.com").await;
    for node in [&first, &second, &third] {
        assert_eq!(published(node).await, after);
        at(node, &ann).check().await.expect(200);
        for key in &stolen {
            let eve = node.program();
            eve.take(&forged(key, &ann));
            eve.check().await.expect(401);
        }
    }
}

/// Also where an operator only thinks of Redis: what was taken over is not lying about any more.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_over_is_not_taken_over_again() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let mut node = Process::with(&[]);
    let key = stolen_from(&node);
    move_to(&redis, &mut node);
    // As a crash just after the keys were put leaves it.
    let data = node.data_dir();
    let (keys, aside) = (data.join("keys"), data.join("keys.in-redis"));
    fs::rename(&aside, &keys).unwrap();
    assert!(node.terminate().success());
    node.restart();
    assert!(!keys.exists() && aside.exists());
    assert!(node.terminate().success());
    redis.ask(&["DEL", KEYS]);
    node.restart();
    let published = published(&node).await;
    assert!(published.len() == 1 && published[0] != key.kid, "{published:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_redis_lost_come_back_from_a_node_that_runs() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let node = node_on(&redis, &[]);
    let ann = node.program();
    ann.join("ann@example.com").await;
    let before = sealed(&redis);
    redis.ask(&["DEL", KEYS]);
    eventually("they come back", || redis.ask(&["EXISTS", KEYS]).trim() == "1").await;
    assert_eq!(sealed(&redis), before);
    assert!(node.output().contains("were gone from the store, and are back"), "{}", node.output());
    let second = node.beside();
    assert_eq!(at(&second, &ann).visit().await, 1);
    // As an operator takes out one that cannot be opened.
    redis.ask(&["HDEL", KEYS, &before[0].0]);
    eventually("it comes back", || !sealed(&redis).is_empty()).await;
    assert_eq!(sealed(&redis), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_they_are_where_the_document_says_and_can_be_listed_rotated_and_resealed() {
    if !redis_works() {
        return;
    }
    let cluster = RedisCluster::start(3, false);
    let url = cluster.url();
    let mut node = Process::with(&[("COUNTERSIGN_STORE__URL", &url)]);
    let ann = node.program();
    ann.join("ann@example.com").await;
    let steps = documented("docs/more-than-one-node.md", "redis-cli");
    assert!(steps.contains(KEYS_IN_A_CLUSTER) && steps.contains("redis-cli -c"), "{steps}");
    let asked = |words: &[&str]| cluster.nodes[0].ask(&[&["-c"], words].concat());
    assert_eq!(asked(&["EXISTS", KEYS_IN_A_CLUSTER]).lines().last(), Some("1"));

    let dir = tempfile::tempdir().unwrap();
    let run = |secret: &str, args: &[&str]| {
        let secret = [("COUNTERSIGN_TOKEN__SECRET", secret)];
        let output = command_on(&url, &secret, dir.path(), args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let listed: Value = serde_json::from_str(&run(SECRET, &["keys", "list", "--json"])).unwrap();
    assert_eq!(listed[0]["kid"].as_str().unwrap(), published(&node).await[0]);
    let rotated = run(SECRET, &["keys", "rotate", "--json"]);
    assert_eq!(rotated, run(SECRET, &["keys", "list", "--json"]));
    fs::write(dir.path().join("old"), SECRET).unwrap();
    let done = run(OTHER, &["keys", "reseal", "--old-secret-file", "old"]);
    assert_eq!(done, "signing keys sealed anew: 2\n");
    assert!(node.terminate().success());
    node.configure("COUNTERSIGN_TOKEN__SECRET", OTHER);
    node.restart();
    assert_eq!(ann.visit().await, 1);

    assert!(node.terminate().success());
    asked(&["DEL", KEYS_IN_A_CLUSTER]);
    node.restart();
    ann.check().await.expect(401);
}
