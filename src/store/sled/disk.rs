//! The two things asked of the file system that sled does not do: a seam, so that a test can hold
//! or fail them.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// What syncs files and tells whether the disk takes data.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Makes everything that was written to `database` durable.
    ///
    /// # Errors
    /// When the system says that it is not, for anything written since this same `File` was last
    /// synced, or opened, by whichever descriptor it was written (Linux 4.13 and later).
    fn sync(&self, database: &File) -> io::Result<()> {
        database.sync_all()
    }

    /// Whether `bytes` can be written to and synced in a new file at `path`, which is removed.
    ///
    /// # Errors
    /// When they cannot.
    fn probe(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let written = write_and_sync(path, bytes);
        // Also after a failure: half a probe must not be what fills the disk.
        let removed = std::fs::remove_file(path);
        written.and(removed)
    }
}

/// The disk as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {}

fn write_and_sync(path: &Path, mut bytes: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    let chunk = vec![0x5A; 1 << 16];
    while bytes > 0 {
        let length = bytes.min(chunk.len() as u64);
        let part = usize::try_from(length).unwrap_or(chunk.len());
        file.write_all(&chunk[..part])?;
        bytes -= length;
    }
    file.sync_all()
}
