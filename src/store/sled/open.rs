//! Before sled may look: is the directory ours, of our format, and nobody else's at the moment.
//!
//! ```text
//! DATA_DIR/lock          held while the store is open; the number of the process
//! DATA_DIR/store/format  what wrote this, and in which format
//! DATA_DIR/store/reserve room kept for recovery: see `database`
//! DATA_DIR/store/journal visits that the database may not have yet: see `journal`
//! DATA_DIR/store/...     sled's own files: db, conf, snap.*, blobs/
//! ```
//!
//! The format stands in a file of its own and not among the records, because opening sled writes:
//! a directory that is not ours must be left as it was found.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    path::Path,
};

use ::sled::Db;

use super::{SledOptions, database::Database};
use crate::store::OpenError;

/// The format of the records and their keys. Raise it when an older program must not open them.
///
/// 1, before the first release, had a record for each session.
const FORMAT: u32 = 2;

const FORMAT_FILE: &str = "format";
const FORMAT_WORDS: &str = "countersign store ";

/// Where a half-written snapshot goes; one is kept, for a look.
const ASIDE: &str = "half-written-snapshot";

pub(super) struct Opened {
    /// To be dropped last.
    pub(super) lock: File,
    pub(super) database: Database,
    pub(super) handle: Db,
}

/// Makes the data directory if it is not there, and takes its lock. Returns what is in it.
pub(super) fn lock(data_dir: &Path) -> Result<(File, Found), OpenError> {
    let dir = data_dir.join("store");
    // Looked at twice: before anything is made, and when nobody else can be making it.
    look_at(&dir)?;
    make_private_dir(data_dir)
        .map_err(|error| OpenError::Io { dir: data_dir.to_owned(), reason: error.to_string() })?;
    let lock = take_lock(data_dir)?;
    Ok((lock, look_at(&dir)?))
}

/// Opens the store, or makes a new one, under a lock that was taken.
pub(super) fn open(lock: File, data_dir: &Path, options: SledOptions) -> Result<Opened, OpenError> {
    let dir = data_dir.join("store");
    let refused =
        |error: io::Error| OpenError::Io { dir: data_dir.to_owned(), reason: error.to_string() };
    let found = look_at(&dir)?;
    make_private_dir(&dir).map_err(refused)?;
    if found == Found::Nothing {
        write_format(&dir).map_err(refused)?;
    }
    clear_half_snapshots(&dir).map_err(refused)?;
    let (database, handle) = Database::open(dir.clone(), options)
        .map_err(|reason| OpenError::Io { dir: dir.clone(), reason })?;
    // sled makes files and does not sync their names.
    for dir in [dir.as_path(), data_dir] {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(refused)?;
    }
    Ok(Opened { lock, database, handle })
}

/// Moves half-written snapshots aside: sled would take one for the newest and refuse to open.
pub(super) fn clear_half_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = %name, "moved aside a snapshot that was never finished");
            fs::rename(entry.path(), dir.join(ASIDE))?;
        }
    }
    Ok(())
}

/// What is in a data directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Ours,
}

/// Looks without writing.
fn look_at(dir: &Path) -> Result<Found, OpenError> {
    let refused =
        |error: &io::Error| OpenError::Io { dir: dir.to_owned(), reason: error.to_string() };
    let foreign = || OpenError::Foreign { dir: dir.to_owned() };
    match fs::read(dir.join(FORMAT_FILE)) {
        Ok(format) => {
            let found = parse_format(&format).ok_or_else(foreign)?;
            if found == FORMAT {
                Ok(Found::Ours)
            } else {
                Err(OpenError::Version { dir: dir.to_owned(), found, expected: FORMAT })
            }
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(foreign()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // A crash while the format was written leaves its unfinished file and nothing else.
            let unfinished = unfinished(FORMAT_FILE);
            match fs::read_dir(dir) {
                Ok(entries) => {
                    for entry in entries {
                        let entry = entry.map_err(|error| refused(&error))?;
                        if entry.file_name() != unfinished.as_str() {
                            return Err(foreign());
                        }
                    }
                    Ok(Found::Nothing)
                }
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
                Err(error) => Err(refused(&error)),
            }
        }
        Err(error) => Err(refused(&error)),
    }
}

fn parse_format(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    text.strip_prefix(FORMAT_WORDS)?.trim_end().parse().ok()
}

/// Writes the format so that it is there whole or not at all.
fn write_format(dir: &Path) -> io::Result<()> {
    let path = dir.join(unfinished(FORMAT_FILE));
    let mut file = File::create(&path)?;
    writeln!(file, "{FORMAT_WORDS}{FORMAT}")?;
    file.sync_all()?;
    fs::rename(path, dir.join(FORMAT_FILE))?;
    File::open(dir)?.sync_all()
}

fn unfinished(name: &str) -> String {
    format!("{name}.unfinished")
}

/// Makes a directory that only this user can enter: it holds password hashes.
fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Takes the lock of the data directory. The system gives it up with the process, however it ends.
fn take_lock(data_dir: &Path) -> Result<File, OpenError> {
    let refused =
        |error: io::Error| OpenError::Io { dir: data_dir.to_owned(), reason: error.to_string() };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(data_dir.join("lock"))
        .map_err(refused)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(refused)?;
            writeln!(file, "{}", std::process::id()).map_err(refused)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Without it the message is shorter, no more.
            let pid = file.read_to_string(&mut pid).ok().and(pid.trim().parse().ok());
            Err(OpenError::Locked { dir: data_dir.to_owned(), pid })
        }
        Err(TryLockError::Error(error)) => Err(refused(error)),
    }
}
