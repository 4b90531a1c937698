//! Accounts and sessions, by way of a running server and without one.

use std::path::Path;

use serde_json::Value;

use super::{EMAIL, PASSWORD, Server, countersign, done, failed, finish, run, temp};

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
    for (typed, why) in [
        ("passwordstandard", "the password is one that many people had before you. Use a few"),
        ("countersign-2026", "the password is made of the e-mail address or the name of this"),
        ("qwertyuiop[]asdf", "the password is easy to guess. Straight rows of keys are easy"),
    ] {
        for args in [["add", "carol@example.com"], ["password", EMAIL]] {
            let line = failed(&account(&args, typed));
            assert!(line.starts_with(why) && !line.contains(typed), "{line}");
        }
    }
    let none = account(&["add", "carol@example.com"], "");
    assert!(failed(&none).contains("no password on standard input"));

    let table = account(&["list"], "");
    let lines: Vec<_> = done(&table).lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("E-MAIL"));
    assert!(lines[1].starts_with(EMAIL) && lines[2].starts_with("bob@example.com"));
    assert_eq!(lines[0].find("STATE"), lines[1].find("active"), "aligned");

    let nobody = account(&["disable", "nobody@example.com"], "");
    assert_eq!(failed(&nobody), "there is no such account");
    assert_eq!(done(&account(&["disable", "bob@example.com"], "")), "disabled bob@example.com\n");
    let list = account(&["list", "--json"], "");
    let list: Value = serde_json::from_str(done(&list)).unwrap();
    assert_eq!(list[0]["email"], EMAIL);
    assert_eq!(list[0]["state"], "active");
    assert_eq!(list[1]["state"], "disabled");
    let keys: Vec<_> = list[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["created_at", "email", "id", "role", "state"], "and no hash");

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
    // A proxy of the environment is not asked: it would see the token.
    let proxy = "http://127.0.0.1:9";
    let mut list = countersign(dir.path());
    list.args(["account", "list"]).envs([("http_proxy", proxy), ("ALL_PROXY", proxy)]);
    assert!(done(&finish(&mut list, "")).contains(EMAIL));
}

#[tokio::test]
async fn an_operator_sees_and_ends_the_sessions_of_others() {
    let dir = temp();
    let server = Server::start(dir.path());
    done(&run(dir.path(), &["account", "add", EMAIL], PASSWORD));
    let run = |args: &[&str]| run(dir.path(), args, "");
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
