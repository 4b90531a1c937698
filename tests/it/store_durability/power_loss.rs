//! Power fails at any moment: whatever it may leave of the files opens, and holds what was answered.
//!
//! Clients work on a store whose disk is a recorder. Nothing is durable for it but what was in the
//! log when a sync was asked for; of what was written to it since, power loss keeps all, nothing,
//! or any part: that is how the *cuts* are made, copies of the directory as it might be found
//! afterwards. Each is opened and compared, client by client, with what that client had been told,
//! to the visit. The next round goes on from one of the cuts.
//!
//! `COUNTERSIGN_POWER_ROUNDS` sets how many rounds there are; the seed is printed, and
//! `COUNTERSIGN_POWER_SEED` repeats one (but for the order in which the clients come to their turn).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use countersign::{
    model::{Account, PasswordHash, SessionId},
    store::{Created, PasswordChange, SledOptions, SledStore, Store, Visited, sled::Disk},
};
use tempfile::TempDir;

use super::copy_dir;
use crate::{
    store_world::{PLENTY, account, at, email, hash, join, session, visit},
    support::{Dice, at_once, number},
};

/// How many clients there are, each with an account of its own.
const CLIENTS: usize = 400;

/// How many of them work in a round: then as many may wait for one sync.
const AT_ONCE: [usize; 3] = [8, 60, CLIENTS];

/// How many things are asked for in a round.
const STEPS: usize = 4_000;

/// How many cuts are made in a round at most.
const CUTS: usize = 8;

/// What the store knows of one client. `None` in its place: there is no such account.
#[derive(Clone, Debug, PartialEq)]
struct Person {
    account: Account,
    visits: u64,
    /// The living sessions and their visits.
    sessions: BTreeMap<SessionId, u64>,
}

impl Person {
    async fn find(store: &dyn Store, client: usize) -> Option<Self> {
        let account = store.account_by_email(&email(&name(client))).await.unwrap()?;
        let sessions = store.sessions(account.id, at(1)).await.unwrap();
        Some(Self {
            visits: store.total_visits(account.id).await.unwrap(),
            sessions: sessions.iter().map(|session| (session.id, session.visits)).collect(),
            account,
        })
    }
}

fn name(client: usize) -> String {
    // Long, so that the log is soon long, too.
    format!("{client}{:x>50}", "")
}

/// What one client was told, and what may be so because it asked for it.
#[derive(Clone, Debug)]
struct Told {
    is: Option<Person>,
    may_be: Option<Person>,
}

/// What all clients were told.
type Book = Arc<Mutex<Vec<Told>>>;

/// One client: asks for one thing after the other, and writes down what it asks and is told.
struct Client {
    number: usize,
    store: Arc<dyn Store>,
    book: Book,
    dice: Dice,
}

impl Client {
    async fn work(mut self, steps: usize) {
        for _ in 0..steps {
            let is = self.book.lock().unwrap()[self.number].is.clone();
            match is {
                None => self.join().await,
                Some(person) => self.go_on(person).await,
            }
        }
    }

    async fn join(&self) {
        let account = account(&name(self.number));
        let sessions = BTreeMap::new();
        self.asks(Some(Person { account: account.clone(), visits: 0, sessions }));
        assert!(self.store.create_account(account).await.unwrap());
        self.is_told();
    }

    async fn go_on(&mut self, mut then: Person) {
        let store = Arc::clone(&self.store);
        let account = then.account.clone();
        let one = self.dice.pick(then.sessions.keys().copied());
        let roll = self.dice.roll(32);
        match (roll, one) {
            (0, _) => {
                self.asks(None);
                assert!(store.remove_account(account.id).await.unwrap().is_some());
            }
            (1..=3, keep) => {
                then.account.password = hash(&format!("{:0>80}", self.dice.roll(1 << 31)));
                then.sessions.retain(|id, _| Some(*id) == keep);
                let new: PasswordHash = then.account.password.clone();
                self.asks(Some(then));
                let old = &account.password;
                let changed = store.change_password(account.id, Some(old), new, keep).await;
                assert!(matches!(changed, Ok(PasswordChange::Changed { .. })));
            }
            (4..=6, Some(id)) => {
                then.sessions.remove(&id);
                self.asks(Some(then));
                assert!(store.revoke_session(account.id, id, at(1)).await.unwrap());
            }
            (7, keep) => {
                then.sessions.retain(|id, _| Some(*id) == keep);
                self.asks(Some(then));
                store.revoke_sessions(account.id, keep, at(1)).await.unwrap();
            }
            (8..=12, _) | (_, None) => {
                let mut new = session(account.id, 0);
                new.user_agent = "Mozilla/5.0 (X11; Linux x86_64) ".repeat(6);
                then.sessions.insert(new.id, 0);
                self.asks(Some(then));
                let added = store.create_session(new, &account.password, PLENTY).await;
                assert!(matches!(added, Ok(Created::Added { .. })));
            }
            (_, Some(id)) => {
                let visits = then.sessions[&id];
                then.visits += 1;
                then.sessions.insert(id, visits + 1);
                self.asks(Some(then));
                let mut session = session(account.id, 0);
                session.id = id;
                let visited = store.visit(visit(&session, visits, 1, 1)).await;
                assert!(matches!(visited, Ok(Visited::Counted(_))), "{visited:?}");
            }
        }
        self.is_told();
    }

    fn asks(&self, may_be: Option<Person>) {
        self.book.lock().unwrap()[self.number].may_be = may_be;
    }

    fn is_told(&self) {
        let told = &mut self.book.lock().unwrap()[self.number];
        told.is = told.may_be.clone();
    }
}

/// What power loss may have left, and what must be in it.
struct Cut {
    dir: TempDir,
    told: Vec<Told>,
    how: String,
}

impl Cut {
    /// Opens it and compares. Leaves it closed, with what may go on from here.
    async fn check(&self) -> Vec<Told> {
        let opened = SledStore::open(self.dir.path(), SledOptions::default());
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

/// A disk on which nothing is durable but what was there when a sync was asked for.
#[derive(Debug)]
struct Recorder {
    data: PathBuf,
    book: Book,
    state: Mutex<Recording>,
}

struct Recording {
    dice: Dice,
    /// The log as it was at the sync before this one, if this one is to be cut.
    synced: Option<Vec<u8>>,
    /// One in so many syncs is cut.
    one_in: u64,
    cuts: Vec<Cut>,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cuts", self.cuts.len())
    }
}

impl Disk for Recorder {
    fn sync(&self, database: &File) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let synced = state.synced.take();
        let one_in = state.one_in;
        if synced.is_none() && (state.cuts.len() == CUTS || state.dice.roll(one_in) != 0) {
            return Ok(());
        }
        let written = read_at_rest(database)?;
        let Some(synced) = synced else {
            state.synced = Some(written);
            return Ok(());
        };
        // Whoever waits for this sync has asked and was not told. Nobody is told meanwhile.
        let told = self.book.lock().unwrap().clone();
        let (log, how) = torn(&synced, &written, &mut state.dice);
        let dir = TempDir::new()?;
        copy_dir(&self.data, dir.path());
        fs::write(dir.path().join("store/db"), log)?;
        state.cuts.push(Cut { dir, told, how });
        // Not for real: a test that waits for the disk is slow, and shows no more.
        Ok(())
    }
}

/// What is in the log at one moment, although sled collects its garbage meanwhile.
fn read_at_rest(log: &File) -> io::Result<Vec<u8>> {
    let mut before = Vec::new();
    loop {
        let mut now = Vec::with_capacity(before.len());
        let mut chunk = vec![0; 1 << 18];
        while let n @ 1.. = log.read_at(&mut chunk, now.len() as u64)? {
            now.extend_from_slice(&chunk[..n]);
        }
        if now == before {
            return Ok(now);
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
    // The length of a file is written on its own, and not before what is in it.
    let shortest = (0..length).rev().find(|&at| log[at] != 0).map_or(0, |at| at + 1);
    let end = shortest.max(synced.len().min(written.len()));
    log.truncate([end, length][usize::try_from(dice.roll(2)).unwrap()]);
    let how = format!(
        "way {way}: {kept} of {} pieces of {piece} bytes kept, {} of {length} bytes long",
        changed.len(),
        log.len(),
    );
    (log, how)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_power_loss_leaves_holds_what_was_answered() {
    let rounds = number("COUNTERSIGN_POWER_ROUNDS").unwrap_or(4);
    let mut dice = Dice::of("COUNTERSIGN_POWER_SEED");
    let mut dir = TempDir::new().unwrap();
    let mut told = vec![Told { is: None, may_be: None }; CLIENTS];
    let mut checked = 0;
    for _ in 0..rounds {
        let active = dice.pick(AT_ONCE.into_iter()).unwrap();
        let book: Book = Arc::new(Mutex::new(told));
        let one_in = (STEPS / active / CUTS) as u64 + 1;
        let recording = Recording { dice: dice.split(), synced: None, one_in, cuts: Vec::new() };
        let disk = Arc::new(Recorder {
            data: dir.path().to_owned(),
            book: Arc::clone(&book),
            state: Mutex::new(recording),
        });
        let options = SledOptions { disk: disk.clone(), ..SledOptions::default() };
        let store: Arc<dyn Store> = Arc::new(SledStore::open(dir.path(), options).unwrap());
        let clients: Vec<_> = (0..active)
            .map(|number| Client {
                number,
                store: Arc::clone(&store),
                book: Arc::clone(&book),
                dice: dice.split(),
            })
            .collect();
        at_once(clients.into_iter().map(|client| client.work(STEPS / active))).await;
        store.close().await.unwrap();
        let cuts = std::mem::take(&mut disk.state.lock().unwrap().cuts);
        assert!(!cuts.is_empty(), "no sync was cut");
        checked += cuts.len();
        let next = dice.pick(0..cuts.len());
        let mut after = None;
        for (n, cut) in cuts.into_iter().enumerate() {
            let found = cut.check().await;
            if Some(n) == next {
                after = Some((cut.dir, found));
            }
        }
        (dir, told) = after.unwrap();
    }
    println!("{checked} cuts in {rounds} rounds");
}

/// A store in which Ann has an account, and what is in its files while it runs and once it is closed.
struct Files {
    running: Listing,
    closed: Listing,
}

/// The files of a store's directory by name.
type Listing = BTreeMap<String, Vec<u8>>;

fn list(data: &Path) -> Listing {
    let entries = fs::read_dir(data.join("store")).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

/// A directory with these files in its store.
fn place(files: &Listing) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("store")).unwrap();
    for (name, content) in files {
        fs::write(dir.path().join("store").join(name), content).unwrap();
    }
    dir
}

impl Files {
    /// Opens `dir`, adds somebody, and closes.
    async fn of(dir: &TempDir, name: &str) -> Self {
        let store = SledStore::open(dir.path(), SledOptions::default()).unwrap();
        join(&store, name).await;
        let running = list(dir.path());
        store.close().await.unwrap();
        Self { running, closed: list(dir.path()) }
    }
}

fn snapshots(files: &Listing) -> Listing {
    let files = files.iter().filter(|(name, _)| name.starts_with("snap."));
    files.map(|(name, content)| (name.clone(), content.clone())).collect()
}

async fn holds(files: &Listing, names: &[&str], what: &str) {
    let dir = place(files);
    // Twice: what is found must also be left in order.
    for time in 0..2 {
        let opened = SledStore::open(dir.path(), SledOptions::default());
        let store = opened.unwrap_or_else(|error| panic!("{what}, time {time}: {error}"));
        for name in names {
            let found = store.account_by_email(&email(name)).await.unwrap();
            assert!(found.is_some(), "{what}, time {time}: {name} is gone");
        }
        join(&store, &format!("new{time}")).await;
        store.close().await.unwrap();
    }
}

/// Opening makes files, renames and removes them. Until the directory is synced, each of these may
/// be undone by power loss on its own.
#[tokio::test]
async fn names_that_were_not_synced_may_be_missing_or_back() {
    let dir = TempDir::new().unwrap();
    Files::of(&dir, "ann").await;
    let before = Files::of(&dir, "bob").await.closed;
    let after = Files::of(&dir, "carol").await.running;
    let (old, new) = (snapshots(&before), snapshots(&after));
    let (Some((old_name, old_snapshot)), Some((new_name, new_snapshot))) =
        (old.first_key_value(), new.first_key_value())
    else {
        panic!("each start writes a snapshot: {:?} {:?}", old.keys(), new.keys());
    };
    assert!(new_name > old_name);
    let generating = format!("{new_name}.generating");
    let half = &new_snapshot[..new_snapshot.len() / 2];
    let (old, new) = ((old_name, old_snapshot.as_slice()), (new_name, new_snapshot.as_slice()));
    let left: [(&str, &[(&String, &[u8])]); 8] = [
        ("no snapshot", &[]),
        ("the old snapshot", &[old]),
        ("the new snapshot", &[new]),
        ("both snapshots", &[old, new]),
        ("the new snapshot by its first name", &[(&generating, new.1)]),
        ("the old and the new by its first name", &[old, (&generating, new.1)]),
        ("the old and half of the new", &[old, (&generating, half)]),
        ("an empty new one", &[(&generating, &[])]),
    ];
    for (log, names) in [(&before, &["ann", "bob"][..]), (&after, &["ann", "bob", "carol"])] {
        for (what, snapshots) in left {
            let mut files = log.clone();
            files.retain(|name, _| !name.starts_with("snap."));
            files.extend(snapshots.iter().map(|(name, file)| ((*name).clone(), file.to_vec())));
            holds(&files, names, &format!("{what} and the log with {names:?}")).await;
        }
    }
    // The rest is sled's `conf`, and what can be done without.
    let conf = after["conf"].len();
    for (name, content) in [
        ("conf", None),
        ("conf", Some(Vec::new())),
        ("conf", Some(vec![0; conf])),
        ("reserve", None),
        ("reserve", Some(b"ZZZ".to_vec())),
        ("half-written-snapshot", Some(b"half".to_vec())),
        ("format.unfinished", Some(b"counter".to_vec())),
    ] {
        let mut files = after.clone();
        let size = content.as_ref().map(Vec::len);
        match content {
            Some(content) => files.insert(name.to_owned(), content),
            None => files.remove(name),
        };
        holds(&files, &["ann", "bob", "carol"], &format!("{name} of {size:?} bytes")).await;
    }
}

/// Whatever is left of a first start is no reason to refuse the second.
#[tokio::test]
async fn a_first_start_without_an_end_can_be_repeated() {
    let whole = {
        let dir = TempDir::new().unwrap();
        let store = SledStore::open(dir.path(), SledOptions::default()).unwrap();
        let files = list(dir.path());
        store.close().await.unwrap();
        files
    };
    assert!(whole.contains_key("conf") && whole.contains_key("db") && whole.contains_key("format"));
    let mut dice = Dice::of("COUNTERSIGN_POWER_SEED");
    for _ in 0..24 {
        let mut files = Listing::new();
        let mut what = String::new();
        for (name, content) in &whole {
            // The name, without or with its content, whole or cut off or not yet written.
            let zeros = vec![0; content.len()];
            let part = content[..content.len() / 2].to_vec();
            let way = if name == "format" { 4 } else { dice.roll(5) };
            let content = match way {
                0 => continue,
                1 => Vec::new(),
                2 => zeros,
                3 if name == "db" => part,
                _ => content.clone(),
            };
            what.push_str(&format!("{name} {way} "));
            files.insert(name.clone(), content);
        }
        holds(&files, &[], &what).await;
    }
}
