//! Session variables: what an app keeps in a session, by name, and how much that may be.

use std::{collections::BTreeMap, fmt};

/// The longest name of a variable, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 4 * 1024;

/// The most variables of one session.
pub const MOST_VARIABLES: usize = 64;

/// All names and values of one session together, in bytes: they are written as one record.
pub const MAX_BYTES: usize = 16 * 1024;

/// The variables of one session. What their values are is the app's.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, Vec<u8>>);

/// Why a variable is not kept. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableRefused {
    /// The name is empty or too long.
    #[error("the name of a session variable must have 1 to {MAX_NAME_BYTES} bytes")]
    Name,
    /// The value is too long.
    #[error("the value of a session variable must not have more than {MAX_VALUE_BYTES} bytes")]
    Value,
    /// The session has too many.
    #[error("a session must not have more than {MOST_VARIABLES} variables")]
    TooMany,
    /// All of the session together would be too long.
    #[error("the variables of a session must not have more than {MAX_BYTES} bytes together")]
    TooMuch,
}

impl Variables {
    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a variable. Returns whether it was there before.
    ///
    /// # Errors
    /// [`VariableRefused`]; nothing is changed.
    pub fn set(&mut self, name: String, value: Vec<u8>) -> Result<bool, VariableRefused> {
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) {
            return Err(VariableRefused::Name);
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(VariableRefused::Value);
        }
        let others = self.iter().filter(|(other, _)| *other != name);
        let (count, bytes) = others.fold((0, 0), |(count, bytes), (name, value)| {
            (count + 1, bytes + name.len() + value.len())
        });
        if count >= MOST_VARIABLES {
            return Err(VariableRefused::TooMany);
        }
        if bytes + name.len() + value.len() > MAX_BYTES {
            return Err(VariableRefused::TooMuch);
        }
        Ok(self.0.insert(name, value).is_some())
    }

    /// Removes a variable. Returns whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }
}

/// As they were kept: within the bounds of then.
impl FromIterator<(String, Vec<u8>)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(kept: I) -> Self {
        Self(kept.into_iter().collect())
    }
}

/// Names alone: a value may be anything, also a secret.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(variables: &mut Variables, name: &str, bytes: usize) -> Result<bool, VariableRefused> {
        variables.set(name.to_owned(), vec![b'x'; bytes])
    }

    #[test]
    fn a_variable_that_is_too_long_is_refused_and_changes_nothing() {
        let mut variables = Variables::default();
        let longest = "n".repeat(MAX_NAME_BYTES);
        assert_eq!(set(&mut variables, &longest, MAX_VALUE_BYTES), Ok(false));
        assert_eq!(set(&mut variables, &longest, 0), Ok(true));
        let kept = variables.clone();
        for (name, bytes, refused) in [
            ("", 1, VariableRefused::Name),
            (&format!("{longest}n"), 1, VariableRefused::Name),
            ("a", MAX_VALUE_BYTES + 1, VariableRefused::Value),
        ] {
            assert_eq!(set(&mut variables, name, bytes), Err(refused));
        }
        assert_eq!(variables, kept);
    }

    #[test]
    fn there_are_at_most_so_many() {
        let mut variables = Variables::default();
        for n in 0..MOST_VARIABLES {
            assert_eq!(set(&mut variables, &n.to_string(), 1), Ok(false));
        }
        assert_eq!(set(&mut variables, "one more", 1), Err(VariableRefused::TooMany));
        assert_eq!(set(&mut variables, "0", 2), Ok(true), "one that is there can be changed");
        assert!(variables.remove("0") && !variables.remove("0"));
        assert_eq!(set(&mut variables, "one more", 1), Ok(false));
    }

    #[test]
    fn together_they_have_at_most_so_many_bytes() {
        let mut variables = Variables::default();
        // Names of one byte each.
        for name in ["a", "b", "c"] {
            assert_eq!(set(&mut variables, name, MAX_VALUE_BYTES), Ok(false));
        }
        let left = MAX_BYTES - 3 * (MAX_VALUE_BYTES + 1) - 1;
        assert_eq!(set(&mut variables, "d", left + 1), Err(VariableRefused::TooMuch));
        assert_eq!(set(&mut variables, "d", left), Ok(false));
        assert_eq!(set(&mut variables, "e", 0), Err(VariableRefused::TooMuch));
        assert_eq!(set(&mut variables, "d", left), Ok(true), "its own bytes do not count twice");
    }

    #[test]
    fn values_are_not_printed() {
        let mut variables = Variables::default();
        variables.set("card".into(), b"4242".to_vec()).unwrap();
        assert_eq!(format!("{variables:?}"), "{\"card\"}");
    }
}
