//! `[token]`

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::text;
use crate::token::{Algorithm, ClaimSet};

/// What tokens say, how they are signed, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenSection {
    /// What new tokens are signed with: `EdDSA` (Ed25519), `ES256`, or `HS256` for a service that
    /// nobody else verifies tokens of. Older keys verify until their last token is over.
    pub algorithm: Algorithm,
    /// What new tokens say of the person: `full` (their e-mail address and the number of visits,
    /// readable by whoever holds the token) or `opaque` (neither). Older tokens stay good.
    pub claims: ClaimSet,
    /// The `iss` of tokens. By default `public_url`. A change logs everybody out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The `aud` of tokens. By default `public_url`. A change logs everybody out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// What seals the signing keys in a Redis: the same for all nodes, random, 32 characters at
    /// least. Best set by its variable; shown as `***`. Not needed with `sled`.
    pub secret: TokenSecret,
    /// A file that has the secret, in its place. White space around it does not count.
    pub secret_file: PathBuf,
}

/// A secret, or none. It is not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TokenSecret(Zeroizing<String>);

impl TokenSecret {
    /// The secret itself; empty where there is none.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.trim()
    }
}

impl FromStr for TokenSecret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Display for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.expose().is_empty() { "" } else { "***" })
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TokenSecret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenSecret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text::parse(from, "a text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret: TokenSecret = " the secret of this test \n".parse().unwrap();
        assert_eq!(secret.expose(), "the secret of this test");
        let section = TokenSection { secret, ..TokenSection::default() };
        let shown = format!("{section:?} {}", toml::to_string(&section).unwrap());
        assert!(!shown.contains("the secret") && shown.contains("secret = \"***\""), "{shown}");
        let none = toml::to_string(&TokenSection::default()).unwrap();
        assert!(none.contains("secret = \"\"") && none.contains("secret_file = \"\""), "{none}");
    }
}
