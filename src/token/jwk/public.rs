//! What the world may know of a key: its public half and its name.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk as jose;

use super::Jwk;
use crate::token::{Algorithm, KeyDefect};

impl Jwk {
    /// What the world may know of it: nothing at all of an HMAC key, whose every member is secret.
    ///
    /// # Errors
    /// [`KeyDefect`], whichever applies.
    pub fn public(&self) -> Result<Option<jose::Jwk>, KeyDefect> {
        Ok(match self.algorithm()? {
            Algorithm::Hs256 => None,
            Algorithm::EdDsa | Algorithm::Es256 => Some(self.described()?),
        })
    }

    /// How `jsonwebtoken` names and verifies with this key. For an HMAC key that is the secret.
    pub(in crate::token) fn described(&self) -> Result<jose::Jwk, KeyDefect> {
        let algorithm = self.algorithm()?;
        let member = |value: &Option<String>| value.clone().ok_or(KeyDefect::Incomplete);
        Ok(jose::Jwk {
            common: jose::CommonParameters {
                public_key_use: Some(jose::PublicKeyUse::Signature),
                key_algorithm: Some(jsonwebtoken::Algorithm::from(algorithm).into()),
                key_id: self.kid.clone(),
                ..Default::default()
            },
            algorithm: match algorithm {
                Algorithm::EdDsa => {
                    jose::AlgorithmParameters::OctetKeyPair(jose::OctetKeyPairParameters {
                        key_type: jose::OctetKeyPairType::OctetKeyPair,
                        curve: jose::EllipticCurve::Ed25519,
                        x: member(&self.x)?,
                    })
                }
                Algorithm::Es256 => {
                    jose::AlgorithmParameters::EllipticCurve(jose::EllipticCurveKeyParameters {
                        key_type: jose::EllipticCurveKeyType::EC,
                        curve: jose::EllipticCurve::P256,
                        x: member(&self.x)?,
                        y: member(&self.y)?,
                    })
                }
                Algorithm::Hs256 => jose::AlgorithmParameters::OctetKey(jose::OctetKeyParameters {
                    key_type: jose::OctetKeyType::Octet,
                    value: URL_SAFE_NO_PAD.encode(self.secret()?),
                }),
            },
        })
    }

    /// The SHA-256 thumbprint (RFC 7638): the `kid` of all keys made here.
    ///
    /// Of an HMAC key this is a hash of its secret, and it stands in every token. It tells nothing
    /// that a token does not tell already: with either, a guess at the secret can be tried offline,
    /// and a secret of 256 random bits is beyond guessing.
    ///
    /// # Errors
    /// [`KeyDefect`], whichever applies.
    pub fn thumbprint(&self) -> Result<String, KeyDefect> {
        self.described()?.thumbprint(jose::ThumbprintHash::SHA256).map_err(|_| KeyDefect::Malformed)
    }
}
