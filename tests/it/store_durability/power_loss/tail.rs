//! A log that something cut off at its end: it opens, and what was before the cut is there.

use std::fs;

use countersign::store::{OpenError, Store};
use tempfile::TempDir;

use super::cut::open;
use crate::{
    store_durability::copy_dir,
    store_world::{email, everybody, join},
    support::Dice,
};

/// Everybody who has an account in a store, in the order in which they joined.
async fn joined(store: &dyn Store) -> usize {
    let mut joined = 0;
    while store.account_by_email(&email(&format!("n{joined}"))).await.unwrap().is_some() {
        joined += 1;
    }
    assert_eq!(everybody(store).await.len(), joined, "some, and not others");
    joined
}

/// More zeros than a message ends with: an audit event's last number is one. In a log whose free room
/// is zeros nobody can tell to which of both they belong.
const ZEROS: usize = 16;

#[tokio::test]
async fn a_log_that_was_cut_off_opens_with_all_that_is_before_the_cut() {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("store/db");
    open(dir.path()).unwrap().close().await.unwrap();
    let store = open(dir.path()).unwrap();
    // Where the log ended after each, but for zeros.
    let mut ends = Vec::new();
    for n in 0..40 {
        join(&store, &format!("n{n}")).await;
        let written = fs::read(&log).unwrap();
        ends.push(written.iter().rposition(|byte| *byte != 0).unwrap() + 1);
    }
    assert!(ends.is_sorted(), "the log is one segment, written from the front");
    let copy = TempDir::new().unwrap();
    copy_dir(dir.path(), copy.path());
    store.close().await.unwrap();

    let whole = fs::read(copy.path().join("store/db")).unwrap();
    let (first, last) = (ends[0] + ZEROS, ends.last().unwrap() + ZEROS);
    let mut dice = Dice::of("COUNTERSIGN_POWER_SEED");
    for time in 0..16 {
        let at = match time {
            0 => first,
            1 => last,
            _ => first + usize::try_from(dice.roll((last - first) as u64)).unwrap(),
        };
        let dir = TempDir::new().unwrap();
        copy_dir(copy.path(), dir.path());
        let log = dir.path().join("store/db");
        let mut left = whole[..at].to_vec();
        if time % 2 == 0 {
            // The length is there, the content is not.
            left.resize(whole.len(), 0);
        }
        fs::write(&log, left).unwrap();
        let store = open(dir.path()).unwrap();
        let there = joined(&store).await;
        let before = ends.iter().filter(|end| **end + ZEROS <= at).count();
        assert!(there >= before, "cut at {at}: {before} were written before, {there} are there");
        let begun = ends.iter().filter(|end| **end <= at).count();
        assert!(there <= begun + 1, "cut at {at}: one is there that was cut off");
        join(&store, &format!("n{there}")).await;
        store.close().await.unwrap();
        let store = open(dir.path()).unwrap();
        assert_eq!(joined(&store).await, there + 1);
        store.close().await.unwrap();
    }
}

/// No power failure leaves this: the log was synced before there was a snapshot of it. What is
/// missing is known to be missing, and that is said.
#[tokio::test]
async fn a_log_that_ends_before_its_snapshot_is_refused() {
    let dir = TempDir::new().unwrap();
    for n in 0..2 {
        let store = open(dir.path()).unwrap();
        join(&store, &format!("n{n}")).await;
        store.close().await.unwrap();
    }
    open(dir.path()).unwrap().close().await.unwrap();
    let log = dir.path().join("store/db");
    let whole = fs::read(&log).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for at in [0, 20, end / 2, end - 300] {
        fs::write(&log, &whole[..at]).unwrap();
        match open(dir.path()) {
            Err(OpenError::Unreadable { reason, .. }) => println!("cut at {at} of {end}: {reason}"),
            Err(error) => panic!("cut at {at}: {error}"),
            Ok(store) => panic!("cut at {at} of {end}: {} are there", joined(&store).await),
        }
    }
    fs::write(&log, &whole).unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(joined(&store).await, 2, "nothing was lost by trying");
}
