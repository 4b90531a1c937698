//! What readers see: the records as of the last commit, while the next one is under way.
//!
//! sled shows a batch to every reader as soon as it is applied, long before it is on the disk, and
//! goes on showing it when the disk refused it. So before a batch is applied, the values that it
//! is about to replace are put into the *shadow*, and readers look there first. The shadow goes
//! when the batch is on the disk. If it never gets there, the shadow stays, and is what the
//! database is set back to.
//!
//! Locks are held for edits of the map and for reads, never across a write, a flush or a sync.
//! Only the writer takes the write lock.

use std::sync::{Arc, Weak};

use ::sled::{Db, IVec};
use parking_lot::{Mutex, RwLock};

use super::{closed, contained, snapshot::Moment};
use crate::store::{
    Result, StoreError,
    records::{Key, Value},
    view::{Changes, Layer, Read, Scan},
};

pub(super) struct Committed(RwLock<State>);

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
    pub(super) fn new(database: Db) -> Self {
        Self(RwLock::new(State {
            database: Handle::Open(database),
            shadow: Changes::new(),
            moments: Vec::new(),
        }))
    }

    /// Runs a step on one committed moment: no commit becomes visible while it runs.
    pub(super) fn read<T>(&self, step: impl FnOnce(&dyn Read) -> Result<T>) -> Result<T> {
        self.0.read().read(step)
    }

    /// Holds on to this moment, for as long as the caller does.
    pub(super) fn moment(&self) -> Arc<Mutex<Moment>> {
        let moment = Arc::new(Mutex::new(Moment::new()));
        self.0.write().moments.push(Arc::downgrade(&moment));
        moment
    }

    /// The open database, for the writer.
    pub(super) fn database(&self) -> Option<Db> {
        match &self.0.read().database {
            Handle::Open(database) => Some(database.clone()),
            Handle::Away | Handle::Closed => None,
        }
    }

    /// Lets readers go on seeing `images`, whatever the database says, unless it is decided
    /// already what they see.
    pub(super) fn keep_showing(&self, images: Changes) {
        let shadow = &mut self.0.write().shadow;
        for (key, image) in images {
            shadow.entry(key).or_insert(image);
        }
    }

    /// Shows `changes` to readers from now on, although they are not in the database yet.
    pub(super) fn show(&self, changes: &Changes) {
        let mut state = self.0.write();
        state.keep_images(changes);
        for (key, value) in changes {
            state.shadow.insert(key.clone(), value.clone());
        }
    }

    /// Shows what the database says.
    pub(super) fn show_database(&self) {
        let mut state = self.0.write();
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
        self.0.read().shadow.clone()
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
        match std::mem::replace(&mut self.0.write().database, handle) {
            Handle::Open(database) => Some(database),
            Handle::Away | Handle::Closed => None,
        }
    }
}

impl State {
    fn read<T>(&self, step: impl FnOnce(&dyn Read) -> Result<T>) -> Result<T> {
        let database = match &self.database {
            Handle::Open(database) => Database(database),
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
    fn keep_images(&mut self, changes: &Changes) {
        for moment in self.moments() {
            let mut moment = moment.lock();
            for key in changes.keys() {
                moment.keep(key, || self.read(|r| r.get(key)));
            }
        }
    }
}

/// sled as a step sees it.
struct Database<'a>(&'a Db);

impl Read for Database<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        match self.0.get(key) {
            Ok(value) => Ok(value.map(|value| value.to_vec())),
            Err(error) => Err(unreadable(&error)),
        }
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
        Box::new(self.0.range(start..).take_while(within).map(owned))
    }
}

fn unreadable(error: &::sled::Error) -> StoreError {
    StoreError::Unavailable(format!("a read failed: {error}"))
}
