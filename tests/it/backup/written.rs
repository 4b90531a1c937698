//! The file of a backup: private, whole or not there, never in place of another.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::Command,
};

use countersign::{
    model::{AuditKind, By},
    store::{BackupRecord, backup::Entry},
};

use super::{backup_of, done, failed, names, read, run, small_store};
use crate::{store_contract::backup::export, store_world::World, support::Process};

#[tokio::test]
async fn a_backup_is_its_owners_alone_and_replaces_nothing_unasked() {
    let dir = tempfile::tempdir().unwrap();
    small_store(dir.path(), "ann", 1).await;
    let file = dir.path().join("file");
    let said = done(&run(dir.path(), &["backup", "file"]));
    assert!(said.starts_with("backed up to file: accounts 1, sessions 1, signing keys 0\n"));
    assert!(said.contains("keep data/keys, too"), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(dir.path()), ["data", "file"], "nothing is left over");

    let first = fs::read(&file).unwrap();
    let again = run(dir.path(), &["backup", "file"]);
    assert_eq!(
        failed(&again),
        "cannot write the backup file: it is there already; --force replaces it"
    );
    assert_eq!(fs::read(&file).unwrap(), first);
    let said = done(&run(dir.path(), &["backup", "--force", "--with-keys", "file"]));
    assert!(said.ends_with("signing keys 1\n"), "{said}");
    assert_ne!(fs::read(&file).unwrap(), first);
    assert_eq!(read(&fs::read(&file).unwrap()).unwrap().2.keys, 1);

    for args in [&["backup", "data"][..], &["backup", "--force", "/dev/null"]] {
        assert!(failed(&run(dir.path(), args)).contains("it is not a file"));
    }
    assert!(failed(&run(dir.path(), &["backup", "nowhere/file"])).contains("No such file"));
    assert_eq!(names(dir.path()), ["data", "file"]);
}

#[test]
fn where_there_is_no_store_there_is_no_backup() {
    let dir = tempfile::tempdir().unwrap();
    let said = failed(&run(dir.path(), &["backup", "file"]));
    assert_eq!(said, "there is no store in data: name its directory with --data-dir");
    assert_eq!(names(dir.path()), [""; 0]);
}

/// A file may not grow beyond 8 KiB: to a program the same as a disk that is full.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_leaves_no_half_backup() {
    let server = Process::start();
    let dir = server.data_dir().parent().unwrap().to_owned();
    for n in 0..100 {
        server.anonymous().sign_up(&format!("user{n}@example.com")).await.expect(201);
    }
    fs::write(dir.join("old"), "an earlier one").unwrap();
    let before = names(&dir);
    for args in ["backup new", "backup --force old"] {
        let script =
            format!("ulimit -f 8; trap '' XFSZ; exec {} {args}", env!("CARGO_BIN_EXE_countersign"));
        let full = Command::new("sh").args(["-c", &script]).current_dir(&dir).output().unwrap();
        assert!(failed(&full).contains("too large"), "{full:?}");
    }
    assert_eq!(names(&dir), before);
    assert_eq!(fs::read_to_string(dir.join("old")).unwrap(), "an earlier one");
    let to_full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let full = super::countersign(&dir, &["backup", "-"]).stdout(to_full).output().unwrap();
    assert!(failed(&full).contains("No space left"));
}

/// Answers one request with `body`, said to be `length` bytes long.
fn one_answer(listener: TcpListener, body: Vec<u8>, length: usize) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(&body).unwrap();
    })
}

#[tokio::test]
async fn what_a_server_breaks_off_or_sends_damaged_becomes_no_backup() {
    let dir = tempfile::tempdir().unwrap();
    small_store(dir.path(), "ann", 1).await;
    let world = World::memory();
    crate::store_world::join(&*world.store, "ann").await;
    let good = backup_of(export(&*world.store).await);
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let half = good[..good.len() / 2].to_vec();
    for (body, length, why) in [
        (half.clone(), good.len(), "broke the backup off"),
        (half.clone(), half.len(), "its end is missing"),
        (damaged, good.len(), "its checksum does not fit"),
        (Vec::new(), 0, "its end is missing"),
        (b"<html>".to_vec(), 6, "not a Countersign backup"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let admin = serde_json::json!({"url": url, "token": "x"}).to_string();
        fs::write(dir.path().join("data/admin.json"), admin).unwrap();
        let server = one_answer(listener, body, length);
        let said = failed(&run(dir.path(), &["backup", "file"]));
        assert!(said.contains(why), "{said}");
        assert_eq!(names(dir.path()), ["data"], "{why}");
        server.join().unwrap();
    }
    // Nobody is there: it is done without a server.
    done(&run(dir.path(), &["backup", "file"]));
}

#[tokio::test]
async fn a_server_gives_its_backup_to_the_operator_alone() {
    let server = Process::start();
    let dir = server.data_dir();
    let admin: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("admin.json")).unwrap()).unwrap();
    let url = format!("{}/backup", admin["url"].as_str().unwrap());
    let token = admin["token"].as_str().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(client.get(&url).bearer_auth("x").send().await.unwrap().status(), 401);
    let browser = client.get(&url).bearer_auth(token).header("origin", "http://localhost:3000");
    assert_eq!(browser.send().await.unwrap().status(), 403);
    assert_eq!(client.post(&url).bearer_auth(token).send().await.unwrap().status(), 405);
    let answer = client.get(&url).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.content_length().is_none(), "it is not gathered first");
    let (_, entries, _) = read(&answer.bytes().await.unwrap()).unwrap();
    // That it was asked for, and nothing else.
    let [Entry::Record(BackupRecord::Events { events, .. })] = &entries[..] else {
        panic!("{entries:?}");
    };
    let told: Vec<_> = events.iter().map(|event| (event.what, event.by)).collect();
    assert_eq!(told, [(AuditKind::BackupBegun, By::COMMAND_LINE)]);
}
