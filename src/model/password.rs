//! A password on its way to be hashed or checked.

use std::fmt;

use zeroize::Zeroizing;

/// A password exactly as it was typed. It is wiped from memory when dropped and never printed.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes over `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The bytes to hash: unchanged, no trimming, no Unicode normalisation (ASVS 6.2.8).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The text, for the one place that has to send it on.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// How many characters (Unicode scalar values) it has.
    #[must_use]
    pub fn chars(&self) -> usize {
        self.0.chars().count()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_show_itself() {
        let shown = format!("{:?}", Password::new("open sesame".into()));
        assert!(!shown.contains("sesame"));
    }
}
