//! What the tasks of one history do: made up from a seed alone.

use countersign::{
    model::{
        Account, AccountId, AccountState, Email, Presented, Replay, Session, SessionId, Succession,
        Timestamp, Transport, clock::later, session::ReplayPolicy,
    },
    store::Visit,
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngSeed, TestRunner},
};

use super::search::MOST;
use crate::{
    store_machine::operation::{Operation, PasswordUpdate},
    store_world::{self, GRACE, IDLE, PLENTY, account, at, hash},
};

const TASKS: usize = 5;
const STEPS: usize = 6;
/// How many accounts there are when it begins.
const THERE: usize = 2;
/// How many sessions each account has when it begins.
const LOGGED_IN: u8 = 2;
const _: () = assert!(TASKS * STEPS <= MOST);

/// What one task does, one after the other.
pub(super) type Steps = Vec<Step>;

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
pub(super) enum Step {
    Ask(Operation),
    /// A sweep beside all that, which nobody may notice.
    Sweep,
    /// The others go first, so many times.
    Yield(usize),
}

/// A history to come.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Everybody it is about, whether there from the beginning or not.
    pub(super) people: Vec<AccountId>,
    /// What is done before it begins.
    pub(super) first: Vec<Operation>,
    pub(super) tasks: Vec<Steps>,
}

/// The plan of a seed, for the accounts of the history of that number.
pub(super) fn plan(seed: u64, history: u64) -> Plan {
    let config = Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let mut runner = TestRunner::new(config);
    let people = [1, 2, 3].map(|number| person(history, number));
    let mut first = Vec::new();
    for person in &people[..THERE] {
        first.push(Operation::CreateAccount(person.clone()));
        for number in 0..LOGGED_IN {
            first.push(log_in(session(person.id, id(number)), PLENTY));
        }
    }
    let tasks = vec(vec(step(&people), STEPS), TASKS).new_tree(&mut runner);
    let mut tasks = tasks.expect("nothing is rejected").current();
    number_logins(&mut tasks);
    Plan { people: people.iter().map(|person| person.id).collect(), first, tasks }
}

/// Gives each login, and each session that takes the place of another, an id of its own. One that ended with everybody's is not free again before it
/// is swept, and when that is, no order of the operations tells.
fn number_logins(tasks: &mut [Steps]) {
    let mut next = LOGGED_IN;
    for step in tasks.iter_mut().flatten() {
        let Step::Ask(operation) = step else { continue };
        let new = match operation {
            Operation::CreateSession { session, .. } => &mut session.id,
            Operation::ChangePassword(_, _, Some(goes_on))
            | Operation::ChangeEmail(_, _, goes_on)
            | Operation::Reauthenticate(_, _, goes_on) => &mut goes_on.to,
            _ => continue,
        };
        *new = id(next);
        next += 1;
    }
}

/// Somebody whom only this history knows.
fn person(history: u64, number: u64) -> Account {
    let id = u128::from(history) << 64 | u128::from(number);
    let id = AccountId::from_bytes(id.to_be_bytes());
    let email = Email::parse(&format!("{id}@example.com")).unwrap();
    Account { id, email, ..account("x") }
}

/// The ids of sessions, for each account the same.
fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

fn session(account: AccountId, id: SessionId) -> Session {
    Session { id, ..store_world::session(account, 0) }
}

/// Of that session at the beginning; the new id is given later.
fn succession(from: SessionId) -> Succession {
    let lifetimes = store_world::LIFETIMES;
    Succession { from, to: from, now: at(1), lifetimes, authenticated: true }
}

fn log_in(session: Session, limit: usize) -> Operation {
    Operation::CreateSession { session, checked: hash("first"), limit }
}

/// Early, or so late that a session is alive only if it was used not too early.
fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![6 => Just(at(1)), 1 => Just(later(at(0), IDLE / 2)), 1 => Just(later(at(1), IDLE))]
}

fn step(people: &[Account]) -> impl Strategy<Value = Step> + use<> {
    let ids: Vec<AccountId> = people.iter().map(|person| person.id).collect();
    // Most of it happens to one of them: the fewer keys, the more they meet.
    let account = prop_oneof![8 => Just(ids[0]), 2 => Just(ids[1]), 1 => Just(ids[2])];
    // What everybody wants: one that is somebody's, and one that is nobody's yet.
    let wanted = vec![people[0].email.clone(), store_world::email(&format!("one-{}", ids[0]))];
    let newcomers: Vec<Account> = people[1..].to_vec();
    let operation = (account, (0..LOGGED_IN + 2).prop_map(id), moment()).prop_flat_map(
        move |(account, id, now)| {
            prop_oneof![
                14 => visit(account, id, now),
                10 => read(account, id, now, wanted.clone()),
                7 => end(account, id, now),
                4 => change(account, id, wanted.clone()),
                2 => join(newcomers.clone(), wanted.clone()),
                3 => (1..4_usize).prop_map(move |limit| log_in(session(account, id), limit)),
                2 => Just(Operation::Renew(account, id, now, IDLE)),
            ]
        },
    );
    prop_oneof![
        20 => operation.prop_map(Step::Ask),
        1 => Just(Step::Sweep),
        4 => (1..20_usize).prop_map(Step::Yield),
    ]
}

fn visit(account: AccountId, session: SessionId, now: Timestamp) -> BoxedStrategy<Operation> {
    let policy = select(vec![ReplayPolicy::Revoke, ReplayPolicy::Refuse, ReplayPolicy::Ignore]);
    // Signed at the beginning, or just now.
    let issued_at = select(vec![at(0), now]);
    (0..4_u64, issued_at, policy)
        .prop_map(move |(visits, issued_at, policy)| {
            let prev = visits.saturating_sub(1);
            Operation::Visit(Visit {
                token: Presented { account, session, visits, prev, issued_at },
                transport: Transport::Cookie,
                from: None,
                now,
                lifetimes: store_world::LIFETIMES,
                replay: Replay { grace: GRACE, policy },
            })
        })
        .boxed()
}

fn read(
    account: AccountId,
    session: SessionId,
    now: Timestamp,
    wanted: Vec<Email>,
) -> BoxedStrategy<Operation> {
    prop_oneof![
        4 => Just(Operation::FindSession(account, session, now)),
        3 => Just(Operation::TotalVisits(account)),
        2 => Just(Operation::ListSessions(account, now)),
        1 => Just(Operation::FindAccount(account)),
        2 => select(wanted).prop_map(Operation::FindByEmail),
    ]
    .boxed()
}

fn join(newcomers: Vec<Account>, wanted: Vec<Email>) -> BoxedStrategy<Operation> {
    (select(newcomers), select(wanted))
        .prop_map(|(person, email)| Operation::CreateAccount(Account { email, ..person }))
        .boxed()
}

fn end(account: AccountId, session: SessionId, now: Timestamp) -> BoxedStrategy<Operation> {
    prop_oneof![
        5 => Just(Operation::Revoke(account, session, now)),
        1 => Just(Operation::RevokeCopied(account, session, now)),
        1 => any::<bool>().prop_map(move |keep| {
            Operation::RevokeOthers(account, keep.then_some(session), now)
        }),
        1 => Just(Operation::RevokeAll),
    ]
    .boxed()
}

fn change(account: AccountId, session: SessionId, wanted: Vec<Email>) -> BoxedStrategy<Operation> {
    let password = || select(vec![hash("first"), hash("first"), hash("second")]);
    prop_oneof![
        3 => (option::of(password()), password(), any::<bool>()).prop_map(
            move |(checked, new, keep)| {
                let update = PasswordUpdate { checked, new };
                let goes_on = succession(session);
                Operation::ChangePassword(account, update, keep.then_some(goes_on))
            },
        ),
        2 => password()
            .prop_map(move |checked| Operation::Reauthenticate(account, checked, succession(session))),
        1 => select(vec!["anna", "bob"]).prop_map(move |name| {
            let new = store_world::email(&format!("{name}-{account}"));
            Operation::ChangeEmail(account, new, succession(session))
        }),
        2 => select(wanted).prop_map(move |new| {
            Operation::ChangeEmail(account, new, succession(session))
        }),
        1 => (password(), password())
            .prop_map(move |(checked, new)| Operation::Rehash(account, checked, new)),
        1 => Just(Operation::SetState(account, AccountState::Disabled)),
        2 => Just(Operation::SetState(account, AccountState::Active)),
        1 => Just(Operation::RemoveAccount(account)),
        1 => Just(Operation::CloseAccount(account, session, at(1))),
    ]
    .boxed()
}
