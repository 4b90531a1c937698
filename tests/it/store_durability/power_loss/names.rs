//! Files whose names, or whose content, were not synced yet when power failed.

use std::{collections::BTreeMap, fs, path::Path};

use countersign::store::Store;
use tempfile::TempDir;

use super::cut::open;
use crate::{
    store_world::{email, join},
    support::Dice,
};

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
        let store = open(dir.path()).unwrap();
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
        let opened = open(dir.path());
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
    let old = [(old_name.clone(), old_snapshot.clone())];
    let new = [(new_name.clone(), new_snapshot.clone())];
    let unnamed = |content: &[u8]| [(generating.clone(), content.to_vec())];
    let left = [
        ("no snapshot", Vec::new()),
        ("the old snapshot", old.to_vec()),
        ("the new snapshot", new.to_vec()),
        ("both snapshots", [&old[..], &new].concat()),
        ("the new snapshot by its first name", unnamed(new_snapshot).to_vec()),
        ("the old and the new by its first name", [&old[..], &unnamed(new_snapshot)].concat()),
        ("the old and half of the new", [&old[..], &unnamed(half)].concat()),
        ("an empty new one", unnamed(&[]).to_vec()),
    ];
    for (log, names) in [(&before, &["ann", "bob"][..]), (&after, &["ann", "bob", "carol"])] {
        for (what, snapshots) in &left {
            let mut files = log.clone();
            files.retain(|name, _| !name.starts_with("snap."));
            files.extend(snapshots.iter().cloned());
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
        let store = open(dir.path()).unwrap();
        let files = list(dir.path());
        store.close().await.unwrap();
        files
    };
    assert!(whole.contains_key("conf") && whole.contains_key("db") && whole.contains_key("format"));
    let mut dice = Dice::of("COUNTERSIGN_POWER_SEED");
    for _ in 0..12 {
        let mut files = Listing::new();
        let mut ways = BTreeMap::new();
        for (name, content) in &whole {
            // The name, without or with its content, whole or cut off or not yet written.
            let zeros = vec![0; content.len()];
            let part = content[..content.len() / 2].to_vec();
            let way = if name == "format" { 4 } else { dice.roll(5) };
            ways.insert(name, way);
            let content = match way {
                0 => continue,
                1 => Vec::new(),
                2 => zeros,
                3 if name == "db" => part,
                _ => content.clone(),
            };
            files.insert(name.clone(), content);
        }
        holds(&files, &[], &format!("{ways:?}")).await;
    }
}
