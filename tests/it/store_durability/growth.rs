//! What comes and goes leaves nothing behind: the store is as large as what lives in it.
//!
//! `just bench-size` does the same a million times.

use std::{fs, path::Path};

use futures_util::future::join_all;

use super::Rig;
use crate::store_world::{PLENTY, at, cause, hash, join, log_in, session};

const CYCLES: usize = 20_000;

/// Who logs in and out at the same time.
const AT_ONCE: usize = 250;

/// Three of sled's ways of keeping garbage, each of which doubles what lives (a megabyte here):
/// nodes with changes that are not merged yet, segments that are half full, segments that are free.
/// And what the half second between two rounds of its collector can bring.
const MOST_BYTES: u64 = 16 << 20;

/// What the files of the store take on the disk.
fn size(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;

    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        // A snapshot may be renamed meanwhile.
        .filter_map(|entry| entry.metadata().ok().map(|found| (entry.path(), found)))
        .map(|(path, found)| if found.is_dir() { size(&path) } else { found.blocks() * 512 })
        .sum()
}

#[tokio::test]
async fn log_ins_and_log_outs_leave_nothing_behind() {
    let rig = Rig::new();
    let store = &*rig.store;
    let mut living = Vec::new();
    let mut accounts = Vec::new();
    for n in 0..100 {
        let account = join(store, &format!("user{n}")).await;
        for seconds in 0..10 {
            living.push(log_in(store, &account, seconds).await);
        }
        accounts.push(account);
    }
    let dir = rig.dir.path().join("store");
    let mut most = 0;
    for round in 0..CYCLES / AT_ONCE {
        join_all((0..AT_ONCE).map(|n| {
            let account = &accounts[(round * AT_ONCE + n) % accounts.len()];
            let begun = session(account.id, 20);
            async move {
                let id = begun.id;
                store.create_session(begun, &hash("first"), PLENTY, cause(at(0))).await.unwrap();
                assert!(store.revoke_session(account.id, id, cause(at(20))).await.unwrap());
            }
        }))
        .await;
        most = most.max(size(&dir));
    }
    assert!(most <= MOST_BYTES, "{most} bytes at the most");
    assert_eq!(fs::read_dir(dir.join("blobs")).unwrap().count(), 0, "values are small");
    for session in &living {
        let found = store.session(session.account, session.id, at(30)).await.unwrap();
        assert_eq!(found.as_ref(), Some(session));
    }
    store.close().await.unwrap();
}
