//! Backup and restore, by the real binary.
//!
//! | file | what it shows |
//! |---|---|
//! | `moved` | everything comes back: a hundred thousand sessions, and people stay logged in |
//! | `consistent` | a backup from a server under load is of one moment |
//! | `written` | the file: private, whole or not there, never in place of another |
//! | `refused` | what is not restored, and that nothing changed then |
//! | `records` | the file of every version that ever was opens |

mod consistent;
mod moved;
mod records;
mod refused;
mod written;

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use countersign::{
    model::{
        AccountId, Clock as _, Session,
        clock::{SystemClock, later},
    },
    store::{
        BackupRecord, SledOptions, SledStore, Store,
        backup::{BackupError, Counts, Decoder, Encoder, Entry, Header, Item},
    },
};

use crate::{
    store_world::{ABSOLUTE, IDLE, at, count, everybody, join, log_in, opened, session},
    support::capture,
};

/// The binary on `dir/data`.
fn countersign(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .env_clear()
        .env("COUNTERSIGN_PASSWORD__MEMORY_KIB", "8")
        .env("COUNTERSIGN_PASSWORD__PASSES", "1")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null());
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    capture::finished(countersign(dir, args).output().unwrap())
}

/// What it said, when it did it.
fn done(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr, "", "a success is silent on standard error");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one line it said, when it did not.
fn failed(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr.trim_end().strip_prefix("countersign: ").expect("who says it").to_owned()
}

fn open(dir: &Path) -> SledStore {
    opened(|| SledStore::open(&dir.join("data"), SledOptions::default())).unwrap()
}

/// A store with one person, one session and `visits` visits in `dir/data`, closed.
async fn small_store(dir: &Path, name: &str, visits: u64) {
    let store = open(dir);
    let account = join(&store, name).await;
    let session = log_in(&store, &account, 0).await;
    for _ in 0..visits {
        count(&store, &session, 1).await;
    }
    store.close().await.unwrap();
}

/// Who has an account in `dir/data`, and their visits.
async fn people(dir: &Path) -> Vec<(String, u64)> {
    let store = open(dir);
    let mut people = Vec::new();
    for account in everybody(&store).await {
        let visits = store.total_visits(account.id).await.unwrap();
        assert_eq!(store.sessions(account.id, at(2)).await.unwrap().len(), 1);
        people.push((account.email.as_str().to_owned(), visits));
    }
    store.close().await.unwrap();
    people
}

/// A session that is alive by the clock of a real server, which would sweep it away otherwise.
fn living(account: AccountId) -> Session {
    let now = SystemClock.now();
    let mut session = session(account, 0);
    session.created_at = now;
    session.idle_expires_at = later(now, IDLE);
    session.expires_at = later(now, ABSOLUTE);
    session
}

/// What is in a backup, if it is one.
fn read(bytes: &[u8]) -> Result<(Header, Vec<Entry>, Counts), BackupError> {
    let mut decoder = Decoder::new();
    let (mut header, mut entries) = (None, Vec::new());
    for bytes in bytes.chunks(10_000) {
        decoder.feed(bytes);
        while let Some(item) = decoder.read()? {
            match item {
                Item::Header(found) => header = Some(found),
                Item::Entry(entry) => entries.push(entry),
            }
        }
    }
    let counts = decoder.finish()?;
    Ok((header.expect("a whole backup has one"), entries, counts))
}

/// A backup of `records`.
fn backup_of(records: Vec<BackupRecord>) -> Vec<u8> {
    let header = Header { created_at: at(0), program: "0.0.0-test".to_owned() };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&header, &mut bytes);
    for record in records {
        encoder.add(&Entry::Record(record), &mut bytes);
    }
    encoder.finish(&mut bytes);
    bytes
}

/// The names in a directory, in order.
fn names(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| name(entry).into_string().unwrap()).collect();
    names.sort();
    names
}
