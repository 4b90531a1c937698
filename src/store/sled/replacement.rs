//! A store that is built beside the one that is there, and put in its place when it is whole.
//!
//! ```text
//! DATA_DIR/lock                   held from beginning to end: no server starts meanwhile
//! DATA_DIR/store/                 the old store, or none; untouched until the last moment
//! DATA_DIR/store.restored/store/  the new one; afterwards the old one, until it is removed
//! ```
//!
//! The two directories are exchanged in one step of the file system (`renameat2` with
//! `RENAME_EXCHANGE`; ext4, xfs, btrfs, tmpfs and ZFS have it), so that there is no moment, and no
//! crash, at which there is neither. What a crash leaves in `store.restored` is removed by the next
//! attempt.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{SledOptions, SledStore, look::Found, open};
use crate::store::{BackupRecord, OpenError, Store, StoreError};

/// Why a store was not replaced. Unless it says otherwise, the old one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplacementError {
    /// One of the two cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is something in the old one.
    #[error("the store in {} is not empty", .dir.display())]
    NotEmpty {
        /// The data directory.
        dir: PathBuf,
    },
    /// The new one, or a look into the old one, failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system refused.
    #[error("cannot {what} {}: {reason}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

/// A new, empty store beside the one of a data directory.
pub struct Replacement {
    store: SledStore,
    data_dir: PathBuf,
    beside: PathBuf,
    /// To be dropped last.
    _lock: File,
}

impl Replacement {
    /// Takes the data directory, and makes the new store. What is in the old one is looked at only
    /// if it has to be empty: it may be the damaged one that is to be replaced.
    ///
    /// # Errors
    /// [`ReplacementError`]
    pub async fn begin(
        data_dir: &Path,
        options: SledOptions,
        must_be_empty: bool,
    ) -> Result<Self, ReplacementError> {
        let (lock, found) = open::lock(data_dir)?;
        if must_be_empty && found == Found::Ours {
            let shared = lock.try_clone().map_err(|reason| OpenError::Io {
                dir: data_dir.to_owned(),
                reason: reason.to_string(),
            })?;
            let old = SledStore::open_locked(shared, found, data_dir, options.clone())?;
            let empty = is_empty(&old).await;
            old.close().await?;
            if !empty? {
                return Err(ReplacementError::NotEmpty { dir: data_dir.to_owned() });
            }
        }
        let beside = data_dir.join("store.restored");
        remove(&beside)?;
        let store = SledStore::open(&beside, options)
            // Half of it would be in nobody's way; the error says more than a second one.
            .inspect_err(|_| drop(remove(&beside)))?;
        Ok(Self { store, data_dir: data_dir.to_owned(), beside, _lock: lock })
    }

    /// The new store.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &self.store
    }

    /// Puts the new store in the place of the old one, which is then removed.
    ///
    /// # Errors
    /// [`ReplacementError`]
    pub async fn finish(self) -> Result<(), ReplacementError> {
        self.store.close().await?;
        let (new, old) = (self.beside.join("store"), self.data_dir.join("store"));
        let swapped = match fs::symlink_metadata(&old) {
            Ok(_) => exchange(&new, &old),
            Err(error) if error.kind() == ErrorKind::NotFound => fs::rename(&new, &old),
            Err(error) => Err(error),
        };
        if let Err(reason) = swapped {
            remove(&self.beside)?;
            return Err(ReplacementError::Io { what: "replace", path: old, reason });
        }
        sync(&self.data_dir)?;
        sync(&self.beside)?;
        remove(&self.beside)
    }

    /// Removes the new store again.
    ///
    /// # Errors
    /// [`ReplacementError`]
    pub async fn discard(self) -> Result<(), ReplacementError> {
        // It is not wanted: whether it was closed cleanly does not matter.
        drop(self.store.close().await);
        remove(&self.beside)
    }
}

/// Whether there is neither an account nor a session. That there were some once, or that somebody
/// tried to log in, is no reason to ask for more than a restore.
async fn is_empty(store: &SledStore) -> Result<bool, StoreError> {
    let mut export = store.export().await?;
    while let Some(page) = export.next().await? {
        let matters = |record: &BackupRecord| {
            !matches!(record, BackupRecord::Epoch(_) | BackupRecord::Events { .. })
        };
        if page.iter().any(matters) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

fn sync(dir: &Path) -> Result<(), ReplacementError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|reason| ReplacementError::Io {
        what: "sync, after it was restored,",
        path: dir.to_owned(),
        reason,
    })
}

fn remove(dir: &Path) -> Result<(), ReplacementError> {
    match fs::remove_dir_all(dir) {
        Err(reason) if reason.kind() != ErrorKind::NotFound => {
            Err(ReplacementError::Io { what: "remove", path: dir.to_owned(), reason })
        }
        _ => Ok(()),
    }
}
