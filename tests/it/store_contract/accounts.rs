//! Accounts: made, found, changed, removed.

use std::sync::Arc;

use countersign::{
    model::{Account, AccountId, AccountState, Email, Role, Succession},
    store::{Created, EmailChange, FoundAccounts, MOST_EMAILS_SEARCHED, PasswordChange, Visited},
};
use tokio::task::JoinSet;

use crate::store_world::{
    IDLE, PLENTY, World, account, account_record, alive, at, cause, count, email, everybody, hash,
    join, log_in, session, succession, visit,
};

pub(super) async fn an_account_is_found_by_both_its_names(world: &World) {
    let store = &*world.store;
    let ann = Account { copied_at: Some(at(7)), state: AccountState::Disabled, ..account("ann") };
    assert_eq!(store.account(ann.id).await.unwrap(), None);
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), None);
    assert!(store.create_account(ann.clone(), cause(at(0))).await.unwrap());
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann.clone()));
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), Some(ann));
    assert_eq!(store.account_by_email(&email("bob")).await.unwrap(), None);
    // One address that begins like another is another.
    assert_eq!(store.account_by_email(&email("an")).await.unwrap(), None);
}

pub(super) async fn an_email_belongs_to_one_account(world: &World) {
    let store = &*world.store;
    let first = join(store, "ann").await;
    let second = account("ann");
    assert!(!store.create_account(second.clone(), cause(at(0))).await.unwrap());
    assert_eq!(store.account(second.id).await.unwrap(), None);
    let found = store.account_by_email(&first.email).await.unwrap();
    assert_eq!(found, Some(first));
}

pub(super) async fn of_fifty_accounts_with_one_email_one_is_made(world: &World) {
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(&world.store);
        tasks.spawn(async move {
            let account = account("ann");
            let id = account.id;
            store.create_account(account, cause(at(0))).await.unwrap().then_some(id)
        });
    }
    let made: Vec<AccountId> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(made.len(), 1);
    let found = world.store.account_by_email(&email("ann")).await.unwrap();
    assert_eq!(found.unwrap().id, made[0]);
    assert_eq!(everybody(&*world.store).await.len(), 1);
}

pub(super) async fn an_account_id_that_is_taken_replaces_nobody(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let thief = Account { id: ann.id, ..account("bob") };
    assert!(!store.create_account(thief, cause(at(0))).await.unwrap());
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann));
    assert_eq!(store.account_by_email(&email("bob")).await.unwrap(), None);
}

pub(super) async fn accounts_are_paged_in_the_order_of_their_emails(world: &World) {
    let store = &*world.store;
    for name in ["dora", "ann", "carl", "bob", "anna"] {
        join(store, name).await;
    }
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = store.find_accounts("", after.as_ref().map(Email::as_str), 2).await.unwrap();
        pages.push(page.accounts.iter().map(|a| a.email.to_string()).collect::<Vec<_>>());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(
        pages,
        [
            vec!["ann@example.com", "anna@example.com"],
            vec!["bob@example.com", "carl@example.com"],
            vec!["dora@example.com"],
        ]
    );
    // It goes on after an address that is not there (any more).
    let page = store.find_accounts("", Some(email("bobby").as_str()), 1).await.unwrap();
    assert_eq!(page.accounts[0].email, email("carl"));
}

pub(super) async fn accounts_are_found_by_a_part_of_their_email(world: &World) {
    let store = &*world.store;
    for name in ["dora", "ann", "jürgen", "joanna", "anna"] {
        join(store, name).await;
    }
    let names = |found: &FoundAccounts| -> Vec<String> {
        let emails = found.accounts.iter().map(|account| account.email.as_str());
        emails.map(|email| email.trim_end_matches("@example.com").to_owned()).collect()
    };
    let search =
        async |part: &str, after, limit| store.find_accounts(part, after, limit).await.unwrap();
    for (part, expected) in [
        ("ann", &["ann", "anna", "joanna"][..]),
        ("anna", &["anna", "joanna"]),
        ("n@e", &["ann", "jürgen"]),
        ("ü", &["jürgen"]),
        ("", &["ann", "anna", "dora", "joanna", "jürgen"]),
        ("ann@example.com.", &[]),
        ("nobody", &[]),
    ] {
        let found = search(part, None, 10).await;
        assert_eq!(names(&found), expected, "{part}");
        assert_eq!(found.next, None, "{part}");
    }
    let first = search("ann", None, 2).await;
    assert_eq!(names(&first), ["ann", "anna"]);
    assert_eq!(first.next, Some(email("anna")), "there are others to look at");
    let next = search("ann", first.next.as_ref().map(Email::as_str), 2).await;
    assert_eq!((names(&next), next.next), (vec!["joanna".to_owned()], None));
    assert_eq!(names(&search("ann", Some("b"), 9).await), ["joanna"], "after nobody's address");
    assert_eq!(search("", Some("z"), 9).await, FoundAccounts { accounts: vec![], next: None });
}

pub(super) async fn a_search_looks_at_so_many_and_says_where_to_go_on(world: &World) {
    let store = &*world.store;
    let numbered = |n: usize| Account {
        id: AccountId::from_bytes(u128::try_from(n).unwrap().to_be_bytes()),
        ..account(&format!("n{n:05}"))
    };
    let crowd = 0..2 * MOST_EMAILS_SEARCHED;
    let crowd = crowd.map(|n| account_record(numbered(n), 0));
    store.import(crowd.collect()).await.unwrap();
    join(store, "zoe").await;
    let (mut after, mut found, mut calls) = (None::<String>, Vec::new(), 0);
    loop {
        let page = store.find_accounts("zoe", after.as_deref(), 5).await.unwrap();
        found.extend(page.accounts);
        calls += 1;
        let Some(next) = page.next else { break };
        if world.is_in_shards() {
            // Each looks at its part of so many, and they are not quite equal.
            assert!(after.is_none_or(|after| after.as_str() < next.as_str()) && calls < 6);
        } else {
            assert_eq!(next, numbered(calls * MOST_EMAILS_SEARCHED - 1).email);
        }
        after = Some(next.to_string());
    }
    assert_eq!(found.len(), 1);
    assert!(calls == 3 || world.is_in_shards());
    assert_eq!(found[0].email, email("zoe"));
}

pub(super) async fn a_role_is_given_to_new_sessions_and_taken_from_all(world: &World) {
    let store = &*world.store;
    let (ann, bob) = (join(store, "ann").await, join(store, "bob").await);
    let before = [log_in(store, &ann, 0).await, log_in(store, &ann, 0).await];
    let foreign = log_in(store, &bob, 0).await;
    count(store, &before[0], 1).await;
    let role = async |id| store.account(id).await.unwrap().unwrap().role;
    assert_eq!(role(ann.id).await, Role::Member);
    assert_eq!(store.set_role(ann.id, Role::Member, cause(at(1))).await.unwrap(), Some(0));
    assert!(alive(store, &before[0], 1).await, "nothing was given");

    assert_eq!(store.set_role(ann.id, Role::Admin, cause(at(1))).await.unwrap(), Some(2));
    assert_eq!((role(ann.id).await, role(bob.id).await), (Role::Admin, Role::Member));
    for session in &before {
        assert!(!alive(store, session, 1).await, "no session from before has the role");
    }
    assert!(alive(store, &foreign, 1).await);
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 1);
    let found = store.account_by_email(&ann.email).await.unwrap();
    assert_eq!(found, Some(Account { role: Role::Admin, ..ann.clone() }), "nothing else changed");

    let after = log_in(store, &ann, 2).await;
    assert_eq!(store.set_role(ann.id, Role::Admin, cause(at(1))).await.unwrap(), Some(0));
    assert!(alive(store, &after, 2).await, "it had the role already");
    assert_eq!(store.set_role(ann.id, Role::Member, cause(at(1))).await.unwrap(), Some(0));
    assert_eq!(role(ann.id).await, Role::Member);
    assert!(alive(store, &after, 2).await, "a member goes on");
}

pub(super) async fn disabling_ends_sessions_and_enabling_revives_none(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let (one, two) = (log_in(store, &ann, 0).await, log_in(store, &ann, 1).await);
    let other = log_in(store, &bob, 0).await;

    let ended = store.set_account_state(ann.id, AccountState::Disabled, cause(at(0))).await;
    assert_eq!(ended.unwrap(), Some(2));
    assert!(!alive(store, &one, 2).await && !alive(store, &two, 2).await);
    assert!(alive(store, &other, 2).await, "another account's");
    let found = store.account(ann.id).await.unwrap().unwrap();
    assert_eq!(found.state, AccountState::Disabled);
    let again = store.set_account_state(ann.id, AccountState::Disabled, cause(at(0))).await;
    assert_eq!(again.unwrap(), Some(0));

    let ended = store.set_account_state(ann.id, AccountState::Active, cause(at(0))).await;
    assert_eq!(ended.unwrap(), Some(0));
    assert!(!alive(store, &one, 2).await && !alive(store, &two, 2).await);
    let three = log_in(store, &ann, 3).await;
    let ended = store.set_account_state(ann.id, AccountState::Active, cause(at(0))).await;
    assert_eq!(ended.unwrap(), Some(0), "enabling ends nothing either");
    assert!(alive(store, &three, 3).await);
}

pub(super) async fn what_does_not_exist_is_not_changed(world: &World) {
    let store = &*world.store;
    let nobody = account("nobody");
    let ghost = session(nobody.id, 0);
    let disabled = store.set_account_state(nobody.id, AccountState::Disabled, cause(at(0))).await;
    assert_eq!(disabled.unwrap(), None);
    assert_eq!(store.set_role(nobody.id, Role::Admin, cause(at(0))).await.unwrap(), None);
    assert_eq!(store.remove_account(nobody.id, cause(at(0))).await.unwrap(), None);
    let change = store.change_password(nobody.id, None, hash("new"), None, cause(at(0))).await;
    assert_eq!(change.unwrap(), PasswordChange::AccountChanged);
    let change =
        store.change_email(nobody.id, email("new"), succession(&ghost, 0), cause(at(0))).await;
    assert_eq!(change.unwrap(), EmailChange::AccountChanged);
    let goes_on = succession(&ghost, 0);
    let session =
        store.reauthenticate_session(nobody.id, &nobody.password, goes_on, cause(at(0))).await;
    assert_eq!(session.unwrap(), None);
    let rehashed = store.rehash_password(nobody.id, &hash("first"), hash("new")).await;
    assert!(!rehashed.unwrap());
    assert_eq!(store.total_visits(nobody.id).await.unwrap(), 0);
    let created = store.create_session(ghost.clone(), &nobody.password, PLENTY, cause(at(0))).await;
    assert_eq!(created.unwrap(), Created::AccountChanged);
    assert_eq!(store.visit(visit(&ghost, 0, 0, 0)).await.unwrap(), Visited::Absent);
    let renewed = store.renew_session(nobody.id, ghost.id, at(0), IDLE).await;
    assert_eq!(renewed.unwrap(), None);
    assert!(!store.revoke_session(nobody.id, ghost.id, cause(at(0))).await.unwrap());
    assert!(!store.revoke_copied_session(nobody.id, ghost.id, cause(at(0))).await.unwrap());
    assert_eq!(store.revoke_sessions(nobody.id, None, cause(at(0))).await.unwrap(), 0);
    assert_eq!(store.account(nobody.id).await.unwrap(), None);
    assert_eq!(store.sessions(nobody.id, at(0)).await.unwrap(), []);
}

pub(super) async fn a_removed_account_leaves_nothing_and_frees_its_email(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    count(store, &one, 1).await;
    assert_eq!(store.remove_account(ann.id, cause(at(0))).await.unwrap(), Some(1));
    assert!(!alive(store, &one, 1).await);
    assert_eq!(store.account(ann.id).await.unwrap(), None);
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), None);
    assert_eq!(everybody(store).await, []);
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 0);
    let again = join(store, "ann").await;
    assert!(!alive(store, &one, 1).await);
    assert_eq!(store.total_visits(again.id).await.unwrap(), 0);
}

pub(super) async fn an_account_is_closed_by_a_living_session_of_its_own(world: &World) {
    let store = &*world.store;
    let (ann, bob) = (join(store, "ann").await, join(store, "bob").await);
    let (here, there) = (log_in(store, &ann, 0).await, log_in(store, &ann, 0).await);
    let bobs = log_in(store, &bob, 0).await;
    assert_eq!(store.close_account(ann.id, bobs.id, cause(at(1))).await.unwrap(), None);
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann.clone()));
    assert_eq!(store.close_account(ann.id, here.id, cause(at(1))).await.unwrap(), Some(2));
    assert!(!alive(store, &here, 1).await && !alive(store, &there, 1).await);
    assert_eq!(store.account(ann.id).await.unwrap(), None);
    assert_eq!(store.account_by_email(&ann.email).await.unwrap(), None);
    assert_eq!(store.close_account(ann.id, here.id, cause(at(1))).await.unwrap(), None);
    assert!(alive(store, &bobs, 1).await);
}

pub(super) async fn a_password_change_ends_all_other_sessions(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let kept = log_in(store, &ann, 0).await;
    let others = [log_in(store, &ann, 1).await, log_in(store, &ann, 2).await];
    let foreign = log_in(store, &bob, 0).await;
    let kept = count(store, &kept, 2).await;

    let goes_on = succession(&kept, 3);
    let change = store
        .change_password(ann.id, Some(&ann.password), hash("second"), Some(goes_on), cause(at(0)))
        .await;
    let new = goes_on.successor(&kept);
    let session = Some(new.clone());
    assert_eq!(change.unwrap(), PasswordChange::Changed { ended: 2, session });
    assert_eq!(store.sessions(ann.id, at(3)).await.unwrap(), std::slice::from_ref(&new));
    assert_eq!((new.visits, store.total_visits(ann.id).await.unwrap()), (1, 1));
    assert_eq!(count(store, &new, 4).await.visits, 2, "it goes on counting");
    for other in others.iter().chain([&kept]) {
        assert!(!alive(store, other, 3).await);
    }
    assert!(alive(store, &foreign, 3).await);
    let found = store.account(ann.id).await.unwrap().unwrap();
    assert_eq!(found.password, hash("second"));

    let change = store
        .change_password(ann.id, Some(&hash("second")), hash("third"), None, cause(at(0)))
        .await;
    assert_eq!(change.unwrap(), PasswordChange::Changed { ended: 1, session: None });
    assert!(!alive(store, &new, 4).await);
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 2);
}

pub(super) async fn a_change_by_a_session_that_ended_changes_nothing(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    join(store, "bob").await;
    let (over, other) = (log_in(store, &ann, 0).await, log_in(store, &ann, 0).await);
    assert!(store.revoke_session(ann.id, over.id, cause(at(1))).await.unwrap());
    let goes_on = succession(&over, 1);
    let change = store.change_password(
        ann.id,
        Some(&ann.password),
        hash("new"),
        Some(goes_on),
        cause(at(0)),
    );
    assert_eq!(change.await.unwrap(), PasswordChange::AccountChanged);
    let change = store.change_email(ann.id, email("anna"), goes_on, cause(at(0))).await;
    assert_eq!(change.unwrap(), EmailChange::AccountChanged);
    let change = store.change_email(ann.id, email("bob"), goes_on, cause(at(0))).await;
    assert_eq!(change.unwrap(), EmailChange::AccountChanged, "nobody is told that it is taken");
    let session = store.reauthenticate_session(ann.id, &ann.password, goes_on, cause(at(0))).await;
    assert_eq!(session.unwrap(), None);
    assert_eq!(store.close_account(ann.id, over.id, cause(at(1))).await.unwrap(), None);
    assert_eq!(store.account(ann.id).await.unwrap(), Some(ann.clone()));
    assert_eq!(store.account_by_email(&email("anna")).await.unwrap(), None);
    assert_eq!(store.sessions(ann.id, at(1)).await.unwrap(), [other]);
    // The same for one that is over by time.
    let late = log_in(store, &ann, 1).await;
    let expired = IDLE.as_secs() + 1;
    let goes_on = succession(&late, expired);
    let change = store.change_password(
        ann.id,
        Some(&ann.password),
        hash("new"),
        Some(goes_on),
        cause(at(0)),
    );
    assert_eq!(change.await.unwrap(), PasswordChange::AccountChanged);
    let change = store.change_email(ann.id, email("anna"), goes_on, cause(at(0))).await;
    assert_eq!(change.unwrap(), EmailChange::AccountChanged);
}

pub(super) async fn an_email_changes_with_all_that_goes_with_it(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let (here, there) = (log_in(store, &ann, 0).await, log_in(store, &ann, 1).await);
    let foreign = log_in(store, &bob, 0).await;
    let taken = store.change_email(ann.id, email("bob"), succession(&here, 2), cause(at(0))).await;
    assert_eq!(taken.unwrap(), EmailChange::Taken);
    assert!(alive(store, &here, 2).await && alive(store, &there, 2).await, "nothing changed");

    let goes_on = Succession { authenticated: false, ..succession(&here, 2) };
    let session = goes_on.successor(&here);
    let change = store.change_email(ann.id, email("zoe"), goes_on, cause(at(0))).await;
    assert_eq!(change.unwrap(), EmailChange::Changed { ended: 1, session: session.clone() });
    let zoe = Account { email: email("zoe"), ..ann.clone() };
    assert_eq!(store.account(ann.id).await.unwrap(), Some(zoe.clone()));
    assert_eq!(store.account_by_email(&email("zoe")).await.unwrap(), Some(zoe.clone()));
    assert_eq!(store.account_by_email(&email("ann")).await.unwrap(), None);
    assert_eq!(everybody(store).await, [bob.clone(), zoe.clone()]);
    assert_eq!(store.sessions(ann.id, at(2)).await.unwrap(), std::slice::from_ref(&session));
    assert!(!alive(store, &here, 2).await && !alive(store, &there, 2).await);
    assert!(alive(store, &foreign, 2).await);
    // The old address is free; one's own is no other's.
    let other = join(store, "ann").await;
    let again = store
        .change_email(ann.id, email("zoe"), succession(&session, 3), cause(at(0)))
        .await
        .unwrap();
    let EmailChange::Changed { ended: 0, session } = again else { panic!("{again:?}") };
    assert_eq!(store.account_by_email(&email("zoe")).await.unwrap(), Some(zoe));
    let back = store
        .change_email(ann.id, other.email.clone(), succession(&session, 4), cause(at(0)))
        .await;
    assert_eq!(back.unwrap(), EmailChange::Taken);

    store.set_account_state(bob.id, AccountState::Disabled, cause(at(0))).await.unwrap();
    let disabled =
        store.change_email(bob.id, email("rob"), succession(&foreign, 2), cause(at(0))).await;
    assert_eq!(disabled.unwrap(), EmailChange::AccountChanged);
    store.remove_account(ann.id, cause(at(0))).await.unwrap();
    assert_eq!(store.account_by_email(&email("zoe")).await.unwrap(), None, "with its address");
}

pub(super) async fn of_twenty_who_want_one_email_one_has_it(world: &World) {
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let ann = join(&*world.store, &format!("ann{n}")).await;
        let session = log_in(&*world.store, &ann, 0).await;
        let store = Arc::clone(&world.store);
        tasks.spawn(async move {
            let change = store
                .change_email(ann.id, email("ann"), succession(&session, 1), cause(at(0)))
                .await;
            matches!(change.unwrap(), EmailChange::Changed { .. }).then_some(ann.id)
        });
    }
    let won: Vec<AccountId> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1);
    let found = world.store.account_by_email(&email("ann")).await.unwrap();
    assert_eq!(found.unwrap().id, won[0]);
}

pub(super) async fn a_session_goes_on_for_who_shows_the_password(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let (here, there) = (log_in(store, &ann, 0).await, log_in(store, &ann, 0).await);
    let here = count(store, &here, 1).await;
    let goes_on = succession(&here, 2);
    let wrong = store.reauthenticate_session(ann.id, &hash("wrong"), goes_on, cause(at(0))).await;
    assert_eq!(wrong.unwrap(), None);
    assert!(alive(store, &here, 2).await);
    let taken = Succession { to: there.id, ..goes_on };
    store.reauthenticate_session(ann.id, &ann.password, taken, cause(at(0))).await.unwrap_err();

    let new =
        store.reauthenticate_session(ann.id, &ann.password, goes_on, cause(at(0))).await.unwrap();
    assert_eq!(new, Some(goes_on.successor(&here)));
    assert!(!alive(store, &here, 2).await);
    assert!(alive(store, &there, 2).await, "on another device");
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 1, "counted once");
    let again = store
        .reauthenticate_session(ann.id, &ann.password, succession(&here, 3), cause(at(0)))
        .await;
    assert_eq!(again.unwrap(), None);
    let counted = store.visit(visit(&here, 1, 1, 3)).await.unwrap();
    assert_eq!(counted, Visited::Absent, "a token from before counts nothing");
}

pub(super) async fn of_two_password_changes_with_one_password_one_loses(world: &World) {
    let ann = join(&*world.store, "ann").await;
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let (store, ann) = (Arc::clone(&world.store), ann.clone());
        tasks.spawn(async move {
            let new = hash(&format!("new-{n}"));
            store
                .change_password(ann.id, Some(&ann.password), new, None, cause(at(0)))
                .await
                .unwrap()
        });
    }
    let changed = tasks.join_all().await;
    let won = changed.iter().filter(|change| **change != PasswordChange::AccountChanged);
    assert_eq!(won.count(), 1);
}

pub(super) async fn an_operator_changes_any_password(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    let wrong =
        store.change_password(ann.id, Some(&hash("wrong")), hash("new"), None, cause(at(0))).await;
    assert_eq!(wrong.unwrap(), PasswordChange::AccountChanged);
    assert!(alive(store, &one, 0).await, "a refused change ends nothing");
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().password, hash("first"));

    store.set_account_state(ann.id, AccountState::Disabled, cause(at(0))).await.unwrap();
    let own =
        store.change_password(ann.id, Some(&hash("first")), hash("new"), None, cause(at(0))).await;
    assert_eq!(own.unwrap(), PasswordChange::AccountChanged, "a disabled account's owner");
    let change = store.change_password(ann.id, None, hash("new"), None, cause(at(0))).await;
    assert_eq!(change.unwrap(), PasswordChange::Changed { ended: 0, session: None });
    let found = store.account(ann.id).await.unwrap().unwrap();
    assert_eq!((found.password, found.state), (hash("new"), AccountState::Disabled));
}

pub(super) async fn a_rehash_ends_nothing_and_loses_against_a_change(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    assert!(store.rehash_password(ann.id, &hash("first"), hash("stronger")).await.unwrap());
    assert!(alive(store, &one, 0).await);
    assert!(!store.rehash_password(ann.id, &hash("first"), hash("late")).await.unwrap());
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().password, hash("stronger"));
}
