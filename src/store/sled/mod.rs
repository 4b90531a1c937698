//! The embedded store: one sled database, one thread that writes to it.
//!
//! sled returns from every write while the data is only in the process's memory, so a change is
//! done here in three steps (see [`writer`]): a handler puts its step into a queue and waits; the
//! writer takes all that is waiting, runs the steps one after the other, makes one batch of them,
//! flushes and syncs once; then it answers all. Every change is thereby serial, with no locks and
//! no races, and one disk sync serves as many requests as came while the last one ran. A group of
//! nothing but visits is made durable in the [`journal`] instead, which costs a tenth of that, and
//! goes into the database with a later commit.
//!
//! Readers do not queue. They see what is [`committed`]: a change that is under way is hidden from
//! them until it is on the disk. When a commit fails, it stays hidden, changes are answered
//! "unavailable" at once, and the writer [recovers](recovery) by itself when the disk does.
//!
//! | file | what it holds |
//! |---|---|
//! | `look` | whose a data directory is, and whether there is room in it, without writing |
//! | `open` | the lock, the format, what must be cleared away before sled may look |
//! | `database` | the disk: a batch made durable, the database opened and let go |
//! | `committed` | what readers see |
//! | `journal` | visits that were answered and are not in the database yet |
//! | `job` | a step in the queue |
//! | `queue` | where steps wait until the writer takes them, and for how long |
//! | `writer` | the thread: groups and their commits |
//! | `answers` | from the writer back to those who wait |
//! | `recovery` | from a failed commit back to a working store |
//! | `snapshot` | all records of one moment, read while others change them |
//! | `replacement` | a store built beside the one that is there, put in its place when it is whole |
//!
//! Metrics: `countersign_store_commit_seconds` (histogram: batch, flush and sync, or the frame of
//! the journal and its sync),
//! `countersign_store_commit_changes` (histogram: answers that waited for one commit),
//! `countersign_store_healthy` (gauge: 1, or 0 from a failed commit until it has healed).

mod answers;
mod committed;
mod database;
mod disk;
mod job;
mod journal;
mod look;
mod open;
mod queue;
mod recovery;
mod replacement;
mod snapshot;
mod writer;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

pub use disk::{Disk, RealDisk};
use parking_lot::Mutex;
pub use replacement::{Replacement, ReplacementError};
use tokio::sync::watch;

use self::{
    answers::Answers, committed::Committed, job::Change, journal::Journal, look::Found,
    queue::Queue,
};
use super::{
    AuditBounds, OpenError, Result, StoreError, Visited,
    backend::Backend,
    export,
    steps::upkeep,
    view::{Read, Write},
};

/// Which part of the cache is for records that were read lately; the rest is for sled's pages.
const RECORDS_SHARE: u64 = 4;

/// How long a reader waits while the database is being reopened.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it looks meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long a commit is proof that the disk can be written to.
const PROOF: Duration = Duration::from_secs(5);

/// How to keep the store.
#[derive(Clone, Debug)]
pub struct SledOptions {
    /// How many bytes of pages and records are kept in memory. sled's own default, 1 GiB, is too
    /// much for a small server.
    pub cache_bytes: u64,
    /// When a change is answered.
    pub durability: Durability,
    /// How many audit events are kept, and for how long.
    pub audit: AuditBounds,
    /// How files are synced: [`RealDisk`], unless a test wants a disk that fails.
    pub disk: Arc<dyn Disk>,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            durability: Durability::Commit,
            audit: AuditBounds::default(),
            disk: Arc::new(RealDisk),
        }
    }
}

/// When a change is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk.
    #[default]
    Commit,
    /// As `Commit`, but a counted visit is answered at once, and recorded after at most this long
    /// (and never later than [`Durability::LONGEST`]).
    ///
    /// What `kill -9` or a power failure takes away then: the visits counted, and the idle ends
    /// moved, in that time. A token that carries a later number raises the counter again when it
    /// is shown. Nothing else is ever lost: a logout, a login, or a session that ends because its
    /// token is a copy is answered when it is on the disk, together with the visits before it.
    Interval(Duration),
}

impl Durability {
    /// The longest that a visit stays unrecorded.
    pub const LONGEST: Duration = Duration::from_millis(500);
}

/// A [`Store`](super::Store) in a directory of this machine.
///
/// Dropping it records what was accepted and lets go, but in the background:
/// [`close`](super::Store::close) waits for that.
pub struct SledStore {
    shared: Arc<Shared>,
    /// How the writer ended; `None` while it runs.
    end: watch::Receiver<Option<Result<()>>>,
    audit: AuditBounds,
    /// Where its files are.
    dir: PathBuf,
}

/// What the writer and the handlers share.
struct Shared {
    /// To the writer, who ends when it is closed and worked off.
    queue: Queue,
    committed: Committed,
    /// Why changes are refused, while they are.
    trouble: Mutex<Option<String>>,
    last_commit: Mutex<Instant>,
}

impl Shared {
    async fn read<T: Send>(
        &self,
        step: impl Fn(&dyn Read) -> Result<T> + Send + Sync,
    ) -> Result<T> {
        let mut asked = None;
        loop {
            // While the store heals, the database is away for a moment; and before that, sled
            // cannot always read what it could not write (it splits full nodes as it passes).
            let answer = self.committed.read(&step);
            let missed = matches!(answer, Err(StoreError::Unavailable(_)));
            if !missed || self.trouble.lock().is_none() {
                return answer;
            }
            if asked.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                return answer;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl SledStore {
    /// Opens the store under `data_dir`, or makes a new one.
    ///
    /// The directory then holds `lock`, with the number of the process that has it, and `store/`.
    ///
    /// # Errors
    /// [`OpenError`]: in use, not ours, of another version, on a full or read-only disk: then
    /// nothing was written. Or the database in it does not open.
    pub fn open(data_dir: &Path, options: SledOptions) -> Result<Self, OpenError> {
        let (lock, found) = open::lock(data_dir)?;
        Self::open_locked(lock, found, data_dir, options)
    }

    /// Whether [`open`](Self::open) would refuse what is under `data_dir`: another program's, or
    /// another version's. Only looks; whether it is locked, or can be written to, is not asked.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn look(data_dir: &Path) -> Result<(), OpenError> {
        look::look_at(data_dir).map(drop)
    }

    /// Makes the data directory if it is not there, and takes its lock, for a service whose store is
    /// elsewhere: keys are in it, and one server at a time may use them.
    ///
    /// # Errors
    /// [`OpenError`]: in use, another program's, on a full or read-only disk.
    pub fn lock(data_dir: &Path) -> Result<File, OpenError> {
        open::lock(data_dir).map(|(lock, _)| lock)
    }

    /// Whether there is a store, or at least something in its place, under `data_dir`.
    #[must_use]
    pub fn is_in(data_dir: &Path) -> bool {
        data_dir.join("store").exists()
    }

    /// Opens what was `found` when the lock was taken.
    fn open_locked(
        lock: File,
        found: Found,
        data_dir: &Path,
        options: SledOptions,
    ) -> Result<Self, OpenError> {
        let (durability, disk) = (options.durability, Arc::clone(&options.disk));
        let audit = options.audit;
        let record_bytes = options.cache_bytes / RECORDS_SHARE;
        let dir = data_dir.join("store");
        let (database, handle) = open::open(found, data_dir, options)?;
        let refused = |reason: String| OpenError::Io { dir: data_dir.to_owned(), reason };
        let (journal, visited) =
            Journal::open(&dir, disk).map_err(|error| refused(error.to_string()))?;
        let (journal, interval) = match durability {
            Durability::Commit => (Some(journal), Durability::LONGEST),
            Durability::Interval(interval) => (None, interval.min(Durability::LONGEST)),
        };
        let shared = Arc::new(Shared {
            queue: Queue::new(),
            committed: Committed::new(handle, record_bytes),
            trouble: Mutex::new(None),
            last_commit: Mutex::new(Instant::now()),
        });
        let (ended, end) = watch::channel(None);
        let mut writer =
            writer::Writer::new(Arc::clone(&shared), database, Answers::new(), journal, interval);
        writer.make_good(visited).map_err(|error| match error {
            StoreError::Unavailable(reason) => refused(reason),
            damaged @ StoreError::Damaged { .. } => {
                OpenError::Unreadable { dir: dir.clone(), reason: damaged.to_string() }
            }
        })?;
        let nobody_works = NobodyWorks(Arc::clone(&shared));
        let its_dir = dir.clone();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let outcome = writer.run();
                if outcome.is_ok() {
                    database::sum_up(&dir, database::LARGE_LOG);
                }
                drop(nobody_works);
                // Only now may another process have it.
                drop(lock);
                ended.send_replace(Some(outcome));
            })
            .map_err(|error| refused(error.to_string()))?;
        Ok(Self { shared, end, audit, dir: its_dir })
    }

    async fn submit<T: Send + 'static>(
        &self,
        answer_first: fn(&T) -> bool,
        step: impl FnOnce(&mut dyn Write) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // Refused at once, without waiting behind a disk that does not answer.
        if let Some(trouble) = self.shared.trouble.lock().as_ref() {
            return Err(StoreError::Unavailable(trouble.clone()));
        }
        let (change, answer) = Change::queued(step, answer_first);
        self.shared.queue.put(change)?;
        // A job that is dropped unanswered was not done: see `Job`.
        answer.await.unwrap_or_else(|_| {
            let trouble = self.shared.trouble.lock().clone();
            Err(StoreError::Unavailable(
                trouble.unwrap_or_else(|| "the change could not be worked out".to_owned()),
            ))
        })
    }
}

impl Backend for SledStore {
    async fn read<T: Send>(
        &self,
        step: impl Fn(&dyn Read) -> Result<T> + Send + Sync,
    ) -> Result<T> {
        self.shared.read(step).await
    }

    async fn commit<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut dyn Write) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(|_| false, step).await
    }

    async fn commit_visit(
        &self,
        step: impl FnOnce(&mut dyn Write) -> Result<Visited> + Send + 'static,
    ) -> Result<Visited> {
        let counted = |visited: &Visited| matches!(visited, Visited::Counted(_));
        self.submit(counted, step).await
    }

    fn audit_bounds(&self) -> AuditBounds {
        self.audit
    }

    fn ends(&self) -> Option<u64> {
        Some(self.shared.committed.ends())
    }

    /// Asked of the file system, beside the handlers: a disk that hangs may take its time.
    async fn bytes(&self) -> Result<Option<u64>> {
        let dir = self.dir.clone();
        let asked = tokio::task::spawn_blocking(move || disk::bytes_under(&dir)).await;
        let bytes = asked.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        bytes.map(Some).map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    async fn snapshot(&self) -> Result<impl export::Snapshot> {
        let moment = self.shared.committed.moment();
        Ok(snapshot::Snapshot { shared: Arc::clone(&self.shared), moment })
    }

    /// A commit of the last seconds is proof enough; otherwise a change that means nothing is
    /// recorded, so that an idle store on a full disk is found out too.
    async fn ping(&self) -> Result<()> {
        let proven = self.shared.last_commit.lock().elapsed() < PROOF;
        self.commit(move |w| {
            if !proven {
                upkeep::touch(w);
            }
            Ok(())
        })
        .await
    }

    async fn close(&self) -> Result<()> {
        self.shared.queue.close();
        let mut end = self.end.clone();
        let ended = end.wait_for(Option::is_some).await.map(|end| end.clone());
        match ended {
            Ok(Some(outcome)) => outcome,
            // The thread is gone without a word: it panicked outside all that is contained.
            _ => Err(StoreError::Unavailable("the writer ended early".to_owned())),
        }
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

/// Refuses all changes when it is dropped: also when the writer panicked, nobody waits in vain.
struct NobodyWorks(Arc<Shared>);

impl Drop for NobodyWorks {
    fn drop(&mut self) {
        self.0.queue.abandon();
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is shut down".to_owned())
}

/// Runs `work`, and makes a panic of it an error: sled panics on some I/O errors, also in `Drop`.
fn contained<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the database panicked; see the message on stderr".to_owned()))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::{model::AccountId, store::records};

    async fn value(store: &SledStore, key: &'static [u8]) -> Option<Vec<u8>> {
        store.read(|r| r.get(key)).await.unwrap()
    }

    #[tokio::test]
    async fn a_session_in_the_journal_that_cannot_be_read_is_called_so() {
        let dir = TempDir::new().unwrap();
        let store = SledStore::open(dir.path(), SledOptions::default()).unwrap();
        store.close().await.unwrap();
        let (mut journal, _) =
            Journal::open(&dir.path().join("store"), Arc::new(RealDisk)).unwrap();
        journal.renew().unwrap();
        // A page with a session of no bytes.
        let page = [records::EMPTY_PAGE, &[0; 18]].concat();
        let key = records::sessions_key(AccountId::from_bytes([7; 16]), 0);
        journal.append(&[(key, Some(page))].into()).unwrap();
        let refused = SledStore::open(dir.path(), SledOptions::default()).map(drop);
        assert!(matches!(refused, Err(OpenError::Unreadable { .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn a_step_that_fails_or_panics_leaves_nothing() {
        let dir = TempDir::new().unwrap();
        let store = SledStore::open(dir.path(), SledOptions::default()).unwrap();
        let put = |value: &'static [u8]| {
            move |w: &mut dyn Write| {
                w.put(b"mtest".to_vec(), value.to_vec());
                Ok(())
            }
        };
        store.commit(put(b"first")).await.unwrap();
        let failed = store.commit(move |w| {
            put(b"second")(w)?;
            Err::<(), _>(StoreError::Unavailable("the test says so".to_owned()))
        });
        let panicked = store.commit::<()>(move |w| {
            put(b"third")(w)?;
            panic!("the test says so")
        });
        let worked = store.commit(|w| {
            w.put(b"mother".to_vec(), Vec::new());
            w.get(b"mtest")
        });
        // Queued together, so that they mostly are one group.
        let (failed, panicked, worked) = tokio::join!(failed, panicked, worked);
        assert!(failed.is_err());
        assert!(matches!(panicked, Err(StoreError::Unavailable(_))));
        assert_eq!(worked.unwrap(), Some(b"first".to_vec()));
        assert_eq!(value(&store, b"mtest").await, Some(b"first".to_vec()));
        assert_eq!(value(&store, b"mother").await, Some(Vec::new()));
        store.commit(put(b"fourth")).await.unwrap();
        assert_eq!(value(&store, b"mtest").await, Some(b"fourth".to_vec()));
    }
}
