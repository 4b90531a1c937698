//! The signature algorithms that are offered.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A signature algorithm, by its JOSE name (RFC 7518 section 3.1, RFC 8037 section 3.1).
///
/// There is no RSA: its keys and signatures would take up a third of the cookie, and signing would
/// be the slowest step of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519.
    #[default]
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// HMAC with SHA-256. Whoever can verify can also sign: for one service alone.
    #[serde(rename = "HS256")]
    Hs256,
}

/// Not the name of an algorithm that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token algorithm must be EdDSA, ES256 or HS256")]
pub struct UnknownAlgorithm;

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Hs256];

    /// The JOSE name: the `alg` of headers and keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Hs256 => "HS256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// Exactly the name: JOSE names are case-sensitive (RFC 7515 section 4.1.1).
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or(UnknownAlgorithm)
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EdDsa => Self::EdDSA,
            Algorithm::Es256 => Self::ES256,
            Algorithm::Hs256 => Self::HS256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_has_one_name_everywhere() {
        for algorithm in Algorithm::ALL {
            let name = algorithm.name();
            assert_eq!(name.parse(), Ok(algorithm));
            assert_eq!(algorithm.to_string(), name);
            assert_eq!(serde_json::to_value(algorithm).unwrap(), name);
            assert_eq!(
                serde_json::to_value(jsonwebtoken::Algorithm::from(algorithm)).unwrap(),
                name
            );
        }
        assert_eq!(Algorithm::default(), Algorithm::EdDsa);
        for name in ["", "none", "eddsa", "hs256", "RS256", "ES384", "EdDSA "] {
            assert_eq!(name.parse::<Algorithm>(), Err(UnknownAlgorithm), "{name:?}");
        }
    }
}
