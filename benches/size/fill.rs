//! Fills a store for `just bench-size`, through what the library offers to everybody.
//!
//! ```text
//! fill backup             writes a backup of so many accounts and sessions, for `countersign restore -`
//! fill revoke DATA_DIR    ends one session of every account, through the store
//! fill tokens DATA_DIR N  prints cookies of N sessions that are still there
//! fill cycles DATA_DIR N  N log-ins and log-outs through the store, with all other sessions alive
//! ```
//!
//! A backup is in the order of accounts, as every backup of a store is; sessions are ended in no
//! order at all, so that in the end every page was written on its own. All follows from the numbers
//! of an account and a session, so that each command knows what the others wrote.

#![expect(clippy::unwrap_used, reason = "a tool for measuring: it fails by panicking")]

mod people;

use std::{
    io::{BufWriter, Write as _, stdout},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use clap::{Args, Parser, Subcommand};
use countersign::{
    model::{AuditKind, By, Cause, Session, Timestamp, VisitDays, clock::from_millis},
    store::{
        BackupRecord, SledOptions, SledStore, Store,
        backup::{Encoder, Entry, Header},
    },
    token::{Algorithm, Grant, KeySet, Tokens},
};
use jiff::SignedDuration;
use people::People;
use tokio::task::JoinSet;

/// How many changes are under way at once: enough for full group commits.
const AT_ONCE: u64 = 1_024;

#[derive(Parser)]
struct Fill {
    #[command(flatten)]
    size: Size,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Clone, Copy)]
struct Size {
    /// How many accounts
    #[arg(long)]
    accounts: u64,
    /// How many sessions each of them has
    #[arg(long)]
    each: u64,
    /// The moment of the last log-in, in milliseconds since 1970
    #[arg(long)]
    now: i64,
    /// How long before that the first was, in milliseconds
    #[arg(long, default_value_t = 14_400_000)]
    span: i64,
}

#[derive(Subcommand)]
enum Command {
    /// Write a backup to standard output
    Backup,
    /// End one session of every account
    Revoke { data_dir: PathBuf },
    /// Print cookies
    Tokens { data_dir: PathBuf, count: u64 },
    /// Log in and out again
    Cycles { data_dir: PathBuf, count: u64 },
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Fill { size, command } = Fill::parse();
    let people = People::new(size.accounts, size.each, size.now, size.span);
    match command {
        Command::Backup => backup(&people),
        Command::Revoke { data_dir } => revoke(people, open(&data_dir)).await,
        Command::Tokens { data_dir, count } => tokens(&people, &data_dir.join("keys"), count),
        Command::Cycles { data_dir, count } => cycles(people, open(&data_dir), count).await,
    }
}

/// Why something is done: it makes no difference here.
fn cause(at: Timestamp) -> Cause {
    Cause { what: AuditKind::LoggedIn, by: By::COMMAND_LINE, at }
}

fn open(data_dir: &std::path::Path) -> Arc<SledStore> {
    Arc::new(SledStore::open(data_dir, SledOptions::default()).unwrap())
}

fn backup(people: &People) {
    let mut out = BufWriter::with_capacity(1 << 20, stdout().lock());
    let mut bytes = Vec::new();
    let header = Header { created_at: people.now(), program: "bench-size".to_owned() };
    let mut encoder = Encoder::begin(&header, &mut bytes);
    let mut add = |record| {
        encoder.add(&Entry::Record(record), &mut bytes);
        out.write_all(&bytes).unwrap();
        bytes.clear();
    };
    for number in 0..people.accounts {
        let account = people.account(number);
        let ended_days = VisitDays::default();
        add(BackupRecord::Account { account, ended_visits: 0, ended_days });
    }
    for number in 0..people.accounts {
        for number in (number..people.sessions()).step_by(people.step()) {
            let session = people.session(number);
            let mut days = VisitDays::default();
            (0..session.visits).for_each(|_| days.count(session.last_seen_at));
            add(BackupRecord::Session { session, epoch: 0, days });
        }
    }
    encoder.finish(&mut bytes);
    out.write_all(&bytes).unwrap();
    out.flush().unwrap();
}

/// Runs `step` for each number, many at once, and says how many a second that were.
async fn for_all<F>(numbers: std::ops::Range<u64>, step: impl Fn(u64) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let count = numbers.end - numbers.start;
    let started = Instant::now();
    let mut running = JoinSet::new();
    for number in numbers {
        running.spawn(step(number));
        if running.len() as u64 >= AT_ONCE {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "to be read by people")]
    let rate = count as f64 / seconds;
    println!("{count} in {seconds:.1} s, {rate:.0}/s");
}

/// The first session of every account is the one that is ended.
async fn revoke(people: People, store: Arc<SledStore>) {
    let people = Arc::new(people);
    for_all(0..people.accounts, |number| {
        let (people, store) = (Arc::clone(&people), Arc::clone(&store));
        async move {
            let Session { account, id, .. } = people.session(people.shuffled(number));
            assert!(store.revoke_session(account, id, cause(people.now())).await.unwrap());
        }
    })
    .await;
    store.close().await.unwrap();
}

/// Cookies of sessions of the last round, which nobody ended.
fn tokens(people: &People, keys: &std::path::Path, count: u64) {
    let life = SignedDuration::from_hours(24 * 14);
    let url = "http://localhost:3000".to_owned();
    let keys = KeySet::open(keys, Algorithm::Hs256, people.now(), life).unwrap();
    let tokens = Tokens::new(keys, url.clone(), url);
    let mut out = BufWriter::new(stdout().lock());
    let first = people.sessions() - people.accounts;
    let every = people.accounts / count;
    for number in (0..count).map(|n| first + n * every) {
        let session = people.session(number);
        let token = tokens.issue(&Grant {
            account: session.account,
            session: session.id,
            email: &people.account(people.owner(number)).email,
            visits: session.visits,
            prev: session.visits.saturating_sub(1),
            issued_at: people.now(),
            expires_at: session.idle_expires_at,
            authenticated_at: session.created_at,
        });
        writeln!(out, "session={}", token.unwrap()).unwrap();
    }
    out.flush().unwrap();
}

async fn cycles(people: People, store: Arc<SledStore>, count: u64) {
    let people = Arc::new(people);
    for_all(0..count, |number| {
        let (people, store) = (Arc::clone(&people), Arc::clone(&store));
        async move {
            let now = later(people.now(), number);
            let account = people.account(number % people.accounts);
            let session = people.log_in(&account, now, number);
            let id = session.id;
            store.create_session(session, &account.password, 100, cause(now)).await.unwrap();
            assert!(store.revoke_session(account.id, id, cause(now)).await.unwrap());
        }
    })
    .await;
    store.close().await.unwrap();
}

fn later(moment: Timestamp, millis: u64) -> Timestamp {
    from_millis(moment.as_millisecond() + i64::try_from(millis).unwrap())
}
