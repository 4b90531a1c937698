//! Backups of the keys, and backups that are brought to a Redis that has some.

use super::*;

/// What a backup brings verifies; the key that is there goes on signing.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_brought_to_a_redis_with_keys_adds_its_own() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let mut embedded = Process::with(&[]);
    let ann = embedded.program();
    ann.join("ann@example.com").await;
    let brought = published(&embedded).await.remove(0);
    let backup = embedded.directory().join("backup");
    let secret = [("COUNTERSIGN_TOKEN__SECRET", SECRET)];
    let args = ["backup", "--with-keys", "backup"];
    let done = command_on("sled", &secret, embedded.directory(), &args);
    assert!(done.status.success(), "{done:?}");
    assert!(embedded.terminate().success());

    let node = node_on(&redis, &[]);
    let own = published(&node).await.remove(0);
    assert_ne!(own, brought);
    let bob = node.program();
    bob.join("bob@example.com").await;
    let dir = tempfile::tempdir().unwrap();
    let backup = backup.to_str().unwrap();
    // It is not empty: nothing of it is changed, and no key is added either.
    let refused = refused(&command(&redis, &secret, dir.path(), &["restore", backup]));
    assert!(refused.ends_with("--replace puts the backup in its place; nothing was changed"));
    assert_eq!(sealed(&redis).len(), 1);
    let said = said(&redis, dir.path(), &["restore", "--replace", backup]);
    assert!(said.contains("accounts 1, sessions 1, signing keys 1"), "{said}");

    let keys = list(&redis);
    let status = |kid: &str| keys.iter().find(|key| key["kid"] == kid).unwrap()["status"].clone();
    assert_eq!(
        (keys.len(), status(&own), status(&brought)),
        (2, "signing".into(), "verifying".into())
    );
    // Running nodes hear of it, and those that start.
    let told = || node.output().contains("the signing keys changed: 2 are in the store");
    eventually("it reads them", told).await;
    for (number, node) in (1..).zip([&node, &node.beside()]) {
        assert_eq!(at(node, &ann).visit().await, number);
        assert_eq!(published(node).await[0], own);
        // The session is not in the backup, whoever signs for it.
        at(node, &bob).check().await.expect(401);
    }
    let refused = command(&redis, &secret, dir.path(), &["restore", "--replace", backup]);
    assert!(refused.status.success(), "{refused:?}");
    assert_eq!(list(&redis), keys, "they are there already");
}

/// The command line asks the server for sessions, and the configured store for keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_keys_and_sessions_of_one_store() {
    if !redis_works() {
        return;
    }
    let (redis, elsewhere) = (RedisServer::start(), RedisServer::start());
    let first = node_on(&redis, &[]);
    node_on(&elsewhere, &[]);
    first.program().join("ann@example.com").await;
    // One that had a store of its own, whose keys and sessions are still there and are not used.
    let mut node = Process::with(&[]);
    assert!(node.terminate().success());
    node.configure("COUNTERSIGN_STORE__URL", redis.url().as_str());
    node.restart();
    let secret = [("COUNTERSIGN_TOKEN__SECRET", SECRET)];
    let backup = ["backup", "--with-keys", "backup"];
    for store in ["sled", elsewhere.url().as_str()] {
        let said = refused(&command_on(store, &secret, node.directory(), &backup));
        let here = format!("has its store in the Redis at 127.0.0.1:{}", redis.port());
        assert!(said.contains(&here) && said.contains("give it the configuration of the server"));
        assert!(!node.directory().join("backup").exists(), "nothing was written");
    }
    // Without keys the server is asked alone, whatever this command is told.
    let alone = command_on("sled", &secret, node.directory(), &["backup", "alone"]);
    assert!(alone.status.success(), "{alone:?}");
    // Another user of the same Redis is no other store.
    let same = redis.url().to_string().replace("redis://", "redis://default@");
    let done = command_on(&same, &secret, node.directory(), &backup);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && said.contains("accounts 1, sessions 1, signing keys 1"));
    // Where the server is gone there is one store alone.
    node.kill_hard();
    let args = ["backup", "--with-keys", "--force", "backup"];
    let done = command(&elsewhere, &secret, node.directory(), &args);
    assert!(done.status.success(), "{done:?}");
}
