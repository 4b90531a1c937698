//! The signing keys that nodes on one Redis share: sealed there, and known to every node before they
//! sign.
//!
//! | file | what it shows |
//! |---|---|
//! | `secret` | another secret, by the documented steps |
//! | `thrown` | keys that are thrown away, by the documented steps, and keys that only got lost |
//! | `rotated` | a new key because an operator wants one |
//! | `copied` | backups of them, and backups that are brought to them |

mod copied;
mod rotated;
mod secret;
mod thrown;

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    PATIENCE, Process, RedisServer, SECRET, User, capture, header, redis::redis_works,
};

/// Where the keys are in Redis.
const KEYS: &str = "countersign:{store}:keys";

/// Another secret, which is as good.
const OTHER: &str = "another secret for the signing keys of these tests";

fn node_on(redis: &RedisServer, more: &[(&str, &str)]) -> Process {
    let url = redis.url();
    Process::with(&[&[("COUNTERSIGN_STORE__URL", url.as_str())], more].concat())
}

/// The same person, at another node.
fn at(node: &Process, who: &User) -> User {
    let there = if who.is_browser() { node.browser() } else { node.program() };
    there.take(&who.token());
    there
}

/// The command line in a directory without anything.
fn command(redis: &RedisServer, secret: &[(&str, &str)], dir: &Path, args: &[&str]) -> Output {
    command_on(redis.url().as_str(), secret, dir, args)
}

fn command_on(store: &str, secret: &[(&str, &str)], dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .env_clear()
        .env("COUNTERSIGN_STORE__URL", store)
        .env("COUNTERSIGN_LISTEN", "127.0.0.1:0")
        .envs(secret.iter().copied())
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null());
    capture::finished(command.output().unwrap())
}

/// What it says when it does it.
fn said(redis: &RedisServer, dir: &Path, args: &[&str]) -> String {
    let output = command(redis, &[("COUNTERSIGN_TOKEN__SECRET", SECRET)], dir, args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A secret as the command line makes it. What it says is the secret, and is not looked through for any.
fn made_secret(dir: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output = command.env_clear().args(["keys", "secret"]).current_dir(dir).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let secret = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    capture::secret(capture::Kind::Key, &secret);
    secret
}

/// What it says when it does not.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains(SECRET) && !said.contains(OTHER) && !said.contains("short"), "{said}");
    assert_eq!(output.stdout, b"");
    let line = said.lines().last().unwrap().to_owned();
    assert!(line.starts_with("countersign: "), "{said}");
    line
}

fn list(redis: &RedisServer) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    serde_json::from_str(&said(redis, dir.path(), &["keys", "list", "--json"])).unwrap()
}

/// The keys as Redis has them: what each is sealed in, by its id.
fn sealed(redis: &RedisServer) -> Vec<(String, String)> {
    let ids = redis.ask(&["HKEYS", KEYS]);
    let ids = ids.lines().filter(|id| *id != "revision");
    ids.map(|id| (id.to_owned(), redis.ask(&["HGET", KEYS, id]).trim().to_owned())).collect()
}

/// The commands that a document has in its block with these words.
fn documented(document: &str, words: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let found: Vec<_> = blocks.filter(|block| block.contains(words)).collect();
    assert_eq!(found.len(), 1, "{document}: {words}");
    found[0].to_owned()
}

/// Runs commands of a document, changed for this machine: each word must be there. Services are
/// restarted by the test.
fn run_documented(commands: &str, changes: &[(&str, &str)], variables: &[(&str, &str)]) {
    let mut commands = commands.to_owned();
    for (from, to) in changes {
        assert!(commands.contains(from), "{from}: {commands}");
        commands = commands.replace(from, to);
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-euc", &format!("systemctl() {{ :; }}\n{commands}")])
        .env_clear()
        .env("PATH", path)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let output = capture::finished(output);
    assert!(output.status.success(), "{commands}\n{output:?}");
}

/// Waits for something that a node does by itself.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn published(node: &Process) -> Vec<String> {
    let keys = node.anonymous().get("/.well-known/jwks.json").await.json();
    let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
    keys["keys"].as_array().unwrap().iter().map(kid).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_agree_on_one_key_and_a_new_one_verifies_at_once() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let nodes: Vec<_> = thread::scope(|scope| {
        let starting: Vec<_> = (0..3).map(|_| scope.spawn(|| node_on(&redis, &[]))).collect();
        starting.into_iter().map(|node| node.join().unwrap()).collect()
    });
    let keys = list(&redis);
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!(keys[0]["status"], "signing");
    let ann = nodes[0].browser();
    ann.join("ann@example.com").await;
    let late = nodes[0].beside();
    for (number, node) in (1..).zip(nodes.iter().chain([&late])) {
        assert_eq!(published(node).await, [keys[0]["kid"].as_str().unwrap()]);
        assert_eq!(at(node, &ann).open_admin().await, number);
        assert!(!node.data_dir().join("keys").exists(), "no key is a file");
    }
    assert_eq!(sealed(&redis).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_secret_no_node_starts_and_the_command_line_works() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, "too short\n").unwrap();
    let file = file.to_str().unwrap();
    let start =
        |variables: &[(&str, &str)]| refused(&command(&redis, variables, dir.path(), &["serve"]));
    let missing = start(&[]);
    for word in ["COUNTERSIGN_TOKEN__SECRET", "`token.secret_file`", "`countersign keys secret`"] {
        assert!(missing.contains(word), "{missing}");
    }
    let short = start(&[("COUNTERSIGN_TOKEN__SECRET", &"x".repeat(31))]);
    assert!(short.contains("`token.secret`") && short.contains("32 characters"), "{short}");
    let short = start(&[("COUNTERSIGN_TOKEN__SECRET_FILE", file)]);
    assert!(short.contains("`token.secret_file`") && short.contains("32 characters"), "{short}");
    let nowhere = start(&[("COUNTERSIGN_TOKEN__SECRET_FILE", "nowhere")]);
    assert!(nowhere.contains("cannot read") && nowhere.contains("nowhere"), "{nowhere}");
    let both = [("COUNTERSIGN_TOKEN__SECRET_FILE", file), ("COUNTERSIGN_TOKEN__SECRET", SECRET)];
    let both = start(&both);
    assert!(both.contains("must not be set beside `token.secret`"), "{both}");
    assert_eq!(redis.ask(&["EXISTS", KEYS]).trim(), "0", "nothing was made");
    let checked = refused(&command(&redis, &[], dir.path(), &["config", "check"]));
    assert_eq!(checked, missing);

    let node = node_on(&redis, &[]);
    let wrong = start(&[("COUNTERSIGN_TOKEN__SECRET", OTHER)]);
    assert!(wrong.contains("is not the one with which they were sealed"), "{wrong}");
    let wrong = refused(&command(&redis, &[], dir.path(), &["keys", "list"]));
    assert_eq!(wrong, missing);
    let wrong = refused(&command(&redis, &[], dir.path(), &["backup", "--with-keys", "backup"]));
    assert_eq!(wrong, missing);
    for args in [&["account", "list"][..], &["backup", "backup"], &["config", "show"]] {
        let output = command(&redis, &[], dir.path(), args);
        assert!(output.status.success(), "{output:?}");
    }
    let shown = said(&redis, dir.path(), &["config", "show"]);
    assert!(shown.contains("secret = \"***\"") && !shown.contains(SECRET), "{shown}");

    // From a file, which ends in a line break.
    fs::write(file, format!("{SECRET}\n")).unwrap();
    let url = redis.url();
    let mut other = Process::with(&[]);
    assert!(other.terminate().success());
    other.configure("COUNTERSIGN_STORE__URL", url.as_str());
    other.configure("COUNTERSIGN_TOKEN__SECRET", "");
    other.configure("COUNTERSIGN_TOKEN__SECRET_FILE", file);
    other.restart();
    assert_eq!(published(&other).await, published(&node).await);
    // Its own key, of when it had a store of its own, is no key here, and that is said.
    assert!(other.output().contains("are not used, those in the store are"), "{}", other.output());
    assert!(other.data_dir().join("keys").exists(), "it is the operator's");
    let made = made_secret(dir.path());
    assert!(made.len() >= 32 && made != made_secret(dir.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moves_to_redis_takes_the_keys_along_and_nothing_of_them_can_be_read_there() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let mut node = Process::with(&[("COUNTERSIGN_LOG__FILTER", "trace")]);
    let ann = node.browser();
    ann.join("ann@example.com").await;
    let before = published(&node).await;
    let keys = node.data_dir().join("keys");
    let file = fs::read_dir(&keys).unwrap().next().unwrap().unwrap().path();
    let key: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let private = key["d"].as_str().unwrap();
    assert!(node.terminate().success());
    node.configure("COUNTERSIGN_STORE__URL", redis.url().as_str());
    node.restart();
    assert_eq!(published(&node).await, before);
    assert!(node.output().contains("are in the store now, sealed"), "{}", node.output());
    assert!(!keys.exists() && node.data_dir().join("keys.in-redis").exists());
    let second = node.beside();
    assert_eq!(published(&second).await, before);
    ann.join("ann@example.com").await;
    assert_eq!(at(&second, &ann).open_admin().await, 1);
    said(&redis, second.directory(), &["backup", "--with-keys", "backup"]);

    let bytes = {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(private).unwrap()
    };
    let in_redis = [redis.written(), redis.ask(&["HGETALL", KEYS]).into_bytes()].concat();
    let has = |text: &[u8], looked_for: &[u8]| {
        text.windows(looked_for.len()).any(|window| window == looked_for)
    };
    assert!(has(&in_redis, before[0].as_bytes()), "the key's id is there");
    let log = node.output() + &second.output();
    for secret in [private.as_bytes(), &bytes, SECRET.as_bytes(), &SECRET.as_bytes()[..20]] {
        assert!(!has(&in_redis, secret));
        assert!(!has(log.as_bytes(), secret));
    }
    // A key is sealed in nothing that a token shows.
    assert!(!has(&in_redis, br#""d""#) && !has(&in_redis, b"private"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_algorithm_goes_round_the_nodes_and_no_visit_is_refused() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let mut first = node_on(&redis, &[]);
    let mut second = first.beside();
    let mut ann = first.program();
    ann.join("ann@example.com").await;
    let algorithm = |who: &User| header(&who.token())["alg"].as_str().unwrap().to_owned();
    let old = ann.copy();
    assert!(first.terminate().success());
    first.configure("COUNTERSIGN_TOKEN__ALGORITHM", "ES256");
    first.restart();

    let started = Instant::now();
    let mut visits = 0;
    let mut last = Vec::new();
    // Until both sign with the new key, each takes what the other signed.
    while last != ["ES256", "ES256"] {
        assert!(started.elapsed() < PATIENCE.max(Duration::from_secs(40)), "{last:?}");
        last.clear();
        for node in [&first, &second] {
            ann = at(node, &ann);
            visits += 1;
            assert_eq!(ann.visit().await, visits);
            last.push(algorithm(&ann));
        }
        if started.elapsed() < Duration::from_secs(5) {
            assert_eq!(last, ["EdDSA", "EdDSA"], "the new key does not sign yet");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(started.elapsed() > Duration::from_secs(10), "{:?}", started.elapsed());
    let keys = list(&redis);
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_eq!([&keys[0]["status"], &keys[1]["status"]], ["verifying", "signing"]);

    assert!(second.terminate().success());
    second.configure("COUNTERSIGN_TOKEN__ALGORITHM", "ES256");
    second.restart();
    for node in [&second, &first] {
        ann = at(node, &ann);
        visits += 1;
        assert_eq!(ann.visit().await, visits);
        at(node, &old).check().await.expect(200);
        assert_eq!(published(node).await.len(), 2);
        assert_eq!(published(node).await[0], keys[1]["kid"].as_str().unwrap());
    }
    assert_eq!(list(&redis), keys, "a second start changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_in_the_place_of_a_key_is_refused_and_running_nodes_go_on() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let node = node_on(&redis, &[]);
    let ann = node.program();
    ann.join("ann@example.com").await;
    let mut other = node_on(&redis, &[("COUNTERSIGN_TOKEN__ALGORITHM", "ES256")]);
    assert!(other.terminate().success());
    let keys = sealed(&redis);
    assert_eq!(keys.len(), 2);
    let (kid, good) = &keys[0];
    let dir = tempfile::tempdir().unwrap();
    let mut flipped = good.clone().into_bytes();
    let middle = flipped.len() * 3 / 4;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for bad in [&keys[1].1, &flipped, "", "nonsense", &good[..good.len() - 1]] {
        redis.ask(&["HSET", KEYS, kid, bad]);
        let output =
            command(&redis, &[("COUNTERSIGN_TOKEN__SECRET", SECRET)], dir.path(), &["serve"]);
        let said = refused(&output);
        let expected = format!("countersign: cannot open the signing key {kid} in the store: ");
        assert!(said.starts_with(&expected) && said.contains("damaged"), "{said}");
    }
    eventually("it says so", || node.output().contains("were not read anew")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(node.output().matches("were not read anew").count(), 1, "it is said once");
    ann.visit().await;
    node.anonymous().get("/readyz").await.expect(200);
    redis.ask(&["HSET", KEYS, kid, good]);
    eventually("it says so", || node.output().contains("were read again")).await;
}
