//! What a new password must be (ASVS 6.2.1 to 6.2.12; NIST SP 800-63B-4 section 3.1.1.2).
//!
//! Its length counts, and whether it can be guessed. There are no composition rules, and no password
//! ends by itself. It is refused when it is one of the [`common`] ones, when it is little more than
//! the words that whoever attacks this account tries first ([`context`]), and when zxcvbn guesses it
//! ([`strength`]). All of it works without a network. What was accepted once is never judged again.
//!
//! A new rule is a variant of [`Refused`], its line in [`PasswordRules::check`], and its code in
//! `http/problem`.

use super::{
    common, context,
    strength::{self, Advice},
};
use crate::model::{Email, Password};

/// What a new password must have beside the words of its context, in characters.
const MIN_CHARS_BESIDE_CONTEXT: usize = 8;

/// What a new password must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordRules {
    /// At least this many characters (ASVS 6.2.1: 8, with 15 recommended).
    pub min_chars: usize,
    /// At most this many (ASVS 6.2.9: at least 64).
    pub max_chars: usize,
    /// What zxcvbn must say of it: from 0 (it is not asked) to 4 (more than 10^10 guesses).
    pub min_strength: u8,
    /// The host that people find the service by: its words are tried first by whoever attacks it.
    pub host: String,
}

/// Why a new password is refused. Neither it nor a part of it is in here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too short.
    #[error("the password must have at least {min} characters")]
    TooShort {
        /// The least number of characters.
        min: usize,
    },
    /// Too long.
    #[error("the password must have at most {max} characters")]
    TooLong {
        /// The largest number of characters.
        max: usize,
    },
    /// One of the most common passwords (ASVS 6.2.4, 6.2.12).
    #[error("the password is one that many people had before you. {}", Advice::GENERAL)]
    TooCommon,
    /// Made of the e-mail address or the name of the service (ASVS 6.2.11).
    #[error(
        "the password is made of the e-mail address or the name of this service. {}",
        Advice::GENERAL
    )]
    ContainsContext,
    /// zxcvbn guesses it.
    #[error("the password is easy to guess. {0}")]
    TooPredictable(Advice),
}

impl PasswordRules {
    /// Checks the length alone: takes no time.
    ///
    /// # Errors
    /// [`Refused`] when it is too short or too long.
    pub fn check_length(&self, password: &Password) -> Result<(), Refused> {
        match password.chars() {
            n if n < self.min_chars => Err(Refused::TooShort { min: self.min_chars }),
            n if n > self.max_chars => Err(Refused::TooLong { max: self.max_chars }),
            _ => Ok(()),
        }
    }

    /// Checks a new password of the account with that address. Takes up to as long as a hash: not
    /// for an async thread.
    ///
    /// # Errors
    /// [`Refused`], the first rule that it breaks.
    pub fn check(&self, password: &Password, email: &Email) -> Result<(), Refused> {
        self.check_length(password)?;
        let password = password.expose();
        if common::contains(password) {
            return Err(Refused::TooCommon);
        }
        let words = context::words(email, &self.host);
        if context::chars_beside(password, &words) < MIN_CHARS_BESIDE_CONTEXT {
            return Err(Refused::ContainsContext);
        }
        match strength::weakness(password, &words, self.min_strength) {
            None => Ok(()),
            Some(weakness) if weakness.of_context => Err(Refused::ContainsContext),
            Some(weakness) => Err(Refused::TooPredictable(weakness.advice)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(password: &str, min_chars: usize, min_strength: u8) -> Option<Refused> {
        let host = "login.shop.example".into();
        let rules = PasswordRules { min_chars, max_chars: 128, min_strength, host };
        let email = Email::parse("mara.lindqvist@mailbox.example").unwrap();
        rules.check(&Password::new(password.to_owned()), &email).err()
    }

    #[test]
    fn there_are_two_lengths_and_no_composition_rules() {
        assert_eq!(refused("14 characters!", 15, 4), Some(Refused::TooShort { min: 15 }));
        let long = "many small owls ".repeat(9);
        assert_eq!(refused(&long[..129], 15, 4), Some(Refused::TooLong { max: 128 }));
        for good in [
            "correct horse b",
            "aaaaaaaaaaaaaaaloud owls",
            "three owls upon a kettle",
            "  three   owls   upon  ",
            "🦉🫖🎷🌵🧭🪁🥨🦀🎈🧦🪐🍋🚲🎻🧊",
            "ДРЕМЛЮТ СОВЫ НАД ЧАЙНИКОМ",
        ] {
            assert_eq!(refused(good, 15, 4), None, "{good}");
        }
    }

    #[test]
    fn each_rule_refuses_what_the_others_let_pass() {
        assert_eq!(refused("perasperaadastra", 15, 0), Some(Refused::TooCommon));
        assert_eq!(refused("PerAsperaAdAstra", 15, 0), Some(Refused::TooCommon));
        for made_of_context in [
            "mara.lindqvist@mailbox.example",
            "Lindqvist-2026!",
            "Countersign2026",
            "login.SHOP.example",
        ] {
            assert_eq!(refused(made_of_context, 15, 0), Some(Refused::ContainsContext));
        }
        for guessed in ["lindqvist1234567890", "countersign123456789", "c0unter$ign123456789"] {
            assert_eq!(refused(guessed, 15, 0), None, "{guessed}");
            assert_eq!(refused(guessed, 15, 4), Some(Refused::ContainsContext), "{guessed}");
        }
        for guessed in ["Password1234567!", "qwertyuiop[]asdf", "abcdefgabcdefgabcdefg"] {
            let refused = refused(guessed, 15, 4);
            assert!(matches!(refused, Some(Refused::TooPredictable(_))), "{guessed}");
        }
        // A word of the context is no harm where there is enough beside it.
        assert_eq!(refused("lindqvist countersign loud owls", 15, 4), None);
    }

    /// Those that zxcvbn knows, too: the most frequent. What many people do to them to reach a
    /// length does not help, but for a few rows of digits that it takes for many pieces.
    #[test]
    fn common_passwords_stay_refused_when_they_are_made_longer() {
        let known = |password: &&str| strength::weakness(password, &[], 2).is_some();
        let mut common: Vec<&str> = common::COMMON.iter().copied().filter(known).collect();
        common.sort_unstable();
        assert!(common.len() >= 3_000, "{}", common.len());
        let mut passed = Vec::new();
        for (n, password) in common.iter().take(3_000).enumerate() {
            let longer = match n % 4 {
                0 => format!("{password}1111111"),
                1 => format!("{password}1234567"),
                2 => format!("{}!!!!!!!", password.to_uppercase()),
                _ => format!("{password}{password}"),
            };
            if refused(&longer, 15, 4).is_none() {
                passed.push(longer);
            }
        }
        assert!(passed.len() < 15, "{}: {passed:?}", passed.len());
    }

    #[test]
    fn what_is_said_repeats_nothing_of_the_password() {
        for password in ["password1234567", "lindqvist1234567890", "1qaz2wsx3edc4rfv"] {
            let said = refused(password, 15, 4).unwrap().to_string();
            assert!(!said.contains("1234") && !said.contains("lindqvist"), "{said}");
            assert!(said.contains(". ") && said.ends_with('.'), "{said}");
        }
    }
}
