//! The disk that records, and what power loss may leave of it.

use std::{
    fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use countersign::store::{OpenError, SledOptions, SledStore, Store, sled::Disk};
use tempfile::TempDir;

use super::{
    CUTS,
    client::{Book, Person, Told},
};
use crate::{store_durability::copy_dir, store_world::opened, support::Dice};

/// A disk that is never waited for: of what is read here, nothing is meant to last.
#[derive(Debug)]
struct Careless;

impl Disk for Careless {
    fn sync(&self, _database: &File) -> io::Result<()> {
        Ok(())
    }

    fn reserve(&self, _path: &Path, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
}

/// Opens what power loss left.
pub(super) fn open(dir: &Path) -> Result<SledStore, OpenError> {
    let options = SledOptions { disk: Arc::new(Careless), ..SledOptions::default() };
    opened(|| SledStore::open(dir, options.clone()))
}

/// What power loss may have left, and what must be in it.
pub(super) struct Cut {
    pub(super) dir: TempDir,
    told: Vec<Told>,
    how: String,
}

impl Cut {
    /// Opens it and compares. Leaves it closed, with what may go on from here.
    pub(super) async fn check(&self) -> Vec<Told> {
        let opened = open(self.dir.path());
        let store = opened.unwrap_or_else(|error| panic!("{}: {error}", self.how));
        let mut found = Vec::new();
        for (client, Told { is, may_be }) in self.told.iter().enumerate() {
            let person = Person::find(&store, client).await;
            assert!(
                person == *is || person == *may_be,
                "{}, client {client}:\nfound {person:#?}\ntold {is:#?}\nasked for {may_be:#?}",
                self.how
            );
            found.push(Told { is: person.clone(), may_be: person });
        }
        store.close().await.unwrap();
        found
    }
}

/// What is written to all the time.
const FILES: [&str; 2] = ["store/db", "store/journal"];

/// A disk on which nothing is durable but what was there when a sync was asked for.
#[derive(Debug)]
pub(super) struct Recorder {
    data: PathBuf,
    book: Book,
    state: Mutex<Recording>,
}

struct Recording {
    dice: Dice,
    /// What was in the files at the sync before this one, if this one is to be cut.
    synced: Option<[Vec<u8>; 2]>,
    /// One in so many syncs is cut.
    one_in: u64,
    cuts: Vec<Cut>,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cuts", self.cuts.len())
    }
}

impl Recorder {
    /// Records what happens to the store in `data`, and makes a cut at one in so many syncs.
    pub(super) fn new(data: &Path, book: Book, one_in: u64, dice: Dice) -> Self {
        let state = Mutex::new(Recording { dice, synced: None, one_in, cuts: Vec::new() });
        Self { data: data.to_owned(), book, state }
    }

    /// The cuts that were made.
    pub(super) fn cuts(&self) -> Vec<Cut> {
        std::mem::take(&mut self.state.lock().unwrap().cuts)
    }
}

impl Disk for Recorder {
    fn sync(&self, _file: &File) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let synced = state.synced.take();
        let one_in = state.one_in;
        if synced.is_none() && (state.cuts.len() == CUTS || state.dice.roll(one_in) != 0) {
            return Ok(());
        }
        let written = FILES.map(|name| read_at_rest(&self.data.join(name)));
        let Some(synced) = synced else {
            state.synced = Some(written);
            return Ok(());
        };
        // Whoever waits for this sync has asked and was not told. Nobody is told meanwhile.
        let told = self.book.lock().unwrap().clone();
        let dir = TempDir::new()?;
        copy_dir(&self.data, dir.path());
        let mut hows = Vec::new();
        for ((name, synced), written) in FILES.into_iter().zip(synced).zip(written) {
            let (file, how) = torn(&synced, &written, &mut state.dice);
            fs::write(dir.path().join(name), file)?;
            hows.push(format!("{name}: {how}"));
        }
        state.cuts.push(Cut { dir, told, how: hows.join("; ") });
        // Not for real: a test that waits for the disk is slow, and shows no more.
        Ok(())
    }
}

/// What is in a file at one moment, although sled collects its garbage meanwhile.
fn read_at_rest(path: &Path) -> Vec<u8> {
    // One that is not there yet is empty.
    let read = || fs::read(path).unwrap_or_default();
    let mut before = read();
    loop {
        let now = read();
        if now == before {
            return now;
        }
        before = now;
    }
}

/// A log that was synced as `synced` and then written to until it was `written`, as power loss may
/// leave it: and how that was.
fn torn(synced: &[u8], written: &[u8], dice: &mut Dice) -> (Vec<u8>, String) {
    // What disks write at once, and what the system does.
    let piece = [512, 4096][usize::try_from(dice.roll(2)).unwrap()];
    let length = synced.len().max(written.len());
    let full = |log: &[u8]| {
        let mut log = log.to_vec();
        log.resize(length, 0);
        log
    };
    let (old, new) = (full(synced), full(written));
    let changed: Vec<_> = (0..length)
        .step_by(piece)
        .map(|at| at..(at + piece).min(length))
        .filter(|piece| old[piece.clone()] != new[piece.clone()])
        .collect();
    let (mut log, mut kept) = (old, 0);
    let way = dice.roll(5);
    let first = changed.len() as u64;
    let first = dice.roll(first + 1);
    for (n, piece) in changed.iter().enumerate() {
        let n = n as u64;
        let keep = match way {
            // Nothing of it, all of it, any of it, the beginning, all but the beginning.
            0 => false,
            1 => true,
            2 => dice.roll(2) == 0,
            3 => n < first,
            _ => n >= first,
        };
        if keep {
            log[piece.clone()].copy_from_slice(&new[piece.clone()]);
            kept += 1;
        }
    }
    // The length of a file is written on its own: what is in it may be there, and it too short.
    let least = synced.len().min(written.len());
    let any = least + usize::try_from(dice.roll((length - least) as u64 + 1)).unwrap();
    log.truncate(dice.pick([length, any, least].into_iter()).unwrap());
    let how = format!(
        "way {way}: {kept} of {} pieces of {piece} bytes kept, {} of {length} bytes long",
        changed.len(),
        log.len(),
    );
    (log, how)
}
