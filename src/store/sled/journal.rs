//! Visits that were answered before they are in the database, as they lie on the disk.
//!
//! A commit of sled costs half a millisecond of CPU time, whatever is in it: each flush wakes
//! seven threads, and each record is linked into the tree. Most changes are visits, and what one
//! visit writes, the next one to the same session writes over. So visits go to a file of their own
//! first: one frame for each group, one write, one sync. They are shown to readers then, and
//! answered. The database gets what they came to a little later, all at once, with the next other
//! change at the latest; then the journal begins again at its front.
//!
//! What is read back when the store opens is only a hint: the session must still be there, with
//! fewer visits than the journal has for it. So frames that are in the database already do no
//! harm, nothing needs to be erased when the journal begins again, and a session that ended stays
//! ended. Only when a frame could not be written, and those who waited for it were told so, is the
//! file [replaced](Journal::renew) before anything else is accepted.
//!
//! The file has its full size from the beginning, so that a frame needs no room on the disk, and
//! its sync no more than the frame itself.
//!
//! ```text
//! frame  = length of the rest, CRC-32 of the rest, rest (lengths and checksums: u32, little end first)
//! rest   = number (u64: one more than that of the frame before), entries
//! entry  = length of the key (u16), length of the value (u16), key, value
//! ```
//!
//! It ends where there is no next frame: a length of zero, another checksum, another number.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::Disk;
use crate::store::{
    records::{Key, Value},
    view::Changes,
};

/// How large the file is: about fifty full groups.
const BYTES: usize = 1 << 20;

/// What the system keeps files in.
const PAGE: usize = 4_096;

/// Length and checksum.
const HEAD: usize = 8;

pub(super) struct Journal {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    /// `None` until all that is in it may be read back.
    file: Option<File>,
    /// Where the next frame goes, and its number.
    offset: usize,
    number: u64,
    frame: Vec<u8>,
}

impl Journal {
    /// The journal in `dir`, and what is in it. Before it is written to, it must be
    /// [renewed](Self::renew).
    pub(super) fn open(dir: &Path, disk: Arc<dyn Disk>) -> io::Result<(Self, Vec<(Key, Value)>)> {
        let path = dir.join("journal");
        let entries = match std::fs::read(&path) {
            Ok(bytes) => read(&bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok((Self { path, disk, file: None, offset: 0, number: 0, frame: Vec::new() }, entries))
    }

    /// Makes a new one, empty and as large as it may become. To be called when all that was
    /// answered is in the database.
    pub(super) fn renew(&mut self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&self.path)?;
        // Page by page: what is written at once is kept in memory as one piece, and is then looked
        // through, and counted as written, as a whole for each frame in it.
        for page in 0..BYTES / PAGE {
            file.write_all_at(&[0; PAGE], (page * PAGE) as u64)?;
        }
        self.disk.sync(&file)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        self.file = Some(file);
        self.restart();
        Ok(())
    }

    /// Whether it was renewed since it was opened, or since a frame could not be written.
    pub(super) fn is_ready(&self) -> bool {
        self.file.is_some()
    }

    /// Takes it away: all that is in it is in the database, and nobody has to look.
    pub(super) fn remove(self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Begins again at the front: all that is in it is in the database.
    pub(super) fn restart(&mut self) {
        self.offset = 0;
    }

    /// Whether it can take `changes`: it is ready, has room, and they remove nothing.
    pub(super) fn takes(&self, changes: &Changes) -> bool {
        let entries = changes.iter().map(|(key, value)| {
            let value = value.as_ref()?;
            let fit = [key.len(), value.len()].iter().all(|length| u16::try_from(*length).is_ok());
            fit.then_some(4 + key.len() + value.len())
        });
        let length: Option<usize> = entries.sum();
        self.is_ready() && length.is_some_and(|length| self.offset + HEAD + 8 + length <= BYTES)
    }

    /// Writes `changes`, which it [takes](Self::takes), and returns when they are on the disk.
    ///
    /// # Errors
    /// When that is not certain. They may be read back until it is renewed.
    pub(super) fn append(&mut self, changes: &Changes) -> io::Result<()> {
        // Nothing is written behind a frame that nobody can vouch for.
        let file = self.file.take().ok_or_else(|| io::Error::other("the journal is not ready"))?;
        self.number += 1;
        let frame = &mut self.frame;
        frame.clear();
        frame.extend([0; HEAD]);
        frame.extend(self.number.to_le_bytes());
        for (key, value) in changes {
            let value = value.as_deref().ok_or_else(|| io::Error::other("it removes nothing"))?;
            for length in [key.len(), value.len()] {
                let length = u16::try_from(length).map_err(io::Error::other)?;
                frame.extend(length.to_le_bytes());
            }
            frame.extend(key);
            frame.extend(value);
        }
        let length = u32::try_from(frame.len() - HEAD).map_err(io::Error::other)?;
        let checksum = crc32fast::hash(&frame[HEAD..]);
        frame[..4].copy_from_slice(&length.to_le_bytes());
        frame[4..HEAD].copy_from_slice(&checksum.to_le_bytes());
        file.write_all_at(frame, self.offset as u64)?;
        self.disk.sync(&file)?;
        self.offset += frame.len();
        self.file = Some(file);
        Ok(())
    }
}

/// The entries of all frames from the front on.
fn read(bytes: &[u8]) -> Vec<(Key, Value)> {
    let mut entries = Vec::new();
    let (mut rest, mut expected) = (bytes, None);
    while let Some((mut frame, number)) = first_frame(&mut rest) {
        if expected.is_some_and(|expected| expected != number) {
            break;
        }
        expected = Some(number + 1);
        while let Some(entry) = first_entry(&mut frame) {
            entries.push(entry);
        }
    }
    entries
}

/// The entries and the number of the frame at the front of `bytes`, which go on behind it.
fn first_frame<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], u64)> {
    let length = u32::from_le_bytes(take(bytes)?);
    let checksum = u32::from_le_bytes(take(bytes)?);
    let mut frame = bytes.split_off(..usize::try_from(length).ok()?)?;
    if crc32fast::hash(frame) != checksum {
        return None;
    }
    let number = u64::from_le_bytes(take(&mut frame)?);
    Some((frame, number))
}

fn first_entry(frame: &mut &[u8]) -> Option<(Key, Value)> {
    let key = u16::from_le_bytes(take(frame)?);
    let value = u16::from_le_bytes(take(frame)?);
    let key = frame.split_off(..usize::from(key))?.to_vec();
    let value = frame.split_off(..usize::from(value))?.to_vec();
    Some((key, value))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    bytes.split_off(..N).and_then(|taken| taken.try_into().ok())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::sled::RealDisk;

    /// A renewed journal in a directory of its own.
    fn renewed() -> (TempDir, Journal) {
        let dir = TempDir::new().unwrap();
        let (mut journal, entries) = Journal::open(dir.path(), Arc::new(RealDisk)).unwrap();
        assert!(entries.is_empty() && !journal.is_ready());
        journal.renew().unwrap();
        (dir, journal)
    }

    fn one(key: u8, length: usize) -> Changes {
        Changes::from([(vec![b's', key], Some(vec![key; length]))])
    }

    /// What is read back, in short.
    fn kept(dir: &TempDir) -> Vec<(u8, usize)> {
        let (_, entries) = Journal::open(dir.path(), Arc::new(RealDisk)).unwrap();
        entries.into_iter().map(|(key, value)| (key[1], value.len())).collect()
    }

    #[test]
    fn what_was_appended_is_read_back_in_order() {
        let (dir, mut journal) = renewed();
        journal.append(&one(1, 70)).unwrap();
        journal.append(&one(2, 0)).unwrap();
        let mut two = one(1, 71);
        two.extend(one(3, 300));
        journal.append(&two).unwrap();
        assert_eq!(kept(&dir), [(1, 70), (2, 0), (1, 71), (3, 300)]);
        journal.restart();
        journal.append(&one(4, 70)).unwrap();
        assert_eq!(kept(&dir), [(4, 70)], "what is left of frames before is no next frame");
        journal.renew().unwrap();
        assert_eq!(kept(&dir), []);
    }

    /// Cut anywhere, or with any byte changed, it holds what comes before.
    #[test]
    fn a_damaged_tail_hides_nothing_before_it() {
        let (dir, mut journal) = renewed();
        journal.append(&one(1, 3)).unwrap();
        let first = journal.offset;
        journal.append(&one(2, 3)).unwrap();
        let bytes = std::fs::read(dir.path().join("journal")).unwrap();
        for at in first..journal.offset {
            assert_eq!(read(&bytes[..at]).len(), 1, "cut at {at}");
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            assert_eq!(read(&bytes).len(), 1, "changed at {at}");
        }
        assert_eq!(read(&bytes[..journal.offset]).len(), 2);
    }

    #[test]
    fn it_takes_what_fits_and_never_grows() {
        let (dir, mut journal) = renewed();
        let large = one(1, 60_000);
        let mut appended = 0;
        while journal.takes(&large) {
            journal.append(&large).unwrap();
            appended += 1;
        }
        assert_eq!(appended, BYTES / 60_000);
        assert_eq!(std::fs::metadata(dir.path().join("journal")).unwrap().len(), BYTES as u64);
        assert_eq!(kept(&dir).len(), appended);
        assert!(!journal.takes(&one(1, 70_000)), "its length does not fit");
        assert!(!journal.takes(&Changes::from([(vec![1], None)])), "it removes nothing");
    }

    #[derive(Debug)]
    struct BrokenDisk;

    impl Disk for BrokenDisk {
        fn sync(&self, _: &File) -> io::Result<()> {
            Err(io::Error::other("the test says so"))
        }
    }

    #[test]
    fn after_a_failure_nothing_is_taken_until_it_is_renewed() {
        let (dir, mut journal) = renewed();
        journal.append(&one(1, 3)).unwrap();
        journal.disk = Arc::new(BrokenDisk);
        journal.append(&one(2, 3)).unwrap_err();
        assert!(!journal.takes(&one(3, 3)));
        journal.append(&one(3, 3)).unwrap_err();
        journal.renew().unwrap_err();
        assert!(!journal.takes(&one(3, 3)));
        journal.disk = Arc::new(RealDisk);
        journal.renew().unwrap();
        assert_eq!(kept(&dir), [], "what was refused is gone");
        journal.append(&one(3, 3)).unwrap();
        assert_eq!(kept(&dir), [(3, 3)]);
    }
}
