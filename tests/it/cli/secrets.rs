//! No secret leaves: not by arguments, logs, lists or file modes; and who may use the admin interface.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio};

use serde_json::{Value, json};

use super::{EMAIL, PASSWORD, Server, client, countersign, done, run, stdout, temp};

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
    let large = "x".repeat(40_000);
    assert_eq!(status(operate(token).header("x-large", large)).await, 400);
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
