//! Everything comes back.

use std::{fs, time::Instant};

use countersign::{
    model::{Account, Session},
    store::Store,
};

use super::{done, living, open, people, run, small_store};
use crate::{
    store_world::{account, account_record, at, everybody, session_record},
    support::Process,
};

const ACCOUNTS: usize = 1_000;
const SESSIONS: usize = 100;

/// An account and its sessions: one of them with visits, others' visits in the account.
fn crowd(n: usize) -> (Account, Vec<Session>) {
    let account = account(&format!("user{n}"));
    let mut sessions: Vec<_> = (0..SESSIONS).map(|_| living(account.id)).collect();
    sessions[n % SESSIONS].visits = n as u64;
    (account, sessions)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_sessions_come_back_and_people_stay_logged_in() {
    let mut server = Process::start();
    let browser = server.browser();
    browser.join("ann@example.com").await;
    assert_eq!(browser.open_admin().await, 1);
    assert_eq!(browser.open_admin().await, 2);
    assert!(server.terminate().success());
    let data = server.data_dir();
    let dir = data.parent().unwrap().to_owned();

    let started = Instant::now();
    let store = open(&dir);
    let crowd: Vec<_> = (0..ACCOUNTS).map(crowd).collect();
    for (account, sessions) in &crowd {
        let mut records = vec![account_record(account.clone(), 7)];
        let sessions = sessions.iter().cloned();
        records.extend(sessions.map(session_record));
        store.import(records).await.unwrap();
    }
    store.close().await.unwrap();
    println!("{} sessions made in {:?}", ACCOUNTS * SESSIONS, started.elapsed());

    server.restart();
    let started = Instant::now();
    let said = done(&run(&dir, &["backup", "--with-keys", "everything"]));
    println!("backed up in {:?}: {said}", started.elapsed());
    assert!(said.contains("accounts 1001, sessions 100001, signing keys 1"), "{said}");
    // Three visits that the backup does not know of.
    for visit in 3..=5 {
        assert_eq!(browser.open_admin().await, visit);
    }
    server.kill_hard();
    fs::remove_dir_all(&data).unwrap();

    let started = Instant::now();
    let said = done(&run(&dir, &["restore", "everything"]));
    println!("restored in {:?}: {said}", started.elapsed());
    assert!(said.contains("accounts 1001, sessions 100001, signing keys 1"), "{said}");

    server.restart();
    // The old cookie is good, and its number is the larger one: no visit is given twice.
    assert_eq!(browser.open_admin().await, 6);
    assert!(server.terminate().success());

    let store = open(&dir);
    for (n, (account, sessions)) in crowd.iter().enumerate() {
        assert_eq!(store.account_by_email(&account.email).await.unwrap().as_ref(), Some(account));
        let mut found = store.sessions(account.id, at(3)).await.unwrap();
        let mut expected = sessions.clone();
        for sessions in [&mut found, &mut expected] {
            sessions.sort_by_key(|session| session.id);
        }
        assert_eq!(found, expected, "user{n}");
        let total = store.total_visits(account.id).await.unwrap();
        assert_eq!(total, 7 + n as u64, "those of ended sessions, too");
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_store_moves_without_a_server_and_through_pipes() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    small_store(old.path(), "ann", 3).await;
    let backup = run(old.path(), &["backup", "-"]);
    assert!(backup.status.success() && backup.stderr.is_empty());
    fs::write(new.path().join("file"), &backup.stdout).unwrap();

    let mut restore = super::countersign(new.path(), &["restore", "-"]);
    restore.stdin(fs::File::open(new.path().join("file")).unwrap());
    let said = done(&restore.output().unwrap());
    assert!(said.contains("everybody has to log in again"), "it has no keys: {said}");
    assert_eq!(people(new.path()).await, [("ann@example.com".to_owned(), 3)]);
    assert_eq!(super::names(&new.path().join("data")), ["lock", "store"]);
}

#[tokio::test]
async fn a_restore_can_end_every_session_and_keeps_their_visits() {
    let dir = tempfile::tempdir().unwrap();
    small_store(dir.path(), "ann", 3).await;
    done(&run(dir.path(), &["backup", "file"]));
    let said = done(&run(dir.path(), &["restore", "--replace", "--end-sessions", "file"]));
    assert!(said.contains("sessions 1 (all ended)"), "{said}");
    let store = open(dir.path());
    let ann = everybody(&store).await.remove(0);
    assert_eq!(store.sessions(ann.id, at(2)).await.unwrap(), []);
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 3);
    store.close().await.unwrap();
}
