//! Everything out, everything in.

use countersign::{
    model::AccountState,
    store::{BackupRecord, Store},
};

use crate::store_world::{
    World, account, account_record, alive, at, cause, count, everybody, join, log_in, visit_days,
};

/// All that a store exports, in one order.
pub(crate) async fn export(store: &dyn Store) -> Vec<BackupRecord> {
    let mut export = store.export().await.unwrap();
    let mut records = Vec::new();
    while let Some(page) = export.next().await.unwrap() {
        records.extend(page);
    }
    sorted(records)
}

fn sorted(mut records: Vec<BackupRecord>) -> Vec<BackupRecord> {
    records.sort_by_key(|record| match record {
        BackupRecord::Epoch(_) => (0, None, None, None),
        BackupRecord::Account { account, .. } => (1, Some(account.id), None, None),
        BackupRecord::Session { session, .. } => (2, Some(session.account), Some(session.id), None),
        BackupRecord::Variables { account, session, .. } => {
            (3, Some(*account), Some(*session), None)
        }
        BackupRecord::Events { trail, first, .. } => (4, None, None, Some((*trail, *first))),
    });
    records
}

pub(super) async fn an_export_comes_back_by_an_import_on_any_store(world: &World) {
    let store = &*world.store;
    assert_eq!(export(store).await, [], "nothing in it");
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    // A session of an earlier epoch, one that ended, one that is alive, and one that expired.
    let early = log_in(store, &bob, 0).await;
    count(store, &early, 0).await;
    store.revoke_all_sessions(cause(at(0))).await.unwrap();
    let ended = log_in(store, &ann, 0).await;
    count(store, &ended, 1).await;
    store.revoke_copied_session(ann.id, ended.id, cause(at(2))).await.unwrap();
    let living = log_in(store, &ann, 3).await;
    assert!(living.copied_at.is_some());
    count(store, &count(store, &living, 4).await, 5).await;
    let value = Some(b"[7]".to_vec());
    store.change_variable(ann.id, living.id, "cart".into(), value, at(5)).await.unwrap();
    let expired = log_in(store, &bob, -2_000).await;
    store
        .set_account_state(join(store, "carol").await.id, AccountState::Disabled, cause(at(0)))
        .await
        .unwrap();
    store.ping().await.unwrap();

    let records = export(store).await;
    // The last is what happened, which fits into one run.
    assert_eq!(records.len(), 1 + 3 + 3 + 1 + 1, "{records:#?}");
    for other in [World::memory(), World::sled()] {
        let other = &*other.store;
        // In any order, and in several steps.
        for record in records.iter().rev() {
            other.import(vec![record.clone()]).await.unwrap();
        }
        assert_eq!(export(other).await, records);
        assert_eq!(everybody(other).await, everybody(store).await);
        for account in [&ann, &bob] {
            let found = other.account_by_email(&account.email).await.unwrap();
            assert_eq!(found, store.account(account.id).await.unwrap());
            let total = other.total_visits(account.id).await.unwrap();
            assert_eq!(total, store.total_visits(account.id).await.unwrap());
            let days = visit_days(other, account.id).await;
            assert_eq!(days, visit_days(store, account.id).await);
            assert_eq!(u64::from(days.values().sum::<u32>()), total);
        }
        assert_eq!(other.total_visits(ann.id).await.unwrap(), 3);
        let found = other.session(ann.id, living.id, at(6)).await.unwrap();
        assert_eq!(found, store.session(ann.id, living.id, at(6)).await.unwrap());
        assert_eq!(found.unwrap().visits, 2);
        let found = other.variables(ann.id, living.id, at(6)).await.unwrap().unwrap();
        assert_eq!(found.get("cart"), Some(&b"[7]"[..]));
        for dead in [&early, &ended, &expired] {
            assert!(!alive(other, dead, 6).await, "what was dead is dead");
        }
    }
}

pub(super) async fn an_export_shows_the_moment_at_which_it_began(world: &World) {
    let store = &*world.store;
    let mut people = Vec::new();
    for n in 0..300 {
        let account = join(store, &format!("user{n}")).await;
        let session = log_in(store, &account, 0).await;
        people.push((account, session));
    }
    let before = export(store).await;

    let mut underway = store.export().await.unwrap();
    let mut records = underway.next().await.unwrap().expect("a page");
    // Every kind of change, to what was read already and to what was not.
    for (n, (account, session)) in people.iter().enumerate().step_by(3) {
        match n % 5 {
            4 => {
                let value = Some(b"1".to_vec());
                let (account, id) = (account.id, session.id);
                store.change_variable(account, id, "late".into(), value, at(1)).await.unwrap();
            }
            0 => drop(count(store, session, 1).await),
            1 => assert!(store.revoke_session(account.id, session.id, cause(at(1))).await.unwrap()),
            2 => assert!(store.remove_account(account.id, cause(at(0))).await.unwrap().is_some()),
            _ => drop(log_in(store, account, 1).await),
        }
    }
    join(store, "late").await;
    store.revoke_all_sessions(cause(at(0))).await.unwrap();
    while let Some(page) = underway.next().await.unwrap() {
        records.extend(page);
        join(store, &format!("late{}", records.len())).await;
    }
    assert_eq!(sorted(records), before);
    assert_ne!(export(store).await, before);
}

pub(super) async fn an_import_replaces_nothing(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let session = log_in(store, &ann, 0).await;
    let value = Some(b"1".to_vec());
    store.change_variable(ann.id, session.id, "cart".into(), value, at(0)).await.unwrap();
    store.revoke_all_sessions(cause(at(0))).await.unwrap();
    let before = export(store).await;
    let bob = account_record(account("bob"), 0);
    for record in &before {
        // The good one before it is not taken either.
        store.import(vec![bob.clone(), record.clone()]).await.unwrap_err();
    }
    let mut other = ann;
    other.id = account("x").id;
    store.import(vec![account_record(other, 0)]).await.unwrap_err();
    assert_eq!(export(store).await, before);
}
