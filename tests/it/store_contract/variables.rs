//! Session variables: each by itself, within bounds, and gone with their session.

use std::sync::Arc;

use countersign::{
    model::{
        AccountState, Session, SessionId, VariableRefused, Variables,
        variables::{MAX_VALUE_BYTES, MOST_VARIABLES},
    },
    store::{BackupRecord, Store, VariableChange},
};
use tokio::task::JoinSet;

use super::{backup::export, upkeep::sweep_all};
use crate::store_world::{World, at, cause, count, hash, join, log_in, succession};

const NEW: VariableChange = VariableChange::Made { was_there: false };
const CHANGED: VariableChange = VariableChange::Made { was_there: true };

async fn set(store: &dyn Store, session: &Session, name: &str, value: &str) -> VariableChange {
    change(store, session, name, Some(value)).await
}

async fn change(
    store: &dyn Store,
    session: &Session,
    name: &str,
    value: Option<&str>,
) -> VariableChange {
    let value = value.map(|value| value.as_bytes().to_vec());
    let (account, id) = (session.account, session.id);
    store.change_variable(account, id, name.to_owned(), value, at(1)).await.unwrap()
}

async fn found(store: &dyn Store, session: &Session) -> Option<Variables> {
    store.variables(session.account, session.id, at(1)).await.unwrap()
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// How many sessions have variables in the store, dead or alive.
async fn kept(store: &dyn Store) -> usize {
    let is_one = |record: &&BackupRecord| matches!(record, BackupRecord::Variables { .. });
    export(store).await.iter().filter(is_one).count()
}

pub(super) async fn a_variable_is_set_found_changed_and_removed(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let (one, other) = (log_in(store, &ann, 0).await, log_in(store, &ann, 0).await);
    assert_eq!(found(store, &one).await, Some(Variables::default()));
    assert_eq!(set(store, &one, "cart", "1").await, NEW);
    assert_eq!(set(store, &one, "cart", "2").await, CHANGED);
    assert_eq!(set(store, &one, "theme", "").await, NEW);
    assert_eq!(set(store, &other, "cart", "9").await, NEW);
    assert_eq!(found(store, &one).await, Some(variables(&[("cart", "2"), ("theme", "")])));
    count(store, &one, 1).await;
    assert_eq!(change(store, &one, "cart", None).await, CHANGED);
    assert_eq!(change(store, &one, "cart", None).await, NEW, "it was not there");
    assert_eq!(found(store, &one).await, Some(variables(&[("theme", "")])));
    assert_eq!(found(store, &other).await, Some(variables(&[("cart", "9")])));
    assert_eq!(change(store, &one, "theme", None).await, CHANGED);
    assert_eq!((found(store, &one).await, kept(store).await), (Some(Variables::default()), 1));
}

pub(super) async fn of_parallel_changes_to_different_variables_all_are_kept(world: &World) {
    let ann = join(&*world.store, "ann").await;
    let one = log_in(&*world.store, &ann, 0).await;
    let mut tasks = JoinSet::new();
    for n in 0..50 {
        let (store, one) = (Arc::clone(&world.store), one.clone());
        tasks.spawn(async move {
            assert_eq!(set(&*store, &one, &format!("v{n}"), &n.to_string()).await, NEW);
            let found = found(&*store, &one).await.unwrap();
            assert!(found.get(&format!("v{n}")).is_some(), "answered is there");
        });
    }
    tasks.join_all().await;
    let all = found(&*world.store, &one).await.unwrap();
    for n in 0..50 {
        assert_eq!(all.get(&format!("v{n}")), Some(n.to_string().as_bytes()));
    }
}

pub(super) async fn variables_are_bounded(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    let longest = "x".repeat(MAX_VALUE_BYTES);
    let refused = async |name: &str, value: &str| match set(store, &one, name, value).await {
        VariableChange::Refused(refused) => refused,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("", "").await, VariableRefused::Name);
    assert_eq!(refused("a", &format!("{longest}x")).await, VariableRefused::Value);
    for name in ["a", "b", "c"] {
        assert_eq!(set(store, &one, name, &longest).await, NEW);
    }
    assert_eq!(refused("d", &longest).await, VariableRefused::TooMuch);
    for name in ["a", "b", "c"] {
        assert_eq!(change(store, &one, name, None).await, CHANGED);
    }
    for n in 0..MOST_VARIABLES {
        assert_eq!(set(store, &one, &n.to_string(), "").await, NEW);
    }
    assert_eq!(refused("d", "").await, VariableRefused::TooMany);
    assert_eq!(found(store, &one).await.unwrap().iter().count(), MOST_VARIABLES);
}

pub(super) async fn what_is_not_alive_has_no_variables_and_gets_none(world: &World) {
    let store = &*world.store;
    let (ann, bob) = (join(store, "ann").await, join(store, "bob").await);
    let gone = log_in(store, &ann, 0).await;
    let expired = log_in(store, &ann, -40 * 60).await;
    let never = Session { id: SessionId::new(at(0)), ..gone.clone() };
    let of_another = Session { account: bob.id, ..log_in(store, &ann, 0).await };
    assert!(store.revoke_session(ann.id, gone.id, cause(at(1))).await.unwrap());
    for session in [&gone, &expired, &never, &of_another] {
        assert_eq!(set(store, session, "late", "1").await, VariableChange::Absent);
        assert_eq!(change(store, session, "late", None).await, VariableChange::Absent);
        assert_eq!(found(store, session).await, None);
    }
    assert_eq!(kept(store).await, 0, "nothing was written");
}

pub(super) async fn variables_end_with_their_session_however_it_ends(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let with_variable = async |seconds: i64| {
        let session = log_in(store, &ann, seconds).await;
        let value = Some(b"1".to_vec());
        let set = store.change_variable(ann.id, session.id, "cart".into(), value, at(seconds));
        assert_eq!(set.await.unwrap(), NEW);
        session
    };
    let (one, other) = (with_variable(0).await, with_variable(0).await);
    store.revoke_session(ann.id, one.id, cause(at(0))).await.unwrap();
    assert_eq!(found(store, &other).await, Some(variables(&[("cart", "1")])), "those alone");
    store.revoke_copied_session(ann.id, other.id, cause(at(0))).await.unwrap();
    assert_eq!(kept(store).await, 0);
    with_variable(0).await;
    store.revoke_sessions(ann.id, None, cause(at(0))).await.unwrap();
    assert_eq!(kept(store).await, 0);
    with_variable(0).await;
    let only = crate::store_world::session(ann.id, 1);
    store.create_session(only, &ann.password, 1, cause(at(1))).await.unwrap();
    assert_eq!(kept(store).await, 0, "ended by the limit");
    with_variable(0).await;
    store.change_password(ann.id, None, hash("first"), None, cause(at(0))).await.unwrap();
    assert_eq!(kept(store).await, 0);
    with_variable(0).await;
    store.set_account_state(ann.id, AccountState::Disabled, cause(at(0))).await.unwrap();
    store.set_account_state(ann.id, AccountState::Active, cause(at(0))).await.unwrap();
    assert_eq!(kept(store).await, 0);
    let dead = with_variable(0).await;
    store.revoke_all_sessions(cause(at(0))).await.unwrap();
    assert_eq!(found(store, &dead).await, None);
    sweep_all(store, 10, at(0)).await;
    assert_eq!(kept(store).await, 0, "dead, and swept");
    with_variable(0).await;
    sweep_all(store, 10, at(40 * 60)).await;
    assert_eq!(kept(store).await, 0, "expired, and swept");
    with_variable(0).await;
    store.remove_account(ann.id, cause(at(0))).await.unwrap();
    assert_eq!(kept(store).await, 0);
}

pub(super) async fn variables_go_along_when_a_session_goes_on(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    set(store, &one, "cart", "1").await;
    let going = succession(&one, 1);
    let goes_on =
        store.reauthenticate_session(ann.id, &ann.password, going, cause(at(1))).await.unwrap();
    let goes_on = goes_on.expect("a session");
    assert_eq!(found(store, &goes_on).await, Some(variables(&[("cart", "1")])));
    assert_eq!((found(store, &one).await, kept(store).await), (None, 1));
    assert_eq!(set(store, &one, "cart", "2").await, VariableChange::Absent);
    let going = succession(&goes_on, 1);
    let checked = Some(&ann.password);
    store
        .change_password(ann.id, checked, hash("second"), Some(going), cause(at(1)))
        .await
        .unwrap();
    let last = Session { id: going.to, ..goes_on };
    assert_eq!(found(store, &last).await, Some(variables(&[("cart", "1")])));
    assert_eq!(kept(store).await, 1);
}

pub(super) async fn of_a_change_and_an_end_at_once_nothing_is_left(world: &World) {
    for round in 0..20 {
        let ann = join(&*world.store, &format!("ann{round}")).await;
        let one = log_in(&*world.store, &ann, 0).await;
        let (store, setting) = (Arc::clone(&world.store), one.clone());
        let set = tokio::spawn(async move { set(&*store, &setting, "cart", "1").await });
        assert!(world.store.revoke_session(ann.id, one.id, cause(at(1))).await.unwrap());
        assert!([NEW, VariableChange::Absent].contains(&set.await.unwrap()));
        assert_eq!((found(&*world.store, &one).await, kept(&*world.store).await), (None, 0));
    }
}
