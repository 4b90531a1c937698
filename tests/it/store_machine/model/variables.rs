//! A variable that is set or removed, within the bounds that the contract gives.

use std::collections::BTreeMap;

use countersign::{model::VariableRefused, store::VariableChange};

pub(super) fn change(
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
