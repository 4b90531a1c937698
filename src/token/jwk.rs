//! JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037), read strictly.
//!
//! A JWK says many things about itself, and libraries that look at `kty` alone have been made to
//! verify with encryption keys, with keys of another curve and with empty secrets. Here all of it
//! must agree before a key is used: `kty`, `crv`, `alg`, `use`, `key_ops`, the lengths, the point
//! on its curve, and the private half with the public one.

use aws_lc_rs::{
    encoding::{AsBigEndian, Curve25519SeedBin, EcPrivateKeyBin},
    hmac, rand,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, ParsedPublicKey,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk as jose;
use serde::{Deserialize, Serialize};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{
    Algorithm, KeyDefect, jws,
    signing::{Signing, SigningKey, Verifying, VerifyingKey},
};

/// The length of all numbers of the two curves, and the shortest HMAC secret (RFC 7518 section
/// 3.2), in bytes.
const LENGTH: usize = 32;

/// A key as JSON, private or public. Members that are not listed are ignored (RFC 7517 section 4):
/// nothing is fetched from an `x5u`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Jwk {
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_ops: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
}

/// A private member, base64url. Wiped from memory when dropped.
#[derive(Clone, Serialize, Deserialize, ZeroizeOnDrop)]
#[serde(transparent)]
struct Secret(String);

impl Secret {
    fn encode(bytes: &[u8]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl Jwk {
    /// Reads one key. A set of keys is refused: keys come one by one.
    ///
    /// # Errors
    /// [`KeyDefect::Malformed`].
    pub fn parse(json: &[u8]) -> Result<Self, KeyDefect> {
        jws::read_object(json).ok_or(KeyDefect::Malformed)
    }

    /// Makes a new private key, with its thumbprint for its `kid`.
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut jwk = Self {
            kty: String::new(),
            crv: None,
            x: None,
            y: None,
            d: None,
            k: None,
            alg: Some(algorithm.name().into()),
            usage: Some("sig".into()),
            key_ops: None,
            kid: None,
        };
        match algorithm {
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate()?;
                let seed: Curve25519SeedBin<'_> = pair.seed()?.as_be_bytes()?;
                jwk.kty = "OKP".into();
                jwk.crv = Some("Ed25519".into());
                jwk.x = Some(URL_SAFE_NO_PAD.encode(pair.public_key()));
                jwk.d = Some(Secret::encode(seed.as_ref()));
            }
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
                let number: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes()?;
                // Uncompressed: a byte 4, then x, then y (SEC 1 section 2.3.3).
                let (x, y) = pair.public_key().as_ref()[1..].split_at(LENGTH);
                jwk.kty = "EC".into();
                jwk.crv = Some("P-256".into());
                jwk.x = Some(URL_SAFE_NO_PAD.encode(x));
                jwk.y = Some(URL_SAFE_NO_PAD.encode(y));
                jwk.d = Some(Secret::encode(number.as_ref()));
            }
            Algorithm::Hs256 => {
                let mut secret = Zeroizing::new([0; LENGTH]);
                rand::fill(secret.as_mut())?;
                jwk.kty = "oct".into();
                jwk.k = Some(Secret::encode(secret.as_ref()));
            }
        }
        jwk.kid = jwk.thumbprint().ok();
        Ok(jwk)
    }

    /// The name it goes by.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm it is for: its `alg`, or without one the only algorithm that is offered
    /// for its curve. An HMAC secret must say its `alg`: the bytes would fit any.
    ///
    /// # Errors
    /// [`KeyDefect::NotOffered`], [`KeyDefect::Contradiction`], [`KeyDefect::Use`].
    pub fn algorithm(&self) -> Result<Algorithm, KeyDefect> {
        let of_curve = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Some(Algorithm::EdDsa),
            ("EC", Some("P-256")) => Some(Algorithm::Es256),
            ("oct", None) => Some(Algorithm::Hs256),
            _ => None,
        };
        let algorithm = match &self.alg {
            Some(alg) => {
                let algorithm = alg.parse().map_err(|_| KeyDefect::NotOffered)?;
                if of_curve != Some(algorithm) {
                    return Err(KeyDefect::Contradiction);
                }
                algorithm
            }
            None => of_curve
                .filter(|of_curve| *of_curve != Algorithm::Hs256)
                .ok_or(KeyDefect::NotOffered)?,
        };
        let (symmetric, two_numbers) =
            (algorithm == Algorithm::Hs256, algorithm == Algorithm::Es256);
        if self.k.is_some() != symmetric
            || (symmetric && (self.x.is_some() || self.d.is_some()))
            || self.y.is_some() != two_numbers
        {
            return Err(KeyDefect::Contradiction);
        }
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(KeyDefect::Use);
        }
        Ok(algorithm)
    }

    /// The key that checks what this one signs.
    ///
    /// # Errors
    /// [`KeyDefect`], whichever applies.
    pub fn verifying_key(&self) -> Result<VerifyingKey, KeyDefect> {
        let algorithm = self.algorithm()?;
        self.allows("verify")?;
        Ok(VerifyingKey(match algorithm {
            Algorithm::EdDsa => Verifying::EdDsa(
                ParsedPublicKey::new(&ED25519, self.public_bytes()?)
                    .map_err(|_| KeyDefect::Inconsistent)?,
            ),
            Algorithm::Es256 => Verifying::Es256(
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.public_bytes()?)
                    .map_err(|_| KeyDefect::Inconsistent)?,
            ),
            Algorithm::Hs256 => Verifying::Hs256(self.hmac()?),
        }))
    }

    /// The key that signs. Its public half must be its own.
    ///
    /// # Errors
    /// [`KeyDefect`], whichever applies.
    pub fn signing_key(&self) -> Result<SigningKey, KeyDefect> {
        let algorithm = self.algorithm()?;
        self.allows("sign")?;
        Ok(SigningKey(match algorithm {
            Algorithm::EdDsa => Signing::EdDsa(
                Ed25519KeyPair::from_seed_and_public_key(
                    self.private_number()?.as_ref(),
                    &self.public_bytes()?,
                )
                .map_err(|_| KeyDefect::Inconsistent)?,
            ),
            Algorithm::Es256 => Signing::Es256(
                EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    self.private_number()?.as_ref(),
                    &self.public_bytes()?,
                )
                .map_err(|_| KeyDefect::Inconsistent)?,
            ),
            Algorithm::Hs256 => Signing::Hs256(self.hmac()?),
        }))
    }

    /// Whether `key_ops`, if it is there, names `operation` and nothing but signatures.
    fn allows(&self, operation: &str) -> Result<(), KeyDefect> {
        let Some(named) = &self.key_ops else {
            return Ok(());
        };
        let only_signatures = named.iter().all(|name| name == "sign" || name == "verify");
        if only_signatures && named.iter().any(|name| name == operation) {
            Ok(())
        } else {
            Err(KeyDefect::Use)
        }
    }

    /// The public half as `aws-lc-rs` takes it: x, or for P-256 a byte 4, x and y.
    fn public_bytes(&self) -> Result<Vec<u8>, KeyDefect> {
        let x = number(self.x.as_deref())?;
        let Some(y) = &self.y else {
            return Ok(x.to_vec());
        };
        let y = number(Some(y))?;
        Ok([&[4], x.as_slice(), y.as_slice()].concat())
    }

    fn private_number(&self) -> Result<Zeroizing<[u8; LENGTH]>, KeyDefect> {
        number(self.d.as_ref().map(|d| d.0.as_str()))
    }

    fn hmac(&self) -> Result<Box<hmac::Key>, KeyDefect> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret()?);
        Ok(Box::new(key))
    }

    fn secret(&self) -> Result<Zeroizing<Vec<u8>>, KeyDefect> {
        let k = self.k.as_ref().ok_or(KeyDefect::Incomplete)?;
        let secret = Zeroizing::new(jws::decode(&k.0).ok_or(KeyDefect::Encoding)?);
        if secret.len() < LENGTH {
            return Err(KeyDefect::TooShort);
        }
        Ok(secret)
    }

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
    pub(super) fn described(&self) -> Result<jose::Jwk, KeyDefect> {
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

fn number(text: Option<&str>) -> Result<Zeroizing<[u8; LENGTH]>, KeyDefect> {
    let text = text.ok_or(KeyDefect::Incomplete)?;
    let bytes = Zeroizing::new(jws::decode(text).ok_or(KeyDefect::Encoding)?);
    let number = bytes.as_slice().try_into().map_err(|_| KeyDefect::Encoding)?;
    Ok(Zeroizing::new(number))
}
