//! How a server stops, and what it leaves behind.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{EMAIL, PASSWORD, Server, done, failed, run, temp};

/// A login of which the head was sent, and whose handler waits for the body.
fn login_under_way(server: &Server, body: &str) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    write!(
        connection,
        "POST /api/v1/session HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    )
    .unwrap();
    // Said when the handler asks for the body.
    let mut asked = [0; 25];
    connection.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection
}

fn wait_until_nobody_is_accepted(server: &Server) {
    let address = server.url.strip_prefix("http://").unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "it still accepts");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn sigterm_finishes_what_runs_and_leaves_nothing_behind() {
    let dir = temp();
    let mut server = Server::start(dir.path());
    done(&run(dir.path(), &["account", "add", EMAIL], PASSWORD));

    let body = json!({"email": EMAIL, "password": PASSWORD, "transport": "bearer"}).to_string();
    let mut login = login_under_way(&server, &body);
    server.signal("TERM");
    wait_until_nobody_is_accepted(&server);
    assert!(server.process.try_wait().unwrap().is_none(), "it waits for the login");
    login.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    login.read_to_string(&mut answer).unwrap();
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
    let _login = login_under_way(&server, "{}");
    server.signal("TERM");
    wait_until_nobody_is_accepted(&server);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(130));
}

#[test]
fn a_request_that_never_ends_is_cut_off() {
    let dir = temp();
    let timeout = ("COUNTERSIGN_SERVER__SHUTDOWN_TIMEOUT", "1s");
    let mut server = Server::start_with(dir.path(), &[timeout]);
    let mut login = login_under_way(&server, "{}");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    let mut answer = String::new();
    login.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "");
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
