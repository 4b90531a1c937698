//! Visits that are on the disk before the database has them: nothing is lost, nothing comes back.

use std::{fs, sync::Arc, time::Duration};

use countersign::{
    model::Session,
    store::{Durability, SledOptions, SledStore, Store},
};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::timeout};

use super::{LIMIT, Mode, Rig, copy_dir, until};
use crate::store_world::{
    alive, at, cause, count, join, log_in, opened, session, visit, visit_days,
};

impl Rig {
    fn journal(&self) -> Vec<u8> {
        fs::read(self.dir.path().join("store/journal")).unwrap()
    }

    /// As [`Rig::killed_now`], if the journal were this one.
    fn killed_with(&self, journal: &[u8]) -> (TempDir, SledStore) {
        let copy = TempDir::new().unwrap();
        copy_dir(self.dir.path(), copy.path());
        fs::write(copy.path().join("store/journal"), journal).unwrap();
        let store = SledStore::open(copy.path(), SledOptions::default()).unwrap();
        (copy, store)
    }
}

async fn visits(store: &dyn Store, session: &Session) -> Option<u64> {
    let found = store.session(session.account, session.id, at(1)).await.unwrap();
    found.map(|session| session.visits)
}

#[tokio::test(flavor = "multi_thread")]
async fn counted_visits_outlive_a_kill_in_both_places() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    for number in 1..=3 {
        count(&*rig.store, &one, 1).await;
        let (_copy, killed) = rig.killed_now();
        assert_eq!(visits(&killed, &one).await, Some(number));
        let days: Vec<_> = visit_days(&killed, ann.id).await.into_values().collect();
        assert_eq!(days, [u32::try_from(number).unwrap()]);
        killed.close().await.unwrap();
    }
    // A change that is no visit takes them into the database: the journal is not needed any more.
    log_in(&*rig.store, &ann, 0).await;
    let (_copy, killed) = rig.killed_with(&[]);
    assert_eq!(visits(&killed, &one).await, Some(3));
    assert_eq!(killed.total_visits(ann.id).await.unwrap(), 3);
    killed.close().await.unwrap();
    let before = rig.journal();
    count(&*rig.store, &one, 1).await;
    assert_ne!(rig.journal()[..16], before[..16], "it begins again at its front");
    // And without one, it happens after a while.
    until("the database has it", async || {
        let (_copy, killed) = rig.killed_with(&[]);
        let counted = visits(&killed, &one).await;
        killed.close().await.unwrap();
        counted == Some(4)
    })
    .await;
}

/// More visits than the journal has room for, and of more sessions than may be behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_makes_room_and_never_grows() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let mut sessions = Vec::new();
    for _ in 0..1_200 {
        let (store, ann) = (Arc::clone(&rig.store), ann.clone());
        let mut login = session(ann.id, 0);
        login.user_agent = "x".repeat(256);
        sessions.push(tokio::spawn(async move {
            store.create_session(login.clone(), &ann.password, 9_999, cause(at(0))).await.unwrap();
            login
        }));
    }
    let mut tasks = JoinSet::new();
    for session in sessions {
        let (store, session) = (Arc::clone(&rig.store), session.await.unwrap());
        tasks.spawn(async move {
            for _ in 0..5 {
                count(&*store, &session, 1).await;
            }
        });
    }
    timeout(LIMIT, tasks.join_all()).await.unwrap();
    assert_eq!(rig.journal().len(), 1 << 20);
    assert_eq!(rig.store.total_visits(ann.id).await.unwrap(), 6_000);
    let (_copy, killed) = rig.killed_now();
    assert_eq!(killed.total_visits(ann.id).await.unwrap(), 6_000);
}

/// What is left of the journal from before is not erased: it must not be believed either.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_journal_moves_nothing_back_and_revives_nobody() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    let other = log_in(&*rig.store, &ann, 0).await;
    count(&*rig.store, &one, 1).await;
    count(&*rig.store, &other, 1).await;
    let old = rig.journal();
    count(&*rig.store, &one, 1).await;
    assert!(rig.revoke(&other).await.unwrap().unwrap());
    let (_copy, killed) = rig.killed_with(&old);
    assert_eq!(visits(&killed, &one).await, Some(2));
    assert!(!alive(&killed, &other, 1).await);
    assert_eq!(killed.total_visits(ann.id).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_whose_frame_failed_is_refused_and_never_shows() {
    for mode in [Mode::Fails, Mode::Panics] {
        let mut rig = Rig::new();
        let ann = join(&*rig.store, "ann").await;
        let one = log_in(&*rig.store, &ann, 0).await;
        count(&*rig.store, &one, 1).await;
        rig.disk.set(mode);
        assert!(rig.store.visit(visit(&one, 1, 1, 1)).await.is_err());
        assert_eq!(visits(&*rig.store, &one).await, Some(1), "readers go on");
        rig.disk.set(Mode::Works);
        rig.healed().await;
        assert_eq!(visits(&*rig.store, &one).await, Some(1));
        let (_copy, killed) = rig.killed_now();
        assert_eq!(visits(&killed, &one).await, Some(1), "nor in the files");
        count(&*rig.store, &one, 1).await;
        rig.reopen().await;
        assert_eq!(visits(&*rig.store, &one).await, Some(2));
    }
}

/// It is closed before it had time to heal.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_closes_well_leaves_nothing_of_a_frame_that_failed() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    count(&*rig.store, &one, 1).await;
    rig.disk.set(Mode::Fails);
    assert!(rig.store.visit(visit(&one, 1, 1, 1)).await.is_err());
    rig.disk.set(Mode::Works);
    rig.store.close().await.unwrap();
    let (_copy, killed) = rig.killed_now();
    assert_eq!(visits(&killed, &one).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_is_shown_and_answered_when_its_frame_is_on_the_disk() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    count(&*rig.store, &one, 1).await;
    rig.disk.set(Mode::Holds);
    let second = {
        let (store, visit) = (Arc::clone(&rig.store), visit(&one, 1, 1, 1));
        tokio::spawn(async move { store.visit(visit).await })
    };
    rig.disk.reached().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!second.is_finished());
    assert_eq!(visits(&*rig.store, &one).await, Some(1));
    rig.disk.set(Mode::Works);
    timeout(LIMIT, second).await.unwrap().unwrap().unwrap();
    assert_eq!(visits(&*rig.store, &one).await, Some(2));
}

/// Also when the store is opened with other options afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_is_read_whatever_the_durability() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let one = log_in(&*rig.store, &ann, 0).await;
    count(&*rig.store, &one, 1).await;
    let copy = TempDir::new().unwrap();
    copy_dir(rig.dir.path(), copy.path());
    let options = SledOptions { durability: Durability::Interval(LIMIT), ..SledOptions::default() };
    for _ in 0..2 {
        let store = opened(|| SledStore::open(copy.path(), options.clone())).unwrap();
        assert_eq!(visits(&store, &one).await, Some(1));
        store.close().await.unwrap();
    }
}
