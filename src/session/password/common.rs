//! Passwords that many people had: those that every attacker tries first (ASVS 6.2.4, 6.2.12).
//!
//! `common/passwords.txt` has one a line, in lower case and sorted. It was made of the million most
//! frequent of ten million passwords from breaches (`common/LICENSE` says whose), without those
//! that are addresses: for each least length from 8, the floor of the configuration, to 16, the
//! three thousand most frequent that are at least that long.

use std::{collections::HashSet, sync::LazyLock};

use zeroize::Zeroizing;

pub(super) static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common/passwords.txt").lines().collect());

/// Whether it is one of them, in upper or lower case.
pub(super) fn contains(password: &str) -> bool {
    let lower = Zeroizing::new(password.to_lowercase());
    COMMON.contains(lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_three_thousand_for_every_least_length() {
        for least in 8..=16 {
            let long_enough = COMMON.iter().filter(|password| password.len() >= least);
            assert!(long_enough.count() >= 3_000, "{least}");
        }
        for password in COMMON.iter() {
            assert!(password.len() >= 8 && !password.contains(' '), "{password}");
            assert_eq!(password.to_lowercase(), *password, "it would never be found");
        }
    }

    #[test]
    fn upper_and_lower_case_are_one() {
        assert!(contains("123456789987654321"));
        assert!(contains("QwertyUiop12345"));
        assert!(!contains("three owls upon a kettle"));
    }
}
