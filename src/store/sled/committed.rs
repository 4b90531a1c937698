//! What readers see: the records as of the last commit, while the next one is under way.
//!
//! sled shows a batch to every reader as soon as it is applied, long before it is on the disk, and
//! goes on showing it when the disk refused it. So before a batch is applied, the values that it
//! is about to replace are put into the *shadow*, and readers look there first. The shadow goes
//! when the batch is on the disk. If it never gets there, the shadow stays, and is what the
//! database is set back to.
//!
//! A look-up in sled takes ten times as long as all else that a check of a session does here. So
//! records that were read lately are kept in a bounded cache, which only ever holds what is
//! committed: readers fill it under the lock they read under, and the writer brings it up to date
//! while the shadow still hides what changed.
//!
//! Locks are held for edits of the map and for reads, never across a write, a flush or a sync.
//! Only the writer takes the write lock.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

use ::sled::{Db, IVec};
use parking_lot::{Mutex, RwLock};
use quick_cache::{Weighter, sync::Cache};

use super::{closed, contained, snapshot::Moment};
use crate::store::{
    Result, StoreError,
    records::{self, Key, Value},
    view::{Changes, Layer, Read, Scan},
};

pub(super) struct Committed {
    state: RwLock<State>,
    recent: Recent,
    /// Moves on, under the write lock, with each change that readers see and that ends a session.
    ends: AtomicU64,
}

struct State {
    database: Handle,
    /// What readers see in place of what the database says.
    shadow: Changes,
    /// Earlier moments that are still being read.
    moments: Vec<Weak<Mutex<Moment>>>,
}

enum Handle {
    Open(Db),
    /// It is being reopened.
    Away,
    Closed,
}

impl Committed {
    /// Keeps up to so many bytes of records in memory.
    pub(super) fn new(database: Db, cache_bytes: u64) -> Self {
        let records = usize::try_from(cache_bytes / TYPICAL_BYTES).unwrap_or(usize::MAX);
        Self {
            state: RwLock::new(State {
                database: Handle::Open(database),
                shadow: Changes::new(),
                moments: Vec::new(),
            }),
            recent: Cache::with_weighter(records, cache_bytes, Bytes),
            ends: AtomicU64::new(0),
        }
    }

    /// A number that is another one once readers see that a session has ended.
    pub(super) fn ends(&self) -> u64 {
        self.ends.load(Ordering::Acquire)
    }

    /// Runs a step on one committed moment: no commit becomes visible while it runs.
    pub(super) fn read<T>(&self, step: impl FnOnce(&dyn Read) -> Result<T>) -> Result<T> {
        self.state.read().read(&self.recent, step)
    }

    /// Holds on to this moment, for as long as the caller does.
    pub(super) fn moment(&self) -> Arc<Mutex<Moment>> {
        let moment = Arc::new(Mutex::new(Moment::new()));
        self.state.write().moments.push(Arc::downgrade(&moment));
        moment
    }

    /// The open database, for the writer.
    pub(super) fn database(&self) -> Option<Db> {
        match &self.state.read().database {
            Handle::Open(database) => Some(database.clone()),
            Handle::Away | Handle::Closed => None,
        }
    }

    /// Lets readers go on seeing `images`, whatever the database says, unless it is decided
    /// already what they see.
    pub(super) fn keep_showing(&self, images: Changes) {
        let shadow = &mut self.state.write().shadow;
        for (key, image) in images {
            shadow.entry(key).or_insert(image);
        }
    }

    /// Shows `changes` to readers from now on, although they are not in the database yet.
    pub(super) fn show(&self, changes: &Changes) {
        let mut state = self.state.write();
        state.keep_images(&self.recent, changes);
        let ends = |(key, value): (&Key, &Option<Value>)| {
            if let Some(seen) = state.shadow.get(key) {
                return ends_sessions(key, Some(page_of(seen)), value);
            }
            let seen = self.recent.get(key);
            ends_sessions(key, seen.as_ref().map(page_of), value)
        };
        if changes.iter().any(ends) {
            self.ends.fetch_add(1, Ordering::AcqRel);
        }
        for (key, value) in changes {
            state.shadow.insert(key.clone(), value.clone());
        }
    }

    /// Shows what the database says, now that `changes` are recorded in it.
    pub(super) fn show_database(&self, changes: &Changes) {
        // The shadow hides these records: nobody reads them from the cache, or fills them in.
        for (key, value) in changes {
            match value {
                Some(_) => self.recent.insert(key.clone(), value.clone()),
                // It is not asked for again: it need not push another one out.
                None => drop(self.recent.remove(key)),
            }
        }
        let mut state = self.state.write();
        // Under the lock: whoever sees the new number looks sessions up after this change.
        let ends = |(key, value): (&Key, &Option<Value>)| {
            ends_sessions(key, state.shadow.get(key).map(page_of), value)
        };
        if changes.iter().any(ends) {
            self.ends.fetch_add(1, Ordering::AcqRel);
        }
        // What readers are about to see changed is what they see in the shadow now.
        let shadow = std::mem::take(&mut state.shadow);
        for moment in state.moments() {
            let mut moment = moment.lock();
            for (key, image) in &shadow {
                moment.keep(key, || Ok(image.clone()));
            }
        }
    }

    /// What readers see in place of what the database says.
    pub(super) fn shadow(&self) -> Changes {
        self.state.read().shadow.clone()
    }

    /// Takes the database from the readers, who wait for the next one. `None` if it was away.
    pub(super) fn take_away(&self) -> Option<Db> {
        self.replace(Handle::Away)
    }

    /// Gives the readers a database again. What was hidden stays hidden.
    pub(super) fn bring_back(&self, database: Db) {
        self.replace(Handle::Open(database));
    }

    /// Takes the database from the readers for good.
    pub(super) fn close(&self) -> Option<Db> {
        self.replace(Handle::Closed)
    }

    fn replace(&self, handle: Handle) -> Option<Db> {
        // The old one is dropped by the caller, not under the lock: it may take a while, or panic.
        match std::mem::replace(&mut self.state.write().database, handle) {
            Handle::Open(database) => Some(database),
            Handle::Away | Handle::Closed => None,
        }
    }
}

impl State {
    fn read<T>(&self, recent: &Recent, step: impl FnOnce(&dyn Read) -> Result<T>) -> Result<T> {
        let database = match &self.database {
            Handle::Open(sled) => Database { sled, recent },
            Handle::Away => return Err(StoreError::Unavailable("it is being reopened".to_owned())),
            Handle::Closed => return Err(closed()),
        };
        let view = Layer { base: &database, changes: &self.shadow };
        contained(|| Ok(step(&view))).unwrap_or_else(|panic| Err(StoreError::Unavailable(panic)))
    }

    /// The moments that are still being read.
    fn moments(&mut self) -> Vec<Arc<Mutex<Moment>>> {
        self.moments.retain(|moment| moment.strong_count() > 0);
        self.moments.iter().filter_map(Weak::upgrade).collect()
    }

    /// Keeps what readers see of the records that `changes` is about to change for them.
    fn keep_images(&mut self, recent: &Recent, changes: &Changes) {
        for moment in self.moments() {
            let mut moment = moment.lock();
            for key in changes.keys() {
                moment.keep(key, || self.read(recent, |r| r.get(key)));
            }
        }
    }
}

/// Whether a change of a record may end sessions: one that was in its page, or all of an earlier
/// epoch. What readers saw `before` may be unknown.
#[expect(clippy::ref_option, reason = "changes are kept so")]
fn ends_sessions(key: &[u8], before: Option<&[u8]>, after: &Option<Value>) -> bool {
    if !key.starts_with(records::SESSIONS) {
        return key == records::EPOCH;
    }
    before.is_none_or(|before| records::loses_a_session(before, page_of(after)))
}

/// The page of sessions that a record is; one that is not there is an empty one.
#[expect(clippy::ref_option, reason = "changes are kept so")]
fn page_of(record: &Option<Value>) -> &[u8] {
    record.as_deref().unwrap_or(records::EMPTY_PAGE)
}

/// sled as a step sees it.
struct Database<'a> {
    sled: &'a Db,
    recent: &'a Recent,
}

/// What a record in the cache takes, about.
const TYPICAL_BYTES: u64 = 256;

/// Records that were read lately; `None` for one that was not there.
type Recent = Cache<Key, Option<Value>, Bytes>;

/// How records are weighed: by their bytes, and what the cache itself needs for each.
#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Option<Value>> for Bytes {
    fn weight(&self, key: &Key, value: &Option<Value>) -> u64 {
        (key.len() + value.as_ref().map_or(0, Vec::len)) as u64 + 100
    }
}

impl Read for Database<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        if let Some(value) = self.recent.get(key) {
            return Ok(value);
        }
        let value = self.sled.get(key).map_err(|error| unreadable(&error))?;
        let value = value.map(|value| value.to_vec());
        self.recent.insert(key.to_vec(), value.clone());
        Ok(value)
    }

    fn scan<'a>(&'a self, prefix: &'a [u8], start: &[u8]) -> Scan<'a> {
        let start = start.max(prefix).to_vec();
        let within = move |entry: &::sled::Result<(IVec, IVec)>| match entry {
            Ok((key, _)) => key.starts_with(prefix),
            Err(_) => true,
        };
        let owned = |entry: ::sled::Result<(IVec, IVec)>| -> Result<(Key, Value)> {
            let (key, value) = entry.map_err(|error| unreadable(&error))?;
            Ok((key.to_vec(), value.to_vec()))
        };
        Box::new(self.sled.range(start..).take_while(within).map(owned))
    }
}

fn unreadable(error: &::sled::Error) -> StoreError {
    StoreError::Unavailable(format!("a read failed: {error}"))
}
