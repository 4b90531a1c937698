//! Accounts, sessions and tokens for tests of stores, with as few words as possible.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use countersign::{
    model::{
        Account, AccountId, AccountState, AuditKind, By, Cause, Email, Lifetimes, PasswordHash,
        Presented, Replay, Role, Session, SessionId, Succession, Timestamp, Transport, VisitDays,
        clock::{from_millis, later},
        session::{Chain, ReplayPolicy},
    },
    store::{
        AuditBounds, BackupRecord, ClusterStore, Created, MemoryStore, OpenError, RedisChecks,
        RedisOptions, RedisServers, RedisStore, SledOptions, SledStore, Store, Visit, Visited,
        redis::SHARDS,
    },
};
use jiff::SignedDuration;
use tempfile::TempDir;

use crate::support::{PATIENCE, RedisServer, SharedCluster};

/// The idle time of all sessions here.
pub(crate) const IDLE: SignedDuration = SignedDuration::from_mins(30);
/// Their absolute lifetime.
pub(crate) const ABSOLUTE: SignedDuration = SignedDuration::from_hours(12);
/// Both, remembered or not.
pub(crate) const LIFETIMES: Lifetimes =
    Lifetimes { idle: IDLE, absolute: ABSOLUTE, remember_idle: IDLE, remember_absolute: ABSOLUTE };
/// How long requests may be under way at the same time.
pub(crate) const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// Checks from memory, however busy the machine is.
pub(crate) const LOCAL: RedisChecks =
    RedisChecks::Local { max_lag: Duration::from_secs(20), most: 1_000 };
/// More sessions than any test makes.
pub(crate) const PLENTY: usize = 1_000;

/// Seconds after the moment at which every test begins.
pub(crate) fn at(seconds: i64) -> Timestamp {
    from_millis(1_790_000_000_000 + seconds * 1_000)
}

/// Why something is done, where that is not what is looked at.
pub(crate) fn cause(at: Timestamp) -> Cause {
    Cause { what: AuditKind::SessionEnded, by: By::COMMAND_LINE, at }
}

pub(crate) fn hash(text: &str) -> PasswordHash {
    PasswordHash::new(text.to_owned())
}

pub(crate) fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@example.com")).unwrap()
}

/// An account with the password hash `first`.
pub(crate) fn account(name: &str) -> Account {
    Account {
        id: AccountId::new(at(0)),
        email: email(name),
        password: hash("first"),
        state: AccountState::Active,
        role: Role::Member,
        created_at: at(0),
        copied_at: None,
    }
}

/// A session of `account` begun at `seconds`.
pub(crate) fn session(account: AccountId, seconds: i64) -> Session {
    let now = at(seconds);
    Session {
        account,
        id: SessionId::new(now),
        created_at: now,
        expires_at: later(now, ABSOLUTE),
        idle_expires_at: later(now, IDLE),
        last_seen_at: now,
        visits: 0,
        chain: Chain::begun(now),
        remember: false,
        transport: Transport::Cookie,
        user_agent: "curl/8".to_owned(),
        copied_at: None,
    }
}

/// The succession of `session` by another at `seconds`.
pub(crate) fn succession(session: &Session, seconds: i64) -> Succession {
    Succession {
        from: session.id,
        to: SessionId::new(at(seconds)),
        now: at(seconds),
        lifetimes: LIFETIMES,
        authenticated: true,
    }
}

/// A visit at `seconds` with the token of number `visits` that was signed at `issued`.
pub(crate) fn visit(session: &Session, visits: u64, issued: i64, seconds: i64) -> Visit {
    Visit {
        token: Presented {
            account: session.account,
            session: session.id,
            visits,
            prev: visits.saturating_sub(1),
            issued_at: at(issued),
        },
        transport: session.transport,
        from: None,
        now: at(seconds),
        lifetimes: LIFETIMES,
        replay: Replay { grace: GRACE, policy: ReplayPolicy::Revoke },
    }
}

/// An account as it stands in a backup, with so many visits of sessions that are gone, of long ago.
pub(crate) fn account_record(account: Account, ended_visits: u64) -> BackupRecord {
    BackupRecord::Account { account, ended_visits, ended_days: VisitDays::default() }
}

/// A session as it stands in a backup, of the first epoch, and with no visit of late.
pub(crate) fn session_record(session: Session) -> BackupRecord {
    BackupRecord::Session { session, epoch: 0, days: VisitDays::default() }
}

/// The visits of each of the days that has any, by days after 1970-01-01.
pub(crate) fn by_day(days: &VisitDays) -> BTreeMap<i32, u32> {
    let (latest, counts) = days.parts();
    let by_day = (0..).zip(counts).map(|(before, count)| (latest - before, *count));
    by_day.filter(|(_, count)| *count > 0).collect()
}

/// Those of an account.
pub(crate) async fn visit_days(store: &dyn Store, account: AccountId) -> BTreeMap<i32, u32> {
    by_day(&store.visit_days(account).await.unwrap())
}

/// A store and what is needed to keep it.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    kept: Kept,
}

/// What goes with it.
enum Kept {
    Nothing,
    Directory(#[expect(dead_code, reason = "it is removed when this is dropped")] TempDir),
    Server(#[expect(dead_code, reason = "it ends when this is dropped")] RedisServer, RedisChecks),
    ServerOfShards(#[expect(dead_code, reason = "it ends when this is dropped")] RedisServer),
    Cluster(Arc<SharedCluster>),
}

impl World {
    pub(crate) fn memory() -> Self {
        Self::memory_with(AuditBounds::default())
    }

    pub(crate) fn sled() -> Self {
        Self::sled_with(AuditBounds::default())
    }

    pub(crate) fn redis() -> Self {
        Self::redis_with(AuditBounds::default(), RedisChecks::Strict)
    }

    /// One node, which answers checks from memory.
    pub(crate) fn redis_local() -> Self {
        Self::redis_with(AuditBounds::default(), LOCAL)
    }

    /// A store in shards that all lie on one server.
    pub(crate) fn shards() -> Self {
        Self::shards_with(AuditBounds::default())
    }

    /// A store in shards, on a cluster of three primaries.
    pub(crate) fn cluster() -> Self {
        Self::cluster_with(Arc::new(SharedCluster::take()), AuditBounds::default())
    }

    fn memory_with(audit: AuditBounds) -> Self {
        Self { store: Arc::new(MemoryStore::with(audit)), kept: Kept::Nothing }
    }

    fn sled_with(audit: AuditBounds) -> Self {
        let dir = TempDir::new().unwrap();
        let options = SledOptions { audit, ..SledOptions::default() };
        let store = Arc::new(SledStore::open(dir.path(), options).unwrap());
        Self { store, kept: Kept::Directory(dir) }
    }

    fn redis_with(audit: AuditBounds, checks: RedisChecks) -> Self {
        let server = RedisServer::start();
        let store = Arc::new(open_redis_with(&server, audit, checks));
        Self { store, kept: Kept::Server(server, checks) }
    }

    fn shards_with(audit: AuditBounds) -> Self {
        let server = RedisServer::start();
        let store = Arc::new(open_shards(&server.url(), audit));
        Self { store, kept: Kept::ServerOfShards(server) }
    }

    fn cluster_with(cluster: Arc<SharedCluster>, audit: AuditBounds) -> Self {
        let store = Arc::new(open_shards(cluster.servers(), audit));
        Self { store, kept: Kept::Cluster(cluster) }
    }

    /// Whether what belongs to different accounts lies in different parts, which is weaker where
    /// [`Store`] says so.
    pub(crate) fn is_in_shards(&self) -> bool {
        matches!(self.kept, Kept::ServerOfShards(_) | Kept::Cluster(_))
    }

    /// Another, empty one of this kind, that keeps no more audit events than that; of several shards,
    /// each of them. On a cluster it takes the place of this one.
    pub(crate) fn bounded(&self, audit: AuditBounds) -> Self {
        let most = audit.most.saturating_mul(SHARDS as u64);
        let of_all = AuditBounds { most, ..audit };
        match &self.kept {
            Kept::Nothing => Self::memory_with(audit),
            Kept::Directory(_) => Self::sled_with(audit),
            Kept::Server(_, checks) => Self::redis_with(audit, *checks),
            Kept::ServerOfShards(_) => Self::shards_with(of_all),
            Kept::Cluster(cluster) => {
                cluster.clear();
                Self::cluster_with(Arc::clone(cluster), of_all)
            }
        }
    }
}

/// The store in a server that is there. The machine may be busy with other tests.
pub(crate) fn open_redis(server: &RedisServer, audit: AuditBounds) -> RedisStore {
    open_redis_with(server, audit, RedisChecks::Strict)
}

pub(crate) fn open_redis_with(
    server: &RedisServer,
    audit: AuditBounds,
    checks: RedisChecks,
) -> RedisStore {
    let options = RedisOptions { patience: PATIENCE / 4, checks, audit, ..RedisOptions::default() };
    RedisStore::open(&server.url(), options).unwrap()
}

/// The store in shards on servers that are there.
pub(crate) fn open_shards(servers: impl Into<RedisServers>, audit: AuditBounds) -> ClusterStore {
    open_shards_with(servers, audit, RedisChecks::Strict)
}

pub(crate) fn open_shards_with(
    servers: impl Into<RedisServers>,
    audit: AuditBounds,
    checks: RedisChecks,
) -> ClusterStore {
    let options = RedisOptions { patience: PATIENCE / 4, checks, audit, ..RedisOptions::default() };
    ClusterStore::open(servers, options).unwrap()
}

/// Opens a store whose directory was open in this process before.
///
/// For a moment it may still be locked: a test beside this one that starts a program makes a copy of
/// this process, with all its open files and so with the lock, which goes when the program begins to
/// run. (Of 200,000 openings beside two threads that start programs, 700 met it, for up to 27 ms; of
/// 450,000 without such threads, none.) The service starts no programs.
pub(crate) fn opened<T>(open: impl Fn() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let started = Instant::now();
    loop {
        match open() {
            Err(OpenError::Locked { .. }) if started.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(1));
            }
            outcome => return outcome,
        }
    }
}

/// Everybody who has an account, in the order of their e-mails.
pub(crate) async fn everybody(store: &dyn Store) -> Vec<Account> {
    let (mut all, mut after) = (Vec::new(), None::<Email>);
    loop {
        let after_that = after.as_ref().map(Email::as_str);
        let page = store.find_accounts("", after_that, PLENTY).await.unwrap();
        all.extend(page.accounts);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

/// Adds an account and returns it.
pub(crate) async fn join(store: &dyn Store, name: &str) -> Account {
    let account = account(name);
    assert!(store.create_account(account.clone(), cause(at(0))).await.unwrap());
    account
}

/// Adds a session begun at `seconds` and returns it.
pub(crate) async fn log_in(store: &dyn Store, account: &Account, seconds: i64) -> Session {
    let session = session(account.id, seconds);
    match store.create_session(session, &account.password, PLENTY, cause(at(0))).await.unwrap() {
        Created::Added { session, .. } => session,
        Created::AccountChanged => panic!("the account should let its owner in"),
    }
}

/// Counts a visit of a token that is always up to date; returns the session after it.
pub(crate) async fn count(store: &dyn Store, session: &Session, seconds: i64) -> Session {
    let live = store.session(session.account, session.id, at(seconds)).await;
    let visits = live.unwrap().expect("a living session").visits;
    match store.visit(visit(session, visits, seconds, seconds)).await.unwrap() {
        Visited::Counted(session) => session,
        other => panic!("not counted: {other:?}"),
    }
}

/// Whether the session is alive at `seconds`.
pub(crate) async fn alive(store: &dyn Store, session: &Session, seconds: i64) -> bool {
    let found = store.session(session.account, session.id, at(seconds)).await;
    found.unwrap().is_some()
}
