//! Audit events: one for each change, listed, bounded, kept for a while.

use std::{collections::BTreeSet, sync::Arc};

use countersign::{
    model::{
        AccountId, AccountState, Actor, AuditEvent, AuditKind, AuditTrail, By, Cause, SessionId,
        session::ReplayPolicy,
    },
    store::{AuditBounds, AuditFilter, BackupRecord, EmailChange, Store, Visited},
};
use jiff::SignedDuration;
use tokio::task::JoinSet;

use super::{backup::export, upkeep::sweep_all};
use crate::{
    store_machine::operation::list,
    store_world::{
        PLENTY, World, account, at, cause, count, email, hash, join, log_in, session, succession,
        visit,
    },
};

const WINDOW: SignedDuration = SignedDuration::from_secs(900);

/// Somebody, somewhere.
fn by(last: u8) -> By {
    By {
        actor: Actor::Account(AccountId::from_bytes([last; 16])),
        from: Some([192, 0, 2, last].into()),
    }
}

fn of(what: AuditKind, last: u8, seconds: i64) -> Cause {
    Cause { what, by: by(last), at: at(seconds) }
}

async fn all(store: &dyn Store, seconds: i64) -> Vec<AuditEvent> {
    list(store, None, 1_000, at(seconds)).await.unwrap()
}

/// The latest event; that there is one more than there were before.
async fn latest(store: &dyn Store, seen: &mut usize) -> AuditEvent {
    let events = all(store, 100).await;
    assert_eq!(events.len(), *seen + 1, "one event for one change: {events:#?}");
    *seen += 1;
    events[0]
}

async fn refuse(store: &dyn Store, last: u8, seconds: i64) {
    let event = of(AuditKind::LogInRefused, last, seconds).about_nobody();
    store.count_attempt(Vec::new(), WINDOW, at(seconds), Some(event)).await.unwrap();
}

/// Many events of one kind at once, in any order.
async fn write_many(store: &Arc<dyn Store>, events: impl IntoIterator<Item = AuditEvent>) {
    let mut tasks = JoinSet::new();
    for event in events {
        let store = Arc::clone(store);
        tasks.spawn(async move { store.write_event(event).await.unwrap() });
    }
    tasks.join_all().await;
}

pub(super) async fn every_change_of_a_session_has_its_event(world: &World) {
    let (store, seen) = (&*world.store, &mut 0);
    let ann = account("ann");
    let why = of(AuditKind::SignedUp, 1, 1);
    assert!(store.create_account(ann.clone(), why).await.unwrap());
    let event = latest(store, seen).await;
    assert_eq!(event, why.about(ann.id));
    assert_eq!((event.at, event.by), (at(1), by(1)));
    assert!(!store.create_account(ann.clone(), why).await.unwrap());

    let why = of(AuditKind::LoggedIn, 2, 2);
    let mut sessions = Vec::new();
    for n in 0..3 {
        let one = session(ann.id, 2 + n);
        store.create_session(one.clone(), &ann.password, 2, why).await.unwrap();
        let ended = u64::from(n == 2);
        assert_eq!(latest(store, seen).await, why.about(ann.id).of_session(one.id).ending(ended));
        sessions.push(one);
    }
    store.create_session(session(ann.id, 9), &hash("wrong"), 2, why).await.unwrap();

    let goes_on = succession(&sessions[1], 6);
    let why = of(AuditKind::Reauthenticated, 3, 6);
    for checked in [hash("wrong"), ann.password.clone(), ann.password.clone()] {
        store.reauthenticate_session(ann.id, &checked, goes_on, why).await.unwrap();
    }
    let event = why.about(ann.id).going_on(sessions[1].id, goes_on.to);
    assert_eq!(latest(store, seen).await, event);

    let copied = visit(&sessions[2], 0, -900, 500);
    let refused = countersign::store::Visit {
        replay: countersign::model::Replay { policy: ReplayPolicy::Refuse, ..copied.replay },
        ..copied
    };
    count(store, &count(store, &sessions[2], 7).await, 7).await;
    assert_eq!(store.visit(refused).await.unwrap(), Visited::Copied);
    let from = Some([192, 0, 2, 9].into());
    assert_eq!(
        store.visit(countersign::store::Visit { from, ..copied }).await.unwrap(),
        Visited::Copied
    );
    let why =
        Cause { what: AuditKind::CopyFound, by: By { actor: Actor::Unknown, from }, at: at(500) };
    let event = why.about(ann.id).of_session(sessions[2].id).ending(1);
    assert_eq!(latest(store, seen).await, event);

    let why = of(AuditKind::SessionEnded, 4, 8);
    for was_alive in [true, false] {
        assert_eq!(store.revoke_session(ann.id, goes_on.to, why).await.unwrap(), was_alive);
    }
    assert_eq!(latest(store, seen).await, why.about(ann.id).of_session(goes_on.to).ending(1));

    let one = log_in(store, &ann, 9).await;
    latest(store, seen).await;
    let why = of(AuditKind::CopyFound, 5, 10);
    for _ in 0..2 {
        store.revoke_copied_session(ann.id, one.id, why).await.unwrap();
    }
    assert_eq!(latest(store, seen).await, why.about(ann.id).of_session(one.id).ending(1));

    let mut living = Vec::new();
    for _ in 0..3 {
        living.push(log_in(store, &ann, 11).await);
        latest(store, seen).await;
    }
    let why = of(AuditKind::SessionsEnded, 6, 12);
    for ended in [2, 0] {
        let kept = Some(living[0].id);
        assert_eq!(store.revoke_sessions(ann.id, kept, why).await.unwrap(), ended);
    }
    assert_eq!(latest(store, seen).await, why.about(ann.id).ending(2));
}

pub(super) async fn every_change_of_an_account_has_its_event(world: &World) {
    let (store, seen) = (&*world.store, &mut 0);
    let ann = join(store, "ann").await;
    latest(store, seen).await;
    let living = log_in(store, &ann, 12).await;
    latest(store, seen).await;

    let goes_on = succession(&living, 13);
    let why = of(AuditKind::EmailChanged, 7, 13);
    let taken = join(store, "bob").await;
    latest(store, seen).await;
    store.change_email(ann.id, taken.email, goes_on, why).await.unwrap();
    let changed = store.change_email(ann.id, email("anna"), goes_on, why).await.unwrap();
    assert!(matches!(changed, EmailChange::Changed { .. }));
    let event = why.about(ann.id).going_on(goes_on.from, goes_on.to);
    assert_eq!(latest(store, seen).await, event);

    let why = of(AuditKind::PasswordChanged, 8, 14);
    let next = countersign::model::Succession { from: goes_on.to, ..succession(&living, 14) };
    let wrong = hash("wrong");
    store.change_password(ann.id, Some(&wrong), hash("x"), Some(next), why).await.unwrap();
    store.change_password(ann.id, None, hash("second"), Some(next), why).await.unwrap();
    assert_eq!(latest(store, seen).await, why.about(ann.id).going_on(next.from, next.to));
    store.change_password(ann.id, None, hash("third"), None, why).await.unwrap();
    assert_eq!(latest(store, seen).await, why.about(ann.id).ending(1), "by an operator");
    assert!(store.rehash_password(ann.id, &hash("third"), hash("first")).await.unwrap());

    for (what, state) in [
        (AuditKind::AccountDisabled, AccountState::Disabled),
        (AuditKind::AccountEnabled, AccountState::Active),
    ] {
        let why = of(what, 9, 15);
        for _ in 0..2 {
            store.set_account_state(ann.id, state, why).await.unwrap();
        }
        assert_eq!(latest(store, seen).await, why.about(ann.id));
    }

    let why = of(AuditKind::AllSessionsEnded, 10, 16);
    store.revoke_all_sessions(why).await.unwrap();
    assert_eq!(latest(store, seen).await, why.about_nobody());

    let one = log_in(store, &ann, 17).await;
    latest(store, seen).await;
    let why = of(AuditKind::AccountClosed, 11, 18);
    for by in [SessionId::new(at(0)), one.id, one.id] {
        store.close_account(ann.id, by, why).await.unwrap();
    }
    assert_eq!(latest(store, seen).await, why.about(ann.id).ending(1));
    let why = of(AuditKind::AccountRemoved, 12, 19);
    for id in [ann.id, taken.id, taken.id] {
        store.remove_account(id, why).await.unwrap();
    }
    assert_eq!(latest(store, seen).await, why.about(taken.id));
}

pub(super) async fn what_happens_all_the_time_is_no_event(world: &World) {
    let (store, seen) = (&*world.store, &mut 0);
    let carol = join(store, "carol").await;
    latest(store, seen).await;
    let one = log_in(store, &carol, 20).await;
    latest(store, seen).await;
    // Not what happens all the time.
    count(store, &one, 21).await;
    store.renew_session(carol.id, one.id, at(22), SignedDuration::from_mins(9)).await.unwrap();
    store.count_attempt(Vec::new(), WINDOW, at(23), None).await.unwrap();
    store.ping().await.unwrap();
    sweep_all(store, 100, at(90_000)).await;
    assert_eq!(all(store, 100).await.len(), *seen);
}

pub(super) async fn events_are_listed_from_the_latest_on_in_pages_that_stay_where_they_are(
    world: &World,
) {
    let store = &*world.store;
    assert_eq!(all(store, 0).await, [], "nothing happened");
    for n in 0..120 {
        if n % 3 == 0 {
            refuse(store, 1, n).await;
        } else {
            join(store, &format!("user{n}")).await;
            let event = of(AuditKind::AccountDisabled, 2, n).about_nobody();
            store.write_event(event).await.unwrap();
        }
    }
    let whole = all(store, 200).await;
    assert_eq!(whole.len(), 40 + 2 * 80);
    for trail in AuditTrail::ALL {
        let of_it = whole.iter().filter(|event| event.what.trail() == trail);
        let of_it: Vec<_> = of_it.filter(|event| event.what != AuditKind::SessionEnded).collect();
        assert!(of_it.is_sorted_by_key(|event| std::cmp::Reverse(event.at)));
    }
    for limit in [0, 1, 7, 32, 199, 200, 201] {
        assert_eq!(list(store, None, limit, at(200)).await.unwrap(), whole, "{limit} at a time");
    }
    // What comes meanwhile is before the place where the list began.
    let (filter, mut before, mut seen) = (AuditFilter::default(), None, Vec::new());
    for n in 0.. {
        let page = store.audit_events(&filter, before, 9, at(200)).await.unwrap();
        seen.extend(page.events);
        refuse(store, 3, 150 + n).await;
        store.write_event(of(AuditKind::SignedUp, 3, 150 + n).about_nobody()).await.unwrap();
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, whole);
    // A place that never was is an end, and no error.
    for place in ["0-0", "0-9", "7-0", "18446744073709551615-18446744073709551615"] {
        let place = Some(place.parse().unwrap());
        store.audit_events(&filter, place, 9, at(200)).await.unwrap();
    }
}

pub(super) async fn events_of_an_account_are_those_about_it_and_those_it_did(world: &World) {
    let store = &*world.store;
    let (ann, bob) = (join(store, "ann").await, join(store, "bob").await);
    let done_by = |id| By { actor: Actor::Account(id), from: None };
    let why = Cause { what: AuditKind::AccountDisabled, by: done_by(ann.id), at: at(1) };
    store.set_account_state(bob.id, AccountState::Disabled, why).await.unwrap();
    store.write_event(of(AuditKind::AccountExported, 7, 2).about(bob.id)).await.unwrap();
    refuse(store, 7, 3).await;
    let kinds = async |id| {
        let events = list(store, Some(id), 1, at(9)).await.unwrap();
        events.into_iter().map(|event| (event.what, event.account)).collect::<Vec<_>>()
    };
    let disabled = (AuditKind::AccountDisabled, Some(bob.id));
    let joined = |id| (AuditKind::SessionEnded, Some(id));
    assert_eq!(kinds(ann.id).await, [disabled, joined(ann.id)]);
    let exported = (AuditKind::AccountExported, Some(bob.id));
    assert_eq!(kinds(bob.id).await, [exported, disabled, joined(bob.id)]);
    assert_eq!(kinds(AccountId::new(at(0))).await, []);
    assert_eq!(all(store, 9).await.len(), 5);
    // They outlive the account.
    store.remove_account(bob.id, cause(at(4))).await.unwrap();
    assert_eq!(kinds(bob.id).await.len(), 4);
}

pub(super) async fn a_flood_of_refusals_pushes_out_no_change(world: &World) {
    let world = world.bounded(AuditBounds { most: 64, ..AuditBounds::default() });
    let store = &*world.store;
    let ann = join(store, "ann").await;
    log_in(store, &ann, 1).await;
    let changes = all(store, 2).await;
    // All that can be had without changing anything.
    for what in [
        AuditKind::LogInRefused,
        AuditKind::CurrentPasswordRefused,
        AuditKind::AccountExported,
        AuditKind::BackupBegun,
    ] {
        let event = of(what, 1, 2).about(ann.id);
        write_many(&world.store, std::iter::repeat_n(event, 200)).await;
    }
    let mut kept = all(store, 3).await;
    assert!(kept.len() <= 2 + 64, "{} are kept", kept.len());
    assert!(kept.len() > 2 + 32);
    kept.retain(|event| event.at < at(2));
    assert_eq!(kept, changes);
}

pub(super) async fn the_oldest_events_make_room(world: &World) {
    let world = world.bounded(AuditBounds { most: 100, ..AuditBounds::default() });
    let store = &*world.store;
    let place = {
        refuse(store, 1, 0).await;
        refuse(store, 1, 0).await;
        let filter = AuditFilter::default();
        store.audit_events(&filter, None, 1, at(1)).await.unwrap().next
    };
    for n in 0..300 {
        refuse(store, 1, n).await;
        let times: Vec<_> = all(store, 300).await.iter().map(|event| event.at).collect();
        assert!(times.len() <= 100 && times[0] == at(n), "{} after {n}", times.len());
        assert!(times.len() > 64 || i64::try_from(times.len()).unwrap() == n + 3);
        assert!(times.is_sorted_by(|one, next| one >= next), "without a gap");
    }
    // What was before that place is gone.
    let page = store.audit_events(&AuditFilter::default(), place, 9, at(300)).await.unwrap();
    assert_eq!((page.events, page.next), (Vec::new(), None));
}

pub(super) async fn events_that_are_over_are_hidden_and_then_removed(world: &World) {
    let keep = SignedDuration::from_secs(1_000);
    let world = world.bounded(AuditBounds { keep, ..AuditBounds::default() });
    let store = &*world.store;
    // Three full pages and some of refusals, and then one later; of changes, one early.
    store.write_event(of(AuditKind::SignedUp, 1, 5).about_nobody()).await.unwrap();
    for n in 0..100 {
        refuse(store, 1, n).await;
    }
    refuse(store, 1, 500).await;
    let count = async |seconds| all(store, seconds).await.len();
    assert_eq!(count(999).await, 102);
    assert_eq!(count(1_000).await, 101, "to the millisecond");
    assert_eq!(count(1_050).await, 50);
    assert_eq!(count(1_499).await, 1);
    assert_eq!(count(1_500).await, 0);
    assert_eq!(count(999).await, 102, "nothing is removed by looking");

    // A page goes when the last of it is over.
    assert_eq!(sweep_all(store, 100, at(1_030)).await, (0, 1));
    assert_eq!(count(999).await, 101, "the change");
    sweep_all(store, 100, at(1_031)).await;
    assert_eq!(count(999).await, 101 - 32);
    sweep_all(store, 100, at(1_499)).await;
    assert_eq!(count(999).await, 101 - 96);
    assert_eq!(count(1_499).await, 1);
    let filter = AuditFilter::default();
    let place = store.audit_events(&filter, None, 1, at(999)).await.unwrap().next;
    sweep_all(store, 100, at(1_500)).await;
    assert_eq!(count(999).await, 0);
    assert_eq!(export(store).await, []);
    // And it goes on, behind every place there was.
    refuse(store, 1, 1_600).await;
    let page = store.audit_events(&filter, place, 9, at(1_600)).await.unwrap();
    assert_eq!((page.events, page.next), (Vec::new(), None));
    sweep_all(store, 100, at(1_700)).await;
    let events = all(store, 1_700).await;
    assert_eq!(events.iter().map(|event| event.at).collect::<Vec<_>>(), [at(1_600)]);
    // However many are over.
    let old = of(AuditKind::LogInRefused, 1, 1_600).about_nobody();
    write_many(&world.store, std::iter::repeat_n(old, 70 * 32)).await;
    let (removed, calls) = sweep_all(store, 100, at(9_000)).await;
    assert_eq!((removed, calls), (0, 2));
    assert_eq!(count(1_700).await, 0);
}

/// Events are in the order in which they were recorded, whatever the clock said.
pub(super) async fn a_clock_that_was_set_back_takes_no_event_away(world: &World) {
    let keep = SignedDuration::from_secs(1_000);
    for early in [5, 32, 40] {
        let world = world.bounded(AuditBounds { keep, ..AuditBounds::default() });
        let store = &*world.store;
        for n in 0..=32 + early {
            let is_early = (32..32 + early).contains(&n);
            // With a later one at the end, or without.
            if n < 32 + early || early == 32 {
                refuse(store, 1, if is_early { 0 } else { 2_000 }).await;
            }
        }
        let late = if early == 32 { 33 } else { 32 };
        assert_eq!(all(store, 1_500).await.len(), late, "{early} of an earlier time");
        sweep_all(store, 100, at(1_500)).await;
        assert_eq!(all(store, 1_500).await.len(), late, "{early} of an earlier time, swept");
        sweep_all(store, 100, at(3_000)).await;
        assert_eq!(export(store).await, []);
    }
}

pub(super) async fn one_look_at_events_is_bounded(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let others = of(AuditKind::SignedUp, 1, 1).about_nobody();
    write_many(&world.store, std::iter::repeat_n(others, 2_500)).await;
    let filter = AuditFilter { account: Some(ann.id) };
    let (mut before, mut calls, mut found) = (None, 0, Vec::new());
    loop {
        let page = store.audit_events(&filter, before, 10, at(9)).await.unwrap();
        found.extend(page.events);
        before = page.next;
        calls += 1;
        if before.is_none() {
            break;
        }
        assert!(calls < 10, "it gets on");
    }
    assert_eq!(found.len(), 1);
    assert_eq!(calls, 2, "fifty pages at a time");
    let page = store.audit_events(&AuditFilter::default(), None, usize::MAX, at(9)).await.unwrap();
    assert_eq!(page.events.len(), 1_000);
    assert!(page.next.is_some());
}

pub(super) async fn events_come_back_from_a_backup_and_go_on(world: &World) {
    let store = &*world.store;
    for n in 0..100 {
        refuse(store, u8::try_from(n).unwrap(), n).await;
        if n % 2 == 0 {
            let event = of(AuditKind::LoggedIn, 1, n).about(AccountId::from_bytes([9; 16]));
            let event = event.going_on(SessionId::new(at(0)), SessionId::new(at(1))).ending(300);
            store.write_event(event).await.unwrap();
        }
    }
    let (records, events) = (export(store).await, all(store, 200).await);
    assert_eq!((records.len(), events.len()), (4 + 2, 150));
    let filter = AuditFilter::default();
    let first = store.audit_events(&filter, None, 40, at(200)).await.unwrap();
    for other in [World::memory(), World::sled()] {
        let other = &*other.store;
        // In any order, and in several steps.
        for record in records.iter().rev().skip(2).chain(records.iter().rev().take(2)) {
            other.import(vec![record.clone()]).await.unwrap();
        }
        assert_eq!(export(other).await, records);
        assert_eq!(all(other, 200).await, events);
        let rest = other.audit_events(&filter, first.next.clone(), 1_000, at(200)).await.unwrap();
        // A place among the events of several shards is none among those of one.
        let expected = if world.is_in_shards() { &[] } else { &events[40..] };
        assert_eq!(rest.events, expected, "places stay where they are");
        for record in &records {
            other.import(vec![record.clone()]).await.unwrap_err();
        }
        refuse(other, 1, 150).await;
        let now = all(other, 200).await;
        assert_eq!((now.len(), now[0].at), (151, at(150)));
        assert_eq!(now[1..], events);
    }
}

pub(super) async fn what_is_no_run_of_events_is_not_imported(world: &World) {
    let store = &*world.store;
    let event = of(AuditKind::LoggedIn, 1, 0).about_nobody();
    let run =
        |trail, first, count| BackupRecord::Events { trail, first, events: vec![event; count] };
    for bad in [
        run(AuditTrail::Others, 0, 1),
        run(AuditTrail::Changes, 1, 1),
        run(AuditTrail::Changes, 0, 33),
        run(AuditTrail::Changes, u64::MAX - 31, 1),
    ] {
        store.import(vec![bad]).await.unwrap_err();
    }
    assert_eq!(export(store).await, []);
    store.import(vec![run(AuditTrail::Changes, 32, 32)]).await.unwrap();
    assert_eq!(all(store, 1).await.len(), 32);
}

/// Several in one commit among them.
pub(super) async fn changes_at_once_have_an_event_each(world: &World) {
    let ann = join(&*world.store, "ann").await;
    let mut tasks = JoinSet::new();
    for n in 0..100 {
        let (store, ann) = (Arc::clone(&world.store), ann.clone());
        tasks.spawn(async move {
            if n % 4 == 0 {
                refuse(&*store, 1, 1).await;
                return None;
            }
            let one = session(ann.id, 1);
            let why = of(AuditKind::LoggedIn, 1, 1);
            store.create_session(one.clone(), &ann.password, PLENTY, why).await.unwrap();
            Some(one.id)
        });
    }
    let made: BTreeSet<_> = tasks.join_all().await.into_iter().flatten().collect();
    let events = all(&*world.store, 2).await;
    assert_eq!(events.len(), 101);
    let told: BTreeSet<_> = events.iter().filter_map(|event| event.session).collect();
    assert_eq!((made.len(), &told), (75, &made));
}
