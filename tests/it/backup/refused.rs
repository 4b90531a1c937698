//! What is not restored, and that nothing changed then.

use std::{fs, path::Path};

use countersign::store::backup::{BackupKey, Encoder, Entry, Header};

use super::{backup_of, countersign, done, failed, names, people, run, small_store};
use crate::{
    store_contract::backup::export,
    store_durability::contents,
    store_world::{World, account, account_record, at, join, log_in},
    support::Process,
};

/// A good backup, of Bob.
async fn good() -> Vec<u8> {
    let world = World::memory();
    let bob = join(&*world.store, "bob").await;
    log_in(&*world.store, &bob, 0).await;
    backup_of(export(&*world.store).await)
}

/// What cannot be restored, and what is said of it.
async fn bad() -> Vec<(Vec<u8>, &'static str)> {
    let good = good().await;
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let twice = {
        let bob = |visits| account_record(account("bob"), visits);
        backup_of(vec![bob(1), bob(2)])
    };
    vec![
        (changed(good.len() - 1), "its checksum does not fit"),
        (changed(good.len() / 2), "damaged"),
        (good[..good.len() - 1].to_vec(), "its end is missing"),
        (good[..10].to_vec(), "its end is missing"),
        ([good.as_slice(), b"\n"].concat(), "something follows its end"),
        (Vec::new(), "its end is missing"),
        (b"PK\x03\x04 a holiday".to_vec(), "it is not a Countersign backup"),
        (
            String::from_utf8_lossy(&good).replace("backup 1\n", "backup 2\n").into_bytes(),
            "it has backup format 2, this program reads format 1",
        ),
        // Every byte is as it was written, but no store can hold it.
        (twice, "it is there already"),
    ]
}

#[tokio::test]
async fn what_is_no_good_backup_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    small_store(dir.path(), "ann", 2).await;
    let empty = tempfile::tempdir().unwrap();
    for (bytes, why) in bad().await {
        let file = dir.path().join("file");
        fs::write(&file, &bytes).unwrap();
        let before = contents(&dir.path().join("data"));
        for args in [&["restore", "file"][..], &["restore", "--replace", "file"]] {
            let said = failed(&run(dir.path(), args));
            if said.contains("not empty") {
                // Seen only once it is inside: by then the store was looked at first.
                assert_eq!((args.len(), why), (2, "it is there already"));
                continue;
            }
            assert!(said.starts_with("cannot restore file: ") && said.contains(why), "{said}");
            assert!(said.ends_with("; nothing was changed"), "{said}");
            if why != "it is there already" {
                assert_eq!(contents(&dir.path().join("data")), before, "{why}");
            }
        }
        // By a pipe, which cannot be looked at first.
        let mut piped = countersign(dir.path(), &["restore", "--replace", "-"]);
        let said = failed(&piped.stdin(fs::File::open(&file).unwrap()).output().unwrap());
        assert!(said.contains(why), "{said}");
        assert_eq!(people(dir.path()).await, [("ann@example.com".to_owned(), 2)], "{why}");

        let said = failed(&run(empty.path(), &["restore", file.to_str().unwrap()]));
        assert!(said.contains(why), "{said}");
        if why != "it is there already" {
            assert_eq!(names(empty.path()), [""; 0], "not even a directory is made");
        }
    }
    assert_eq!(names(&dir.path().join("data")), ["lock", "store"]);
    let said = failed(&run(dir.path(), &["restore", "nowhere"]));
    assert!(said.contains("No such file"), "{said}");
}

#[tokio::test]
async fn a_key_that_is_no_key_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    small_store(dir.path(), "ann", 2).await;
    let mut bytes = Vec::new();
    let header = Header { created_at: at(0), program: String::new() };
    let mut encoder = Encoder::begin(&header, &mut bytes);
    let key = BackupKey { kid: "../x".to_owned(), json: b"{\"d\": \"geheim\"}".to_vec().into() };
    encoder.add(&Entry::Key(key), &mut bytes);
    encoder.finish(&mut bytes);
    fs::write(dir.path().join("file"), bytes).unwrap();
    let said = failed(&run(dir.path(), &["restore", "--replace", "file"]));
    assert!(said.contains("key") && !said.contains("geheim"), "{said}");
    assert_eq!(names(&dir.path().join("data")), ["lock", "store"]);
    assert_eq!(people(dir.path()).await, [("ann@example.com".to_owned(), 2)]);
}

#[tokio::test]
async fn a_store_that_is_not_empty_is_replaced_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    small_store(dir.path(), "ann", 2).await;
    fs::write(dir.path().join("file"), good().await).unwrap();
    let said = failed(&run(dir.path(), &["restore", "file"]));
    assert_eq!(
        said,
        "cannot restore file: the store in data is not empty; --replace puts the backup in its \
         place; nothing was changed"
    );
    assert_eq!(people(dir.path()).await, [("ann@example.com".to_owned(), 2)]);

    // What a restore that was killed leaves behind is in nobody's way, and in no store.
    let left = dir.path().join("data/store.restored/store");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("db"), "half").unwrap();
    done(&run(dir.path(), &["restore", "--replace", "file"]));
    assert_eq!(people(dir.path()).await, [("bob@example.com".to_owned(), 0)]);
    assert_eq!(names(&dir.path().join("data")), ["lock", "store"], "nothing is left over");
}

#[tokio::test]
async fn an_empty_store_and_a_damaged_one_can_be_restored_to() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), good().await).unwrap();
    let bob = [("bob@example.com".to_owned(), 0)];
    // A server was started once, and everybody was logged out.
    done(&run(dir.path(), &["session", "revoke", "--all-accounts", "--yes"]));
    done(&run(dir.path(), &["restore", "file"]));
    assert_eq!(people(dir.path()).await, bob);

    let damage = |path: &Path| fs::write(path, "no database").unwrap();
    damage(&dir.path().join("data/store/db"));
    done(&run(dir.path(), &["restore", "--replace", "file"]));
    assert_eq!(people(dir.path()).await, bob);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_not_restored_under() {
    let server = Process::start();
    let dir = server.data_dir().parent().unwrap().to_owned();
    let browser = server.browser();
    browser.join("ann@example.com").await;
    browser.open_admin().await;
    fs::write(dir.join("file"), good().await).unwrap();
    let before = names(&server.data_dir());
    for args in [&["restore", "file"][..], &["restore", "--replace", "file"]] {
        let said = failed(&run(&dir, args));
        assert!(said.starts_with("cannot restore file: a server (process "), "{said}");
        assert!(said.ends_with(") runs on data; stop it first; nothing was changed"), "{said}");
    }
    assert_eq!(names(&server.data_dir()), before);
    assert_eq!(browser.open_admin().await, 2);
}
