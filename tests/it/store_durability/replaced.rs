//! A store in the place of another: the old one or the new one, at every moment.

use std::{fs, path::Path};

use countersign::store::{
    OpenError, SledOptions, SledStore, Store,
    sled::{Replacement, ReplacementError},
};
use tempfile::TempDir;

use super::copy_dir;
use crate::store_world::{everybody, join, opened};

async fn begin(dir: &Path, must_be_empty: bool) -> Result<Replacement, ReplacementError> {
    Replacement::begin(dir, SledOptions::default(), must_be_empty).await
}

/// Who has an account in a store, which is closed afterwards.
async fn names(dir: &Path) -> Vec<String> {
    let store = opened(|| SledStore::open(dir, SledOptions::default())).unwrap();
    let accounts = everybody(&store).await;
    store.close().await.unwrap();
    accounts.iter().map(|account| account.email.as_str().to_owned()).collect()
}

/// A directory with a store in which Ann has an account.
async fn anns() -> TempDir {
    let dir = TempDir::new().unwrap();
    let store = opened(|| SledStore::open(dir.path(), SledOptions::default())).unwrap();
    join(&store, "ann").await;
    store.close().await.unwrap();
    dir
}

#[tokio::test]
async fn the_old_store_is_there_until_the_new_one_is() {
    let dir = anns().await;
    let replacement = begin(dir.path(), false).await.unwrap();
    join(replacement.store(), "bob").await;
    // What a crash would leave now.
    let crashed = TempDir::new().unwrap();
    copy_dir(dir.path(), crashed.path());
    assert_eq!(names(crashed.path()).await, ["ann@example.com"]);

    replacement.finish().await.unwrap();
    assert_eq!(names(dir.path()).await, ["bob@example.com"]);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
    // The crash is forgotten when it is tried again.
    let again = begin(crashed.path(), false).await.unwrap();
    join(again.store(), "carol").await;
    again.finish().await.unwrap();
    assert_eq!(names(crashed.path()).await, ["carol@example.com"]);
}

#[tokio::test]
async fn what_is_discarded_leaves_the_old_store_as_it_was() {
    let dir = anns().await;
    let before = super::contents(dir.path());
    let replacement = begin(dir.path(), false).await.unwrap();
    join(replacement.store(), "bob").await;
    replacement.discard().await.unwrap();
    assert_eq!(super::contents(dir.path()), before, "to the byte");
}

#[tokio::test]
async fn nobody_opens_the_directory_meanwhile() {
    let dir = anns().await;
    let replacement = begin(dir.path(), false).await.unwrap();
    let opened = SledStore::open(dir.path(), SledOptions::default());
    assert!(matches!(opened, Err(OpenError::Locked { .. })));
    let second = begin(dir.path(), false).await;
    assert!(matches!(second, Err(ReplacementError::Open(OpenError::Locked { .. }))));
    replacement.finish().await.unwrap();

    // Looking into the old store does not let go of the lock either.
    let empty = TempDir::new().unwrap();
    SledStore::open(empty.path(), SledOptions::default()).unwrap().close().await.unwrap();
    let replacement = begin(empty.path(), true).await.unwrap();
    let opened = SledStore::open(empty.path(), SledOptions::default());
    assert!(matches!(opened, Err(OpenError::Locked { .. })));
    replacement.finish().await.unwrap();
    let refused = begin(anns().await.path(), true).await;
    assert!(matches!(refused, Err(ReplacementError::NotEmpty { .. })));
}
