//! Sessions: begun, looked up, listed.

use std::{collections::HashSet, sync::Arc};

use countersign::{
    model::{Account, AccountState, Session, SessionId, Transport, session::Chain},
    store::{Created, Visited},
};
use tokio::task::JoinSet;

use crate::store_world::{
    IDLE, PLENTY, World, alive, at, cause, hash, join, log_in, session, visit,
};

pub(super) async fn a_session_comes_back_as_it_was_made(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let made = Session {
        remember: true,
        transport: Transport::Bearer,
        user_agent: "Mozilla/5.0 (\u{fc}ber) ".repeat(8),
        visits: 41,
        chain: Chain { number: 40, at: at(3), left: 39, left_at: at(2) },
        last_seen_at: at(4),
        copied_at: Some(at(-5)),
        ..session(ann.id, 0)
    };
    let created = store.create_session(made.clone(), &ann.password, 5, cause(at(0))).await.unwrap();
    let expected = Created::Added { session: made.clone(), ended: Vec::new() };
    assert_eq!(created, expected);
    assert_eq!(store.session(ann.id, made.id, at(1)).await.unwrap(), Some(made.clone()));
    // An id names one session: nothing is put in the place of another.
    let twin = Session { visits: 0, ..made.clone() };
    assert!(store.create_session(twin, &ann.password, 5, cause(at(0))).await.is_err());
    assert_eq!(store.session(ann.id, made.id, at(1)).await.unwrap(), Some(made));
}

pub(super) async fn a_login_needs_the_password_that_is_in_force(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    // The login has checked the password; before it is recorded the password changes.
    store
        .change_password(ann.id, Some(&hash("first")), hash("second"), None, cause(at(0)))
        .await
        .unwrap();
    let late = session(ann.id, 0);
    let created =
        store.create_session(late.clone(), &hash("first"), PLENTY, cause(at(0))).await.unwrap();
    assert_eq!(created, Created::AccountChanged);
    assert!(!alive(store, &late, 0).await);
}

pub(super) async fn a_login_needs_an_active_account(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    store.set_account_state(ann.id, AccountState::Disabled, cause(at(0))).await.unwrap();
    let late = session(ann.id, 0);
    let created =
        store.create_session(late.clone(), &ann.password, PLENTY, cause(at(0))).await.unwrap();
    assert_eq!(created, Created::AccountChanged);
    store.set_account_state(ann.id, AccountState::Active, cause(at(0))).await.unwrap();
    assert!(!alive(store, &late, 0).await);
}

pub(super) async fn a_copy_is_reported_once_in_the_next_session(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let copied = log_in(store, &ann, 0).await;
    assert!(store.revoke_copied_session(ann.id, copied.id, cause(at(9))).await.unwrap());
    let told = log_in(store, &ann, 10).await;
    assert_eq!(told.copied_at, Some(at(9)));
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, None);
    assert_eq!(log_in(store, &ann, 11).await.copied_at, None);
    let kept = store.session(ann.id, told.id, at(11)).await.unwrap().unwrap();
    assert_eq!(kept.copied_at, Some(at(9)));
}

pub(super) async fn the_oldest_sessions_end_when_there_are_too_many(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let mut made = Vec::new();
    for seconds in [2, 0, 1] {
        made.push(log_in(store, &ann, seconds).await);
    }
    // A clock that was set back: the new session is the oldest, and stays all the same.
    let new = session(ann.id, -9);
    let created = store.create_session(new.clone(), &ann.password, 2, cause(at(0))).await.unwrap();
    let Created::Added { session, ended } = created else { panic!("{created:?}") };
    assert_eq!(session, new);
    assert_eq!(ended, [made[1].id, made[2].id]);
    let left: Vec<_> = store.sessions(ann.id, at(3)).await.unwrap();
    assert_eq!(left.iter().map(|s| s.id).collect::<Vec<_>>(), [new.id, made[0].id]);
    // Even a limit of nothing lets people in.
    let only = session_id_of(
        store.create_session(session_at(&ann, 5), &ann.password, 0, cause(at(0))).await,
    );
    let left = store.sessions(ann.id, at(5)).await.unwrap();
    assert_eq!(left.iter().map(|s| s.id).collect::<Vec<_>>(), [only]);
}

fn session_at(account: &Account, seconds: i64) -> Session {
    session(account.id, seconds)
}

fn session_id_of(created: countersign::store::Result<Created>) -> SessionId {
    match created.unwrap() {
        Created::Added { session, .. } => session.id,
        Created::AccountChanged => panic!("not added"),
    }
}

pub(super) async fn the_limit_holds_under_parallel_logins(world: &World) {
    let ann = join(&*world.store, "ann").await;
    let mut tasks = JoinSet::new();
    for seconds in 0..20 {
        let (store, ann) = (Arc::clone(&world.store), ann.clone());
        tasks.spawn(async move {
            let made = session(ann.id, seconds);
            match store.create_session(made, &ann.password, 5, cause(at(0))).await.unwrap() {
                Created::Added { ended, .. } => ended,
                Created::AccountChanged => panic!("not added"),
            }
        });
    }
    let ended: Vec<SessionId> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(ended.len(), 15);
    assert_eq!(ended.iter().collect::<HashSet<_>>().len(), 15, "each ended once");
    let left = world.store.sessions(ann.id, at(20)).await.unwrap();
    assert_eq!(left.len(), 5);
    assert!(left.iter().all(|session| !ended.contains(&session.id)));
}

pub(super) async fn expired_sessions_take_no_place_of_living_ones(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let expired = log_in(store, &ann, 0).await;
    let living = log_in(store, &ann, 1_000).await;
    let new = session(ann.id, 2_000);
    let created = store.create_session(new, &ann.password, 2, cause(at(0))).await.unwrap();
    assert!(matches!(created, Created::Added { ended, .. } if ended.is_empty()));
    assert!(!alive(store, &expired, 2_000).await);
    assert!(alive(store, &living, 2_000).await);
}

pub(super) async fn a_session_is_absent_once_over(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    let idle = 30 * 60;
    assert!(alive(store, &one, idle - 1).await);
    assert!(!alive(store, &one, idle).await);
    assert!(!store.revoke_session(ann.id, one.id, cause(at(idle))).await.unwrap());
    assert!(!store.revoke_copied_session(ann.id, one.id, cause(at(idle))).await.unwrap());
    assert_eq!(store.revoke_sessions(ann.id, None, cause(at(idle))).await.unwrap(), 0);
    assert_eq!(store.sessions(ann.id, at(idle)).await.unwrap(), []);
    let renewed = store.renew_session(ann.id, one.id, at(idle), IDLE).await;
    assert_eq!(renewed.unwrap(), None);
    let visited = store.visit(visit(&one, 0, 0, idle)).await.unwrap();
    assert_eq!(visited, Visited::Absent);
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, None);
}

pub(super) async fn a_session_is_found_only_under_its_own_account(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let anns = log_in(store, &ann, 0).await;
    let claimed = Session { account: bob.id, ..anns.clone() };
    assert!(!alive(store, &claimed, 0).await);
    assert_eq!(store.visit(visit(&claimed, 0, 0, 0)).await.unwrap(), Visited::Absent);
    assert!(!store.revoke_session(bob.id, anns.id, cause(at(0))).await.unwrap());
    assert_eq!(store.sessions(bob.id, at(0)).await.unwrap(), []);
    assert!(alive(store, &anns, 0).await);
}

pub(super) async fn sessions_are_listed_oldest_first_and_only_living(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    assert_eq!(store.sessions(ann.id, at(0)).await.unwrap(), []);
    let mut made = Vec::new();
    for seconds in [30, 10, 20, 0] {
        made.push(log_in(store, &ann, seconds).await);
    }
    store.revoke_session(ann.id, made[2].id, cause(at(40))).await.unwrap();
    // The one of second 0 has run out by then.
    let listed = store.sessions(ann.id, at(30 * 60)).await.unwrap();
    assert_eq!(listed, [made[1].clone(), made[0].clone()]);
}
