//! No change without its event, and no event without its change: whatever fails in between.

use std::sync::Arc;

use countersign::store::Store;

use super::{Mode, Rig};
use crate::{
    store_machine::operation::list,
    store_world::{alive, at, cause, join, log_in},
};

async fn events(store: &dyn Store) -> usize {
    list(store, None, 1_000, at(9)).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_refused_change_there_is_no_event_either() {
    for mode in [Mode::Fails, Mode::Panics] {
        let mut rig = Rig::new();
        let store = Arc::clone(&rig.store);
        let ann = join(&*store, "ann").await;
        let one = log_in(&*store, &ann, 0).await;
        assert_eq!(events(&*store).await, 2);
        rig.disk.set(mode);
        assert!(rig.revoke(&one).await.unwrap().is_err());
        let event = cause(at(1)).about(ann.id);
        assert!(store.write_event(event).await.is_err());
        let window = jiff::SignedDuration::from_mins(15);
        assert!(store.count_attempt(Vec::new(), window, at(1), Some(event)).await.is_err());
        assert_eq!(events(&*store).await, 2, "events can be read all the time");
        rig.disk.set(Mode::Works);
        rig.healed().await;
        assert!(alive(&*store, &one, 1).await);
        assert_eq!(events(&*store).await, 2, "{mode:?}: what was refused is not there");
        let (_copy, killed) = rig.killed_now();
        assert!(alive(&killed, &one, 1).await);
        assert_eq!(events(&killed).await, 2, "nor in the files");
        assert!(rig.revoke(&one).await.unwrap().unwrap());
        assert_eq!(events(&*store).await, 3);
        drop(store);
        rig.reopen().await;
        assert_eq!(events(&*rig.store).await, 3, "and they stay");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_between_leaves_both_or_neither() {
    let rig = Rig::new();
    let ann = join(&*rig.store, "ann").await;
    let mut sessions = Vec::new();
    for _ in 0..40 {
        sessions.push(log_in(&*rig.store, &ann, 0).await);
    }
    rig.disk.set(Mode::Holds);
    let mut waiting = vec![rig.revoke(&sessions[0])];
    rig.disk.reached().await;
    // These are one commit together.
    waiting.extend(sessions[1..].iter().map(|session| rig.revoke(session)));
    assert_eq!(events(&*rig.store).await, 41, "nothing is shown before it is on the disk");
    for commit in 0..2 {
        if commit > 0 {
            rig.disk.pass_one().await;
        }
        let (_copy, killed) = rig.killed_now();
        let living = killed.sessions(ann.id, at(1)).await.unwrap().len();
        assert_eq!(events(&killed).await, 41 + (40 - living));
    }
    rig.disk.set(Mode::Works);
    for revoked in waiting {
        assert!(revoked.await.unwrap().unwrap());
    }
    assert_eq!(events(&*rig.store).await, 81);
}
