//! Several servers on one Redis, each a process of its own, and what happens to them when that goes
//! away.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    metrics,
    store_redis::cost::asked,
    support::{
        PASSWORD, PATIENCE, Process, RedisServer, SECRET, User, at_once, capture,
        redis::redis_works,
    },
};

/// The longest that an answer takes while Redis is away: twice its second, and what a busy machine
/// adds.
const BOUND: Duration = Duration::from_secs(5);

fn node_on(redis: &RedisServer) -> Process {
    Process::with(&[("COUNTERSIGN_STORE__URL", redis.url().as_str())])
}

/// The same person, at another node.
fn at(node: &Process, who: &User) -> User {
    let there = if who.is_browser() { node.browser() } else { node.program() };
    there.take(&who.token());
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_count_exactly_and_a_logout_holds_at_both() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let first = node_on(&redis);
    let second = first.beside();
    let ann = first.program();
    ann.join("ann@example.com").await;
    let nodes = [ann.clone(), at(&second, &ann)];
    let visits = at_once((0..100).map(|n| nodes[n % 2].visit())).await;
    let mut numbers = visits;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>(), "each visit a number, no number twice");

    let browser = second.browser();
    browser.log_in("ann@example.com").await;
    assert_eq!(browser.open_admin().await, 1);
    assert_eq!(at(&first, &browser).open_admin().await, 2);
    let copies = [browser.copy(), at(&first, &browser)];
    at(&first, &browser).log_out().await.expect(204);
    for copy in copies {
        copy.check().await.expect(401);
        copy.get("/admin").await.expect_page(401);
    }
    assert_eq!(ann.visit().await, 101, "the other session goes on");
    // Whoever failed too often at one node has done so at all.
    let wrong = async |node: &Process| {
        node.anonymous().try_log_in("ann@example.com", "wrong and wrong again", json!({})).await
    };
    for n in 0..10 {
        wrong(if n % 2 == 0 { &first } else { &second }).await.expect(401);
    }
    wrong(&first).await.expect(429);
    wrong(&second).await.expect(429);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_checks_from_memory_a_logout_holds_at_the_other_node_when_it_is_heard() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let mut first = node_on(&redis);
    assert!(first.terminate().success());
    first.configure("COUNTERSIGN_STORE__REDIS__CHECKS", "local");
    // Whoever does not hear of it within that time does not ask either.
    first.configure("COUNTERSIGN_STORE__REDIS__MAX_LAG", "20s");
    first.restart();
    let second = first.beside();
    let ann = first.program();
    ann.join("ann@example.com").await;
    assert_eq!(ann.visit().await, 1);
    let there = at(&second, &ann);
    let number = async |name, label| {
        let said = metrics::scrape(&metrics::admin_address(&second)).await;
        metrics::value(&said, name, label)
    };
    let from_memory =
        async || number("countersign_redis_checks_total", "answered=\"from_memory\"").await;
    let until_lag = async |is: fn(f64) -> bool, why: &str| {
        let started = Instant::now();
        while !is(number("countersign_redis_lag_seconds", "{store}").await) {
            assert!(started.elapsed() < PATIENCE, "{why}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let started = Instant::now();
    there.check().await.expect(200);
    while from_memory().await == 0.0 {
        assert!(started.elapsed() < BOUND, "nothing is remembered");
        there.check().await.expect(200);
    }
    assert_eq!(there.visit().await, 2, "visits are counted by Redis alone");
    there.check().await.expect(200);
    ann.log_out().await.expect(204);
    ann.check().await.expect(401);
    let started = Instant::now();
    while there.check().await.status != 401 {
        assert!(started.elapsed() < BOUND, "it was not heard of");
    }
    assert_eq!(there.try_visit().await.status, 401);
    // It waits for half a second at the most, and then it knows that nothing ended.
    until_lag(|lag| lag > 0.0 && lag < 1.0, "it hears all the time").await;
    redis.freeze();
    until_lag(|lag| lag > 3.0, "the lag grows").await;
    redis.thaw();
    until_lag(|lag| lag < 1.0, "it hears again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_goes_on_with_the_same_cookies_after_redis_was_killed() {
    if !redis_works() {
        return;
    }
    let mut redis = RedisServer::start();
    let mut node = node_on(&redis);
    let ann = node.browser();
    let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
    ann.post("/signup", &fields).await.expect_redirect("/admin");
    let other = node.browser();
    other.log_in("ann@example.com").await;
    let copy = other.copy();
    for number in 1..=3 {
        assert_eq!(ann.open_admin().await, number);
    }
    other.log_out().await.expect(204);

    redis.kill_hard();
    away(&node, &ann).await;
    redis.restart();
    back(&node).await;
    assert_eq!(ann.open_admin().await, 4, "without a restart of the node, with the same cookie");
    copy.check().await.expect(401);

    node.kill_hard();
    node.restart();
    assert_eq!(ann.open_admin().await, 5);
    ann.get("/logout").await.expect_redirect("/");
    assert!(node.terminate().success());
    assert!(!node.output().contains("panic"), "{}", node.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_is_answered_503_in_bounded_time_and_nobody_is_logged_out() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let node = node_on(&redis);
    let ann = node.browser();
    ann.join("ann@example.com").await;
    assert_eq!(ann.open_admin().await, 1);
    redis.freeze();
    away(&node, &ann).await;
    let crowd = (0..30).map(|_| {
        let ann = ann.clone();
        async move {
            let started = Instant::now();
            ann.check().await.expect_no_cookie().expect_problem(503, "store_unavailable");
            started.elapsed()
        }
    });
    for took in at_once(crowd).await {
        assert!(took < BOUND, "{took:?}");
    }
    redis.thaw();
    back(&node).await;
    ann.check().await.expect(200);
    assert_eq!(ann.open_admin().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_and_a_visit_ask_redis_once() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let node = node_on(&redis);
    let ann = node.browser();
    ann.join("ann@example.com").await;
    ann.visit().await;
    asked(&redis);
    ann.check().await.expect(200);
    assert_eq!(asked(&redis), BTreeMap::from([("fcall_ro".to_owned(), 1)]));
    ann.visit().await;
    assert_eq!(asked(&redis), BTreeMap::from([("fcall".to_owned(), 1)]));
}

/// What everybody is answered while Redis is away.
async fn away(node: &Process, who: &User) {
    let cookie = who.cookie();
    let started = Instant::now();
    let mut answers = 0;
    for answer in [
        who.check().await,
        who.try_visit().await,
        who.log_out().await,
        who.try_log_in("ann@example.com", PASSWORD, json!({})).await,
        who.sign_up("new@example.com").await,
    ] {
        let answer = answer.expect_no_cookie().expect_problem(503, "store_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
        answers += 1;
    }
    who.get("/admin").await.expect_page(503).expect_no_cookie();
    assert!(started.elapsed() < (answers + 1) * BOUND, "{:?}", started.elapsed());
    assert_eq!(who.cookie(), cookie, "nobody loses a cookie");
    node.anonymous().get("/readyz").await.expect(503);
    node.anonymous().get("/healthz").await.expect(200);
}

async fn back(node: &Process) {
    let started = Instant::now();
    while node.anonymous().get("/readyz").await.status != 200 {
        assert!(started.elapsed() < PATIENCE, "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The command line beside a node, on its data directory.
fn run(node: &Process, redis: Option<&RedisServer>, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .env_clear()
        .env("COUNTERSIGN_PASSWORD__MEMORY_KIB", "8")
        .env("COUNTERSIGN_PASSWORD__PASSES", "1")
        .env("COUNTERSIGN_TOKEN__SECRET", SECRET)
        .args(args)
        .current_dir(node.directory())
        .stdin(Stdio::null());
    if let Some(redis) = redis {
        command.env("COUNTERSIGN_STORE__URL", redis.url().as_str());
    }
    let output = capture::finished(command.output().unwrap());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_stays_logged_in_when_the_store_moves_to_redis_and_back() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let mut embedded = Process::start();
    let ann = embedded.browser();
    ann.join("ann@example.com").await;
    for number in 1..=2 {
        assert_eq!(ann.open_admin().await, number);
    }
    run(&embedded, None, &["backup", "--with-keys", "there"]);
    assert!(embedded.terminate().success());
    std::fs::remove_dir_all(embedded.data_dir()).unwrap();
    let said = run(&embedded, Some(&redis), &["restore", "there"]);
    assert!(said.contains("accounts 1, sessions 1, signing keys 1"), "{said}");
    // With nobody serving, the command line works on Redis itself.
    let listed = run(&embedded, Some(&redis), &["session", "list", "ann@example.com"]);
    assert!(listed.contains(&ann.sid()), "{listed}");

    embedded.configure("COUNTERSIGN_STORE__URL", redis.url().as_str());
    embedded.restart();
    assert_eq!(ann.open_admin().await, 3);
    let second = embedded.beside();
    assert_eq!(at(&second, &ann).open_admin().await, 4, "with an empty data directory");
    for node in [&embedded, &second] {
        assert!(!node.data_dir().join("keys").exists(), "no key is a file");
    }
    run(&embedded, Some(&redis), &["account", "disable", "ann@example.com"]);
    run(&embedded, Some(&redis), &["account", "enable", "ann@example.com"]);
    ann.get("/admin").await.expect_page(401);
    ann.log_in("ann@example.com").await;
    assert_eq!(ann.open_admin().await, 1);
    let said = run(&embedded, Some(&redis), &["backup", "back"]);
    assert!(said.contains("the signing keys stay in Redis (or use --with-keys)"), "{said}");
    let said = run(&embedded, Some(&redis), &["backup", "--with-keys", "--force", "back"]);
    assert!(said.contains("signing keys 1"), "{said}");
    assert!(embedded.terminate().success());

    embedded.configure("COUNTERSIGN_STORE__URL", "sled");
    run(&embedded, None, &["restore", "back"]);
    embedded.restart();
    assert_eq!(ann.open_admin().await, 2);
}

/// An authority, and a certificate for this name that it signed, in a directory.
pub(crate) fn certificates(dir: &Path, name: &str) {
    let openssl = |line: &str| {
        let done = Command::new("openssl").args(line.split(' ')).current_dir(dir).output().unwrap();
        assert!(done.status.success(), "{line}: {done:?}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
    openssl(&format!("req {key} -keyout key.pem -out request.pem -subj /CN=redis"));
    std::fs::write(dir.join("names"), format!("subjectAltName=DNS:{name}")).unwrap();
    openssl(
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 \
         -extfile names",
    );
}

/// Whether certificates can be made here.
pub(crate) fn openssl_works() -> bool {
    let tried = Command::new("openssl").arg("version").output();
    let works = tried.as_ref().is_ok_and(|output| output.status.success());
    if !works {
        assert!(std::env::var_os("CI").is_none(), "openssl is needed: {tried:?}");
        println!("skipped: there is no openssl here: {tried:?}");
    }
    works
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_the_server_is_one_that_the_authorities_know() {
    if !redis_works() || !openssl_works() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path(), "localhost");
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (cert, key, authority) = (file("cert.pem"), file("key.pem"), file("ca.pem"));
    let _redis = RedisServer::with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &authority,
        "--tls-auth-clients",
        "no",
    ]);
    let url = format!("rediss://localhost:{port}");
    let node = Process::with(&[("COUNTERSIGN_STORE__URL", &url), ("SSL_CERT_FILE", &authority)]);
    let ann = node.browser();
    ann.join("ann@example.com").await;
    assert_eq!(ann.open_admin().await, 1);

    // Another authority's.
    let elsewhere = tempfile::tempdir().unwrap();
    certificates(elsewhere.path(), "localhost");
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .env_clear()
        .env("COUNTERSIGN_STORE__URL", &url)
        .env("SSL_CERT_FILE", elsewhere.path().join("ca.pem"))
        .args(["account", "list"])
        .current_dir(elsewhere.path())
        .stdin(Stdio::null());
    let output = capture::finished(command.output().unwrap());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("certificate") && said.lines().count() == 1, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_use_its_redis_says_why_in_one_line() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::with(&["--maxmemory-policy", "volatile-lru"]);
    let dir = tempfile::tempdir().unwrap();
    let start = |args: &[&str], url: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.env_clear().env("COUNTERSIGN_STORE__URL", url).args(args);
        command.env("COUNTERSIGN_TOKEN__SECRET", SECRET);
        let output = command.current_dir(dir.path()).stdin(Stdio::null()).output().unwrap();
        let output = capture::finished(output);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("secret of the cache"), "{said}");
        said.lines().last().unwrap().to_owned()
    };
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let said = start(&serve, redis.url().as_str());
    assert!(said.contains("volatile-lru") && said.contains("noeviction"), "{said}");
    for args in [&serve[..], &["account", "list"]] {
        let said = start(args, "redis://ann:secret%20of%20the%20cache@127.0.0.1:1");
        assert!(said.starts_with("countersign: cannot use the Redis at 127.0.0.1:1: "), "{said}");
    }
}
