//! Visits and renewals, and what becomes of a copied token.

use std::{collections::BTreeMap, sync::Arc};

use countersign::{
    model::{
        Account, Lifetimes, Session, Succession, Transport,
        clock::later,
        session::{Chain, ReplayPolicy},
    },
    store::{Store, Visit, Visited},
};
use jiff::SignedDuration;
use tokio::task::JoinSet;

use crate::store_world::{
    ABSOLUTE, GRACE, IDLE, PLENTY, World, alive, at, cause, count, join, log_in, session,
    succession, visit, visit_days,
};

pub(super) async fn a_visit_counts_and_moves_the_idle_end(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    let counted = Session {
        visits: 1,
        chain: Chain { at: at(100), ..Chain::begun(at(0)) },
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

pub(super) async fn a_visit_never_moves_the_idle_end_back_or_past_the_absolute(world: &World) {
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

pub(super) async fn a_visit_takes_a_higher_number_for_true(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    // After a restored backup: the token has seen more visits than the store.
    let Visited::Counted(visited) = store.visit(visit(&one, 40, 0, 1)).await.unwrap() else {
        panic!("not counted")
    };
    assert_eq!((visited.visits, visited.chain.number), (41, 40));
    // A lower one (another tab's) lowers nothing.
    let Visited::Counted(visited) = store.visit(visit(&one, 3, 1, 2)).await.unwrap() else {
        panic!("not counted")
    };
    assert_eq!((visited.visits, visited.chain.number), (42, 3));
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 42);
}

pub(super) async fn parallel_visits_count_once_each(world: &World) {
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

pub(super) async fn a_visit_to_what_is_not_alive_writes_nothing_back(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let one = log_in(store, &ann, 0).await;
    count(store, &one, 1).await;
    assert!(store.revoke_session(ann.id, one.id, cause(at(2))).await.unwrap());
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

pub(super) async fn a_visit_by_the_other_transport_is_absent(world: &World) {
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

pub(super) async fn a_copied_token_ends_the_session(world: &World) {
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

pub(super) async fn a_copied_token_is_refused(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let (one, became) = show_a_copy(store, &ann, ReplayPolicy::Refuse).await;
    assert_eq!(became, Visited::Copied);
    let found = store.session(ann.id, one.id, at(201)).await.unwrap().unwrap();
    assert_eq!(found.visits, 3);
    assert_eq!((found.chain.number, found.chain.at), (2, at(200)));
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, None);
    let owner = store.visit(visit(&one, 3, 200, 202)).await.unwrap();
    assert!(matches!(owner, Visited::Counted(session) if session.visits == 4));
}

pub(super) async fn a_copied_token_is_ignored(world: &World) {
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let (_, became) = show_a_copy(store, &ann, ReplayPolicy::Ignore).await;
    assert!(matches!(became, Visited::Counted(session) if session.visits == 10));
    assert_eq!(store.account(ann.id).await.unwrap().unwrap().copied_at, None);
}

pub(super) async fn visits_are_counted_by_the_day_and_kept_for_two_weeks(world: &World) {
    // A day begins at midnight UTC, whenever the session began.
    const MIDNIGHT: i64 = 35_200;
    const DAY: i64 = 86_400;
    let store = &*world.store;
    let ann = join(store, "ann").await;
    let bob = join(store, "bob").await;
    let long = SignedDuration::from_hours(24 * 60);
    let lifetimes =
        Lifetimes { idle: long, absolute: long, remember_idle: long, remember_absolute: long };
    let (expires_at, idle_expires_at) = (later(at(0), long), later(at(0), long));
    let begun = async |seconds| {
        let session = Session { expires_at, idle_expires_at, ..session(ann.id, seconds) };
        store.create_session(session.clone(), &ann.password, PLENTY, cause(at(0))).await.unwrap();
        session
    };
    let visited = async |session: &Session, number, seconds| {
        let visit = visit(session, number, seconds, seconds);
        let visited = store.visit(Visit { lifetimes, ..visit }).await.unwrap();
        assert!(matches!(visited, Visited::Counted(_)), "{visited:?}");
    };
    let first = i32::try_from(at(0).as_second() / DAY).unwrap();
    let days = async || visit_days(store, ann.id).await.into_iter().collect::<Vec<_>>();
    assert_eq!(days().await, []);
    let one = begun(0).await;
    visited(&one, 0, MIDNIGHT - 1).await;
    visited(&one, 1, MIDNIGHT).await;
    // One that was overtaken belongs to its own day.
    visited(&one, 2, MIDNIGHT - 1).await;
    let other = begun(1).await;
    visited(&other, 0, MIDNIGHT + 5).await;
    assert_eq!(days().await, [(first, 2), (first + 1, 2)]);
    // What a token knows of more visits than the store says nothing of when they were.
    visited(&other, 40, MIDNIGHT + 12 * DAY).await;
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 3 + 41);
    assert_eq!(days().await, [(first, 2), (first + 1, 2), (first + 13, 1)]);
    // The same when they are sums of what has ended.
    store.revoke_session(ann.id, other.id, cause(at(MIDNIGHT + 12 * DAY))).await.unwrap();
    assert_eq!(days().await, [(first, 2), (first + 1, 2), (first + 13, 1)]);
    let goes_on = Succession { now: at(MIDNIGHT), lifetimes, ..succession(&one, 40) };
    let one = store.reauthenticate_session(ann.id, &ann.password, goes_on, cause(at(40))).await;
    let one = one.unwrap().expect("it goes on");
    assert_eq!(days().await.len(), 3, "the days go along");
    // On the fifteenth day the first is gone, whoever has it.
    visited(&one, 3, MIDNIGHT + 13 * DAY).await;
    assert_eq!(days().await, [(first + 1, 2), (first + 13, 1), (first + 14, 1)]);
    store.revoke_sessions(ann.id, None, cause(at(MIDNIGHT + 13 * DAY))).await.unwrap();
    assert_eq!(days().await, [(first + 1, 2), (first + 13, 1), (first + 14, 1)]);
    assert_eq!(visit_days(store, bob.id).await, BTreeMap::new());
    store.remove_account(ann.id, cause(at(0))).await.unwrap();
    assert_eq!(days().await, [], "nothing of an account that is gone");
}

pub(super) async fn a_renewal_moves_the_idle_end_and_counts_nothing(world: &World) {
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
