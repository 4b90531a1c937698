//! What is in a data directory, found out without writing anything: whose it is, in which format,
//! and whether there is room to begin. A directory that is refused is left as it was found.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::store::OpenError;

/// The format of the records and their keys. Raise it when an older program must not open them.
///
/// 1, before the first release, had a record for each session.
const FORMAT: u32 = 2;

pub(super) const FORMAT_FILE: &str = "format";
const FORMAT_WORDS: &str = "countersign store ";

/// What the format file says.
pub(super) fn format_line() -> String {
    format!("{FORMAT_WORDS}{FORMAT}\n")
}

/// The name of a file while it is being written.
pub(super) fn unfinished(name: &str) -> String {
    format!("{name}.unfinished")
}

/// What a start needs of the disk: the reserve, a segment of sled's log, a snapshot, keys. On a
/// fuller one it would only get stuck half-way.
const ROOM_BYTES: u64 = 4 << 20;

/// By what the data directories of other databases can be told: `PostgreSQL`, `MySQL`, `MongoDB`,
/// Redis, LMDB, `LevelDB` and its kin, sled.
const OTHERS: [&str; 8] = [
    "PG_VERSION",
    "ibdata1",
    "WiredTiger",
    "appendonlydir",
    "dump.rdb",
    "data.mdb",
    "CURRENT",
    "blobs",
];

/// What is in a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No store, and nobody else's either.
    Nothing,
    /// A store of this program and format.
    Ours,
}

/// Looks at what is there.
pub(super) fn look_at(data_dir: &Path) -> Result<Found, OpenError> {
    let dir = data_dir.join("store");
    let refused =
        |error: &io::Error| OpenError::Io { dir: data_dir.to_owned(), reason: error.to_string() };
    let foreign = || OpenError::Foreign { dir: dir.clone() };
    match fs::metadata(data_dir) {
        Ok(found) if !found.is_dir() => {
            return Err(refused(&ErrorKind::NotADirectory.into()));
        }
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(refused(&error)),
        _ => {}
    }
    match fs::read(dir.join(FORMAT_FILE)) {
        Ok(format) => {
            let found = parse_format(&format).ok_or_else(foreign)?;
            if found == FORMAT {
                Ok(Found::Ours)
            } else {
                Err(OpenError::Version { dir, found, expected: FORMAT })
            }
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(foreign()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // A crash while the format was written leaves its unfinished file and nothing else.
            let unfinished = unfinished(FORMAT_FILE);
            match fs::read_dir(&dir) {
                Ok(entries) => {
                    for entry in entries {
                        let entry = entry.map_err(|error| refused(&error))?;
                        if entry.file_name() != unfinished.as_str() {
                            return Err(foreign());
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(refused(&error)),
            }
            if OTHERS.iter().any(|name| data_dir.join(name).exists()) {
                return Err(OpenError::Foreign { dir: data_dir.to_owned() });
            }
            Ok(Found::Nothing)
        }
        Err(error) => Err(refused(&error)),
    }
}

fn parse_format(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    text.strip_prefix(FORMAT_WORDS)?.trim_end().parse().ok()
}

/// Whether a start has room, on the disk that has the directory or is going to have it.
pub(super) fn has_room(data_dir: &Path) -> Result<(), OpenError> {
    let refused =
        |error: io::Error| OpenError::Io { dir: data_dir.to_owned(), reason: error.to_string() };
    let there = data_dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("."));
    let disk = statvfs(there).map_err(|error| refused(error.into()))?;
    if disk.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(refused(ErrorKind::ReadOnlyFilesystem.into()));
    }
    // Some network file systems do not say how large they are.
    if disk.f_blocks > 0 && disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM_BYTES {
        return Err(OpenError::Full { dir: data_dir.to_owned(), needed_mib: ROOM_BYTES >> 20 });
    }
    Ok(())
}
