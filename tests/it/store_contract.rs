//! What every store must do: the contract of [`Store`] in executable form, run on each backend.
//!
//! To run it on another one, add a constructor to `World` and a line to `backends!`. What cannot
//! be shown this way (that what was answered survives a crash) is each backend's own to show:
//! `store_durability` does it for the embedded store.

use std::{collections::HashSet, sync::Arc, time::Duration};

use countersign::{
    model::{
        Account, AccountId, AccountState, Session, SessionId, Timestamp, Transport,
        clock::{from_millis, later},
        session::{LastPresented, ReplayPolicy},
    },
    store::{Created, PasswordChange, Store, SweepCursor, Visited},
};
use tokio::task::JoinSet;

use crate::store_world::{
    ABSOLUTE, GRACE, IDLE, PLENTY, World, account, alive, at, count, email, hash, join, log_in,
    session, visit,
};

/// Runs every test of the contract on every backend.
macro_rules! backends {
    ($($backend:ident)*; $tests:tt) => { $(backends!(@one $backend $tests);)* };
    (@one $backend:ident { $($test:ident)* }) => {
        mod $backend {
            use crate::store_world::World;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let world = World::$backend();
                    let test = super::$test(&world);
                    // sled has been seen to hang: a test that does fails, and says which.
                    let limit = std::time::Duration::from_secs(60);
                    tokio::time::timeout(limit, test).await.expect("no operation hangs");
                }
            )*
        }
    };
}

backends! { memory sled; {
    an_account_is_found_by_both_its_names
    an_email_belongs_to_one_account
    of_fifty_accounts_with_one_email_one_is_made
    an_account_id_that_is_taken_replaces_nobody
    accounts_are_paged_in_the_order_of_their_emails
    disabling_ends_sessions_and_enabling_revives_none
    what_does_not_exist_is_not_changed
    a_removed_account_leaves_nothing_and_frees_its_email
    a_password_change_ends_all_other_sessions
    of_two_password_changes_with_one_password_one_loses
    an_operator_changes_any_password
    a_rehash_ends_nothing_and_loses_against_a_change
    a_session_comes_back_as_it_was_made
    a_login_needs_the_password_that_is_in_force
    a_login_needs_an_active_account
    a_copy_is_reported_once_in_the_next_session
    the_oldest_sessions_end_when_there_are_too_many
    the_limit_holds_under_parallel_logins
    expired_sessions_take_no_place_of_living_ones
    a_session_is_absent_once_over
    a_session_is_found_only_under_its_own_account
    sessions_are_listed_oldest_first_and_only_living
    a_visit_counts_and_moves_the_idle_end
    a_visit_never_moves_the_idle_end_back_or_past_the_absolute
    a_visit_takes_a_higher_number_for_true
    parallel_visits_count_once_each
    a_visit_to_what_is_not_alive_writes_nothing_back
    a_visit_by_the_other_transport_is_absent
    a_copied_token_ends_the_session
    a_copied_token_is_refused
    a_copied_token_is_ignored
    a_renewal_moves_the_idle_end_and_counts_nothing
    one_of_many_revokes_is_told_so
    a_copied_session_is_ended_and_noted
    all_sessions_but_one_end
    every_session_ends_at_once_and_new_ones_live
    visits_of_ended_sessions_stay_in_the_total
    a_sweep_removes_exactly_the_dead
    a_sweep_keeps_its_budget_and_reaches_the_end
    a_closed_store_refuses
} }

// --- accounts ---

async fn an_account_is_found_by_both_its_names(world: &World) {
    let store = &*world.store;
    let ann = Account { copied_at: Some(at(7)), state: AccountState::Disabled, ..account("ann") };
    assert_eq!(store.account(ann.id).await.unwrap(), None);
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), None);
    assert!(store.create_account(ann.clone()).await.unwrap());
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann.clone()));
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), Some(ann));
    assert_eq!(store.account_by_email(&email("bob")).await.unwrap(), None);
    // One address that begins like another is another.
    assert_eq!(store.account_by_email(&email("an")).await.unwrap(), None);
}

async fn an_email_belongs_to_one_account(world: &World) {
    let store = &*world.store;
    let first = join(store, "ann").await;
    let second = account("ann");
    assert!(!store.create_account(second.clone()).await.unwrap());
    assert_eq!(store.account(second.id).await.unwrap(), None);
    let found = store.account_by_email(&first.email).await.unwrap();
    assert_eq!(found, Some(first));
}

async fn of_fifty_accounts_with_one_email_one_is_made(world: &World) {
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(&world.store);
        tasks.spawn(async move {
            let account = account("ann");
            let id = account.id;
            store.create_account(account).await.unwrap().then_some(id)
        });
    }
    let made: Vec<AccountId> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(made.len(), 1);
    let found = world.store.account_by_email(&email("ann")).await.unwrap();
    assert_eq!(found.unwrap().id, made[0]);
    assert_eq!(world.store.accounts(None, 10).await.unwrap().len(), 1);
}

async fn an_account_id_that_is_taken_replaces_nobody(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let thief = Account { id: ann.id, ..account("bob") };
    assert!(!store.create_account(thief).await.unwrap());
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann));
    assert_eq!(store.account_by_email(&email("bob")).await.unwrap(), None);
}

async fn accounts_are_paged_in_the_order_of_their_emails(world: &World) {
    let store = &*world.store;
    for name in ["dora", "ann", "carl", "bob", "anna"] {
        join(store, name).await;
    }
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = store.accounts(after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.email.clone());
        pages.push(page.iter().map(|a| a.email.to_string()).collect::<Vec<_>>());
    }
    assert_eq!(
        pages,
        [
            vec!["ann@example.com", "anna@example.com"],
            vec!["bob@example.com", "carl@example.com"],
            vec!["dora@example.com"],
        ]
    );
    assert_eq!(store.accounts(None, 0).await.unwrap(), []);
    // It goes on after an address that is not there (any more).
    let page = store.accounts(Some(&email("bobby")), 1).await.unwrap();
    assert_eq!(page[0].email, email("carl"));
}

async fn disabling_ends_sessions_and_enabling_revives_none(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let (one, two) = (log_in(store, &ann, 0).await, log_in(store, &ann, 1).await);
    let other = log_in(store, &bob, 0).await;

    let ended = store.set_account_state(ann.id, AccountState::Disabled).await;
    assert_eq!(ended.unwrap(), Some(2));
    assert!(!alive(store, &one, 2).await && !alive(store, &two, 2).await);
    assert!(alive(store, &other, 2).await, "another account's");
    let found = store.account(ann.id).await.unwrap().unwrap();
    assert_eq!(found.state, AccountState::Disabled);
    let again = store.set_account_state(ann.id, AccountState::Disabled).await;
    assert_eq!(again.unwrap(), Some(0));

    let ended = store.set_account_state(ann.id, AccountState::Active).await;
    assert_eq!(ended.unwrap(), Some(0));
    assert!(!alive(store, &one, 2).await && !alive(store, &two, 2).await);
    let three = log_in(store, &ann, 3).await;
    let ended = store.set_account_state(ann.id, AccountState::Active).await;
    assert_eq!(ended.unwrap(), Some(0), "enabling ends nothing either");
    assert!(alive(store, &three, 3).await);
}

async fn what_does_not_exist_is_not_changed(world: &World) {
    let store = &*world.store;
    let nobody = account("nobody");
    let ghost = session(nobody.id, 0);
    let disabled = store.set_account_state(nobody.id, AccountState::Disabled).await;
    assert_eq!(disabled.unwrap(), None);
    assert_eq!(store.remove_account(nobody.id).await.unwrap(), None);
    let change = store.change_password(nobody.id, None, hash("new"), None).await;
    assert_eq!(change.unwrap(), PasswordChange::AccountChanged);
    let rehashed = store.rehash_password(nobody.id, &hash("first"), hash("new")).await;
    assert!(!rehashed.unwrap());
    assert_eq!(store.total_visits(nobody.id).await.unwrap(), 0);
    let created = store.create_session(ghost.clone(), &nobody.password, PLENTY).await;
    assert_eq!(created.unwrap(), Created::AccountChanged);
    assert_eq!(store.visit(visit(&ghost, 0, 0, 0)).await.unwrap(), Visited::Absent);
    let renewed = store.renew_session(nobody.id, ghost.id, at(0), IDLE).await;
    assert_eq!(renewed.unwrap(), None);
    assert!(!store.revoke_session(nobody.id, ghost.id, at(0)).await.unwrap());
    assert!(!store.revoke_copied_session(nobody.id, ghost.id, at(0)).await.unwrap());
    assert_eq!(store.revoke_sessions(nobody.id, None, at(0)).await.unwrap(), 0);
    assert_eq!(store.account(nobody.id).await.unwrap(), None);
    assert_eq!(store.sessions(nobody.id, at(0)).await.unwrap(), []);
}

async fn a_removed_account_leaves_nothing_and_frees_its_email(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    count(store, &one, 1).await;
    assert_eq!(store.remove_account(ann.id).await.unwrap(), Some(1));
    assert!(!alive(store, &one, 1).await);
    assert_eq!(store.account(ann.id).await.unwrap(), None);
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), None);
    assert_eq!(store.accounts(None, 10).await.unwrap(), []);
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 0);
    let again = join(store, "ann").await;
    assert!(!alive(store, &one, 1).await);
    assert_eq!(store.total_visits(again.id).await.unwrap(), 0);
}

async fn a_password_change_ends_all_other_sessions(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let keep = log_in(store, &ann, 0).await;
    let others = [log_in(store, &ann, 1).await, log_in(store, &ann, 2).await];
    let foreign = log_in(store, &bob, 0).await;

    let change =
        store.change_password(ann.id, Some(&ann.password), hash("second"), Some(keep.id)).await;
    assert_eq!(change.unwrap(), PasswordChange::Changed { ended: 2 });
    assert!(alive(store, &keep, 3).await);
    for other in &others {
        assert!(!alive(store, other, 3).await);
    }
    assert!(alive(store, &foreign, 3).await);
    let found = store.account(ann.id).await.unwrap().unwrap();
    assert_eq!(found.password, hash("second"));

    let change = store.change_password(ann.id, Some(&hash("second")), hash("third"), None).await;
    assert_eq!(change.unwrap(), PasswordChange::Changed { ended: 1 });
    assert!(!alive(store, &keep, 3).await);
}

async fn of_two_password_changes_with_one_password_one_loses(world: &World) {
    let ann = join(&*world.store, "ann").await;
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let (store, ann) = (Arc::clone(&world.store), ann.clone());
        tasks.spawn(async move {
            let new = hash(&format!("new-{n}"));
            store.change_password(ann.id, Some(&ann.password), new, None).await.unwrap()
        });
    }
    let changed = tasks.join_all().await;
    let won = changed.iter().filter(|change| **change != PasswordChange::AccountChanged);
    assert_eq!(won.count(), 1);
}

async fn an_operator_changes_any_password(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    let wrong = store.change_password(ann.id, Some(&hash("wrong")), hash("new"), None).await;
    assert_eq!(wrong.unwrap(), PasswordChange::AccountChanged);
    assert!(alive(store, &one, 0).await, "a refused change ends nothing");
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().password, hash("first"));

    store.set_account_state(ann.id, AccountState::Disabled).await.unwrap();
    let own = store.change_password(ann.id, Some(&hash("first")), hash("new"), None).await;
    assert_eq!(own.unwrap(), PasswordChange::AccountChanged, "a disabled account's owner");
    let change = store.change_password(ann.id, None, hash("new"), None).await;
    assert_eq!(change.unwrap(), PasswordChange::Changed { ended: 0 });
    let found = store.account(ann.id).await.unwrap().unwrap();
    assert_eq!((found.password, found.state), (hash("new"), AccountState::Disabled));
}

async fn a_rehash_ends_nothing_and_loses_against_a_change(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    assert!(store.rehash_password(ann.id, &hash("first"), hash("stronger")).await.unwrap());
    assert!(alive(store, &one, 0).await);
    assert!(!store.rehash_password(ann.id, &hash("first"), hash("late")).await.unwrap());
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().password, hash("stronger"));
}

// --- sessions ---

async fn a_session_comes_back_as_it_was_made(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let made = Session {
        remember: true,
        transport: Transport::Bearer,
        user_agent: "Mozilla/5.0 (\u{fc}ber) ".repeat(8),
        visits: 41,
        last: LastPresented { number: 40, at: at(3) },
        last_seen_at: at(4),
        copied_at: Some(at(-5)),
        ..session(ann.id, 0)
    };
    let created = store.create_session(made.clone(), &ann.password, 5).await.unwrap();
    let expected = Created::Added { session: made.clone(), ended: Vec::new() };
    assert_eq!(created, expected);
    assert_eq!(store.session(ann.id, made.id, at(1)).await.unwrap(), Some(made.clone()));
    // An id names one session: nothing is put in the place of another.
    let twin = Session { visits: 0, ..made.clone() };
    assert!(store.create_session(twin, &ann.password, 5).await.is_err());
    assert_eq!(store.session(ann.id, made.id, at(1)).await.unwrap(), Some(made));
}

async fn a_login_needs_the_password_that_is_in_force(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    // The login has checked the password; before it is recorded the password changes.
    store.change_password(ann.id, Some(&hash("first")), hash("second"), None).await.unwrap();
    let late = session(ann.id, 0);
    let created = store.create_session(late.clone(), &hash("first"), PLENTY).await.unwrap();
    assert_eq!(created, Created::AccountChanged);
    assert!(!alive(store, &late, 0).await);
}

async fn a_login_needs_an_active_account(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    store.set_account_state(ann.id, AccountState::Disabled).await.unwrap();
    let late = session(ann.id, 0);
    let created = store.create_session(late.clone(), &ann.password, PLENTY).await.unwrap();
    assert_eq!(created, Created::AccountChanged);
    store.set_account_state(ann.id, AccountState::Active).await.unwrap();
    assert!(!alive(store, &late, 0).await);
}

async fn a_copy_is_reported_once_in_the_next_session(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let copied = log_in(store, &ann, 0).await;
    assert!(store.revoke_copied_session(ann.id, copied.id, at(9)).await.unwrap());
    let told = log_in(store, &ann, 10).await;
    assert_eq!(told.copied_at, Some(at(9)));
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, None);
    assert_eq!(log_in(store, &ann, 11).await.copied_at, None);
    let kept = store.session(ann.id, told.id, at(11)).await.unwrap().unwrap();
    assert_eq!(kept.copied_at, Some(at(9)));
}

async fn the_oldest_sessions_end_when_there_are_too_many(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let mut made = Vec::new();
    for seconds in [2, 0, 1] {
        made.push(log_in(store, &ann, seconds).await);
    }
    // A clock that was set back: the new session is the oldest, and stays all the same.
    let new = session(ann.id, -9);
    let created = store.create_session(new.clone(), &ann.password, 2).await.unwrap();
    let Created::Added { session, ended } = created else { panic!("{created:?}") };
    assert_eq!(session, new);
    assert_eq!(ended, [made[1].id, made[2].id]);
    let left: Vec<_> = store.sessions(ann.id, at(3)).await.unwrap();
    assert_eq!(left.iter().map(|s| s.id).collect::<Vec<_>>(), [new.id, made[0].id]);
    // Even a limit of nothing lets people in.
    let only = session_id_of(store.create_session(session_at(&ann, 5), &ann.password, 0).await);
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

async fn the_limit_holds_under_parallel_logins(world: &World) {
    let ann = join(&*world.store, "ann").await;
    let mut tasks = JoinSet::new();
    for seconds in 0..20 {
        let (store, ann) = (Arc::clone(&world.store), ann.clone());
        tasks.spawn(async move {
            let made = session(ann.id, seconds);
            match store.create_session(made, &ann.password, 5).await.unwrap() {
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

async fn expired_sessions_take_no_place_of_living_ones(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let expired = log_in(store, &ann, 0).await;
    let living = log_in(store, &ann, 1_000).await;
    let new = session(ann.id, 2_000);
    let created = store.create_session(new, &ann.password, 2).await.unwrap();
    assert!(matches!(created, Created::Added { ended, .. } if ended.is_empty()));
    assert!(!alive(store, &expired, 2_000).await);
    assert!(alive(store, &living, 2_000).await);
}

async fn a_session_is_absent_once_over(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    let idle = 30 * 60;
    assert!(alive(store, &one, idle - 1).await);
    assert!(!alive(store, &one, idle).await);
    assert!(!store.revoke_session(ann.id, one.id, at(idle)).await.unwrap());
    assert!(!store.revoke_copied_session(ann.id, one.id, at(idle)).await.unwrap());
    assert_eq!(store.revoke_sessions(ann.id, None, at(idle)).await.unwrap(), 0);
    assert_eq!(store.sessions(ann.id, at(idle)).await.unwrap(), []);
    let renewed = store.renew_session(ann.id, one.id, at(idle), IDLE).await;
    assert_eq!(renewed.unwrap(), None);
    let visited = store.visit(visit(&one, 0, 0, idle)).await.unwrap();
    assert_eq!(visited, Visited::Absent);
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, None);
}

async fn a_session_is_found_only_under_its_own_account(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let anns = log_in(store, &ann, 0).await;
    let claimed = Session { account: bob.id, ..anns.clone() };
    assert!(!alive(store, &claimed, 0).await);
    assert_eq!(store.visit(visit(&claimed, 0, 0, 0)).await.unwrap(), Visited::Absent);
    assert!(!store.revoke_session(bob.id, anns.id, at(0)).await.unwrap());
    assert_eq!(store.sessions(bob.id, at(0)).await.unwrap(), []);
    assert!(alive(store, &anns, 0).await);
}

async fn sessions_are_listed_oldest_first_and_only_living(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    assert_eq!(store.sessions(ann.id, at(0)).await.unwrap(), []);
    let mut made = Vec::new();
    for seconds in [30, 10, 20, 0] {
        made.push(log_in(store, &ann, seconds).await);
    }
    store.revoke_session(ann.id, made[2].id, at(40)).await.unwrap();
    // The one of second 0 has run out by then.
    let listed = store.sessions(ann.id, at(30 * 60)).await.unwrap();
    assert_eq!(listed, [made[1].clone(), made[0].clone()]);
}

// --- visits ---

async fn a_visit_counts_and_moves_the_idle_end(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    let counted = Session {
        visits: 1,
        last: LastPresented { number: 0, at: at(100) },
        idle_expires_at: later(at(100), IDLE),
        last_seen_at: at(100),
        ..one.clone()
    };
    let visited = store.visit(visit(&one, 0, 0, 100)).await.unwrap();
    assert_eq!(visited, Visited::Counted(counted.clone()));
    assert_eq!(store.session(ann.id, one.id, at(100)).await.unwrap(), Some(counted));
    assert_eq!(count(store, &one, 101).await.visits, 2);
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 2);
}

async fn a_visit_never_moves_the_idle_end_back_or_past_the_absolute(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 1_000).await;
    // A request that arrived a little earlier and was delayed.
    let Visited::Counted(visited) = store.visit(visit(&one, 0, 990, 990)).await.unwrap() else {
        panic!("not counted")
    };
    assert_eq!(visited.idle_expires_at, one.idle_expires_at);

    let mut now = 1_000;
    while at(now) < later(one.expires_at, -IDLE / 2) {
        count(store, &one, now).await;
        now += 1_000;
    }
    let last = count(store, &one, now).await;
    assert_eq!(last.idle_expires_at, one.expires_at);
    assert_eq!(one.expires_at, later(at(1_000), ABSOLUTE));
}

async fn a_visit_takes_a_higher_number_for_true(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    // After a restored backup: the token has seen more visits than the store.
    let Visited::Counted(visited) = store.visit(visit(&one, 40, 0, 1)).await.unwrap() else {
        panic!("not counted")
    };
    assert_eq!((visited.visits, visited.last.number), (41, 40));
    // A lower one (another tab's) lowers nothing.
    let Visited::Counted(visited) = store.visit(visit(&one, 3, 1, 2)).await.unwrap() else {
        panic!("not counted")
    };
    assert_eq!((visited.visits, visited.last.number), (42, 3));
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 42);
}

async fn parallel_visits_count_once_each(world: &World) {
    let ann = join(&*world.store, "ann").await;
    let one = log_in(&*world.store, &ann, 0).await;
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let (store, visit) = (Arc::clone(&world.store), visit(&one, 0, 0, 1));
        tasks.spawn(async move {
            match store.visit(visit).await.unwrap() {
                Visited::Counted(session) => session.visits,
                other => panic!("not counted: {other:?}"),
            }
        });
    }
    let mut numbers = tasks.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<u64>>());
    let after = world.store.session(ann.id, one.id, at(1)).await.unwrap().unwrap();
    assert_eq!(after.visits, 200);
    assert_eq!(world.store.total_visits(ann.id).await.unwrap(), 200);
}

async fn a_visit_to_what_is_not_alive_writes_nothing_back(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    count(store, &one, 1).await;
    assert!(store.revoke_session(ann.id, one.id, at(2)).await.unwrap());
    // Under way since before the logout, and a plain late one.
    for seconds in [1, 3] {
        let visited = store.visit(visit(&one, 1, 0, seconds)).await.unwrap();
        assert_eq!(visited, Visited::Absent);
        assert!(!alive(store, &one, seconds).await);
    }
    let renewed = store.renew_session(ann.id, one.id, at(1), IDLE).await.unwrap();
    assert_eq!(renewed, None);
    assert!(!alive(store, &one, 1).await);
    assert_eq!(store.sessions(ann.id, at(1)).await.unwrap(), []);
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 1);
}

async fn a_visit_by_the_other_transport_is_absent(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    let mut stolen = visit(&one, 0, 0, 1);
    stolen.transport = Transport::Bearer;
    assert_eq!(store.visit(stolen).await.unwrap(), Visited::Absent);
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 0);
    assert!(alive(store, &one, 1).await);
}

/// Two holders: the owner is at number 2 when a token that left the chain at 0 is shown, longer
/// after it was signed than requests are under way. Returns the session and what became of it.
async fn show_a_copy(store: &dyn Store, ann: &Account, policy: ReplayPolicy) -> (Session, Visited) {
    let one = log_in(store, ann, 0).await;
    for (number, seconds) in [(0, 1), (1, 2), (2, 200)] {
        let visited = store.visit(visit(&one, number, seconds, seconds)).await.unwrap();
        assert!(matches!(visited, Visited::Counted(_)));
    }
    let mut copy = visit(&one, 9, 1, 201);
    copy.replay.policy = policy;
    copy.replay.grace = GRACE;
    let became = store.visit(copy).await.unwrap();
    (one, became)
}

async fn a_copied_token_ends_the_session(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let (one, became) = show_a_copy(store, &ann, ReplayPolicy::Revoke).await;
    assert_eq!(became, Visited::Copied);
    assert!(!alive(store, &one, 201).await);
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, Some(at(201)));
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 3);
    let owner = store.visit(visit(&one, 3, 200, 202)).await.unwrap();
    assert_eq!(owner, Visited::Absent);
}

async fn a_copied_token_is_refused(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let (one, became) = show_a_copy(store, &ann, ReplayPolicy::Refuse).await;
    assert_eq!(became, Visited::Copied);
    let found = store.session(ann.id, one.id, at(201)).await.unwrap().unwrap();
    assert_eq!(found.visits, 3);
    assert_eq!(found.last, LastPresented { number: 2, at: at(200) });
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, None);
    let owner = store.visit(visit(&one, 3, 200, 202)).await.unwrap();
    assert!(matches!(owner, Visited::Counted(session) if session.visits == 4));
}

async fn a_copied_token_is_ignored(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let (_, became) = show_a_copy(store, &ann, ReplayPolicy::Ignore).await;
    assert!(matches!(became, Visited::Counted(session) if session.visits == 10));
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, None);
}

async fn a_renewal_moves_the_idle_end_and_counts_nothing(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    let renewed =
        Session { idle_expires_at: later(at(100), IDLE), last_seen_at: at(100), ..one.clone() };
    let answer = store.renew_session(ann.id, one.id, at(100), IDLE).await.unwrap();
    assert_eq!(answer, Some(renewed.clone()));
    assert_eq!(store.session(ann.id, one.id, at(100)).await.unwrap(), Some(renewed.clone()));
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 0);
    // Never back, never past the absolute end.
    let late = store.renew_session(ann.id, one.id, at(50), IDLE).await.unwrap().unwrap();
    assert_eq!(late.idle_expires_at, renewed.idle_expires_at);
    let far = store.renew_session(ann.id, one.id, at(101), ABSOLUTE).await.unwrap().unwrap();
    assert_eq!(far.idle_expires_at, one.expires_at);
}

// --- ends ---

async fn one_of_many_revokes_is_told_so(world: &World) {
    let ann = join(&*world.store, "ann").await;
    let one = log_in(&*world.store, &ann, 0).await;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let (store, one) = (Arc::clone(&world.store), one.clone());
        tasks.spawn(async move {
            let ended = store.revoke_session(one.account, one.id, at(1)).await.unwrap();
            // Answered is ended, also for those who came second.
            assert!(!alive(&*store, &one, 1).await);
            ended
        });
    }
    let told = tasks.join_all().await;
    assert_eq!(told.into_iter().filter(|ended| *ended).count(), 1);
}

async fn a_copied_session_is_ended_and_noted(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    assert!(store.revoke_copied_session(ann.id, one.id, at(5)).await.unwrap());
    assert!(!alive(store, &one, 5).await);
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, Some(at(5)));
    assert!(!store.revoke_copied_session(ann.id, one.id, at(6)).await.unwrap());
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, Some(at(5)));
}

async fn all_sessions_but_one_end(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let keep = log_in(store, &ann, 0).await;
    let other = log_in(store, &ann, 1).await;
    let foreign = log_in(store, &bob, 0).await;
    assert_eq!(store.revoke_sessions(ann.id, Some(keep.id), at(2)).await.unwrap(), 1);
    assert!(alive(store, &keep, 2).await && !alive(store, &other, 2).await);
    assert_eq!(store.revoke_sessions(ann.id, None, at(2)).await.unwrap(), 1);
    assert!(!alive(store, &keep, 2).await && alive(store, &foreign, 2).await);
}

async fn every_session_ends_at_once_and_new_ones_live(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let old = [log_in(store, &ann, 0).await, log_in(store, &bob, 0).await];
    count(store, &old[0], 1).await;
    store.revoke_all_sessions().await.unwrap();
    for session in &old {
        assert!(!alive(store, session, 1).await);
        let visited = store.visit(visit(session, 1, 1, 1)).await.unwrap();
        assert_eq!(visited, Visited::Absent);
        let revoked = store.revoke_session(session.account, session.id, at(1)).await;
        assert!(!revoked.unwrap(), "it had ended before");
        let renewed = store.renew_session(session.account, session.id, at(1), IDLE).await;
        assert_eq!(renewed.unwrap(), None);
        assert_eq!(store.sessions(session.account, at(1)).await.unwrap(), []);
    }
    assert_eq!(store.revoke_sessions(ann.id, None, at(1)).await.unwrap(), 0);
    let disabled = store.set_account_state(bob.id, AccountState::Disabled).await;
    assert_eq!(disabled.unwrap(), Some(0), "those had ended before");
    let new = session(ann.id, 2);
    let created = store.create_session(new.clone(), &ann.password, 1).await.unwrap();
    assert!(matches!(created, Created::Added { ended, .. } if ended.is_empty()));
    assert!(alive(store, &new, 2).await);
    store.revoke_all_sessions().await.unwrap();
    assert!(!alive(store, &new, 2).await);
}

async fn visits_of_ended_sessions_stay_in_the_total(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let total = async || store.total_visits(ann.id).await.unwrap();
    let visited = async |seconds: i64| {
        let session = log_in(store, &ann, seconds).await;
        count(store, &session, seconds).await;
        session
    };
    let revoked = visited(0).await;
    store.revoke_session(ann.id, revoked.id, at(0)).await.unwrap();
    assert_eq!(total().await, 1);
    let copied = visited(0).await;
    store.revoke_copied_session(ann.id, copied.id, at(0)).await.unwrap();
    assert_eq!(total().await, 2);
    visited(0).await;
    store.revoke_sessions(ann.id, None, at(0)).await.unwrap();
    assert_eq!(total().await, 3);
    visited(0).await;
    let only = session(ann.id, 1);
    store.create_session(only, &ann.password, 1).await.unwrap();
    assert_eq!(total().await, 4, "ended by the limit");
    visited(0).await;
    store.change_password(ann.id, None, hash("first"), None).await.unwrap();
    assert_eq!(total().await, 5);
    visited(0).await;
    store.set_account_state(ann.id, AccountState::Disabled).await.unwrap();
    store.set_account_state(ann.id, AccountState::Active).await.unwrap();
    assert_eq!(total().await, 6);
    visited(0).await;
    store.revoke_all_sessions().await.unwrap();
    assert_eq!(total().await, 7, "dead, and still there");
    sweep_all(store, 10, at(0)).await;
    assert_eq!(total().await, 7, "dead, and swept");
    visited(0).await;
    sweep_all(store, 10, at(40 * 60)).await;
    assert_eq!(total().await, 8, "expired, and swept");
}

// --- upkeep ---

/// Sweeps to the end. Returns how many were removed and how many calls it took.
async fn sweep_all(store: &dyn Store, budget: usize, now: Timestamp) -> (u64, u64) {
    let (mut removed, mut calls) = (0, 0);
    let mut from: Option<SweepCursor> = None;
    loop {
        let swept = store.sweep(from, budget, now).await.unwrap();
        removed += swept.removed;
        calls += 1;
        match swept.next {
            Some(next) => from = Some(next),
            None => return (removed, calls),
        }
    }
}

async fn a_sweep_removes_exactly_the_dead(world: &World) {
    let store = &*world.store;
    assert_eq!(sweep_all(store, 10, at(0)).await, (0, 1), "nothing there");
    let mut living = Vec::new();
    for n in 0..3 {
        let account = join(store, &format!("user{n}")).await;
        log_in(store, &account, 0).await;
        log_in(store, &account, 1).await;
        living.push(log_in(store, &account, 1_000).await);
    }
    let now = 30 * 60 + 1;
    assert_eq!(sweep_all(store, 100, at(now)).await, (6, 1));
    for session in &living {
        let found = store.session(session.account, session.id, at(now)).await.unwrap();
        assert_eq!(found.as_ref(), Some(session));
    }
    assert_eq!(sweep_all(store, 100, at(now)).await, (0, 1));
    store.revoke_all_sessions().await.unwrap();
    assert_eq!(sweep_all(store, 100, at(now)).await, (3, 1));
    // At a moment before their end, too, nothing of them is left.
    assert_eq!(sweep_all(store, 100, from_millis(0)).await, (0, 1));
    assert_eq!(store.accounts(None, 10).await.unwrap().len(), 3);
}

async fn a_sweep_keeps_its_budget_and_reaches_the_end(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    for n in 0..10 {
        log_in(store, &ann, if n % 2 == 0 { 0 } else { 1_000 }).await;
    }
    let first = store.sweep(None, 3, at(1_900)).await.unwrap();
    assert!(first.removed <= 3 && first.next.is_some());
    let (removed, calls) = sweep_all(store, 3, at(1_900)).await;
    assert_eq!(first.removed + removed, 5);
    assert!(calls >= 2, "{calls} calls");
    assert_eq!(store.sessions(ann.id, at(1_900)).await.unwrap().len(), 5);
    // It gets on even with a budget of nothing.
    let (removed, _) = sweep_all(store, 0, at(10_000)).await;
    assert_eq!(removed, 5);
}

async fn a_closed_store_refuses(world: &World) {
    let store = &*world.store;
    store.ping().await.unwrap();
    let ann = join(store, "ann").await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(1), async {
        assert!(store.ping().await.is_err());
        assert!(store.account(ann.id).await.is_err());
        assert!(store.create_account(account("bob")).await.is_err());
    });
    refused.await.expect("at once");
}
