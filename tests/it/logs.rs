//! What the log says, and what must never be in it. With the real binary, whose output is what
//! operators collect.

mod story;

use std::{collections::BTreeSet, process::Command};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, Process};

/// Every line of the log.
#[track_caller]
fn lines(server: &Process) -> Vec<Value> {
    let output = server.output();
    let is_announced = |line: &&str| {
        line.starts_with("listening on ")
            || ["  home", "  API", "  metr", "  dash"].iter().any(|s| line.starts_with(s))
    };
    output
        .lines()
        .filter(|line| !is_announced(line))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

/// The lines of one request.
fn of_request<'a>(lines: &'a [Value], answer: &Answer) -> Vec<&'a Value> {
    let id = answer.header("x-request-id");
    assert_eq!(id.len(), 32);
    lines.iter().filter(|line| line["request"]["id"] == id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_one_line_that_says_when_who_and_where() {
    let mut server = Process::with(&[("COUNTERSIGN_LOG__FILTER", "info")]);
    let ann = server.program();
    let mut told: Vec<(&str, Answer)> = Vec::new();
    told.push(("sign_up", ann.sign_up("ann@example.com").await.expect(201)));
    told.push(("log_in", ann.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect(201)));
    told.push((
        "log_in_refused",
        ann.try_log_in("ann@example.com", "wrong", json!({})).await.expect(401),
    ));
    told.push((
        "log_in_refused",
        ann.try_log_in("nobody@example.com", "wrong", json!({})).await.expect(401),
    ));
    let other = server.program();
    other.log_in("ann@example.com").await;
    let end = format!("/sessions/{}", other.sid());
    told.push(("session_ended", ann.api(Method::DELETE, &end).send().await.expect(204)));
    told.push(("token_refused", other.check().await.expect(401)));
    let change = ann.change_password("wrong", "staple after staple").await;
    told.push(("current_password_refused", change.expect(403)));
    let first = ann.sid();
    let change = ann.change_password(PASSWORD, "staple after staple").await;
    told.push(("password_changed", change.expect(200)));
    told.push(("reauthenticated", ann.reauthenticate("staple after staple").await.expect(200)));
    told.push(("email_changed", ann.change_email("anna@example.com").await.expect(200)));
    let export = ann.api(Method::GET, "/account/export").send().await;
    told.push(("account_exported", export.expect(200)));
    let account = ann.api(Method::GET, "/account").send().await.expect(200).json()["id"].clone();
    let refused = ann.api(Method::GET, "/admin/accounts").send().await;
    told.push(("administration_refused", refused.expect(403)));
    let foreign = ann.api(Method::DELETE, "/session").header("origin", "https://evil.example");
    told.push(("cross_site_refused", foreign.send().await.expect(403)));
    told.push(("log_out", ann.log_out().await.expect(204)));
    let forged = server.program();
    forged.take("a.b.c");
    told.push(("token_refused", forged.check().await.expect(401)));
    let root = server.program();
    root.sign_up("root@example.com").await.expect(201);
    let role = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["account", "role", "root@example.com", "admin"])
        .current_dir(server.directory())
        .output();
    assert!(role.unwrap().status.success());
    root.log_in("root@example.com").await;
    let end = format!("/admin/accounts/{}/sessions", account.as_str().unwrap());
    told.push(("sessions_ended", root.api(Method::DELETE, &end).send().await.expect(200)));
    // No news: a stranger looks at the page.
    let stranger = server.anonymous().check().await.expect(401);
    assert!(server.terminate().success());

    let lines = lines(&server);
    for line in &lines {
        let time = line["timestamp"].as_str().expect("a time");
        assert!(time.ends_with('Z'), "UTC: {time}");
        time.parse::<jiff::Timestamp>().expect("RFC 3339");
        let ours = line["target"].as_str().expect("a target").starts_with("countersign");
        assert!(!ours || line["event"].is_string(), "every line is an event: {line}");
    }
    for (event, answer) in &told {
        let found = of_request(&lines, answer);
        let names: Vec<_> = found.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(names, [*event], "one line");
        let request = &found[0]["request"];
        assert!(request["peer"].as_str().unwrap().contains("127.0.0.1"), "{request}");
        assert!(request["method"].is_string() && request["path"].is_string(), "{request}");
    }
    assert_eq!(of_request(&lines, &stranger), Vec::<&Value>::new());
    let of = |event: &str| lines.iter().find(|line| line["event"] == event).unwrap();
    assert_eq!(of("log_in")["session"], first);
    assert_eq!(of("log_out")["session"], ann.sid());
    assert!(of("log_in")["account"].is_string());
    assert_eq!(of("administration_refused")["account"], account);
    let ended = of("sessions_ended");
    assert_eq!(ended["account"], account);
    assert_eq!(ended["by"], of("role_given")["account"], "and who did it");
    assert!(of("token_refused")["reason"].is_string());
    let reasons: BTreeSet<_> = lines
        .iter()
        .filter(|line| line["event"] == "log_in_refused")
        .map(|line| line["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), ["unknown", "wrong_password"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_output() {
    // Everything that can be logged is.
    let mut server = Process::with(&[("COUNTERSIGN_LOG__FILTER", "trace")]);
    let mut secrets: Vec<String> = vec![PASSWORD.into()];
    let (ann, program) = (server.browser(), server.program());
    ann.sign_up("ann@example.com").await.expect(201);
    for who in [&ann, &program] {
        who.log_in("ann@example.com").await;
        secrets.push(who.token());
        who.visit().await;
        secrets.push(who.token());
    }
    ann.open_admin().await;
    secrets.push(ann.token());
    let typed = "a password typed wrong 7x";
    secrets.push(typed.into());
    for body in [
        json!({"email": "ann@example.com", "password": typed}),
        json!({"email": "ann@example.com", "password": [typed]}),
        json!({"email": "ann@example.com", "password": {"p": typed}}),
        json!({"email": typed, "password": typed}),
        json!({"email": "ann@example.com", "password": PASSWORD, typed: 1}),
    ] {
        let answer = ann.api(Method::POST, "/session").json(&body).send().await;
        assert!(answer.status >= 400);
        assert!(!answer.mentions(typed));
    }
    ann.post("/login", &[("email", "ann@example.com"), ("password", typed)]).await.expect(401);
    let fields = [("email", "ann@example.com"), ("password", typed), ("pass", typed)];
    ann.post("/login", &fields).await;
    let body = json!({"current": PASSWORD, "new": typed});
    ann.api(Method::PUT, "/account/password").json(&body).send().await.expect(204);
    let body = json!({"current": PASSWORD, "new": typed});
    ann.api(Method::PUT, "/account/password").json(&body).send().await.expect(403);
    let mut tampered = program.token();
    tampered.push('A');
    let forged = server.program();
    forged.take(&tampered);
    forged.check().await.expect(401);
    program.log_out().await;
    ann.log_out().await.expect(204);

    // The parts that make a token one, and the keys.
    let signatures: Vec<String> = secrets
        .iter()
        .filter(|secret| secret.contains('.'))
        .map(|token| token.rsplit('.').next().unwrap().to_owned())
        .collect();
    assert_eq!(signatures.len(), 5);
    secrets.extend(signatures);
    for entry in std::fs::read_dir(server.data_dir().join("keys")).unwrap() {
        let jwk: Value =
            serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        secrets.push(jwk["d"].as_str().unwrap().into());
    }
    let admin = std::fs::read(server.data_dir().join("admin.json")).unwrap();
    let admin: Value = serde_json::from_slice(&admin).unwrap();
    for (name, value) in admin.as_object().unwrap() {
        if name.contains("token") {
            secrets.push(value.as_str().unwrap().into());
        }
    }
    assert!(server.terminate().success());
    let output = server.output();
    assert!(output.len() > 1_000, "much was logged");
    for secret in secrets {
        assert!(secret.len() >= 15);
        assert!(!output.contains(&secret), "{secret} is in the log");
    }
    assert!(!output.contains("$argon2"), "a password hash is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_sent_can_break_or_forge_a_line() {
    let mut server = Process::start();
    let ann = server.program();
    ann.sign_up("ann@example.com").await.expect(201);
    let forged = "\\r\\n{\"event\":\"forged\"}";
    for email in [
        "ann@example.com\r\n{\"event\":\"forged\"}",
        "\u{1b}[2Jann@example.com",
        "\u{202e}ann@example.com",
    ] {
        ann.try_log_in(email, "wrong", json!({})).await.expect(401);
        ann.sign_up(email).await.expect(422);
    }
    for agent in [
        &b"evil\x1b[31m"[..],
        b"evil\xc2\x85\xe2\x80\xa8{\"event\":\"forged\"}",
        forged.as_bytes(),
        b"\"}\t{\"event\":\"forged\"}",
    ] {
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let login = ann.api(Method::POST, "/session").json(&body).without("user-agent");
        // A client may refuse to send it; a server may refuse to take it.
        if let Ok(answer) = login.and_header("user-agent", agent).try_send().await {
            assert!([201, 400].contains(&answer.status), "{}", answer.status);
        }
    }
    ann.get("/%0d%0a%7b%22event%22:%22forged%22%7d").await.expect(404);
    let foreign =
        ann.request(Method::POST, "/login%0Aforged").header("origin", "https://evil.example");
    foreign.send().await.expect(403);
    assert!(server.terminate().success());

    let lines = lines(&server);
    assert!(lines.len() > 5);
    for line in &lines {
        assert_ne!(line["event"], "forged");
    }
    for c in server.output().chars() {
        assert!(c == '\n' || !c.is_control(), "{c:?} reaches the terminal");
    }
}
