//! What the store costs without HTTP: closed loops of visits or checks on a real sled.
//!
//! `just bench-store` runs it. Each line is one load: how many were answered a second, how long
//! they took, and what CPU time of the whole process each cost, also by the threads that spent it
//! (the clients' own share included, about half a microsecond). The disk decides the throughput of
//! visits: compare the CPU time. The last lines say how long a visit waits at the most while dead
//! sessions are swept, and while they are not.

mod measure;

use std::{
    fs::File,
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use clap::Parser;
use countersign::{
    model::{
        Account, AccountId, AccountState, AuditKind, By, Cause, Clock, Email, Lifetimes,
        PasswordHash, Presented, Replay, Role, Session, SessionId, Timestamp, Transport,
        clock::{SystemClock, later},
        session::{Chain, ReplayPolicy},
    },
    store::{
        Created, SledOptions, SledStore, Store, Visit, Visited,
        sled::{Disk, RealDisk},
    },
};
use jiff::SignedDuration;
use measure::{Cpu, median, number, percentile};

/// Loads on a store.
#[derive(Parser)]
struct Arguments {
    /// A directory on the disk to be measured; emptied afterwards.
    #[arg(long, default_value = "target/bench/store")]
    dir: PathBuf,
    /// How many clients ask at the same time.
    #[arg(long, value_delimiter = ',', default_value = "64,256")]
    clients: Vec<usize>,
    /// How many sessions they share.
    #[arg(long, value_delimiter = ',', default_value = "64,10000")]
    sessions: Vec<usize>,
    /// How long each load lasts.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Leave the checks out.
    #[arg(long)]
    only_visits: bool,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The disk, and how long it took to sync.
#[derive(Debug, Default)]
struct TimedDisk(Mutex<Vec<Duration>>);

impl Disk for TimedDisk {
    fn sync(&self, database: &File) -> io::Result<()> {
        let started = Instant::now();
        let synced = RealDisk.sync(database);
        self.0.lock().expect("no sync panics").push(started.elapsed());
        synced
    }
}

/// What one client does, again and again.
#[derive(Clone, Copy)]
enum Work {
    Visit,
    Check,
}

fn main() {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.dir).expect("the directory can be made");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads can be started");
    for &sessions in &arguments.sessions {
        runtime.block_on(with_sessions(&arguments, sessions));
    }
    runtime.block_on(beside_a_sweep(&arguments));
}

/// Dead sessions, and those who visit meanwhile.
const DEAD: usize = 10_000;
const VISITORS: usize = 8;

/// As the server sweeps: so many at a time, and a rest of so many times as long.
const BUDGET: usize = 500;
const REST: u32 = 3;

async fn beside_a_sweep(arguments: &Arguments) {
    let dir = tempfile::tempdir_in(&arguments.dir).expect("a directory can be made");
    let store = SledStore::open(dir.path(), SledOptions::default()).expect("the store opens");
    let store: Arc<dyn Store> = Arc::new(store);
    let hour = SignedDuration::from_hours(1);
    log_in(&store, DEAD, later(SystemClock.now(), -hour)).await;
    let living = log_in(&store, VISITORS, later(SystemClock.now(), hour)).await;
    let alone = run(&store, &living, VISITORS, arguments.seconds, Work::Visit).await;
    let sweep = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let (mut steps, mut removed, mut from) = (Vec::new(), 0, None);
            loop {
                let started = Instant::now();
                let now = SystemClock.now();
                let swept = store.sweep(from, BUDGET, now).await.expect("the store answers");
                steps.push(started.elapsed());
                removed += swept.removed;
                from = swept.next;
                if from.is_none() {
                    return (steps, removed);
                }
                tokio::time::sleep(started.elapsed() * REST).await;
            }
        }
    });
    let beside = run(&store, &living, VISITORS, arguments.seconds, Work::Visit).await;
    let (mut steps, removed) = sweep.await.expect("no sweep panics");
    steps.sort_unstable();
    println!("{removed} dead sessions swept in {} steps, {VISITORS} visitors", steps.len());
    println!(
        "  a step: p50 {} us, longest {} us",
        percentile(&steps, 50).as_micros(),
        steps.last().copied().unwrap_or_default().as_micros()
    );
    for (what, load) in [("without", alone), ("beside it", beside)] {
        load.print(what, VISITORS);
        let longest = load.took.iter().max().copied().unwrap_or_default();
        println!("    the longest wait of a visit: {} us", longest.as_micros());
    }
    store.close().await.expect("the store closes");
}

async fn with_sessions(arguments: &Arguments, count: usize) {
    let dir = tempfile::tempdir_in(&arguments.dir).expect("a directory can be made");
    let disk = Arc::new(TimedDisk::default());
    let options = SledOptions { disk: disk.clone(), ..SledOptions::default() };
    let store: Arc<dyn Store> =
        Arc::new(SledStore::open(dir.path(), options).expect("the store opens"));
    let end = later(SystemClock.now(), SignedDuration::from_hours(12));
    let sessions = log_in(&store, count, end).await;
    let append = median(measure::appends(dir.path()));
    println!("{count} sessions; fdatasync of a small append takes {} us", append.as_micros());
    for &clients in &arguments.clients {
        disk.0.lock().expect("no sync panics").clear();
        let load = run(&store, &sessions, clients, arguments.seconds, Work::Visit).await;
        let syncs = std::mem::take(&mut *disk.0.lock().expect("no sync panics"));
        load.print("visits", clients);
        println!(
            "    {} commits/s of {:.0} visits, sync median {} us",
            syncs.len() as u64 / arguments.seconds,
            number(load.took.len()) / number(syncs.len()),
            median(syncs).as_micros(),
        );
        if !arguments.only_visits {
            run(&store, &sessions, clients, arguments.seconds, Work::Check)
                .await
                .print("checks", clients);
        }
    }
    store.close().await.expect("the store closes");
}

/// One load and what it took.
struct Load {
    seconds: f64,
    took: Vec<Duration>,
    cpu: Cpu,
}

impl Load {
    fn print(&self, what: &str, clients: usize) {
        let mut took = self.took.clone();
        took.sort_unstable();
        println!(
            "  {what} -c{clients}: {:.0}/s, CPU {} us, p50 {} us, p99 {} us",
            number(took.len()) / self.seconds,
            self.cpu.each(took.len()),
            percentile(&took, 50).as_micros(),
            percentile(&took, 99).as_micros(),
        );
    }
}

async fn run(
    store: &Arc<dyn Store>,
    sessions: &[Session],
    clients: usize,
    seconds: u64,
    work: Work,
) -> Load {
    let before = Cpu::now();
    let started = Instant::now();
    let end = started + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let mine = sessions.iter().skip(client % sessions.len()).step_by(clients);
            let client = Client { store: Arc::clone(store), sessions: mine.cloned().collect() };
            tokio::spawn(client.run(end, work))
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.expect("no client panics"));
    }
    Load { seconds: started.elapsed().as_secs_f64(), took, cpu: Cpu::now().since(&before) }
}

/// Asks in a closed loop, for one of its sessions after the other.
struct Client {
    store: Arc<dyn Store>,
    sessions: Vec<Session>,
}

impl Client {
    async fn run(mut self, end: Instant, work: Work) -> Vec<Duration> {
        let mut took = Vec::with_capacity(1 << 16);
        loop {
            for session in &mut self.sessions {
                let asked = Instant::now();
                if asked >= end {
                    return took;
                }
                let now = SystemClock.now();
                match work {
                    Work::Check => {
                        let found = self.store.session(session.account, session.id, now).await;
                        assert!(found.expect("the store answers").is_some());
                    }
                    Work::Visit => {
                        let visit = visit(session, now);
                        session.visits = match self.store.visit(visit).await {
                            Ok(Visited::Counted(counted)) => counted.visits,
                            other => panic!("not counted: {other:?}"),
                        };
                    }
                }
                took.push(asked.elapsed());
            }
        }
    }
}

fn visit(session: &Session, now: Timestamp) -> Visit {
    let hour = SignedDuration::from_hours(1);
    Visit {
        token: Presented {
            account: session.account,
            session: session.id,
            visits: session.visits,
            prev: session.visits.saturating_sub(1),
            issued_at: now,
        },
        transport: session.transport,
        from: None,
        now,
        lifetimes: Lifetimes {
            idle: hour,
            absolute: hour * 12,
            remember_idle: hour,
            remember_absolute: hour * 12,
        },
        replay: Replay { grace: SignedDuration::from_secs(60), policy: ReplayPolicy::Revoke },
    }
}

/// One account for each session, as there are people. All end at `end`.
async fn log_in(store: &Arc<dyn Store>, count: usize, end: Timestamp) -> Vec<Session> {
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            let store = Arc::clone(store);
            let number = format!("{number}-{end}").replace(':', "-");
            tokio::spawn(async move { log_in_one(&*store, &number, end).await })
        })
        .collect();
    let mut sessions = Vec::with_capacity(count);
    for task in tasks {
        sessions.push(task.await.expect("nobody is refused"));
    }
    sessions
}

/// Why something is done: it makes no difference here.
fn cause(at: Timestamp) -> Cause {
    Cause { what: AuditKind::LoggedIn, by: By::COMMAND_LINE, at }
}

async fn log_in_one(store: &dyn Store, number: &str, end: Timestamp) -> Session {
    let now = SystemClock.now();
    let account = Account {
        id: AccountId::new(now),
        email: Email::parse(&format!("{number}@example.com")).expect("it is an address"),
        password: PasswordHash::new("a hash".to_owned()),
        state: AccountState::Active,
        role: Role::Member,
        created_at: now,
        copied_at: None,
    };
    assert!(store.create_account(account.clone(), cause(now)).await.expect("the store answers"));
    let session = Session {
        account: account.id,
        id: SessionId::new(now),
        created_at: now,
        expires_at: end,
        idle_expires_at: end,
        last_seen_at: now,
        visits: 0,
        chain: Chain::begun(now),
        remember: false,
        transport: Transport::Cookie,
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101".to_owned(),
        copied_at: None,
    };
    match store
        .create_session(session, &account.password, 9, cause(now))
        .await
        .expect("the store answers")
    {
        Created::Added { session, .. } => session,
        Created::AccountChanged => panic!("the account should let its owner in"),
    }
}
