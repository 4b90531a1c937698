//! The variables of a session: one version byte and a postcard value.

use super::{Result, Value, damaged};
use crate::model::Variables;

/// The first byte of the value.
const VERSION: u8 = 1;

pub(in crate::store) fn encode(variables: &Variables) -> Result<Value> {
    let stored: Vec<(&str, &[u8])> = variables.iter().collect();
    postcard::to_extend(&stored, vec![VERSION]).map_err(|error| damaged("variables", error))
}

pub(in crate::store) fn decode(value: &[u8]) -> Result<Variables> {
    let stored: Vec<(&str, &[u8])> = match value.split_first() {
        Some((&VERSION, rest)) => match postcard::take_from_bytes(rest) {
            Ok((stored, [])) => stored,
            Ok(_) => return Err(damaged("variables", "bytes are left over")),
            Err(error) => return Err(damaged("variables", error)),
        },
        Some((version, _)) => {
            return Err(damaged("variables", format!("it has version {version}")));
        }
        None => return Err(damaged("variables", "it is empty")),
    };
    Ok(stored.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn variables_come_back_as_they_were_and_what_is_none_is_damaged() {
        let mut variables = Variables::default();
        variables.set("cart".into(), b"[1,2]".to_vec()).unwrap();
        variables.set("empty".into(), Vec::new()).unwrap();
        let good = encode(&variables).unwrap();
        assert_eq!(decode(&good).unwrap(), variables);
        let mut newer = good.clone();
        newer[0] = VERSION + 1;
        let mut longer = good.clone();
        longer.push(0);
        for bad in [&[] as &[u8], &good[..good.len() - 1], &newer, &longer] {
            let error = decode(bad).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { kind: "variables", .. }));
        }
    }
}
