//! The real binary: what it says, what it refuses, how it starts and how it stops.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery staple";
const EMAIL: &str = "ann@example.com";

/// The binary, with nothing of this process's surroundings but cheap password hashes.
fn countersign(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .env_clear()
        .env("COUNTERSIGN_PASSWORD__MEMORY_KIB", "64")
        .env("COUNTERSIGN_PASSWORD__PASSES", "1")
        .current_dir(dir)
        .stdin(Stdio::null());
    command
}

/// Runs it to its end, with `input` on its standard input.
fn run(dir: &Path, args: &[&str], input: &str) -> Output {
    finish(countersign(dir).args(args), input)
}

fn finish(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who reads no input may be gone already.
    let _gone = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn done(output: &Output) -> &str {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr, "", "a success is silent on standard error");
    stdout(output)
}

/// The one line that a failure says, without its prefix.
fn failed(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "one line: {stderr}");
    assert_eq!(stdout(output), "");
    let line = stderr.strip_prefix("countersign: ").expect("who says it");
    line.trim_end().to_owned()
}

/// A running server, killed when it is dropped.
struct Server {
    process: Child,
    url: String,
    dir: PathBuf,
    log: PathBuf,
}

impl Server {
    fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    fn start_with(dir: &Path, variables: &[(&str, &str)]) -> Self {
        let log = dir.join("log.txt");
        let mut process = countersign(dir)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ");
        let url = url.unwrap_or_else(|| panic!("{line:?}: {:?}", fs::read_to_string(&log)));
        Self { url: url.to_owned(), process, dir: dir.to_owned(), log }
    }

    fn admin(&self) -> Value {
        let text = fs::read(self.dir.join("data/admin.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end. A server that does not stop fails the test instead of hanging it.
    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    async fn is_alive(&self) -> bool {
        let answer = client().get(format!("{}/healthz", self.url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Logs in by the API; the session's bearer token.
    async fn log_in(&self) -> String {
        let answer = client()
            .post(format!("{}/api/v1/session", self.url))
            .json(&json!({"email": EMAIL, "password": PASSWORD, "transport": "bearer"}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201);
        let body: Value = answer.json().await.unwrap();
        body["token"].as_str().unwrap().to_owned()
    }

    async fn session_status(&self, token: &str) -> u16 {
        let request = client().get(format!("{}/api/v1/session", self.url));
        let answer = request.bearer_auth(token).send().await.unwrap();
        answer.status().as_u16()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn temp() -> TempDir {
    TempDir::new().unwrap()
}

// --- what it says ---

#[test]
fn every_command_has_its_help() {
    let dir = temp();
    for command in [
        &[][..],
        &["serve"],
        &["account"],
        &["account", "add"],
        &["session"],
        &["session", "revoke"],
        &["keys"],
        &["keys", "list"],
        &["openapi"],
        &["config"],
        &["config", "show"],
    ] {
        let args = [command, &["--help"]].concat();
        let help = run(dir.path(), &args, "");
        assert!(done(&help).contains("Usage: countersign"), "{args:?}");
    }
    let help = run(dir.path(), &["--help"], "");
    for word in ["serve", "account", "session", "keys", "openapi", "config", "Examples:"] {
        assert!(stdout(&help).contains(word), "{word}");
    }
}

#[test]
fn what_is_not_understood_exits_with_2() {
    let dir = temp();
    for args in [
        &["frobnicate"][..],
        &["account", "add"],
        &["account", "add", "no address"],
        &["account", "add", EMAIL, "--password", PASSWORD],
        &["account", "add", EMAIL, PASSWORD],
        &["session", "revoke"],
        &["session", "revoke", EMAIL, "no-session-id"],
        &["session", "revoke", EMAIL, "--all-accounts"],
        &["serve", "--listen", "3000"],
        &["serve", "--public-url", "https://example.com/path"],
        &["serve", "--store", "redis://localhost"],
        &["openapi", "--format", "xml"],
    ] {
        let output = run(dir.path(), args, "");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(stdout(&output), "");
        assert!(!output.stderr.is_empty());
    }
    assert!(!dir.path().join("data").exists(), "and nothing was made");
}

#[test]
fn the_openapi_document_is_printed_in_both_forms() {
    let dir = temp();
    let json = run(dir.path(), &["openapi"], "");
    let document: Value = serde_json::from_str(done(&json)).unwrap();
    assert!(document["paths"].as_object().unwrap().len() > 3);
    let yaml = run(dir.path(), &["openapi", "--format", "yaml"], "");
    assert!(done(&yaml).starts_with("openapi: "));
}

// --- configuration ---

#[test]
fn an_unknown_key_stops_every_command_and_is_named() {
    let dir = temp();
    fs::write(dir.path().join("countersign.toml"), "[session]\nidel = '5m'\n").unwrap();
    for args in [&["serve"][..], &["account", "list"], &["config", "check"], &["keys", "list"]] {
        let line = failed(&run(dir.path(), args, ""));
        assert!(line.starts_with("unknown key `session.idel` in countersign.toml"), "{line}");
    }
    fs::write(dir.path().join("countersign.toml"), "").unwrap();
    let variable = finish(
        countersign(dir.path()).args(["config", "check"]).env("COUNTERSIGN_SESSION__IDEL", "5m"),
        "",
    );
    let line = failed(&variable);
    assert!(line.contains("`session.idel`") && line.contains("COUNTERSIGN_SESSION__IDEL"));
}

#[test]
fn what_show_prints_is_the_same_configuration_again() {
    let dir = temp();
    let shown = finish(
        countersign(dir.path())
            .args(["config", "show", "--data-dir", "elsewhere"])
            .env("COUNTERSIGN_SESSION__IDLE", "90m")
            .env("COUNTERSIGN_PUBLIC_URL", "https://login.example.com"),
        "",
    );
    let shown = done(&shown);
    for line in [
        "idle = \"1h30m\"",
        "data_dir = \"elsewhere\"",
        "issuer = \"https://login.example.com\"",
        "memory_kib = 64",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    let file = dir.path().join("again.toml");
    fs::write(&file, shown).unwrap();
    let file = file.to_str().unwrap();
    let again = run(dir.path(), &["config", "show", "--config", file], "");
    assert_eq!(done(&again), shown);
    let checked = run(dir.path(), &["config", "check", "--config", file], "");
    assert!(done(&checked).contains("the configuration is good"));
    assert!(done(&checked).contains("warning: password.memory_kib"));
    let named = finish(
        countersign(dir.path()).args(["config", "show"]).env("COUNTERSIGN_CONFIG", file),
        "",
    );
    assert_eq!(done(&named), shown);
    assert!(!dir.path().join("elsewhere").exists(), "showing makes nothing");
}

// --- accounts and sessions, with a server and without ---

/// What an operator does to accounts, whoever carries it out.
fn accounts_come_and_go(dir: &Path) {
    let account = |args: &[&str], input: &str| run(dir, &[&["account"], args].concat(), input);

    assert!(done(&account(&["add", "Ann@Example.com"], &format!("{PASSWORD}\n"))).contains(EMAIL));
    let bob = account(&["add", "bob@example.com"], "  a password with spaces  ");
    assert!(done(&bob).starts_with("added bob@example.com ("));
    let again = account(&["add", EMAIL], "another long password\n");
    assert_eq!(failed(&again), "an account with this e-mail address exists");
    let short = account(&["add", "carol@example.com"], "short\n");
    assert_eq!(failed(&short), "the password must have at least 15 characters");
    let none = account(&["add", "carol@example.com"], "");
    assert!(failed(&none).contains("no password on standard input"));

    let table = account(&["list"], "");
    let lines: Vec<_> = done(&table).lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("E-MAIL"));
    assert!(lines[1].starts_with(EMAIL) && lines[2].starts_with("bob@example.com"));
    assert_eq!(lines[0].find("STATE"), lines[1].find("active"), "aligned");

    let nobody = account(&["disable", "nobody@example.com"], "");
    assert_eq!(failed(&nobody), "no account has this e-mail address");
    assert_eq!(done(&account(&["disable", "bob@example.com"], "")), "disabled bob@example.com\n");
    let list = account(&["list", "--json"], "");
    let list: Value = serde_json::from_str(done(&list)).unwrap();
    assert_eq!(list[0]["email"], EMAIL);
    assert_eq!(list[0]["state"], "active");
    assert_eq!(list[1]["state"], "disabled");
    let keys: Vec<_> = list[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["created_at", "email", "id", "state"], "and no hash");

    done(&account(&["enable", "bob@example.com"], ""));
    done(&account(&["password", "bob@example.com"], "yet another password\n"));
    assert_eq!(done(&account(&["remove", "bob@example.com"], "")), "removed bob@example.com\n");
    assert_eq!(done(&account(&["list"], "")).lines().count(), 2);
    let sessions = run(dir, &["session", "list", EMAIL, "--json"], "");
    assert_eq!(done(&sessions), "[]\n");
}

#[test]
fn accounts_come_and_go_without_a_server() {
    let dir = temp();
    accounts_come_and_go(dir.path());
    assert!(!dir.path().join("data/admin.json").exists());
}

#[tokio::test]
async fn accounts_come_and_go_beside_a_running_server() {
    let dir = temp();
    let server = Server::start(dir.path());
    accounts_come_and_go(dir.path());
    // It was the server that did it: it knows the account.
    server.log_in().await;
}

#[tokio::test]
async fn an_operator_sees_and_ends_the_sessions_of_others() {
    let dir = temp();
    let server = Server::start(dir.path());
    let run = |args: &[&str]| run(dir.path(), args, "");
    let added = super::cli::run(dir.path(), &["account", "add", EMAIL], PASSWORD);
    done(&added);
    let first = server.log_in().await;
    let second = server.log_in().await;

    let list = run(&["session", "list", EMAIL, "--json"]);
    let list: Value = serde_json::from_str(done(&list)).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    let text = list.to_string();
    assert!(!text.contains(&first) && !text.contains(&second), "no token is shown");
    let table = run(&["session", "list", EMAIL]);
    assert!(done(&table).starts_with("SESSION"));

    let sid = list[0]["id"].as_str().unwrap();
    let revoked = run(&["session", "revoke", EMAIL, sid]);
    assert_eq!(done(&revoked), format!("revoked {sid}; 1 session ended\n"));
    let twice = run(&["session", "revoke", EMAIL, sid]);
    assert!(failed(&twice).contains("no such session"));
    assert_eq!(server.session_status(&first).await, 401);
    assert_eq!(server.session_status(&second).await, 200, "the other one lives");

    let disabled = run(&["account", "disable", EMAIL]);
    assert_eq!(done(&disabled), format!("disabled {EMAIL}; 1 session ended\n"));
    assert_eq!(server.session_status(&second).await, 401);
    done(&run(&["account", "enable", EMAIL]));
    assert_eq!(server.session_status(&second).await, 401, "enabling revives nothing");

    let tokens = [server.log_in().await, server.log_in().await];
    let revoked = run(&["session", "revoke", EMAIL]);
    assert!(done(&revoked).ends_with("2 sessions ended\n"));
    assert_eq!(server.session_status(&tokens[0]).await, 401);

    let token = server.log_in().await;
    let all = run(&["session", "revoke", "--all-accounts", "--yes"]);
    assert!(done(&all).contains("every session ended"));
    assert_eq!(server.session_status(&token).await, 401);
    server.log_in().await;
}

#[tokio::test]
async fn what_was_ended_without_a_server_stays_ended_with_one() {
    let dir = temp();
    let mut server = Server::start(dir.path());
    done(&run(dir.path(), &["account", "add", EMAIL], PASSWORD));
    let (ended, other) = (server.log_in().await, server.log_in().await);
    server.signal("TERM");
    server.wait();

    let list = run(dir.path(), &["session", "list", EMAIL, "--json"], "");
    let list: Value = serde_json::from_str(done(&list)).unwrap();
    let sid = list[0]["id"].as_str().unwrap();
    done(&run(dir.path(), &["session", "revoke", EMAIL, sid], ""));

    let server = Server::start(dir.path());
    assert_eq!(server.session_status(&ended).await, 401);
    assert_eq!(server.session_status(&other).await, 200, "on another port, too");
}

// --- no secret leaves ---

#[tokio::test]
async fn a_password_is_in_no_process_list_log_or_file() {
    let dir = temp();
    let server = Server::start_with(dir.path(), &[("COUNTERSIGN_LOG__FILTER", "trace")]);
    let mut adding = countersign(dir.path())
        .args(["account", "add", EMAIL])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    adding.stdin.as_mut().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
    for file in ["cmdline", "environ"] {
        let seen = fs::read(format!("/proc/{}/{file}", adding.id())).unwrap();
        assert!(!String::from_utf8_lossy(&seen).contains("battery"), "{file}");
    }
    let added = adding.wait_with_output().unwrap();
    assert!(added.status.success());
    assert!(!stdout(&added).contains("battery"));
    let token = server.log_in().await;
    let wrong = json!({"email": EMAIL, "password": "a wrong and secret password"});
    let refused = client().post(format!("{}/api/v1/session", server.url)).json(&wrong);
    assert_eq!(refused.send().await.unwrap().status(), 401);
    assert_eq!(server.session_status(&format!("{token}x")).await, 401);

    let log = server.log();
    assert!(log.contains("\"log_in\""), "it was logged, at level trace");
    let operator = server.admin()["token"].as_str().unwrap().to_owned();
    for secret in ["battery", "wrong and secret", &token, &operator, "$argon2"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    assert!(!holds(&dir.path().join("data"), b"battery"));
}

/// Whether a file beneath `dir` holds these bytes.
fn holds(dir: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        let content = fs::read(path).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn keys_are_listed_and_not_shown() {
    let dir = temp();
    let server = Server::start(dir.path());
    let table = run(dir.path(), &["keys", "list"], "");
    assert_eq!(done(&table).lines().count(), 2);
    assert!(done(&table).contains("EdDSA") && done(&table).contains("signing"));
    let list = run(dir.path(), &["keys", "list", "--json"], "");
    let list: Value = serde_json::from_str(done(&list)).unwrap();
    let keys: Vec<_> = list[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["algorithm", "created_at", "kid", "status"], "no private part");
    drop(server);
}

#[test]
fn nobody_else_can_read_the_data_directory() {
    let dir = temp();
    let _server = Server::start(dir.path());
    let mode = |path: &str| {
        let metadata = fs::metadata(dir.path().join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("data"), 0o700);
    assert_eq!(mode("data/store"), 0o700);
    assert_eq!(mode("data/keys"), 0o700);
    assert_eq!(mode("data/admin.json"), 0o600);
}

// --- the admin interface ---

#[tokio::test]
async fn the_admin_interface_answers_its_operator_alone() {
    let dir = temp();
    let server = Server::start(dir.path());
    let admin = server.admin();
    let url = admin["url"].as_str().unwrap();
    let token = admin["token"].as_str().unwrap();
    let operate = |token: &str| {
        let body = json!({"command": "list_accounts", "after": null});
        client().post(format!("{url}/operate")).bearer_auth(token).json(&body)
    };
    let status =
        async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();

    assert_eq!(status(operate(token)).await, 200);
    assert_eq!(status(operate("wrong")).await, 401);
    assert_eq!(status(operate("")).await, 401);
    assert_eq!(status(client().post(format!("{url}/operate")).body("{}")).await, 401);
    assert_eq!(status(operate(token).header("origin", url)).await, 403);
    assert_eq!(status(operate(token).header("host", "evil.example")).await, 403);
    assert_eq!(status(operate(token).header("host", "localhost")).await, 200);
    let post = || client().post(format!("{url}/operate")).bearer_auth(token);
    assert_eq!(status(post().body("{}")).await, 415);
    let typed = || post().header("content-type", "application/json");
    assert_eq!(status(typed().body("{}")).await, 422);
    assert_eq!(status(typed().body(vec![b' '; 64 * 1024 + 1])).await, 413);
    assert_eq!(status(client().get(format!("{url}/operate"))).await, 405);
    assert_eq!(status(client().get(format!("{url}/admin"))).await, 404);

    let metrics = client().get(format!("{url}/metrics"));
    let answer = metrics.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    let text = answer.text().await.unwrap();
    assert!(text.contains("# HELP countersign_visits_total "), "{text}");
    let rebound = client().get(format!("{url}/metrics")).header("host", "evil.example");
    assert_eq!(status(rebound).await, 403);

    let elsewhere = client().get(format!("{}/metrics", server.url));
    assert_eq!(status(elsewhere).await, 404, "not on the public address");
    let elsewhere = client().post(format!("{}/operate", server.url)).bearer_auth(token);
    assert_eq!(status(elsewhere).await, 404);
}

// --- start ---

#[tokio::test]
async fn a_second_server_on_the_same_data_leaves_the_first_unharmed() {
    let dir = temp();
    let server = Server::start(dir.path());
    let before = server.admin();
    let second = run(dir.path(), &["serve", "--listen", "127.0.0.1:0"], "");
    assert_eq!(second.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&second.stderr);
    let line = stderr.lines().last().unwrap();
    let pid = server.process.id().to_string();
    for part in ["countersign: the data directory", "in use", &pid, "--data-dir"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(stdout(&second), "", "it never said that it listens");
    assert!(server.is_alive().await);
    assert_eq!(server.admin(), before, "the command line still finds the first");
    done(&run(dir.path(), &["account", "add", EMAIL], PASSWORD));
    server.log_in().await;
}

#[test]
fn what_stops_a_start_is_said_in_one_line_with_its_cure() {
    let dir = temp();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let line = |args: &[&str]| {
        let output = run(dir.path(), &[&["serve"], args].concat(), "");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = stderr.lines().last().unwrap().to_owned();
        assert!(last.starts_with("countersign: "), "{stderr}");
        last
    };
    let port = line(&["--listen", &taken]);
    assert!(port.contains(&taken) && port.contains("in use") && port.contains("--listen"));
    let port = line(&["--listen", "127.0.0.1:0", "--admin-listen", &taken]);
    assert!(port.contains(&taken) && port.contains("--admin-listen"));
    assert!(!dir.path().join("data").exists(), "nothing was made for a server that cannot be");

    fs::write(dir.path().join("file"), "").unwrap();
    let data_dir = line(&["--listen", "127.0.0.1:0", "--data-dir", "file/data"]);
    assert!(data_dir.contains("file/data") && data_dir.contains("--data-dir"), "{data_dir}");

    fs::create_dir_all(dir.path().join("other/store")).unwrap();
    fs::write(dir.path().join("other/store/photo.jpg"), "").unwrap();
    let foreign = line(&["--listen", "127.0.0.1:0", "--data-dir", "other"]);
    assert!(foreign.contains("does not hold a Countersign store"), "{foreign}");
}

#[tokio::test]
async fn keys_that_others_can_read_stop_the_start() {
    let dir = temp();
    let mut server = Server::start(dir.path());
    server.signal("TERM");
    server.wait();
    let key = fs::read_dir(dir.path().join("data/keys")).unwrap().next().unwrap();
    let key = key.unwrap().path();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(dir.path(), &["serve", "--listen", "127.0.0.1:0"], "");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(key.file_name().unwrap().to_str().unwrap()), "{stderr}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Server::start(dir.path()).is_alive().await);
}

// --- stop ---

#[tokio::test]
async fn sigterm_finishes_what_runs_and_leaves_nothing_behind() {
    let dir = temp();
    let mut server = Server::start(dir.path());
    done(&run(dir.path(), &["account", "add", EMAIL], PASSWORD));

    // A login of which one half is sent when the signal comes.
    let body = json!({"email": EMAIL, "password": PASSWORD, "transport": "bearer"}).to_string();
    let (first, rest) = body.split_at(20);
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let mut running = TcpStream::connect(&address).unwrap();
    write!(
        running,
        "POST /api/v1/session HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{first}",
        body.len()
    )
    .unwrap();
    // It is being worked on once a later request was answered.
    assert!(server.is_alive().await);
    server.signal("TERM");
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(&address).is_ok() {
        assert!(Instant::now() < deadline, "it still accepts");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(server.process.try_wait().unwrap().is_none(), "it waits for the login");
    running.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    running.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");

    assert_eq!(server.wait().code(), Some(0));
    assert!(!dir.path().join("data/admin.json").exists());
    let list = run(dir.path(), &["session", "list", EMAIL, "--json"], "");
    let list: Value = serde_json::from_str(done(&list)).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1, "what was answered is there");
}

#[test]
fn sigint_stops_it_too_and_a_second_signal_at_once() {
    let dir = temp();
    let mut server = Server::start(dir.path());
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));

    let mut server = Server::start(dir.path());
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let mut open = TcpStream::connect(&address).unwrap();
    write!(open, "POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n").unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    server.signal("TERM");
    while TcpStream::connect(&address).is_ok() {
        assert!(Instant::now() < deadline, "it still accepts");
        std::thread::sleep(Duration::from_millis(5));
    }
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(130));
}

#[test]
fn a_request_that_never_ends_is_cut_off() {
    let dir = temp();
    let mut server =
        Server::start_with(dir.path(), &[("COUNTERSIGN_SERVER__SHUTDOWN_TIMEOUT", "1s")]);
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let mut open = TcpStream::connect(&address).unwrap();
    write!(open, "POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n").unwrap();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_a_killed_server_left_behind_misleads_nobody() {
    let dir = temp();
    let mut killed = Server::start(dir.path());
    done(&run(dir.path(), &["account", "add", EMAIL], PASSWORD));
    killed.signal("KILL");
    killed.wait();
    let left = killed.admin();

    // Nobody at that address: the command line opens the store itself.
    assert!(done(&run(dir.path(), &["account", "list"], "")).contains(EMAIL));

    // Another server at that address: it is not asked to do what was meant for this one.
    let other = temp();
    let bystander = Server::start(other.path());
    let mut misled = left.clone();
    misled["url"] = bystander.admin()["url"].clone();
    fs::write(dir.path().join("data/admin.json"), misled.to_string()).unwrap();
    done(&run(dir.path(), &["account", "add", "bob@example.com"], PASSWORD));
    assert_eq!(done(&run(dir.path(), &["account", "list"], "")).lines().count(), 3);
    assert_eq!(done(&run(other.path(), &["account", "list"], "")).lines().count(), 1);

    let server = Server::start(dir.path());
    assert_ne!(server.admin()["token"], left["token"]);
    assert!(done(&run(dir.path(), &["account", "list"], "")).contains("bob@example.com"));
}

#[test]
fn a_server_that_holds_the_data_and_does_not_answer_is_named() {
    let dir = temp();
    let server = Server::start(dir.path());
    fs::remove_file(dir.path().join("data/admin.json")).unwrap();
    let line = failed(&run(dir.path(), &["account", "list"], ""));
    let pid = server.process.id().to_string();
    assert!(line.contains("has the data directory data open") && line.contains(&pid), "{line}");
}
