//! How a server starts, and what stops it from starting.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

use super::{EMAIL, PASSWORD, Server, done, run, stdout, temp};

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

#[test]
fn a_connection_that_falls_silent_is_closed_wherever_it_stopped() {
    let dir = temp();
    let server = Server::start_with(dir.path(), &[("COUNTERSIGN_SERVER__IDLE_TIMEOUT", "1s")]);
    let address = server.url.strip_prefix("http://").unwrap();
    let mut connections: Vec<_> = [
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nhost: x\r\naccept: ",
        "POST /api/v1/session HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: 9\r\n\r\n{",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    ]
    .iter()
    .map(|sent| {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        connection.write_all(sent.as_bytes()).unwrap();
        connection
    })
    .collect();
    let answers: Vec<_> = connections
        .iter_mut()
        .map(|connection| {
            let mut answer = String::new();
            // To its end: a connection that stays open runs into the time limit above.
            connection.read_to_string(&mut answer).expect("it is closed");
            answer
        })
        .collect();
    assert_eq!(answers[..3], ["", "", ""]);
    assert!(answers[4].starts_with("HTTP/1.1 200 "), "{}", answers[4]);
}
