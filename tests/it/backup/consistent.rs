//! A backup from a server under load is of one moment.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use countersign::{
    model::{AccountId, Clock as _, clock::SystemClock},
    store::{BackupRecord, Store, backup::Entry},
};

use super::{done, living, open, read, run};
use crate::{
    store_world::{account, account_record, session_record},
    support::{Process, User},
};

/// Pairs of people at the two ends of the store.
const PAIRS: usize = 3;

/// What lies between them: pages and pages.
const BETWEEN: usize = 20_000;

/// What a backup says of each account: its visits, and its living sessions.
fn accounts(bytes: &[u8]) -> HashMap<String, (u64, u64)> {
    let (_, entries, _) = read(bytes).unwrap();
    let mut sessions: HashMap<AccountId, (u64, u64)> = HashMap::new();
    for entry in &entries {
        if let Entry::Record(BackupRecord::Session { session, .. }) = entry {
            let (visits, living) = sessions.entry(session.account).or_default();
            *visits += session.visits;
            *living += 1;
        }
    }
    let named = entries.iter().filter_map(|entry| match entry {
        Entry::Record(BackupRecord::Account { account, ended_visits, .. }) => {
            let (visits, living) = sessions.get(&account.id).copied().unwrap_or_default();
            Some((account.email.as_str().to_owned(), (visits + ended_visits, living)))
        }
        _ => None,
    });
    named.collect()
}

/// Visits in turns: at every moment the first is as many visits ahead as the other, or one more.
async fn take_turns(first: User, other: User, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        first.visit().await;
        other.visit().await;
    }
}

/// Is logged in here, then there: at no moment in both places, and the visits keep up, too.
async fn come_and_go(here: String, there: String, who: User, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        for email in [&here, &there] {
            who.log_in(email).await;
            who.visit().await;
            who.log_out().await.expect(204);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_of_one_moment() {
    let mut server = Process::with(&[("COUNTERSIGN_LOG__FILTER", "warn")]);
    let email = |what: &str, n: usize| format!("{what}{n}@example.com");
    // Ids grow with time, and so do keys: whoever signs up first is at the front.
    let sign_up = async |server: &Process, what: &str| {
        let mut users = Vec::new();
        for n in 0..PAIRS {
            let user = server.program();
            user.join(&email(&format!("{what}-turns-"), n)).await;
            users.push(user);
            server.anonymous().sign_up(&email(&format!("{what}-goes-"), n)).await.expect(201);
        }
        users
    };
    let front = sign_up(&server, "front").await;
    assert!(server.terminate().success());
    let dir = server.data_dir().parent().unwrap().to_owned();
    let store = open(&dir);
    let mut crowd = Vec::with_capacity(BETWEEN);
    for n in 0..BETWEEN / 100 {
        let mut account = account(&format!("crowd{n}"));
        account.id = AccountId::new(SystemClock.now());
        for _ in 0..100 {
            crowd.push(session_record(living(account.id)));
        }
        crowd.push(account_record(account, 0));
    }
    store.import(crowd).await.unwrap();
    store.close().await.unwrap();
    server.restart();
    let back = sign_up(&server, "back").await;

    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for (front, back) in front.into_iter().zip(back) {
        load.spawn(take_turns(front, back, Arc::clone(&stop)));
    }
    for n in 0..PAIRS {
        let (here, there) = (email("front-goes-", n), email("back-goes-", n));
        load.spawn(come_and_go(here, there, server.program(), Arc::clone(&stop)));
    }
    let mut seen = Vec::new();
    for n in 0..4 {
        let file = format!("backup{n}");
        let at = dir.clone();
        let args = ["backup".to_owned(), file.clone()];
        let said = tokio::task::spawn_blocking(move || {
            done(&run(&at, &args.each_ref().map(String::as_str)))
        });
        said.await.unwrap();
        seen.push(accounts(&fs::read(dir.join(file)).unwrap()));
    }
    stop.store(true, Ordering::SeqCst);
    load.join_all().await;

    for accounts in &seen {
        assert_eq!(accounts.len(), 4 * PAIRS + BETWEEN / 100);
        for n in 0..PAIRS {
            let (front, _) = accounts[&email("front-turns-", n)];
            let (back, _) = accounts[&email("back-turns-", n)];
            assert!(front == back || front == back + 1, "torn: {front} and {back} visits");
            let (here, here_in) = accounts[&email("front-goes-", n)];
            let (there, there_in) = accounts[&email("back-goes-", n)];
            assert!(here_in + there_in <= 1, "torn: logged in here and there");
            assert!(here == there || here == there + 1, "torn: {here} and {there} visits");
        }
    }
    let visits = |accounts: &HashMap<String, (u64, u64)>| -> u64 {
        accounts.values().map(|(visits, _)| visits).sum()
    };
    let visits: Vec<_> = seen.iter().map(visits).collect();
    println!("visits in each backup: {visits:?}");
    assert!(visits.windows(2).all(|pair| pair[0] + 20 < pair[1]), "there was no load: {visits:?}");
}
