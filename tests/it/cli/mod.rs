//! The real binary: its command line, its start and its end.
//!
//! What a test needs of it is here: [`run`] for a command, [`Server`] for a running one.

mod dashboard;
mod directory;
mod operate;
mod packaged;
mod remote;
mod secrets;
mod start;
mod stop;
mod words;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::capture;

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
    // What is typed at the commands of these tests is a password.
    input.lines().for_each(|line| capture::secret(capture::Kind::Password, line));
    capture::finished(child.wait_with_output().unwrap())
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
            .env("COUNTERSIGN_LOG__FILTER", capture::log_filter())
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
        capture::data(&dir.join("data"));
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
        let token = body["token"].as_str().unwrap().to_owned();
        capture::secret(capture::Kind::Token, &token);
        token
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
        capture::data(&self.dir.join("data"));
        capture::output(&fs::read(&self.log).unwrap_or_default());
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

fn temp() -> TempDir {
    TempDir::new().unwrap()
}
