//! That the machine gets anywhere: one that only ever met empty stores would find nothing.

use std::collections::BTreeMap;

use countersign::{
    model::VariableRefused,
    store::{Created, EmailChange, PasswordChange, VariableChange, Visited},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngSeed, TestRunner},
};
use proptest_state_machine::ReferenceStateMachine;

use super::{Expected, State, operation::Answer, transition::Transition};

/// What has to come about, and how it is told from the transition and its answer.
const TELLING: &[&str] = &[
    "Ask(CreateAccount: yes",
    "Ask(CreateAccount: no",
    "Ask(SearchAccounts: some",
    "Ask(SearchAccounts: none",
    "Ask(SearchAccounts: some, more to come",
    "Ask(SetRole: ended some",
    "Ask(SetRole: ended none",
    "Ask(SetState: ended some",
    "Ask(SetState: ended none",
    "Ask(RemoveAccount: ended some",
    "Ask(CloseAccount: ended some",
    "Ask(CloseAccount: none",
    "Ask(ChangePassword: changed, ended some",
    "Ask(ChangePassword: changed, ended none",
    "Ask(ChangePassword: changed, one goes on",
    "Ask(ChangePassword: not changed",
    "Ask(ChangeEmail: changed, one goes on",
    "Ask(ChangeEmail: taken",
    "Ask(ChangeEmail: not changed",
    "Ask(Reauthenticate: some",
    "Ask(Reauthenticate: none",
    "Ask(Reauthenticate: refused",
    "Ask(Rehash: yes",
    "Ask(Rehash: no",
    "Ask(CreateSession: added",
    "Ask(CreateSession: added, others ended",
    "Ask(CreateSession: added, told of a copy",
    "Ask(CreateSession: not let in",
    "Ask(CreateSession: refused",
    "Ask(FindSession: some",
    "Ask(FindSession: none",
    "Ask(ChangeVariable: new",
    "Ask(ChangeVariable: changed",
    "Ask(ChangeVariable: too much",
    "Ask(ChangeVariable: absent",
    "Ask(Visit: counted",
    "Ask(Visit: absent",
    "Ask(Visit: copied",
    "Ask(Renew: some",
    "Ask(Renew: none",
    "Ask(Revoke: yes",
    "Ask(Revoke: no",
    "Ask(RevokeCopied: yes",
    "Ask(RevokeCopied: no",
    "Ask(RevokeOthers: ended some",
    "Ask(RevokeAll: done",
    "Ask(CountAttempt: done",
    "Ask(ForgetAttempts: done",
    "Ask(FindAttempts: some",
    "Ask(ListEvents: some",
    "Ask(Ping: done",
    "Sweep: removed some, more to come",
    "Sweep: removed some, at the end",
    "Wait: nothing",
    "Reopen: nothing",
];

#[test]
fn the_machine_gets_every_kind_of_answer() {
    let config = ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..240 {
        let series = State::sequential_strategy(80).new_tree(&mut runner).unwrap();
        let (mut state, transitions, _) = series.current();
        for transition in transitions {
            state = <State as ReferenceStateMachine>::apply(state, &transition);
            *seen.entry(telling(&transition, &state.expected)).or_default() += 1;
        }
    }
    let rare = |kind: &&&str| seen.get(**kind).is_none_or(|times| *times < 5);
    let rare: Vec<_> = TELLING.iter().filter(rare).collect();
    assert!(rare.is_empty(), "{rare:?} of {seen:#?}");
}

fn telling(transition: &Transition, expected: &Expected) -> String {
    let text = format!("{transition:?}");
    let mut ends = text.match_indices(['(', ')', ' ']).map(|(at, _)| at);
    let end = ends.find(|at| *at > "Ask".len());
    let name = &text[..end.unwrap_or(text.len())];
    format!("{name}: {}", outcome(expected))
}

fn outcome(expected: &Expected) -> &'static str {
    match expected {
        Expected::Nothing => "nothing",
        Expected::Swept(0, _) => "removed none",
        Expected::Swept(_, true) => "removed some, more to come",
        Expected::Swept(_, false) => "removed some, at the end",
        Expected::Answer(answer) => match answer {
            Answer::Done => "done",
            Answer::VariableChange(VariableChange::Refused(VariableRefused::TooMuch)) => "too much",
            Answer::Refused | Answer::VariableChange(VariableChange::Refused(_)) => "refused",
            Answer::WhetherDone(true) => "yes",
            Answer::WhetherDone(false) => "no",
            Answer::Ended(0) | Answer::EndedIfThere(Some(0)) => "ended none",
            Answer::Ended(_) | Answer::EndedIfThere(Some(_)) => "ended some",
            Answer::Visits(0) | Answer::EndedIfThere(None) => "none",
            Answer::Visits(_) => "some",
            Answer::VisitDays(found) => some(!found.is_empty()),
            Answer::Account(found) => some(found.is_some()),
            Answer::Found(found) if found.next.is_some() => "some, more to come",
            Answer::Found(found) => some(!found.accounts.is_empty()),
            Answer::Session(found) => some(found.is_some()),
            Answer::Sessions(found) => some(!found.is_empty()),
            Answer::Visited(Visited::Counted(_)) => "counted",
            Answer::Visited(Visited::Absent) | Answer::VariableChange(VariableChange::Absent) => {
                "absent"
            }
            Answer::Visited(Visited::Copied) => "copied",
            Answer::Created(Created::AccountChanged) => "not let in",
            Answer::Created(Created::Added { session, ended }) => {
                match (ended.is_empty(), session.copied_at) {
                    (true, None) => "added",
                    (true, Some(_)) => "added, told of a copy",
                    (false, _) => "added, others ended",
                }
            }
            Answer::Variables(found) => some(found.is_some()),
            Answer::VariableChange(VariableChange::Made { was_there: true }) => "changed",
            Answer::VariableChange(VariableChange::Made { was_there: false }) => "new",
            Answer::Events(found) => some(!found.is_empty()),
            Answer::Attempts(found) => some(found.iter().any(|attempts| attempts.count > 1)),
            Answer::PasswordChange(PasswordChange::AccountChanged)
            | Answer::EmailChange(EmailChange::AccountChanged) => "not changed",
            Answer::PasswordChange(PasswordChange::Changed { session: Some(_), .. })
            | Answer::EmailChange(EmailChange::Changed { .. }) => "changed, one goes on",
            Answer::PasswordChange(PasswordChange::Changed { ended: 0, .. }) => {
                "changed, ended none"
            }
            Answer::PasswordChange(PasswordChange::Changed { .. }) => "changed, ended some",
            Answer::EmailChange(EmailChange::Taken) => "taken",
        },
    }
}

fn some(found: bool) -> &'static str {
    if found { "some" } else { "none" }
}
