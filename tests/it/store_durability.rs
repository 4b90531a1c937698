//! What the embedded store does when disks fail, processes end and directories are not its own.
//!
//! Disks fail here through [`TestDisk`], which stands between the store and the file system; the
//! database under it is a real one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use countersign::{
    model::{AccountState, Session},
    store::{
        Durability, OpenError, SledOptions, SledStore, Store, StoreError, Visited,
        sled::{Disk, RealDisk},
    },
};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::timeout};

use crate::store_world::{account, alive, at, count, hash, join, log_in, visit};

/// Longer than anything here takes, unless it hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// A disk that can be held, fail, or panic.
#[derive(Debug, Default)]
struct TestDisk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    mode: Mode,
    /// How many syncs of the database were asked for, and how many of those are held.
    syncs: usize,
    held: usize,
    /// How many more syncs may pass although they are held.
    passes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Works,
    /// Syncs wait.
    Holds,
    /// Syncs and probes fail.
    Fails,
    /// Syncs panic, probes fail.
    Panics,
}

impl TestDisk {
    fn set(&self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
        self.changed.notify_all();
    }

    /// Lets the sync that is held pass, and waits until the next one is.
    async fn pass_one(&self) {
        let before = self.syncs();
        self.state.lock().unwrap().passes = 1;
        self.changed.notify_all();
        until("another sync is asked for", async || self.syncs() > before).await;
    }

    fn syncs(&self) -> usize {
        self.state.lock().unwrap().syncs
    }

    /// Waits until a sync is held.
    async fn reached(&self) {
        until("a sync is asked for", async || {
            self.state.lock().unwrap().held > 0
        })
        .await;
    }
}

impl Disk for TestDisk {
    fn sync(&self, database: &File) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.syncs += 1;
        state.held += 1;
        let held = |s: &mut State| s.mode == Mode::Holds && s.passes == 0;
        let mut state = self.changed.wait_while(state, held).unwrap();
        state.passes = state.passes.saturating_sub(1);
        state.held -= 1;
        let mode = state.mode;
        drop(state);
        match mode {
            Mode::Fails => Err(io::Error::other("the test says so")),
            Mode::Panics => panic!("the test says so"),
            Mode::Works | Mode::Holds => RealDisk.sync(database),
        }
    }

    fn probe(&self, path: &Path, bytes: u64) -> io::Result<()> {
        match self.state.lock().unwrap().mode {
            Mode::Fails | Mode::Panics => Err(io::Error::other("the test says so")),
            Mode::Works | Mode::Holds => RealDisk.probe(path, bytes),
        }
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < LIMIT, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

struct Rig {
    dir: TempDir,
    disk: Arc<TestDisk>,
    options: SledOptions,
    store: Arc<dyn Store>,
}

impl Rig {
    fn new() -> Self {
        Self::with(Durability::Commit)
    }

    fn with(durability: Durability) -> Self {
        let dir = TempDir::new().unwrap();
        let disk = Arc::new(TestDisk::default());
        let options = SledOptions {
            durability,
            disk: disk.clone(),
            ..SledOptions::default()
        };
        let store = Arc::new(SledStore::open(dir.path(), options.clone()).unwrap());
        Self {
            dir,
            disk,
            options,
            store,
        }
    }

    /// Ends the store and opens it anew.
    async fn reopen(&mut self) {
        self.store.close().await.unwrap();
        self.store = Arc::new(SledStore::open(self.dir.path(), self.options.clone()).unwrap());
    }

    /// What another process would find if this one were killed now: opens a copy of the files.
    fn killed_now(&self) -> (TempDir, SledStore) {
        let copy = TempDir::new().unwrap();
        copy_dir(self.dir.path(), copy.path());
        let store = SledStore::open(copy.path(), SledOptions::default()).unwrap();
        (copy, store)
    }

    fn revoke(&self, session: &Session) -> tokio::task::JoinHandle<Result<bool, StoreError>> {
        let (store, session) = (Arc::clone(&self.store), session.clone());
        tokio::spawn(async move {
            store
                .revoke_session(session.account, session.id, at(1))
                .await
        })
    }

    async fn healed(&self) {
        until("the store has healed", async || {
            self.store.ping().await.is_ok()
        })
        .await;
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file under `dir` and what is in it.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

// --- what was answered stays ---

#[tokio::test]
async fn reopening_keeps_everything() {
    let mut rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let bob = join(&*rig.store, "bob").await;
    let live = log_in(&*rig.store, &ann, 0).await;
    let live = count(&*rig.store, &live, 1).await;
    let gone = log_in(&*rig.store, &ann, 0).await;
    count(&*rig.store, &gone, 1).await;
    assert!(
        rig.store
            .revoke_session(ann.id, gone.id, at(1))
            .await
            .unwrap()
    );
    rig.store
        .set_account_state(bob.id, AccountState::Disabled)
        .await
        .unwrap();
    for _ in 0..3 {
        rig.reopen().await;
        assert_eq!(rig.store.account(ann.id).await.unwrap(), Some(ann.clone()));
        let found = rig
            .store
            .account_by_email(&bob.email)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.state, AccountState::Disabled);
        let found = rig.store.session(ann.id, live.id, at(1)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&live));
        assert!(!alive(&*rig.store, &gone, 1).await);
        assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), 2);
    }
    rig.store.revoke_all_sessions().await.unwrap();
    rig.reopen().await;
    assert!(!alive(&*rig.store, &live, 1).await, "the epoch is kept too");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_in_the_files() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    for visits in 1..=20 {
        count(&*rig.store, &one, 1).await;
        let (_copy, killed) = rig.killed_now();
        assert_eq!(killed.total_visits(ann.id).await.unwrap(), visits);
    }
    assert!(rig.revoke(&one).await.unwrap().unwrap());
    let (_copy, killed) = rig.killed_now();
    assert!(!alive(&killed, &one, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_before_it_is_synced() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;

    rig.disk.set(Mode::Holds);
    let first = rig.revoke(&one);
    rig.disk.reached().await;
    let second = rig.revoke(&one);
    let late_visit = {
        let (store, visit) = (Arc::clone(&rig.store), visit(&one, 0, 0, 1));
        tokio::spawn(async move { store.visit(visit).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    // The end is applied, and in the file. But it is not synced, so it has not happened yet:
    // nobody may build on it, and nobody is told.
    assert!(alive(&*rig.store, &one, 1).await);
    let listed = rig.store.sessions(ann.id, at(1)).await.unwrap();
    assert_eq!(listed.as_slice(), std::slice::from_ref(&one));
    assert!(!first.is_finished() && !second.is_finished() && !late_visit.is_finished());
    let (_copy, killed) = rig.killed_now();
    assert!(
        !alive(&killed, &one, 1).await,
        "what is synced is what was flushed before"
    );

    rig.disk.set(Mode::Works);
    assert!(timeout(LIMIT, first).await.unwrap().unwrap().unwrap());
    assert!(!timeout(LIMIT, second).await.unwrap().unwrap().unwrap());
    let visited = timeout(LIMIT, late_visit).await.unwrap().unwrap();
    assert_eq!(visited.unwrap(), Visited::Absent);
    assert!(!alive(&*rig.store, &one, 1).await);
}

/// As above, where the two are worked off in one group.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_from_the_same_commit_before_it_is_synced() {
    for durability in [
        Durability::Commit,
        Durability::Interval(Durability::LONGEST),
    ] {
        let rig = Rig::with(durability);
        let ann = join(&*rig.store, "ann").await;
        let first = log_in(&*rig.store, &ann, 0).await;
        let one = log_in(&*rig.store, &ann, 0).await;
        let other = log_in(&*rig.store, &ann, 0).await;
        rig.disk.set(Mode::Holds);
        let earlier = rig.revoke(&first);
        rig.disk.reached().await;
        let ends = rig.revoke(&one);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let again = rig.revoke(&one);
        let visits = [&one, &other].map(|session| {
            let (store, visit) = (Arc::clone(&rig.store), visit(session, 0, 0, 1));
            tokio::spawn(async move { store.visit(visit).await })
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        rig.disk.pass_one().await;
        assert!(timeout(LIMIT, earlier).await.unwrap().unwrap().unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!ends.is_finished() && !again.is_finished());
        assert!(visits.iter().all(|visit| !visit.is_finished()));
        rig.disk.set(Mode::Fails);
        assert!(timeout(LIMIT, ends).await.unwrap().unwrap().is_err());
        assert!(timeout(LIMIT, again).await.unwrap().unwrap().is_err());
        for visit in visits {
            assert!(timeout(LIMIT, visit).await.unwrap().unwrap().is_err());
        }
        assert!(alive(&*rig.store, &one, 1).await);
        assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sync_serves_all_that_wait() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let mut sessions = Vec::new();
    for _ in 0..101 {
        sessions.push(log_in(&*rig.store, &ann, 0).await);
    }
    rig.disk.set(Mode::Holds);
    let first = rig.revoke(&sessions[0]);
    rig.disk.reached().await;
    let before = rig.disk.syncs();
    let rest: Vec<_> = sessions[1..]
        .iter()
        .map(|session| rig.revoke(session))
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    rig.disk.set(Mode::Works);
    assert!(timeout(LIMIT, first).await.unwrap().unwrap().unwrap());
    for revoked in rest {
        assert!(timeout(LIMIT, revoked).await.unwrap().unwrap().unwrap());
    }
    let syncs = rig.disk.syncs() - before;
    assert!(syncs <= 5, "{syncs} syncs for 100 changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_waits_for_no_sync() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    assert!(rig.revoke(&one).await.unwrap().unwrap());
    let before = rig.disk.syncs();
    assert!(!rig.revoke(&one).await.unwrap().unwrap());
    assert_eq!(
        rig.store.visit(visit(&one, 0, 0, 1)).await.unwrap(),
        Visited::Absent
    );
    rig.store.ping().await.unwrap();
    assert_eq!(rig.disk.syncs(), before);
}

/// `Tree::flush_async` hangs for good at 16 tasks.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_parallel_revokes_end() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let mut sessions = Vec::new();
    for _ in 0..100 {
        sessions.push(log_in(&*rig.store, &ann, 0).await);
    }
    let mut tasks = JoinSet::new();
    for session in sessions {
        let store = Arc::clone(&rig.store);
        tasks.spawn(async move {
            store
                .revoke_session(session.account, session.id, at(1))
                .await
                .unwrap()
        });
    }
    let ended = timeout(LIMIT, tasks.join_all())
        .await
        .expect("it does not hang");
    assert_eq!(ended, vec![true; 100]);
}

// --- what was refused never was ---

/// A commit fails in `mode`; all that must hold then, during it and after it.
async fn a_commit_fails(mode: Mode) {
    let mut rig = Rig::new();
    let store = Arc::clone(&rig.store);
    let ann = join(&*store, "ann").await;
    let one = log_in(&*store, &ann, 0).await;
    let one = count(&*store, &one, 1).await;

    rig.disk.set(mode);
    let refused = rig.revoke(&one).await.unwrap();
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    // Reads go on, with what was recorded; changes are refused at once.
    for _ in 0..3 {
        let found = store.session(ann.id, one.id, at(1)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&one));
        assert_eq!(store.sessions(ann.id, at(1)).await.unwrap().len(), 1);
        assert_eq!(store.total_visits(ann.id).await.unwrap(), 1);
        let asked = Instant::now();
        assert!(store.visit(visit(&one, 1, 1, 1)).await.is_err());
        let login = crate::store_world::session(ann.id, 1);
        assert!(store.create_session(login, &ann.password, 9).await.is_err());
        assert!(store.ping().await.is_err());
        assert!(asked.elapsed() < Duration::from_secs(1), "refused at once");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Nobody asks for anything, and it heals all the same.
    rig.disk.set(Mode::Works);
    rig.healed().await;
    let found = store.session(ann.id, one.id, at(1)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&one), "what was refused is not there");
    let one = count(&*store, &one, 2).await;
    assert_eq!(one.visits, 2);
    let (_copy, killed) = rig.killed_now();
    let found = killed.session(ann.id, one.id, at(2)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&one), "nor in the files");
    drop(store);
    rig.reopen().await;
    let found = rig.store.session(ann.id, one.id, at(2)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&one), "nor after a restart");
    assert_eq!(rig.store.sessions(ann.id, at(2)).await.unwrap().len(), 1);
    assert_eq!(rig.store.account(ann.id).await.unwrap(), Some(ann));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_undone_and_heals() {
    a_commit_fails(Mode::Fails).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_commit_is_undone_and_heals() {
    a_commit_fails(Mode::Panics).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_waited_for_a_failed_commit_are_refused() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Holds);
    let first = rig.revoke(&one);
    rig.disk.reached().await;
    // These wait behind the commit that is about to fail.
    let behind: Vec<_> = (0..50).map(|_| rig.revoke(&one)).collect();
    rig.disk.set(Mode::Fails);
    assert!(timeout(LIMIT, first).await.unwrap().unwrap().is_err());
    for revoked in behind {
        assert!(timeout(LIMIT, revoked).await.unwrap().unwrap().is_err());
    }
    assert!(alive(&*rig.store, &one, 1).await);
    rig.disk.set(Mode::Works);
    rig.healed().await;
    assert!(alive(&*rig.store, &one, 1).await);
    assert!(rig.revoke(&one).await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_again_while_healing_is_waited_for() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    for round in 0..5 {
        rig.disk.set(Mode::Fails);
        assert!(rig.revoke(&one).await.unwrap().is_err());
        // The probe works and the way back is cut off in the middle of it.
        rig.disk.set(Mode::Holds);
        rig.disk.reached().await;
        rig.disk.set(if round % 2 == 0 {
            Mode::Fails
        } else {
            Mode::Panics
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(rig.store.ping().await.is_err());
        rig.disk.set(Mode::Works);
        rig.healed().await;
        assert!(alive(&*rig.store, &one, 1).await, "round {round}");
    }
    assert!(rig.revoke(&one).await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_wait_a_bounded_time_for_a_database_that_is_away() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Fails);
    assert!(rig.revoke(&one).await.unwrap().is_err());
    // The old handle is gone, and the new one does not come.
    rig.disk.set(Mode::Holds);
    rig.disk.reached().await;
    let asked = Instant::now();
    assert!(rig.store.session(ann.id, one.id, at(1)).await.is_err());
    assert!(asked.elapsed() < LIMIT);
    // Changes do not wait at all.
    let ping = timeout(Duration::from_secs(1), rig.store.ping()).await;
    assert!(ping.expect("at once").is_err());
    // One who still waits when it comes back is answered.
    let waiting = {
        let (store, one) = (Arc::clone(&rig.store), one.clone());
        tokio::spawn(async move { alive(&*store, &one, 1).await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    rig.disk.set(Mode::Works);
    assert!(timeout(LIMIT, waiting).await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_store_closes_and_says_so() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Fails);
    assert!(rig.revoke(&one).await.unwrap().is_err());
    assert!(timeout(LIMIT, rig.store.close()).await.unwrap().is_err());
    rig.disk.set(Mode::Works);
    let again = SledStore::open(rig.dir.path(), SledOptions::default()).unwrap();
    assert_eq!(again.account(ann.id).await.unwrap(), Some(ann));
}

// --- visits first ---

#[tokio::test(flavor = "multi_thread")]
async fn visits_may_be_answered_first_and_nothing_else() {
    let mut rig = Rig::with(Durability::Interval(Duration::from_millis(500)));
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Holds);
    for visits in 1..=5 {
        let visited = timeout(LIMIT, count(&*rig.store, &one, 1)).await.unwrap();
        assert_eq!(visited.visits, visits);
        assert_eq!(
            rig.store.total_visits(ann.id).await.unwrap(),
            visits,
            "seen by readers"
        );
    }
    let ended = rig.revoke(&one);
    rig.disk.reached().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!ended.is_finished() && alive(&*rig.store, &one, 1).await);
    rig.disk.set(Mode::Works);
    assert!(timeout(LIMIT, ended).await.unwrap().unwrap().unwrap());
    assert!(!alive(&*rig.store, &one, 1).await);
    rig.reopen().await;
    assert!(!alive(&*rig.store, &one, 1).await);
    assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn visits_answered_first_are_recorded_in_time_and_at_close() {
    let mut rig = Rig::with(Durability::Interval(Duration::from_millis(50)));
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    let before = rig.disk.syncs();
    count(&*rig.store, &one, 1).await;
    until("the visit is recorded", async || rig.disk.syncs() > before).await;
    until("it is in the files", async || {
        rig.killed_now().1.total_visits(ann.id).await.unwrap() == 1
    })
    .await;
    count(&*rig.store, &one, 1).await;
    rig.reopen().await;
    assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn visits_answered_first_outlive_a_failed_commit() {
    let mut rig = Rig::with(Durability::Interval(Duration::from_millis(500)));
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    rig.disk.set(Mode::Fails);
    let one = count(&*rig.store, &one, 1).await;
    assert!(rig.revoke(&one).await.unwrap().is_err());
    let found = rig.store.session(ann.id, one.id, at(1)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&one));
    assert!(
        rig.store.visit(visit(&one, 1, 1, 1)).await.is_err(),
        "no longer"
    );
    rig.disk.set(Mode::Works);
    rig.healed().await;
    rig.reopen().await;
    let found = rig.store.session(ann.id, one.id, at(1)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&one));
}

// --- whose directory it is ---

#[tokio::test]
async fn a_second_open_is_told_who_has_it() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let second = SledStore::open(rig.dir.path(), SledOptions::default());
    let Err(error) = second else {
        panic!("it opened twice")
    };
    assert!(
        matches!(&error, OpenError::Locked { pid: Some(pid), .. } if *pid == std::process::id()),
        "{error:?}"
    );
    assert!(error.to_string().contains("in use by another process"));
    assert_eq!(rig.store.account(ann.id).await.unwrap(), Some(ann));
    join(&*rig.store, "bob").await;
}

#[tokio::test]
async fn a_dropped_store_lets_go() {
    let dir = TempDir::new().unwrap();
    let store = SledStore::open(dir.path(), SledOptions::default()).unwrap();
    let ann = join(&store, "ann").await;
    drop(store);
    let mut again = None;
    until("the lock is free", async || {
        again = SledStore::open(dir.path(), SledOptions::default()).ok();
        again.is_some()
    })
    .await;
    assert_eq!(again.unwrap().account(ann.id).await.unwrap(), Some(ann));
}

#[tokio::test]
async fn a_half_written_snapshot_is_moved_aside() {
    let mut rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    rig.store.close().await.unwrap();
    let planted = rig
        .dir
        .path()
        .join("store/snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&planted, b"half").unwrap();
    rig.reopen().await;
    assert_eq!(rig.store.account(ann.id).await.unwrap(), Some(ann));
    assert!(!planted.exists());
    let aside = rig.dir.path().join("store/half-written-snapshot");
    assert_eq!(fs::read(aside).unwrap(), b"half");
}

/// Opens `data_dir`, which must fail and leave it as it is.
fn refused(data_dir: &Path) -> OpenError {
    let before = contents(data_dir);
    let Err(error) = SledStore::open(data_dir, SledOptions::default()) else {
        panic!("it opened {}", data_dir.display())
    };
    assert_eq!(contents(data_dir), before, "nothing is written");
    error
}

#[tokio::test]
async fn a_directory_that_is_not_ours_is_left_alone() {
    let files = TempDir::new().unwrap();
    fs::create_dir(files.path().join("store")).unwrap();
    fs::write(files.path().join("store/holiday.jpg"), b"...").unwrap();
    assert!(matches!(refused(files.path()), OpenError::Foreign { .. }));

    let plain = TempDir::new().unwrap();
    fs::write(plain.path().join("store"), b"a file").unwrap();
    assert!(matches!(refused(plain.path()), OpenError::Foreign { .. }));

    // Another program's sled database: ours, but for what says so.
    let rig = Rig::new();
    join(&*rig.store, "ann").await;
    rig.store.close().await.unwrap();
    fs::remove_file(rig.dir.path().join("store/format")).unwrap();
    fs::remove_file(rig.dir.path().join("lock")).unwrap();
    assert!(matches!(refused(rig.dir.path()), OpenError::Foreign { .. }));
    fs::write(rig.dir.path().join("store/format"), b"my own words").unwrap();
    assert!(matches!(refused(rig.dir.path()), OpenError::Foreign { .. }));
}

#[tokio::test]
async fn another_format_is_named_and_left_alone() {
    let rig = Rig::new();
    rig.store.close().await.unwrap();
    fs::write(
        rig.dir.path().join("store/format"),
        b"countersign store 99\n",
    )
    .unwrap();
    let error = refused(rig.dir.path());
    assert!(
        matches!(
            error,
            OpenError::Version {
                found: 99,
                expected: 1,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_start_that_was_cut_short_can_be_repeated() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("store")).unwrap();
    fs::write(dir.path().join("store/format.unfinished"), b"counter").unwrap();
    let store = SledStore::open(dir.path(), SledOptions::default()).unwrap();
    join(&store, "ann").await;
    store.close().await.unwrap();
    SledStore::open(dir.path(), SledOptions::default()).unwrap();
}

#[test]
fn only_the_user_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let _store = SledStore::open(&data, SledOptions::default()).unwrap();
    for made in [data.join("store"), data] {
        let mode = fs::metadata(made).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[tokio::test]
async fn what_is_refused_shows_no_secret() {
    let options = format!("{:?}", SledOptions::default());
    assert!(options.contains("cache_bytes"));
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    rig.disk.set(Mode::Fails);
    let error = rig
        .store
        .rehash_password(ann.id, &hash("first"), hash("geheim"))
        .await;
    let shown = format!("{0:?} {0}", error.unwrap_err());
    assert!(!shown.contains("geheim") && !shown.contains("ann@"));
}

// --- a disk that is really full ---

/// Where a small file system is mounted: `mount -t tmpfs -o size=16m none DIR`.
const SMALL_DISK: &str = "COUNTERSIGN_SMALL_DISK";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a small file system, named in COUNTERSIGN_SMALL_DISK"]
async fn a_full_disk_refuses_and_heals_when_there_is_room() {
    let dir = PathBuf::from(std::env::var_os(SMALL_DISK).expect("COUNTERSIGN_SMALL_DISK is set"));
    let data = dir.join("data");
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![0; 6 << 20]).unwrap();
    let store = Arc::new(SledStore::open(&data, SledOptions::default()).unwrap());
    let (mut recorded, mut refused) = (Vec::new(), Vec::new());
    for round in 0.. {
        let mut tasks = JoinSet::new();
        for n in 0..64 {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                let new = account(&format!("{:0>50}-{round}-{n}", ""));
                let made = store.create_account(new.clone()).await;
                (new, made.is_ok())
            });
        }
        for (account, made) in tasks.join_all().await {
            if made { &mut recorded } else { &mut refused }.push(account);
        }
        if !refused.is_empty() {
            break;
        }
    }
    let check = async |store: &SledStore| {
        for account in &recorded {
            let found = store.account_by_email(&account.email).await.unwrap();
            assert_eq!(found.as_ref(), Some(account), "what was recorded is there");
        }
        for account in &refused {
            let found = store.account_by_email(&account.email).await.unwrap();
            assert_eq!(found, None, "what was refused is not");
        }
    };
    check(&store).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(store.ping().await.is_err(), "there is still no room");
    check(&store).await;
    fs::remove_file(ballast).unwrap();
    until("it has healed", async || store.ping().await.is_ok()).await;
    check(&store).await;
    store.close().await.unwrap();
    let store = SledStore::open(&data, SledOptions::default()).unwrap();
    check(&store).await;
    store.close().await.unwrap();
    fs::remove_dir_all(data).unwrap();
}
