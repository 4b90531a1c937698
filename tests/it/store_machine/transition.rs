//! What may happen next: operations on so few accounts, addresses, passwords and sessions that
//! they meet all the time, with tokens and moments around the limits that matter.

use countersign::{
    model::{
        AccountId, AccountState, AttemptKey, Email, Lifetimes, PasswordHash, Presented, Replay,
        Role, Session, SessionId, Succession, Timestamp, Transport,
        clock::later,
        session::{Chain, ReplayPolicy},
    },
    store::Visit,
};
use jiff::SignedDuration;
use proptest::{
    option,
    prelude::*,
    sample::{select, subsequence},
};

use super::{
    State,
    model::Key,
    operation::{Operation, PasswordUpdate},
};
use crate::store_world::{GRACE, IDLE, account, email, hash};

/// The absolute lifetime here: a few steps of the clock away.
const ABSOLUTE: SignedDuration = SignedDuration::from_mins(100);
/// The idle time of those who asked to be remembered.
const REMEMBER_IDLE: SignedDuration = SignedDuration::from_mins(45);
const MILLISECOND: SignedDuration = SignedDuration::from_millis(1);

/// One step of the machine.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
pub(super) enum Transition {
    Ask(Operation),
    /// Goes on where the last sweep stopped, or starts over.
    Sweep {
        start_over: bool,
        budget: usize,
        now: Timestamp,
    },
    /// Time passes.
    Wait(SignedDuration),
    /// The store is closed, and opened again if it is one that can be.
    Reopen,
}

/// What may happen in this state.
pub(super) fn next(state: &State) -> impl Strategy<Value = Transition> + use<> {
    let now = state.now;
    // Where nobody is there, and nobody logged in, there is little to see.
    let joins = if state.model.people().len() < 3 { 12 } else { 2 };
    let living = state.model.keys().into_iter().filter(|key| state.model.lives(*key, now));
    let logs_in = if living.count() < 4 { 20 } else { 8 };
    prop_oneof![
        joins => join(now).prop_map(Transition::Ask),
        12 => change_account(state).prop_map(Transition::Ask),
        logs_in => log_in(state).prop_map(Transition::Ask),
        30 => visit(state).prop_map(Transition::Ask),
        6 => renew_or_end(state).prop_map(Transition::Ask),
        2 => look(state).prop_map(Transition::Ask),
        10 => variable(state).prop_map(Transition::Ask),
        6 => attempt(now).prop_map(Transition::Ask),
        1 => Just(Transition::Ask(Operation::RevokeAll)),
        5 => sweep(now),
        8 => wait(),
        1 => Just(Transition::Reopen),
    ]
}

/// Everything there is to see at one moment.
pub(super) fn everything(now: Timestamp) -> Vec<Operation> {
    let mut looks = vec![Operation::SearchAccounts { part: "", after: None, limit: 10 }];
    looks.push(Operation::FindAttempts(attempt_keys().to_vec(), now));
    looks.push(Operation::ListEvents { account: None, limit: 1_000, now });
    looks.extend(emails().into_iter().map(Operation::FindByEmail));
    for id in accounts() {
        looks.push(Operation::FindAccount(id));
        looks.push(Operation::TotalVisits(id));
        looks.push(Operation::VisitDays(id));
        looks.push(Operation::ListSessions(id, now));
        looks.extend(sessions().map(|session| Operation::FindSession(id, session, now)));
        looks.extend(sessions().map(|session| Operation::FindVariables(id, session, now)));
    }
    looks
}

fn accounts() -> [AccountId; 3] {
    [1, 2, 3].map(|byte| AccountId::from_bytes([byte; 16]))
}

/// Ids of sessions, for each account the same.
fn sessions() -> [SessionId; 4] {
    [4, 5, 6, 7].map(|byte| SessionId::from_bytes([byte; 16]))
}

/// One begins like another.
fn emails() -> Vec<Email> {
    let mut emails = ["ann", "anna", "bob"].map(email).to_vec();
    emails.push(Email::parse("ann@example.co").unwrap());
    emails
}

/// Each in a place of its own: what a full place forgets is for the contract to say.
fn attempt_keys() -> [AttemptKey; 3] {
    [8, 9, 10].map(|byte| AttemptKey::from_bytes([byte; AttemptKey::BYTES]))
}

fn attempt(now: Timestamp) -> impl Strategy<Value = Operation> {
    let keys = || subsequence(attempt_keys().to_vec(), 1..=3);
    let window = select(vec![GRACE, IDLE / 3]);
    prop_oneof![
        4 => (keys(), window, about(now))
            .prop_map(|(keys, window, now)| Operation::CountAttempt(keys, window, now)),
        1 => select(attempt_keys().to_vec()).prop_map(Operation::ForgetAttempts),
        2 => (keys(), about(now)).prop_map(|(keys, now)| Operation::FindAttempts(keys, now)),
    ]
}

/// Four of the longest are too much together.
fn variable(state: &State) -> impl Strategy<Value = Operation> + use<> {
    let names =
        prop_oneof![8 => select(vec!["a", "b", "c", "d", "e", "f", "g", "h"]), 1 => Just("")];
    let bytes = prop_oneof![8 => Just(4_096), 1 => Just(1), 1 => Just(4_097)];
    let value = prop_oneof![8 => bytes.prop_map(Some), 1 => Just(None)];
    let any = any_session(state);
    let session = match state.model.fullest(state.now) {
        Some(fullest) => prop_oneof![4 => Just(fullest), 1 => any].boxed(),
        None => any,
    };
    (session, names, value, about(state.now)).prop_map(|((account, id), name, bytes, now)| {
        let value = bytes.map(|bytes| vec![b'x'; bytes]);
        Operation::ChangeVariable(account, id, name, value, now)
    })
}

fn password() -> impl Strategy<Value = PasswordHash> {
    // The first is the one of new accounts.
    prop_oneof![3 => Just(hash("first")), 1 => Just(hash("second")), 1 => Just(hash("third"))]
}

fn join(now: Timestamp) -> impl Strategy<Value = Operation> {
    (select(accounts().to_vec()), select(emails())).prop_map(move |(id, email)| {
        let account = countersign::model::Account { id, email, created_at: now, ..account("x") };
        Operation::CreateAccount(account)
    })
}

fn change_account(state: &State) -> impl Strategy<Value = Operation> + use<> {
    let id = select(accounts().to_vec());
    // Of an account that mostly has sessions to end.
    let owner = any_session(state).prop_map(|(account, _)| account);
    prop_oneof![
        3 => (owner.clone(), Just(AccountState::Disabled)).prop_map(|(id, s)| Operation::SetState(id, s)),
        8 => (id.clone(), Just(AccountState::Active)).prop_map(|(id, s)| Operation::SetState(id, s)),
        1 => (owner.clone(), Just(Role::Admin)).prop_map(|(id, r)| Operation::SetRole(id, r)),
        1 => (id.clone(), Just(Role::Member)).prop_map(|(id, r)| Operation::SetRole(id, r)),
        2 => owner.prop_map(Operation::RemoveAccount),
        2 => (any_session(state), about(state.now)).prop_map(|((id, by), now)| {
            Operation::CloseAccount(id, by, now)
        }),
        6 => (succession(state), option::of(password()), password(), any::<bool>()).prop_map(
            |((id, goes_on), checked, new, one_does)| {
                let update = PasswordUpdate { checked, new };
                Operation::ChangePassword(id, update, one_does.then_some(goes_on))
            },
        ),
        3 => (succession(state), select(emails())).prop_map(|((id, goes_on), new)| {
            Operation::ChangeEmail(id, new, goes_on)
        }),
        8 => (succession(state), password()).prop_map(|((id, succession), checked)| {
            Operation::Reauthenticate(id, checked, succession)
        }),
        2 => (id, password(), password()).prop_map(|(id, checked, new)| {
            Operation::Rehash(id, checked, new)
        }),
    ]
}

/// Of mostly a living session, by mostly an id that is free.
fn succession(state: &State) -> impl Strategy<Value = (AccountId, Succession)> + use<> {
    let model = state.model.clone();
    let key = any_session(state).prop_flat_map(move |key: Key| {
        let mut free = sessions().to_vec();
        free.retain(|id| model.kept((key.0, *id)).is_none());
        let id = if free.is_empty() {
            select(sessions().to_vec()).boxed()
        } else {
            prop_oneof![2 => select(free), 1 => select(sessions().to_vec())].boxed()
        };
        (Just(key), id)
    });
    (key, about(state.now), lifetimes(), any::<bool>()).prop_map(
        |(((account, from), to), now, lifetimes, authenticated)| {
            (account, Succession { from, to, now, lifetimes, authenticated })
        },
    )
}

fn log_in(state: &State) -> impl Strategy<Value = Operation> + use<> {
    let now = state.now;
    let transport = prop_oneof![3 => Just(Transport::Cookie), 1 => Just(Transport::Bearer)];
    let agent = select(vec!["", "curl/8", "Ünïcode"]);
    // Mostly somebody who may come in, with the right password.
    let mut people = state.model.people();
    people.retain(|person| person.state == AccountState::Active);
    if people.is_empty() {
        people.push(account("stranger"));
    }
    let owner = prop_oneof![
        8 => select(people).prop_map(|person| (person.id, person.password)),
        1 => (select(accounts().to_vec()), password()),
    ];
    let id = select(sessions().to_vec());
    let limit = select(vec![1, 2, 2, 3, 3, 9]);
    (owner, id, limit, any::<bool>(), transport, agent).prop_map(
        move |((account, checked), id, limit, remember, transport, agent)| {
            let idle = if remember { REMEMBER_IDLE } else { IDLE };
            let session = Session {
                account,
                id,
                created_at: now,
                expires_at: later(now, ABSOLUTE),
                idle_expires_at: later(now, idle),
                last_seen_at: now,
                visits: 0,
                chain: Chain::begun(now),
                remember,
                transport,
                user_agent: agent.to_owned(),
                copied_at: None,
            };
            Operation::CreateSession { session, checked, limit }
        },
    )
}

/// Mostly a session that is alive, sometimes one that is over or never was.
fn any_session(state: &State) -> BoxedStrategy<Key> {
    let any = (select(accounts().to_vec()), select(sessions().to_vec()));
    let kept = state.model.keys();
    let mut living = kept.clone();
    living.retain(|key| state.model.lives(*key, state.now));
    match (living.is_empty(), kept.is_empty()) {
        (false, _) => prop_oneof![8 => select(living), 1 => select(kept), 1 => any].boxed(),
        (true, false) => prop_oneof![1 => select(kept), 1 => any].boxed(),
        (true, true) => any.boxed(),
    }
}

/// Now, or a little before: a request that was overtaken.
fn about(now: Timestamp) -> impl Strategy<Value = Timestamp> {
    let ago = prop_oneof![4 => Just(0), 1 => 1..120_i64];
    ago.prop_map(move |ago| later(now, -SignedDuration::from_secs(ago)))
}

fn visit(state: &State) -> impl Strategy<Value = Operation> + use<> {
    let (model, now) = (state.model.clone(), state.now);
    any_session(state)
        .prop_flat_map(move |key| {
            let kept = model.kept(key);
            let chain = kept.map_or(Chain::begun(now), |session| session.chain);
            let transport = kept.map_or(Transport::Cookie, |session| session.transport);
            let token = token(key, kept.map_or(0, |session| session.visits), chain, now);
            (token, by(transport), about(now), lifetimes(), policy())
        })
        .prop_map(|(token, transport, now, lifetimes, policy)| {
            let replay = Replay { grace: GRACE, policy };
            let from = Some([192, 0, 2, 8].into());
            Operation::Visit(Visit { token, transport, from, now, lifetimes, replay })
        })
}

/// A token of a session that counted so many visits: the newest, or one from the edge of what the
/// chain still allows.
fn token(key: Key, visits: u64, chain: Chain, now: Timestamp) -> impl Strategy<Value = Presented> {
    let (account, session) = key;
    let (number, left) = (chain.number, chain.left);
    let numbers = prop_oneof![
        6 => Just(visits),
        1 => Just(number),
        1 => Just(left),
        4 => 0..=visits,
        1 => visits + 1..visits + 4,
    ];
    let prev = prop_oneof![2 => Just(number), 1 => Just(left), 4 => 0..=visits];
    let edge = later(chain.at, -GRACE);
    let issued_at = select(vec![
        now,
        chain.at,
        later(edge, MILLISECOND),
        edge,
        later(edge, -MILLISECOND),
        later(edge, -GRACE),
    ]);
    (numbers, prev, issued_at).prop_map(move |(visits, prev, issued_at)| Presented {
        account,
        session,
        visits,
        prev,
        issued_at,
    })
}

fn by(transport: Transport) -> impl Strategy<Value = Transport> {
    prop_oneof![20 => Just(transport), 1 => Just(Transport::Cookie), 1 => Just(Transport::Bearer)]
}

fn lifetimes() -> impl Strategy<Value = Lifetimes> {
    // A shorter one than before must not move an end back.
    select(vec![IDLE, IDLE / 3]).prop_map(|idle| Lifetimes {
        idle,
        absolute: ABSOLUTE,
        remember_idle: REMEMBER_IDLE,
        remember_absolute: ABSOLUTE,
    })
}

fn policy() -> impl Strategy<Value = ReplayPolicy> {
    prop_oneof![
        1 => Just(ReplayPolicy::Revoke),
        1 => Just(ReplayPolicy::Refuse),
        1 => Just(ReplayPolicy::Ignore),
    ]
}

fn renew_or_end(state: &State) -> impl Strategy<Value = Operation> + use<> {
    let key = || any_session(state);
    let now = || about(state.now);
    let idle = select(vec![IDLE, IDLE / 3]);
    prop_oneof![
        4 => (key(), now(), idle).prop_map(|((a, s), now, idle)| Operation::Renew(a, s, now, idle)),
        3 => (key(), now()).prop_map(|((a, s), now)| Operation::Revoke(a, s, now)),
        2 => (key(), now()).prop_map(|((a, s), now)| Operation::RevokeCopied(a, s, now)),
        2 => (key(), any::<bool>(), now()).prop_map(|((account, session), keep, now)| {
            Operation::RevokeOthers(account, keep.then_some(session), now)
        }),
    ]
}

/// What [`everything`] leaves out.
fn look(state: &State) -> impl Strategy<Value = Operation> + use<> {
    prop_oneof![
        12 => (select(vec!["", "ann", "anna", "b@", ".com"]), option::of(select(emails())), 1..3_usize)
            .prop_map(|(part, after, limit)| Operation::SearchAccounts { part, after, limit }),
        4 => (any_session(state), about(state.now))
            .prop_map(|((account, id), now)| Operation::FindSession(account, id, now)),
        2 => (option::of(select(accounts().to_vec())), 0..9_usize, Just(state.now))
            .prop_map(|(account, limit, now)| Operation::ListEvents { account, limit, now }),
        1 => Just(Operation::Ping),
    ]
}

fn sweep(now: Timestamp) -> impl Strategy<Value = Transition> {
    (any::<bool>(), 1..6_usize).prop_map(move |(start_over, budget)| Transition::Sweep {
        start_over,
        budget,
        now,
    })
}

fn wait() -> impl Strategy<Value = Transition> {
    let half = GRACE / 2;
    let short = [MILLISECOND, half, half + MILLISECOND, GRACE, GRACE + MILLISECOND, GRACE * 2];
    let long = [IDLE / 3, IDLE - MILLISECOND, IDLE];
    // Visits are counted by the day, and kept of the latest fourteen.
    let days = [1, 8].map(|days| SignedDuration::from_hours(24 * days));
    let time = prop_oneof![
        20 => select(short.to_vec()),
        2 => select(long.to_vec()),
        1 => select(days.to_vec()),
    ];
    time.prop_map(Transition::Wait)
}
