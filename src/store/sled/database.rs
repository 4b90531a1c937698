//! The database on the disk: opened, written to so that it stays written, let go.
//!
//! Beside it lies the *reserve*, a file of nothing that is as large as what sled writes when it
//! opens (a snapshot of its page table). When the disk is full, sled cannot even be read from
//! reliably any more: it splits overfull nodes as readers pass. Giving up the reserve makes the
//! room in which it can be reopened and set back, so that on a full disk sessions are still found.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use ::sled::{Batch, Db};

use super::{Disk, RECORDS_SHARE, SledOptions, contained};
use crate::store::view::Changes;

/// sled lets go of its lock a little after the last handle is dropped (sled issue 1289).
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// The least that is held in reserve: four of sled's segments of 512 KiB.
const RESERVE_BYTES: u64 = 2 << 20;

/// Cache enough for opening and closing.
const LOOK_CACHE: u64 = 1 << 20;

/// How much smaller a snapshot is than the log it sums up, at the least.
const LOG_PER_SNAPSHOT: u64 = 32;

/// The files of the database, and what is known about them.
pub(super) struct Database {
    dir: PathBuf,
    cache_bytes: u64,
    disk: Arc<dyn Disk>,
    /// sled's log, open for as long as the store is. A failed write-back is told to each open
    /// descriptor once; so this one also hears of what sled's flusher thread, which syncs the file
    /// every half second, is told and only logs.
    log: File,
    /// Whether a sync failed: then the system may have dropped what it could not write, shows it
    /// nevertheless, and lets the next sync succeed without it.
    suspect: bool,
}

impl Database {
    /// Opens the database in `dir`, which exists.
    pub(super) fn open(dir: PathBuf, options: SledOptions) -> Result<(Self, Db), String> {
        let path = log_path(&dir);
        // A process that was killed may have left its last writes unsynced. sled is about to read
        // them and write a snapshot that counts on them: after a power failure it would then
        // refuse to open, its log being older than its snapshot.
        if path.exists() {
            let unsynced = File::open(&path).and_then(|log| options.disk.sync(&log));
            unsynced.map_err(|error| error.to_string())?;
        }
        let cache_bytes = options.cache_bytes - options.cache_bytes / RECORDS_SHARE;
        let handle = open_sled(&dir, cache_bytes)?;
        let log = File::open(&path).map_err(|error| error.to_string())?;
        let database = Self { dir, cache_bytes, disk: options.disk, log, suspect: false };
        Ok((database, handle))
    }

    /// Writes `changes` and returns when they are on the disk, all or (after a crash) none.
    pub(super) fn record(&mut self, handle: &Db, changes: &Changes) -> Result<(), String> {
        let written = contained(|| {
            handle.apply_batch(batch(changes)).map_err(text)?;
            // On Linux this is `sync_file_range`: enough for `kill -9`, not for a power failure.
            handle.flush().map(drop).map_err(text)
        });
        // Also when sled failed: only this tells whether what it wrote before can be trusted.
        let synced = contained(|| self.disk.sync(&self.log).map_err(text));
        self.suspect |= synced.is_err();
        written.and(synced)
    }

    /// Writes the reserve anew, and thereby finds out whether the disk takes data.
    ///
    /// # Errors
    /// When it does not. If it is only full, there is now as much room as the reserve took.
    pub(super) fn reserve(&self) -> io::Result<()> {
        let snapshot = self.log.metadata()?.len() / LOG_PER_SNAPSHOT;
        let path = self.dir.join("reserve");
        self.disk.reserve(&path, RESERVE_BYTES + snapshot)
    }

    /// Opens the database again, after all handles to it were [let go](let_go).
    pub(super) fn reopen(&mut self) -> Result<Db, String> {
        if self.suspect {
            self.write_anew().map_err(text)?;
            self.suspect = false;
        } else if let Err(error) = self.disk.sync(&self.log) {
            // As in `open`: what is about to be read must not be newer than what is on the disk.
            self.suspect = true;
            return Err(text(error));
        }
        super::open::clear_half_snapshots(&self.dir).map_err(text)?;
        open_sled(&self.dir, self.cache_bytes)
    }

    /// Writes the whole log over itself and syncs it, so that what can be read is what is on the
    /// disk. Writing the last records anew would not do: sled reads its log from the front, and a
    /// hole in it would hide everything after.
    ///
    /// It takes seconds per gigabyte, and happens only after a sync failed.
    fn write_anew(&mut self) -> io::Result<()> {
        let log = OpenOptions::new().read(true).write(true).open(log_path(&self.dir))?;
        let mut chunk = vec![0; 1 << 20];
        let mut offset = 0;
        loop {
            let length = log.read_at(&mut chunk, offset)?;
            if length == 0 {
                break;
            }
            log.write_all_at(&chunk[..length], offset)?;
            offset += length as u64;
        }
        self.disk.sync(&log)?;
        // The old descriptor may still have failures to tell of that are dealt with now.
        self.log = log;
        Ok(())
    }
}

/// Closes a handle. sled then flushes and syncs, and panics when it cannot.
pub(super) fn let_go(handle: Option<Db>) {
    let closed = contained(|| {
        drop(handle);
        Ok(())
    });
    if let Err(reason) = closed {
        tracing::warn!(%reason, "the database was not closed cleanly");
    }
}

/// From this size on the log is [summed up](sum_up): below, reading it takes no time.
pub(super) const LARGE_LOG: u64 = 64 << 20;

/// Makes the next start a short one, if the log in `dir` has at least so many bytes.
///
/// A start reads all that was logged since the last one, seconds for a gigabyte, and writes a
/// snapshot of where everything is. sled does that at no other time. So a store that was closed is
/// opened once more, and whoever stops it waits instead of whoever starts it.
pub(super) fn sum_up(dir: &Path, least: u64) {
    if log_path(dir).metadata().is_ok_and(|log| log.len() >= least) {
        match open_sled(dir, LOOK_CACHE) {
            Ok(handle) => let_go(Some(handle)),
            Err(reason) => tracing::warn!(%reason, "the next start will take its time"),
        }
    }
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("db")
}

fn batch(changes: &Changes) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.insert(key.as_slice(), value.as_slice()),
            None => batch.remove(key.as_slice()),
        }
    }
    batch
}

fn open_sled(dir: &Path, cache_bytes: u64) -> Result<Db, String> {
    let started = Instant::now();
    loop {
        let opened = contained(|| {
            #[expect(clippy::disallowed_methods, reason = "the one place that opens sled")]
            let opened = ::sled::Config::new().path(dir).cache_capacity(cache_bytes).open();
            // `flush_every_ms` stays on: the flusher thread is what collects garbage.
            opened.map_err(text)
        });
        match opened {
            Err(reason)
                if reason.contains("could not acquire lock")
                    && started.elapsed() < LOCK_PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: impl ToString) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicBool, Ordering},
        },
        time::{Duration, SystemTime},
    };

    use tempfile::TempDir;

    use super::*;

    /// Notes when the file it is asked to sync was last written to; fails if told to.
    #[derive(Debug, Default)]
    struct Notes {
        written: Mutex<Vec<SystemTime>>,
        fails: AtomicBool,
    }

    impl Disk for Notes {
        fn sync(&self, database: &File) -> io::Result<()> {
            let written = database.metadata()?.modified()?;
            self.written.lock().unwrap().push(written);
            if self.fails.load(Ordering::SeqCst) {
                return Err(io::Error::other("the test says so"));
            }
            database.sync_all()
        }
    }

    fn open(dir: &TempDir) -> (Arc<Notes>, Database, Db) {
        let notes = Arc::new(Notes::default());
        let options = SledOptions { disk: notes.clone(), ..SledOptions::default() };
        let (database, handle) = Database::open(dir.path().to_owned(), options).unwrap();
        (notes, database, handle)
    }

    #[test]
    fn what_a_killed_process_left_unsynced_is_synced_before_sled_reads_it() {
        let dir = TempDir::new().unwrap();
        let (notes, database, handle) = open(&dir);
        assert!(notes.written.lock().unwrap().is_empty(), "there was nothing");
        drop(database);
        let_go(Some(handle));
        let (notes, _database, handle) = open(&dir);
        assert_eq!(notes.written.lock().unwrap().len(), 1);
        let_go(Some(handle));
    }

    #[test]
    fn after_a_failed_sync_the_log_is_written_anew_before_sled_reads_it() {
        let dir = TempDir::new().unwrap();
        let (notes, mut database, handle) = open(&dir);
        let changes = Changes::from([(vec![1], Some(vec![7; 3_000_000]))]);
        database.record(&handle, &changes).unwrap();
        let_go(Some(handle));
        let_go(Some(database.reopen().unwrap()));
        assert_eq!(notes.written.lock().unwrap().len(), 2, "once for each");

        let handle = database.reopen().unwrap();
        notes.fails.store(true, Ordering::SeqCst);
        database.record(&handle, &changes).unwrap_err();
        let_go(Some(handle));
        let before = std::fs::read(log_path(dir.path())).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let log = OpenOptions::new().write(true).open(log_path(dir.path()));
        log.unwrap().set_modified(long_ago).unwrap();
        notes.written.lock().unwrap().clear();
        database.reopen().unwrap_err();
        notes.fails.store(false, Ordering::SeqCst);

        let handle = database.reopen().unwrap();
        let written = notes.written.lock().unwrap().clone();
        assert_eq!(written.len(), 2, "it failed once, then not");
        assert!(written.iter().all(|written| *written > long_ago));
        assert_eq!(handle.get([1]).unwrap().unwrap(), vec![7; 3_000_000]);
        let_go(Some(handle));
        let after = std::fs::read(log_path(dir.path())).unwrap();
        assert_eq!(after[..before.len()], before, "with what was in it");
        let_go(Some(database.reopen().unwrap()));
        assert_eq!(notes.written.lock().unwrap().len(), 3, "synced before it is read");
        assert_eq!(std::fs::read(log_path(dir.path())).unwrap()[..before.len()], before);
    }

    #[test]
    fn a_large_log_is_summed_up_and_a_small_one_is_left_alone() {
        let dir = TempDir::new().unwrap();
        let (_notes, mut database, handle) = open(&dir);
        let changes = Changes::from([(vec![1], Some(vec![7; 100_000]))]);
        database.record(&handle, &changes).unwrap();
        let_go(Some(handle));
        let snapshots = || {
            let names = std::fs::read_dir(dir.path()).unwrap();
            let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.starts_with("snap.")).collect::<Vec<_>>()
        };
        let before = snapshots();
        sum_up(dir.path(), u64::MAX);
        assert_eq!(snapshots(), before);
        sum_up(dir.path(), 1);
        let after = snapshots();
        assert_ne!(after, before);
        assert_eq!(after.len(), 1);
        let handle = database.reopen().unwrap();
        assert_eq!(handle.get([1]).unwrap().unwrap(), vec![7; 100_000]);
        let_go(Some(handle));
    }
}
