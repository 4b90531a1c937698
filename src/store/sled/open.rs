//! Before sled may look: the lock is taken, and what would keep sled from opening is cleared away.
//!
//! ```text
//! DATA_DIR/lock          held while the store is open; the number of the process
//! DATA_DIR/store/format  what wrote this, and in which format
//! DATA_DIR/store/reserve room kept for recovery: see `database`
//! DATA_DIR/store/journal visits that the database may not have yet: see `journal`
//! DATA_DIR/store/...     sled's own files: db, conf, snap.*, blobs/
//! ```
//!
//! Whether the directory is ours at all has been found out before ([`look`](super::look)). The
//! format stands in a file of its own and not among the records, because opening sled writes: a
//! directory that is not ours must be left as it was found.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    path::Path,
};

use ::sled::Db;

use super::{
    SledOptions,
    database::Database,
    look::{FORMAT_FILE, Found, format_line, has_room, look_at, unfinished},
};
use crate::store::OpenError;

/// Where sled keeps the size of its segments and its version.
const SETTINGS: &str = "conf";

/// Where a half-written snapshot goes; one is kept, for a look.
const ASIDE: &str = "half-written-snapshot";

/// Makes the data directory if it is not there, and takes its lock. Returns what is in it.
pub(super) fn lock(data_dir: &Path) -> Result<(File, Found), OpenError> {
    // Looked at twice: before anything is made, and when nobody else can be making it.
    look_at(data_dir)?;
    has_room(data_dir)?;
    make_private_dir(data_dir)
        .map_err(|error| OpenError::Io { dir: data_dir.to_owned(), reason: error.to_string() })?;
    let lock = take_lock(data_dir)?;
    Ok((lock, look_at(data_dir)?))
}

/// Opens the store, or makes a new one, under a lock that was taken.
pub(super) fn open(
    found: Found,
    data_dir: &Path,
    options: SledOptions,
) -> Result<(Database, Db), OpenError> {
    let dir = data_dir.join("store");
    let refused =
        |error: io::Error| OpenError::Io { dir: data_dir.to_owned(), reason: error.to_string() };
    make_private_dir(&dir).map_err(refused)?;
    if found == Found::Nothing {
        write_format(&dir).map_err(refused)?;
    }
    clear_half_snapshots(&dir).map_err(refused)?;
    clear_unwritten_settings(&dir).map_err(refused)?;
    let opened = Database::open(dir.clone(), options)
        .map_err(|reason| OpenError::Unreadable { dir: dir.clone(), reason })?;
    // sled makes files and syncs neither their names nor what is in its settings.
    for made in [dir.join(SETTINGS).as_path(), &dir, data_dir] {
        File::open(made).and_then(|made| made.sync_all()).map_err(refused)?;
    }
    Ok(opened)
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

/// Removes sled's settings if power failed before they were in their file, which then has their
/// length and nothing in it: sled would refuse them. They are always the same; it writes them anew.
fn clear_unwritten_settings(dir: &Path) -> io::Result<()> {
    let path = dir.join(SETTINGS);
    match fs::read(&path) {
        Ok(settings) if settings.iter().all(|byte| *byte == 0) => fs::remove_file(path),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes the format so that it is there whole or not at all.
fn write_format(dir: &Path) -> io::Result<()> {
    let path = dir.join(unfinished(FORMAT_FILE));
    let mut file = File::create(&path)?;
    file.write_all(format_line().as_bytes())?;
    file.sync_all()?;
    fs::rename(path, dir.join(FORMAT_FILE))?;
    File::open(dir)?.sync_all()
}

/// Makes a directory that only this user can enter: it holds password hashes. Its name is on the
/// disk when this returns, and so are those of the directories above it that were made with it.
fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    let named = |dir: &&Path| !dir.as_os_str().is_empty();
    let missing: Vec<_> = dir.ancestors().take_while(|dir| named(dir) && !dir.exists()).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    for made in missing {
        let parent = made.parent().filter(named).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
    }
    Ok(())
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
