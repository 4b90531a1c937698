//! The two things asked of the file system that sled does not do: a seam, so that a test can hold
//! or fail them.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

/// What syncs files and tells whether the disk takes data.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Makes everything that was written to `file` durable: the database, or the journal.
    ///
    /// `fdatasync` is enough: it "does not flush modified metadata unless that metadata is needed in
    /// order to allow a subsequent data retrieval to be correctly handled", so a new size is flushed
    /// and a new time is not (`fdatasync(2)`). Without it, each sync would be a second write.
    ///
    /// # Errors
    /// When the system says that it is not, for anything written since this same `File` was last
    /// synced, or opened, by whichever descriptor it was written (Linux 4.13 and later).
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Writes and syncs a file of `bytes` bytes at `path`, in place of the one that is there.
    ///
    /// # Errors
    /// When the disk does not take it. Then no file is there.
    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        // The old one goes first: its room may be all there is.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        write_and_sync(path, bytes).inspect_err(|_| {
            // Half a reserve must not be what fills the disk. If it cannot be removed either, the
            // first error says enough.
            drop(std::fs::remove_file(path));
        })
    }
}

/// The disk as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {}

/// How many bytes the files under `dir` have.
pub(super) fn bytes_under(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(found) if found.is_dir() => bytes += bytes_under(&entry.path())?,
            Ok(found) => bytes += found.len(),
            // The database takes a file away now and then.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_that_of_all_files_beneath() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(bytes_under(dir.path()).unwrap(), 0);
        std::fs::write(dir.path().join("db"), [0; 1_000]).unwrap();
        std::fs::create_dir(dir.path().join("blobs")).unwrap();
        std::fs::write(dir.path().join("blobs/1"), [0; 30]).unwrap();
        assert_eq!(bytes_under(dir.path()).unwrap(), 1_030);
        assert!(bytes_under(&dir.path().join("nowhere")).is_err());
    }
}
