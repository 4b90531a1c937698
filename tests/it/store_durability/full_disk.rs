//! A disk that is really full.

use std::{collections::HashSet, fs, path::PathBuf, sync::Arc, time::Duration};

use countersign::store::{SledOptions, SledStore, Store};
use tokio::task::JoinSet;

use super::until;
use crate::{
    store_machine::operation::list,
    store_world::{account, at, cause},
};

/// Where a small file system is mounted: `mount -t tmpfs -o size=16m none DIR`.
const SMALL_DISK: &str = "COUNTERSIGN_SMALL_DISK";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a small file system, named in COUNTERSIGN_SMALL_DISK"]
async fn a_full_disk_refuses_and_heals_when_there_is_room() {
    let dir = PathBuf::from(std::env::var_os(SMALL_DISK).expect("COUNTERSIGN_SMALL_DISK is set"));
    let data = dir.join("data");
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![0; 6 << 20]).unwrap();
    let store = Arc::new(SledStore::open(&data, SledOptions::default()).unwrap());
    let (mut recorded, mut refused) = (Vec::new(), Vec::new());
    for round in 0.. {
        let mut tasks = JoinSet::new();
        for n in 0..64 {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                let new = account(&format!("{:0>50}-{round}-{n}", ""));
                let made = store.create_account(new.clone(), cause(at(0))).await;
                (new, made.is_ok())
            });
        }
        for (account, made) in tasks.join_all().await {
            if made { &mut recorded } else { &mut refused }.push(account);
        }
        if !refused.is_empty() {
            break;
        }
    }
    let check = async |store: &SledStore| {
        let events = list(store, None, 1_000, at(9)).await.unwrap();
        let told: HashSet<_> = events.iter().filter_map(|event| event.account).collect();
        assert_eq!((events.len(), told.len()), (recorded.len(), recorded.len()));
        for account in &recorded {
            let found = store.account_by_email(&account.email).await.unwrap();
            assert_eq!(found.as_ref(), Some(account), "what was recorded is there");
            assert!(told.contains(&account.id), "with its event");
        }
        for account in &refused {
            let found = store.account_by_email(&account.email).await.unwrap();
            assert_eq!(found, None, "what was refused is not");
        }
    };
    check(&store).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(store.ping().await.is_err(), "there is still no room");
    check(&store).await;
    fs::remove_file(ballast).unwrap();
    until("it has healed", async || store.ping().await.is_ok()).await;
    check(&store).await;
    store.close().await.unwrap();
    let store = SledStore::open(&data, SledOptions::default()).unwrap();
    check(&store).await;
    store.close().await.unwrap();
    fs::remove_dir_all(data).unwrap();
}
