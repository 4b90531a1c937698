//! Another secret for the keys: one for all nodes, one command, and a restart of each.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::support::at_once;

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_is_a_command_and_nobody_is_logged_out_by_it() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let mut node = node_on(&redis, &[]);
    let ann = node.program();
    ann.join("ann@example.com").await;
    let dir = tempfile::tempdir().unwrap();
    let reseal = |secret: &str| {
        let variables = [("COUNTERSIGN_TOKEN__SECRET", secret)];
        let args = ["keys", "reseal", "--old-secret-file", "old"];
        command(&redis, &variables, dir.path(), &args)
    };
    fs::write(dir.path().join("old"), OTHER).unwrap();
    let wrong = refused(&reseal(OTHER));
    assert!(wrong.contains("is not the one with which they were sealed"), "{wrong}");
    assert!(wrong.contains("the secret of `--old-secret-file`"), "{wrong}");
    fs::write(dir.path().join("old"), SECRET).unwrap();
    let done = reseal(OTHER);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "signing keys sealed anew: 1\n");
    // Whoever does not know whether it was done does it again.
    let before = sealed(&redis);
    let again = reseal(OTHER);
    assert!(again.status.success(), "{again:?}");
    assert!(String::from_utf8_lossy(&again.stdout).contains("already"), "{again:?}");
    assert_eq!(sealed(&redis), before);

    ann.visit().await;
    let start = command(&redis, &[("COUNTERSIGN_TOKEN__SECRET", SECRET)], dir.path(), &["serve"]);
    assert!(refused(&start).contains("is not the one with which they were sealed"));
    let second = node_on(&redis, &[("COUNTERSIGN_TOKEN__SECRET", OTHER)]);
    assert_eq!(at(&second, &ann).visit().await, 2);
    assert!(node.terminate().success());
    node.configure("COUNTERSIGN_TOKEN__SECRET", OTHER);
    node.restart();
    assert_eq!(ann.visit().await, 3);
    let numbers = at_once((0..10).map(|n| at([&node, &second][n % 2], &ann).visit())).await;
    assert_eq!(numbers.iter().max(), Some(&13));
}

/// The steps of `docs/more-than-one-node.md`, with two nodes that read the secret from a file.
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_steps_give_all_nodes_another_secret() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let etc = tempfile::tempdir().unwrap();
    let etc = etc.path().to_str().unwrap();
    let here = [("-g countersign ", ""), ("/etc", etc)];
    let document = "docs/more-than-one-node.md";
    run_documented(&documented(document, "/etc/countersign.secret  "), &here, &[]);
    let file = format!("{etc}/countersign.secret");
    let first_secret = fs::read_to_string(&file).unwrap();
    let url = redis.url();
    let configuration = [
        ("COUNTERSIGN_STORE__URL", url.as_str()),
        ("COUNTERSIGN_TOKEN__SECRET", ""),
        ("COUNTERSIGN_TOKEN__SECRET_FILE", &file),
    ];
    let mut nodes = [Process::with(&configuration), Process::with(&configuration)];
    let ann = nodes[0].program();
    ann.join("ann@example.com").await;
    let before = sealed(&redis);

    let variables = [("COUNTERSIGN_STORE__URL", url.as_str())];
    run_documented(&documented(document, "keys reseal"), &here, &variables);
    let second_secret = fs::read_to_string(&file).unwrap();
    assert_ne!(first_secret, second_secret);
    for secret in [first_secret, second_secret] {
        capture::secret(capture::Kind::Key, secret.trim());
    }
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(etc).unwrap().count(), 1, "the old one is gone");
    assert_ne!(sealed(&redis), before);
    for (number, restarted) in (1..).zip([None, Some(0), Some(1)]) {
        if let Some(restarted) = restarted {
            let node: &mut Process = &mut nodes[restarted];
            assert!(node.terminate().success());
            node.restart();
        }
        for node in &nodes {
            at(node, &ann).check().await.expect(200);
        }
        assert_eq!(ann.visit().await, number);
    }
    for node in &nodes {
        assert!(!node.output().contains("is open to every user"), "{}", node.output());
    }
}

/// The steps of `packaging/two-nodes`, where it is in the environment.
#[tokio::test(flavor = "multi_thread")]
async fn the_steps_for_two_nodes_change_the_secret_in_their_environment() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let etc = tempfile::tempdir().unwrap();
    let old = made_secret(etc.path());
    let mut node = node_on(&redis, &[("COUNTERSIGN_TOKEN__SECRET", &old)]);
    let ann = node.program();
    ann.join("ann@example.com").await;
    let document = "packaging/two-nodes";
    let given = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let variables = fs::read_to_string(given.join("countersign.env")).unwrap();
    let variables = variables
        .replace("TOKEN__SECRET=CHANGE-ME", &format!("TOKEN__SECRET={old}"))
        .replace("redis://countersign:CHANGE-ME@10.0.0.7:6379", redis.url().as_str());
    let file = etc.path().join("countersign.env");
    fs::write(&file, variables).unwrap();
    fs::copy(given.join("countersign.toml"), etc.path().join("countersign.toml")).unwrap();

    let here = [("/etc/countersign", etc.path().to_str().unwrap())];
    let readme = format!("{document}/README.md");
    run_documented(&documented(&readme, "keys secret > new"), &here, &[]);
    run_documented(&documented(&readme, "keys reseal"), &here, &[]);
    run_documented(&documented(&readme, "mv /etc"), &here, &[]);
    assert_eq!(fs::read_dir(etc.path()).unwrap().count(), 2, "nothing is left over");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0);
    let changed = fs::read_to_string(&file).unwrap();
    let secret = changed.lines().find_map(|line| line.strip_prefix("COUNTERSIGN_TOKEN__SECRET="));
    let secret = secret.unwrap();
    capture::secret(capture::Kind::Key, secret);
    assert!(changed.contains(redis.url().as_str()) && !changed.contains(&old));

    assert_eq!(ann.visit().await, 1, "it goes on with the keys it has");
    assert!(node.terminate().success());
    node.configure("COUNTERSIGN_TOKEN__SECRET", secret);
    node.restart();
    assert_eq!(ann.visit().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_everybody_can_read_is_warned_of_once() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, SECRET).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let file = file.to_str().unwrap();
    let variables = [("COUNTERSIGN_TOKEN__SECRET", ""), ("COUNTERSIGN_TOKEN__SECRET_FILE", file)];
    let node = node_on(&redis, &variables);
    assert_eq!(node.output().matches("is open to every user").count(), 1, "{}", node.output());
}
