//! How sessions end, and what stays of them.

use std::sync::Arc;

use countersign::{
    model::AccountState,
    store::{Created, Visited},
};
use tokio::task::JoinSet;

use super::upkeep::sweep_all;
use crate::store_world::{
    IDLE, World, alive, at, cause, count, hash, join, log_in, session, visit, visit_days,
};

pub(super) async fn one_of_many_revokes_is_told_so(world: &World) {
    let ann = join(&*world.store, "ann").await;
    let one = log_in(&*world.store, &ann, 0).await;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let (store, one) = (Arc::clone(&world.store), one.clone());
        tasks.spawn(async move {
            let ended = store.revoke_session(one.account, one.id, cause(at(1))).await.unwrap();
            // Answered is ended, also for those who came second.
            assert!(!alive(&*store, &one, 1).await);
            ended
        });
    }
    let told = tasks.join_all().await;
    assert_eq!(told.into_iter().filter(|ended| *ended).count(), 1);
}

/// Whoever reads the same number again must be able to rely on it.
pub(super) async fn no_end_is_answered_before_its_number(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    for _ in 0..7 {
        log_in(store, &ann, 0).await;
    }
    let sessions = store.sessions(ann.id, at(0)).await.unwrap();
    let mut seen = vec![store.ends()];
    count(store, &sessions[0], 1).await;
    assert_eq!(store.ends(), seen[0], "a visit ends nothing");
    store.revoke_session(ann.id, sessions[0].id, cause(at(1))).await.unwrap();
    seen.push(store.ends());
    store.revoke_copied_session(ann.id, sessions[1].id, cause(at(1))).await.unwrap();
    seen.push(store.ends());
    log_in(store, &ann, 1).await;
    store.create_session(session(ann.id, 2), &ann.password, 6, cause(at(0))).await.unwrap();
    seen.push(store.ends());
    store.revoke_sessions(ann.id, Some(sessions[6].id), cause(at(2))).await.unwrap();
    seen.push(store.ends());
    store.revoke_all_sessions(cause(at(0))).await.unwrap();
    seen.push(store.ends());
    log_in(store, &ann, 3).await;
    store.set_account_state(ann.id, AccountState::Disabled, cause(at(0))).await.unwrap();
    seen.push(store.ends());
    let last = seen.len() - 1;
    for (step, number) in seen.iter().enumerate().take(last) {
        assert!(number.is_none() || *number != seen[step + 1], "step {}", step + 1);
    }
}

pub(super) async fn a_copied_session_is_ended_and_noted(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    assert!(store.revoke_copied_session(ann.id, one.id, cause(at(5))).await.unwrap());
    assert!(!alive(store, &one, 5).await);
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, Some(at(5)));
    assert!(!store.revoke_copied_session(ann.id, one.id, cause(at(6))).await.unwrap());
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, Some(at(5)));
}

pub(super) async fn all_sessions_but_one_end(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let keep = log_in(store, &ann, 0).await;
    let other = log_in(store, &ann, 1).await;
    let foreign = log_in(store, &bob, 0).await;
    assert_eq!(store.revoke_sessions(ann.id, Some(keep.id), cause(at(2))).await.unwrap(), 1);
    assert!(alive(store, &keep, 2).await && !alive(store, &other, 2).await);
    assert_eq!(store.revoke_sessions(ann.id, None, cause(at(2))).await.unwrap(), 1);
    assert!(!alive(store, &keep, 2).await && alive(store, &foreign, 2).await);
}

pub(super) async fn every_session_ends_at_once_and_new_ones_live(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let old = [log_in(store, &ann, 0).await, log_in(store, &bob, 0).await];
    count(store, &old[0], 1).await;
    store.revoke_all_sessions(cause(at(0))).await.unwrap();
    for session in &old {
        assert!(!alive(store, session, 1).await);
        let visited = store.visit(visit(session, 1, 1, 1)).await.unwrap();
        assert_eq!(visited, Visited::Absent);
        let revoked = store.revoke_session(session.account, session.id, cause(at(1))).await;
        assert!(!revoked.unwrap(), "it had ended before");
        let renewed = store.renew_session(session.account, session.id, at(1), IDLE).await;
        assert_eq!(renewed.unwrap(), None);
        assert_eq!(store.sessions(session.account, at(1)).await.unwrap(), []);
    }
    assert_eq!(store.revoke_sessions(ann.id, None, cause(at(1))).await.unwrap(), 0);
    let disabled = store.set_account_state(bob.id, AccountState::Disabled, cause(at(0))).await;
    assert_eq!(disabled.unwrap(), Some(0), "those had ended before");
    let new = session(ann.id, 2);
    let created = store.create_session(new.clone(), &ann.password, 1, cause(at(0))).await.unwrap();
    assert!(matches!(created, Created::Added { ended, .. } if ended.is_empty()));
    assert!(alive(store, &new, 2).await);
    store.revoke_all_sessions(cause(at(0))).await.unwrap();
    assert!(!alive(store, &new, 2).await);
}

pub(super) async fn visits_of_ended_sessions_stay_in_the_total(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let total = async || {
        let total = store.total_visits(ann.id).await.unwrap();
        let days = visit_days(store, ann.id).await;
        assert_eq!(u64::from(days.values().sum::<u32>()), total, "by the day, too");
        total
    };
    let visited = async |seconds: i64| {
        let session = log_in(store, &ann, seconds).await;
        count(store, &session, seconds).await;
        session
    };
    let revoked = visited(0).await;
    store.revoke_session(ann.id, revoked.id, cause(at(0))).await.unwrap();
    assert_eq!(total().await, 1);
    let copied = visited(0).await;
    store.revoke_copied_session(ann.id, copied.id, cause(at(0))).await.unwrap();
    assert_eq!(total().await, 2);
    visited(0).await;
    store.revoke_sessions(ann.id, None, cause(at(0))).await.unwrap();
    assert_eq!(total().await, 3);
    visited(0).await;
    let only = session(ann.id, 1);
    store.create_session(only, &ann.password, 1, cause(at(0))).await.unwrap();
    assert_eq!(total().await, 4, "ended by the limit");
    visited(0).await;
    store.change_password(ann.id, None, hash("first"), None, cause(at(0))).await.unwrap();
    assert_eq!(total().await, 5);
    visited(0).await;
    store.set_account_state(ann.id, AccountState::Disabled, cause(at(0))).await.unwrap();
    store.set_account_state(ann.id, AccountState::Active, cause(at(0))).await.unwrap();
    assert_eq!(total().await, 6);
    visited(0).await;
    store.revoke_all_sessions(cause(at(0))).await.unwrap();
    assert_eq!(total().await, 7, "dead, and still there");
    sweep_all(store, 10, at(0)).await;
    assert_eq!(total().await, 7, "dead, and swept");
    visited(0).await;
    sweep_all(store, 10, at(40 * 60)).await;
    assert_eq!(total().await, 8, "expired, and swept");
}
