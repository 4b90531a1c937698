//! E-mail addresses, normalised so that one person has one account.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

/// The longest address, in bytes (RFC 5321 section 4.5.3.1.3, less the angle brackets).
pub const MAX_EMAIL_BYTES: usize = 254;

/// A valid, normalised e-mail address: lower case, its domain in ASCII (IDNA), at most 254 bytes,
/// nothing in it that a terminal, a log or a header could take for more than text.
///
/// The local part is folded to lower case too. RFC 5321 lets `Ann@` and `ann@` be two mailboxes,
/// but no large provider does, and two accounts a person cannot tell apart serve nobody.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(Arc<str>);

/// Why a text is no e-mail address. Says what is wrong without repeating the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// Longer than [`MAX_EMAIL_BYTES`].
    #[error("the e-mail address is longer than {MAX_EMAIL_BYTES} bytes")]
    TooLong,
    /// Not of the form `name@domain`.
    #[error("the e-mail address must look like name@example.com")]
    Malformed,
}

impl Email {
    /// Checks and normalises `text`. White space around it is taken off: people paste addresses.
    ///
    /// # Errors
    /// [`InvalidEmail`] when it is too long, or not `name@domain`. Quoted local parts, comments
    /// and address literals (`"a b"@x`, `a@[127.0.0.1]`) are refused: nobody logs in with them.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        // Checked before anything else, so that no work is done on a megabyte.
        if text.len() > MAX_EMAIL_BYTES + 2 {
            return Err(InvalidEmail::TooLong);
        }
        let text = text.trim_matches(' ');
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail::Malformed)?;
        if local.is_empty() || local.len() > 64 || !local.chars().all(allowed_in_local) {
            return Err(InvalidEmail::Malformed);
        }
        if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(InvalidEmail::Malformed);
        }
        let domain = match url::Host::parse(domain) {
            Ok(url::Host::Domain(ascii)) if is_mail_domain(&ascii) => ascii,
            _ => return Err(InvalidEmail::Malformed),
        };
        let address = format!("{}@{domain}", local.to_lowercase());
        if address.len() > MAX_EMAIL_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        Ok(Self(address.into()))
    }

    /// The normalised address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 5322 `atext` and dots, and any letter or digit of other scripts (RFC 6531): no white space,
/// no control or format character (a right-to-left override would forge a log line), no quotes.
fn allowed_in_local(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
}

fn is_mail_domain(ascii: &str) -> bool {
    !ascii.ends_with('.')
        && ascii.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Email {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_person_has_one_spelling() {
        for text in ["ann@example.com", " Ann@Example.COM ", "ANN@EXAMPLE.com"] {
            assert_eq!(Email::parse(text).unwrap().as_str(), "ann@example.com");
        }
        assert_eq!(
            Email::parse("jürgen@bücher.example").unwrap().as_str(),
            "jürgen@xn--bcher-kva.example"
        );
        assert!(Email::parse("dev@localhost").is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "ann",
            "ann@",
            "@example.com",
            "a b@example.com",
            "a@b@example.com",
            "a\n@example.com",
            "a@exa mple.com",
            "a@example.com\r\nBcc: x@y.z",
            "a\0@example.com",
            ".a@example.com",
            "a..b@example.com",
            "a@.example.com",
            "a@example..com",
            "a@-example.com",
            "a@127.0.0.1",
            "a@[::1]",
            "\"a b\"@example.com",
            "a@example.com.",
            "\u{202e}a@example.com",
            "a\u{200b}@example.com",
            "a@exam_ple.com",
            "a\t@example.com",
        ] {
            assert_eq!(Email::parse(text), Err(InvalidEmail::Malformed), "{text:?}");
        }
    }

    #[test]
    fn length_is_counted_in_bytes_after_normalising() {
        let domain = format!("{0}.{0}.{1}", "d".repeat(63), "e".repeat(61));
        let longest = format!("{}@{domain}", "a".repeat(64));
        assert_eq!(longest.len(), MAX_EMAIL_BYTES);
        assert!(Email::parse(&longest).is_ok());
        assert_eq!(Email::parse(&format!("{longest}x")), Err(InvalidEmail::TooLong));
        assert_eq!(Email::parse(&"a".repeat(1 << 20)), Err(InvalidEmail::TooLong));
    }

    proptest! {
        #[test]
        fn a_parsed_address_parses_to_itself(text in "\\PC{1,20}@[a-zA-Z0-9.-]{1,20}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_str()).unwrap(), email.clone());
                prop_assert!(!email.as_str().chars().any(|c| c.is_control() || c.is_whitespace()));
            }
        }
    }
}
