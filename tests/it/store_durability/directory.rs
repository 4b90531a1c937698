//! Whose directory it is.

use std::{fs, path::Path};

use countersign::store::{OpenError, SledOptions, SledStore, Store};
use tempfile::TempDir;

use super::{Mode, Rig, contents, until};
use crate::store_world::{hash, join, opened};

#[tokio::test]
async fn a_second_open_is_told_who_has_it() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let second = SledStore::open(rig.dir.path(), SledOptions::default());
    let Err(error) = second else { panic!("it opened twice") };
    assert!(
        matches!(&error, OpenError::Locked { pid: Some(pid), .. } if *pid == std::process::id()),
        "{error:?}"
    );
    assert!(error.to_string().contains("in use by another process"));
    assert_eq!(rig.store.account(ann.id).await.unwrap(), Some(ann));
    join(&*rig.store, "bob").await;
}

#[tokio::test]
async fn a_dropped_store_lets_go() {
    let dir = TempDir::new().unwrap();
    let store = SledStore::open(dir.path(), SledOptions::default()).unwrap();
    let ann = join(&store, "ann").await;
    drop(store);
    let mut again = None;
    until("the lock is free", async || {
        again = SledStore::open(dir.path(), SledOptions::default()).ok();
        again.is_some()
    })
    .await;
    assert_eq!(again.unwrap().account(ann.id).await.unwrap(), Some(ann));
}

#[tokio::test]
async fn a_half_written_snapshot_is_moved_aside() {
    let mut rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    rig.store.close().await.unwrap();
    let planted = rig.dir.path().join("store/snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&planted, b"half").unwrap();
    rig.reopen().await;
    assert_eq!(rig.store.account(ann.id).await.unwrap(), Some(ann));
    assert!(!planted.exists());
    let aside = rig.dir.path().join("store/half-written-snapshot");
    assert_eq!(fs::read(aside).unwrap(), b"half");
}

/// Opens `data_dir`, which must fail and leave it as it is.
fn refused(data_dir: &Path) -> OpenError {
    let before = contents(data_dir);
    let Err(error) = SledStore::open(data_dir, SledOptions::default()) else {
        panic!("it opened {}", data_dir.display())
    };
    assert_eq!(contents(data_dir), before, "nothing is written");
    error
}

#[tokio::test]
async fn a_directory_that_is_not_ours_is_left_alone() {
    let files = TempDir::new().unwrap();
    fs::create_dir(files.path().join("store")).unwrap();
    fs::write(files.path().join("store/holiday.jpg"), b"...").unwrap();
    assert!(matches!(refused(files.path()), OpenError::Foreign { .. }));

    let plain = TempDir::new().unwrap();
    fs::write(plain.path().join("store"), b"a file").unwrap();
    assert!(matches!(refused(plain.path()), OpenError::Foreign { .. }));

    // Another program's sled database: ours, but for what says so.
    let rig = Rig::new();
    join(&*rig.store, "ann").await;
    rig.store.close().await.unwrap();
    fs::remove_file(rig.dir.path().join("store/format")).unwrap();
    fs::remove_file(rig.dir.path().join("lock")).unwrap();
    assert!(matches!(refused(rig.dir.path()), OpenError::Foreign { .. }));
    fs::write(rig.dir.path().join("store/format"), b"my own words").unwrap();
    assert!(matches!(refused(rig.dir.path()), OpenError::Foreign { .. }));
}

#[tokio::test]
async fn another_format_is_named_and_left_alone() {
    let rig = Rig::new();
    rig.store.close().await.unwrap();
    fs::write(rig.dir.path().join("store/format"), b"countersign store 99\n").unwrap();
    let error = refused(rig.dir.path());
    assert!(matches!(error, OpenError::Version { found: 99, expected: 2, .. }), "{error:?}");
}

#[tokio::test]
async fn a_start_that_was_cut_short_can_be_repeated() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("store")).unwrap();
    fs::write(dir.path().join("store/format.unfinished"), b"counter").unwrap();
    let store = SledStore::open(dir.path(), SledOptions::default()).unwrap();
    join(&store, "ann").await;
    store.close().await.unwrap();
    opened(|| SledStore::open(dir.path(), SledOptions::default())).unwrap();
}

#[test]
fn only_the_user_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let _store = SledStore::open(&data, SledOptions::default()).unwrap();
    for made in [data.join("store"), data] {
        let mode = fs::metadata(made).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[tokio::test]
async fn what_is_refused_shows_no_secret() {
    let options = format!("{:?}", SledOptions::default());
    assert!(options.contains("cache_bytes"));
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    rig.disk.set(Mode::Fails);
    let error = rig.store.rehash_password(ann.id, &hash("first"), hash("geheim")).await;
    let shown = format!("{0:?} {0}", error.unwrap_err());
    assert!(!shown.contains("geheim") && !shown.contains("ann@"));
}
