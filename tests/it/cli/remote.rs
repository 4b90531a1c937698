//! Commands from anywhere: `--server`, by a server's API, as an administrator.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::Output,
    thread,
};

use serde_json::Value;

use super::{EMAIL, PASSWORD, Server, done, failed, run, temp};

const ROOT: &str = "root@example.com";
const ROOTS_PASSWORD: &str = "marble orchard 4 tin hush";

/// A server with an administrator and ann, and a directory that knows nothing of it.
struct Scene {
    server: Server,
    home: tempfile::TempDir,
    elsewhere: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let (home, elsewhere) = (temp(), temp());
        let server = Server::start(home.path());
        done(&run(home.path(), &["account", "add", ROOT], ROOTS_PASSWORD));
        done(&run(home.path(), &["account", "add", EMAIL], PASSWORD));
        let given = run(home.path(), &["account", "role", ROOT, "admin"], "");
        assert_eq!(done(&given), format!("{ROOT} is an administrator\n"));
        Self { server, home, elsewhere }
    }

    /// On the server's machine.
    fn here(&self, args: &[&str]) -> Output {
        run(self.home.path(), args, "")
    }

    /// From elsewhere.
    fn there(&self, args: &[&str]) -> Output {
        self.there_as(args, ROOT, ROOTS_PASSWORD)
    }

    fn there_as(&self, args: &[&str], who: &str, password: &str) -> Output {
        let through = ["--server", &self.server.url, "--as", who];
        run(self.elsewhere.path(), &[args, &through].concat(), &format!("{password}\n"))
    }

    /// What both ways say is the same.
    fn both(&self, args: &[&str]) -> String {
        let (here, there) = (self.here(args), self.there(args));
        assert_eq!(done(&here), done(&there), "{args:?}");
        done(&here).to_owned()
    }

    /// How many sessions the administrator has.
    fn left_behind(&self) -> usize {
        let list = self.here(&["session", "list", ROOT, "--json"]);
        let list: Value = serde_json::from_str(done(&list)).unwrap();
        list.as_array().unwrap().len()
    }
}

#[tokio::test]
async fn both_ways_say_the_same() {
    let scene = Scene::new();
    let token = scene.server.log_in().await;
    for args in [
        &["account", "list"][..],
        &["account", "list", "--json"],
        &["account", "list", "--search", "ANN"],
        &["account", "find", "nobody"],
        &["account", "find", "@example", "--json"],
        &["account", "show", EMAIL],
        &["account", "show", EMAIL, "--json"],
        &["session", "list", EMAIL],
        &["session", "list", EMAIL, "--json"],
        &["account", "enable", EMAIL],
        &["audit", "--account", EMAIL],
        &["audit", "--account", EMAIL, "--json"],
        &["audit", "--account", EMAIL, "--limit", "1"],
    ] {
        scene.both(args);
    }
    let table = scene.both(&["account", "find", "root"]);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert_eq!(lines[0].find("ROLE"), lines[1].find("admin"), "aligned");
    let shown = scene.both(&["account", "show", EMAIL]);
    for line in ["e-mail    ann@example.com", "role      member", "sessions  1"] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let json: Value =
        serde_json::from_str(&scene.both(&["account", "show", EMAIL, "--json"])).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["created_at", "email", "id", "role", "sessions", "state", "visits"]);
    let last = scene.both(&["audit", "--account", EMAIL, "--limit", "1", "--json"]);
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((last.as_array().unwrap().len(), &last[0]["event"]), (1, &"log_in".into()));
    assert_eq!(last[0]["from"], "127.0.0.1");
    let table = scene.there(&["audit"]);
    let lines: Vec<_> = done(&table).lines().collect();
    assert!(lines[0].starts_with("WHEN") && lines[1].contains("log_in"), "the newest first");
    let given = |line: &&str| line.contains("role_given") && line.contains("command_line");
    assert!(lines.iter().any(given), "{lines:?}");
    assert_eq!(scene.left_behind(), 0, "each has logged out");
    assert_eq!(scene.server.session_status(&token).await, 200);
    assert!(!scene.elsewhere.path().join("data").exists(), "nothing was opened or made there");
}

#[tokio::test]
async fn an_administrator_ends_and_locks_from_anywhere() {
    let scene = Scene::new();
    let status = async |token: &str| scene.server.session_status(token).await;
    let (first, second) = (scene.server.log_in().await, scene.server.log_in().await);
    let list = scene.there(&["session", "list", EMAIL, "--json"]);
    let list: Value = serde_json::from_str(done(&list)).unwrap();
    let sid = list[0]["id"].as_str().unwrap();

    let revoked = scene.there(&["session", "revoke", EMAIL, sid]);
    assert_eq!(done(&revoked), format!("revoked {sid}; 1 session ended\n"));
    assert_eq!((status(&first).await, status(&second).await), (401, 200));
    let again = scene.there(&["session", "revoke", EMAIL, sid]);
    assert_eq!(failed(&again), failed(&scene.here(&["session", "revoke", EMAIL, sid])));

    let disabled = scene.there(&["account", "disable", EMAIL]);
    assert_eq!(done(&disabled), format!("disabled {EMAIL}; 1 session ended\n"));
    assert_eq!(status(&second).await, 401);
    assert_eq!(done(&scene.there(&["account", "enable", EMAIL])), format!("enabled {EMAIL}\n"));
    assert_eq!(status(&second).await, 401, "enabling revives nothing");

    let tokens = [scene.server.log_in().await, scene.server.log_in().await];
    let revoked = scene.there(&["session", "revoke", EMAIL]);
    assert!(done(&revoked).ends_with("2 sessions ended\n"));
    assert_eq!(status(&tokens[0]).await, 401);

    let token = scene.server.log_in().await;
    let all = scene.there(&["session", "revoke", "--all-accounts", "--yes"]);
    assert!(done(&all).contains("every session ended"), "its own among them is no error");
    assert_eq!(status(&token).await, 401);
    assert_eq!(scene.left_behind(), 0);
}

#[test]
fn what_goes_wrong_is_said_in_one_line_and_nothing_is_left_behind() {
    let scene = Scene::new();
    for args in [
        &["account", "show", "nobody@example.com"][..],
        &["account", "disable", "nobody@example.com"],
        &["session", "list", "nobody@example.com"],
        &["session", "revoke", "nobody@example.com"],
    ] {
        let line = failed(&scene.there(args));
        assert_eq!(line, "there is no such account");
        assert_eq!(line, failed(&scene.here(args)), "in the same words");
    }
    let own = failed(&scene.there(&["account", "disable", ROOT]));
    assert_eq!(own, "you cannot disable your own account");

    let list = ["account", "list"];
    let wrong = failed(&scene.there_as(&list, ROOT, "another long password"));
    assert_eq!(wrong, "the e-mail address or the password is wrong");
    let none = failed(&scene.there_as(&list, ROOT, ""));
    assert!(none.contains("no password on standard input"), "{none}");
    let member = failed(&scene.there_as(&list, EMAIL, PASSWORD));
    assert_eq!(member, format!("{EMAIL} is no administrator at {}", scene.server.url));
    let sessions = scene.here(&["session", "list", EMAIL, "--json"]);
    assert_eq!(done(&sessions), "[]\n", "also after an error");
    assert_eq!(scene.left_behind(), 0);

    let taken = scene.here(&["account", "role", ROOT, "member"]);
    assert_eq!(done(&taken), format!("{ROOT} is a member\n"));
    assert!(failed(&scene.there(&list)).contains("is no administrator"));
}

#[test]
fn what_only_the_servers_machine_may_do_says_so_before_anything_is_asked() {
    let dir = temp();
    // Nobody is there: it is not even tried.
    let through = ["--server", "http://127.0.0.1:9", "--as", ROOT];
    for (args, what) in [
        (&["account", "add", EMAIL][..], "accounts are made"),
        (&["account", "password", EMAIL], "passwords are set"),
        (&["account", "remove", EMAIL, "--yes"], "accounts are removed"),
        (&["account", "role", EMAIL, "admin"], "roles are given"),
        (&["backup", "file"], "backups are made"),
    ] {
        let line = failed(&run(dir.path(), &[args, &through].concat(), PASSWORD));
        let expected = "on the server's own machine alone: run this there, without --server";
        assert_eq!(line, format!("{what} {expected}"));
    }
    assert_eq!(fs_names(dir.path()), Vec::<String>::new(), "and nothing was made");
}

fn fs_names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_password_goes_to_no_stranger() {
    let dir = temp();
    let list = |through: &[&str]| {
        run(dir.path(), &[&["account", "list"], through].concat(), ROOTS_PASSWORD)
    };
    for exposed in ["http://login.example.com", "http://10.0.0.1:3000", "http://[2001:db8::1]"] {
        let line = failed(&list(&["--server", exposed, "--as", ROOT]));
        assert!(line.starts_with("a password is not sent to http://"), "{line}");
        assert!(line.contains("in clear text: use https"), "{line}");
    }
    for no_url in ["login.example.com", "ftp://a.b", "https://u:geheim@a.b", "https://a.b/path"] {
        let output = list(&["--server", no_url, "--as", ROOT]);
        assert_eq!(output.status.code(), Some(2), "{no_url}");
    }
    let line = failed(&list(&["--server", "http://127.0.0.1:9"]));
    assert_eq!(line, "--server needs --as EMAIL: the administrator to log in as");
    let line = failed(&list(&["--as", ROOT]));
    assert_eq!(line, "--as needs --server URL: where to log in");
    let line = failed(&list(&["--server", "http://127.0.0.1:9", "--as", ROOT]));
    assert!(line.starts_with("cannot reach the server at http://127.0.0.1:9: "), "{line}");
    assert!(line.contains("refused"), "{line}");
}

/// Answers each connection once, with this, and closes it; gives where it listens.
fn stranger(answers: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for answer in answers {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 8_192];
            // However much of it: it is answered anyway.
            let _read = connection.read(&mut request).unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

fn answer(status: &str, media_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn another_server_is_found_out() {
    let dir = temp();
    let list = |answers: Vec<String>| {
        let url = stranger(answers);
        let args = ["account", "list", "--server", &url, "--as", ROOT];
        failed(&run(dir.path(), &args, ROOTS_PASSWORD))
    };
    let problem = |code: &str| {
        let body = format!(
            r#"{{"type":"about:blank","title":"x","status":404,"code":"{code}","detail":"There is nothing here."}}"#
        );
        answer("404 Not Found", "application/problem+json", &body)
    };
    let no_countersign = answer("404 Not Found", "text/html", "<html>");
    assert!(list(vec![no_countersign]).contains("is no Countersign server"));
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\
                    connection: close\r\n\r\n";
    assert!(list(vec![redirect.to_owned()]).contains("is no Countersign server"));
    let logged_in = answer("201 Created", "application/json", r#"{"token":"a.b.c"}"#);
    let logged_out = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned();
    // Of before there were administrators.
    let old = list(vec![logged_in.clone(), problem("not_found"), logged_out.clone()]);
    assert_eq!(old, "the server gave an answer of another version: restart it");
    let newer = answer("200 OK", "application/json", r#"{"people":[]}"#);
    let newer = list(vec![logged_in.clone(), newer, logged_out]);
    assert!(newer.contains("another version"), "{newer}");
    // What was done is said to be done, but for the log-out.
    let found = answer("200 OK", "application/json", r#"{"accounts":[]}"#);
    let stays = list(vec![logged_in, found, problem("internal")]);
    assert!(stays.starts_with("could not log out at http://127.0.0.1"), "{stays}");
}
