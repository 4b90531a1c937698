//! That the search tells right from wrong, on histories made by hand.

use countersign::{
    model::{AccountId, AccountState, Session, clock::later},
    store::{Created, Visited},
};

use super::search::{Event, explain};
use crate::{
    store_machine::{
        model::Model,
        operation::{Answer, Operation},
    },
    store_world::{IDLE, PLENTY, account, at, hash, session, visit},
};

/// Somebody who is logged in once.
fn world() -> (Model, Session) {
    let mut model = Model::default();
    let ann = account("ann");
    let session = session(ann.id, 0);
    model.answer(&Operation::CreateAccount(ann));
    model.answer(&log_in(&session));
    (model, session)
}

fn log_in(session: &Session) -> Operation {
    Operation::CreateSession { session: session.clone(), checked: hash("first"), limit: PLENTY }
}

/// An operation, between two moments, and its answer. Each is a task of its own.
fn event(called: u64, returned: u64, operation: Operation, answer: Answer) -> Event {
    Event { task: 0, called, returned, operation, answer }
}

fn counted(called: u64, returned: u64, session: &Session, visits: u64) -> Event {
    let mut after = session.clone();
    (after.visits, after.chain.at, after.last_seen_at) = (visits, at(1), at(1));
    after.idle_expires_at = later(at(1), IDLE);
    let operation = Operation::Visit(visit(session, 0, 0, 1));
    event(called, returned, operation, Answer::Visited(Visited::Counted(after)))
}

fn revoked(called: u64, returned: u64, session: &Session, was_alive: bool) -> Event {
    let operation = Operation::Revoke(session.account, session.id, at(1));
    event(called, returned, operation, Answer::WhetherDone(was_alive))
}

fn found(called: u64, returned: u64, session: &Session, alive: bool) -> Event {
    let operation = Operation::FindSession(session.account, session.id, at(1));
    event(called, returned, operation, Answer::Session(alive.then(|| session.clone())))
}

fn total(called: u64, returned: u64, id: AccountId, visits: u64) -> Event {
    event(called, returned, Operation::TotalVisits(id), Answer::Visits(visits))
}

fn is_explained(model: &Model, history: &[Event]) -> bool {
    explain(model, history).is_ok()
}

#[test]
fn one_after_the_other_is_explained() {
    let (model, ann) = world();
    let history = [
        counted(1, 2, &ann, 1),
        counted(3, 4, &ann, 2),
        total(5, 6, ann.account, 2),
        revoked(7, 8, &ann, true),
        found(9, 10, &ann, false),
        total(11, 12, ann.account, 2),
    ];
    assert!(is_explained(&model, &history));
}

#[test]
fn operations_under_way_together_may_be_done_in_any_order() {
    let (model, ann) = world();
    // The second visit was called first and counted last; the read saw neither; the revoke came
    // last of all, though it was called in the middle.
    let history = [
        counted(1, 9, &ann, 2),
        counted(2, 8, &ann, 1),
        found(3, 7, &ann, true),
        revoked(4, 10, &ann, true),
        revoked(5, 11, &ann, false),
    ];
    assert!(is_explained(&model, &history));
    // All orders have to be tried before a wrong answer is known for one.
    let mut wrong = history.to_vec();
    wrong.push(total(12, 13, ann.account, 1));
    assert!(!is_explained(&model, &wrong));
}

#[test]
fn a_lost_update_is_found() {
    let (model, ann) = world();
    let both = [counted(1, 3, &ann, 1), counted(2, 4, &ann, 1)];
    assert!(!is_explained(&model, &both));
    let total_lacks_one =
        [counted(1, 2, &ann, 1), counted(3, 4, &ann, 2), total(5, 6, ann.account, 1)];
    assert!(!is_explained(&model, &total_lacks_one));
}

#[test]
fn a_visit_that_counts_twice_is_found() {
    let (model, ann) = world();
    assert!(!is_explained(&model, &[counted(1, 2, &ann, 2)]));
    assert!(!is_explained(&model, &[counted(1, 2, &ann, 1), total(3, 4, ann.account, 2)]));
}

#[test]
fn a_stale_read_after_an_answered_revoke_is_found() {
    let (model, ann) = world();
    assert!(!is_explained(&model, &[revoked(1, 2, &ann, true), found(3, 4, &ann, true)]));
    assert!(is_explained(&model, &[revoked(1, 3, &ann, true), found(2, 4, &ann, true)]));
    // Nor may a session be back once it was seen to be gone.
    let back = [revoked(1, 6, &ann, true), found(2, 3, &ann, false), found(4, 5, &ann, true)];
    assert!(!is_explained(&model, &back));
}

#[test]
fn a_visit_after_an_answered_revoke_is_found() {
    let (model, ann) = world();
    assert!(!is_explained(&model, &[revoked(1, 2, &ann, true), counted(3, 4, &ann, 1)]));
    assert!(is_explained(&model, &[revoked(1, 3, &ann, true), counted(2, 4, &ann, 1)]));
}

#[test]
fn two_who_are_told_that_they_ended_it_are_found() {
    let (model, ann) = world();
    assert!(!is_explained(&model, &[revoked(1, 3, &ann, true), revoked(2, 4, &ann, true)]));
}

#[test]
fn a_login_after_an_answered_disable_is_found() {
    let (model, ann) = world();
    let disable = |called, returned| {
        let operation = Operation::SetState(ann.account, AccountState::Disabled);
        event(called, returned, operation, Answer::EndedIfThere(Some(1)))
    };
    let added = |called, returned| {
        let new = session(ann.account, 1);
        let answer = Created::Added { session: new.clone(), ended: Vec::new() };
        event(called, returned, log_in(&new), Answer::Created(answer))
    };
    assert!(!is_explained(&model, &[disable(1, 2), added(3, 4)]));
    // Together, too: one session ended, so the login came after, and should have lost.
    assert!(!is_explained(&model, &[disable(1, 3), added(2, 4)]));
}

#[test]
fn what_is_not_explained_is_shown() {
    let (model, ann) = world();
    let history = [revoked(1, 2, &ann, true), found(3, 4, &ann, true)];
    let shown = explain(&model, &history).unwrap_err().to_string();
    let (explained, rest) = shown.split_once("none of these").unwrap();
    assert!(explained.contains("Revoke(") && !explained.contains("FindSession("), "{shown}");
    assert!(rest.contains("FindSession(") && !rest.contains("Revoke("), "{shown}");
}
