//! Session variables, within the bounds that the contract gives.

use std::collections::BTreeMap;

use countersign::{
    model::{Timestamp, VariableRefused},
    store::VariableChange,
};

use super::{Answer, Key, Model};

pub(super) fn find(model: &Model, key: Key, now: Timestamp) -> Answer {
    let kept = model.sessions.get(&key).filter(|kept| kept.lives(now));
    Answer::Variables(kept.map(|kept| kept.variables.clone().into_iter().collect()))
}

pub(super) fn change(
    model: &mut Model,
    key: Key,
    name: &str,
    value: Option<&Vec<u8>>,
    now: Timestamp,
) -> Answer {
    let kept = model.sessions.get_mut(&key).filter(|kept| kept.lives(now));
    let change = kept.map(|kept| change_one(&mut kept.variables, name, value));
    Answer::VariableChange(change.unwrap_or(VariableChange::Absent))
}

fn change_one(
    variables: &mut BTreeMap<String, Vec<u8>>,
    name: &str,
    value: Option<&Vec<u8>>,
) -> VariableChange {
    let Some(value) = value else {
        return VariableChange::Made { was_there: variables.remove(name).is_some() };
    };
    if name.is_empty() || name.len() > 64 {
        return VariableChange::Refused(VariableRefused::Name);
    }
    if value.len() > 4_096 {
        return VariableChange::Refused(VariableRefused::Value);
    }
    let mut after = variables.clone();
    let was_there = after.insert(name.to_owned(), value.clone()).is_some();
    if after.len() > 64 {
        return VariableChange::Refused(VariableRefused::TooMany);
    }
    if after.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > 16_384 {
        return VariableChange::Refused(VariableRefused::TooMuch);
    }
    *variables = after;
    VariableChange::Made { was_there }
}
