//! What the embedded store does when disks fail, processes end and directories are not its own.
//!
//! Disks fail here through [`TestDisk`], which stands between the store and the file system; the
//! database under it is a real one.

mod answered;
mod audited;
mod directory;
mod exported;
mod full_disk;
mod growth;
mod journaled;
mod power_loss;
mod refused;
mod replaced;
mod visits_first;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use countersign::{
    model::Session,
    store::{
        Durability, SledOptions, SledStore, Store, StoreError,
        sled::{Disk, RealDisk},
    },
};
use tempfile::TempDir;

use crate::store_world::{at, cause, opened};

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
    /// Syncs and the reserve fail.
    Fails,
    /// Syncs panic, the reserve fails.
    Panics,
    /// There is room for sled, but not for the reserve.
    Full,
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
        until("a sync is asked for", async || self.state.lock().unwrap().held > 0).await;
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
            Mode::Works | Mode::Holds | Mode::Full => RealDisk.sync(database),
        }
    }

    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        match self.state.lock().unwrap().mode {
            Mode::Fails | Mode::Panics => Err(io::Error::other("the test says so")),
            Mode::Full => Err(io::ErrorKind::StorageFull.into()),
            Mode::Works | Mode::Holds => RealDisk.reserve(path, bytes),
        }
    }
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
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
        let options = SledOptions { durability, disk: disk.clone(), ..SledOptions::default() };
        let store = Arc::new(SledStore::open(dir.path(), options.clone()).unwrap());
        Self { dir, disk, options, store }
    }

    /// Ends the store and opens it anew.
    async fn reopen(&mut self) {
        self.store.close().await.unwrap();
        let open = || SledStore::open(self.dir.path(), self.options.clone());
        self.store = Arc::new(opened(open).unwrap());
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
            store.revoke_session(session.account, session.id, cause(at(1))).await
        })
    }

    async fn healed(&self) {
        until("the store has healed", async || self.store.ping().await.is_ok()).await;
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
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
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
