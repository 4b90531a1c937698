//! JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037), read strictly.
//!
//! A JWK says many things about itself, and libraries that look at `kty` alone have been made to
//! verify with encryption keys, with keys of another curve and with empty secrets. Here all of it
//! must agree before a key is used: `kty`, `crv`, `alg`, `use`, `key_ops`, the lengths, the point
//! on its curve, and the private half with the public one.

mod public;

use aws_lc_rs::{
    encoding::{AsBigEndian, Curve25519SeedBin, EcPrivateKeyBin},
    hmac, rand,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, ParsedPublicKey,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
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
}

fn number(text: Option<&str>) -> Result<Zeroizing<[u8; LENGTH]>, KeyDefect> {
    let text = text.ok_or(KeyDefect::Incomplete)?;
    let bytes = Zeroizing::new(jws::decode(text).ok_or(KeyDefect::Encoding)?);
    let number = bytes.as_slice().try_into().map_err(|_| KeyDefect::Encoding)?;
    Ok(Zeroizing::new(number))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::token::testing::encode;

    fn generated(algorithm: Algorithm) -> Value {
        serde_json::to_value(Jwk::generate(algorithm).unwrap()).unwrap()
    }

    fn load(jwk: &Value) -> Result<(), KeyDefect> {
        let jwk = Jwk::parse(jwk.to_string().as_bytes())?;
        jwk.signing_key()?;
        jwk.verifying_key()?;
        Ok(())
    }

    #[test]
    fn a_new_key_is_loaded_and_signs_what_it_verifies() {
        for algorithm in Algorithm::ALL {
            let jwk = Jwk::generate(algorithm).unwrap();
            assert_eq!(jwk.algorithm(), Ok(algorithm));
            assert_eq!(jwk.kid().map(str::len), Some(43));
            assert_eq!(jwk.kid(), jwk.thumbprint().ok().as_deref());
            let (signing, verifying) = (jwk.signing_key().unwrap(), jwk.verifying_key().unwrap());
            assert_eq!(verifying.algorithm(), algorithm);
            let signature = signing.sign(b"message").unwrap();
            assert_eq!(verifying.verify(b"message", &signature), Ok(()));
            assert!(verifying.verify(b"massage", &signature).is_err());
            let other = Jwk::generate(algorithm).unwrap();
            assert_ne!(other.kid(), jwk.kid());
            let other = other.verifying_key().unwrap();
            assert!(other.verify(b"message", &signature).is_err());
        }
    }

    /// Of each private key, with one member changed (`null` removes it).
    #[test]
    fn all_that_a_key_says_of_itself_must_agree() {
        use Algorithm::{EdDsa, Es256, Hs256};
        use KeyDefect::{
            Contradiction, Encoding, Incomplete, Inconsistent, Malformed, NotOffered, TooShort, Use,
        };
        let short = encode([7; 31]);
        let long = encode([7; 33]);
        let zero = encode([0; 32]);
        let huge = encode([0xff; 32]);
        let padded = format!("{}=", encode([7; 32]));
        let trailing_bits = format!("{}B", &encode([0; 32])[..42]);
        let twin = |algorithm, member: &str| generated(algorithm)[member].clone();
        for (algorithm, member, value, defect) in [
            (EdDsa, "kty", json!("EC"), Contradiction),
            (EdDsa, "kty", json!("okp"), Contradiction),
            (EdDsa, "kty", json!(1), Malformed),
            (EdDsa, "kty", json!(null), Malformed),
            (EdDsa, "crv", json!("Ed448"), Contradiction),
            (EdDsa, "crv", json!("X25519"), Contradiction),
            (EdDsa, "crv", json!(null), Contradiction),
            (EdDsa, "alg", json!("ES256"), Contradiction),
            (EdDsa, "alg", json!("Ed25519"), NotOffered),
            (EdDsa, "alg", json!("none"), NotOffered),
            (EdDsa, "use", json!("enc"), Use),
            (EdDsa, "key_ops", json!([]), Use),
            (EdDsa, "key_ops", json!(["sign"]), Use),
            (EdDsa, "key_ops", json!(["verify"]), Use),
            (EdDsa, "key_ops", json!(["sign", "verify", "decrypt"]), Use),
            (EdDsa, "x", json!(null), Incomplete),
            (EdDsa, "x", json!(short), Encoding),
            (EdDsa, "x", json!(long), Encoding),
            (EdDsa, "x", json!(padded), Encoding),
            (EdDsa, "x", json!(trailing_bits), Encoding),
            (EdDsa, "x", twin(EdDsa, "x"), Inconsistent),
            (EdDsa, "d", json!(null), Incomplete),
            (EdDsa, "d", json!(short), Encoding),
            (EdDsa, "d", json!(long), Encoding),
            (EdDsa, "d", twin(EdDsa, "d"), Inconsistent),
            (EdDsa, "y", json!(zero), Contradiction),
            (EdDsa, "k", json!(zero), Contradiction),
            (Es256, "crv", json!("P-384"), Contradiction),
            (Es256, "crv", json!("secp256k1"), Contradiction),
            (Es256, "alg", json!("ES384"), NotOffered),
            (Es256, "alg", json!("HS256"), Contradiction),
            (Es256, "y", json!(null), Contradiction),
            (Es256, "x", twin(Es256, "x"), Inconsistent),
            (Es256, "y", json!(zero), Inconsistent),
            (Es256, "d", json!(null), Incomplete),
            (Es256, "d", json!(zero), Inconsistent),
            (Es256, "d", json!(huge), Inconsistent),
            (Es256, "d", twin(Es256, "d"), Inconsistent),
            (Es256, "k", json!(zero), Contradiction),
            (Hs256, "k", json!(null), Contradiction),
            (Hs256, "k", json!(short), TooShort),
            (Hs256, "k", json!(""), TooShort),
            (Hs256, "k", json!("not base64!"), Encoding),
            (Hs256, "alg", json!(null), NotOffered),
            (Hs256, "alg", json!("HS384"), NotOffered),
            (Hs256, "alg", json!("EdDSA"), Contradiction),
            (Hs256, "use", json!("enc"), Use),
            (Hs256, "d", json!(zero), Contradiction),
            (Hs256, "x", json!(zero), Contradiction),
        ] {
            let mut jwk = generated(algorithm);
            assert_eq!(load(&jwk), Ok(()));
            if value.is_null() {
                jwk.as_object_mut().unwrap().remove(member);
            } else {
                jwk[member] = value;
            }
            assert_eq!(load(&jwk), Err(defect), "{algorithm} {member} {}", jwk[member]);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let key = generated(Algorithm::EdDsa).to_string();
        for text in [
            "",
            "null",
            "[]",
            &format!("[{key}]"),
            &format!("{{\"keys\":[{key}]}}"),
            &format!("{key}{key}"),
            &key.replacen('{', "{\"kty\":\"OKP\",", 1),
            &key[..key.len() - 1],
        ] {
            let defect = Jwk::parse(text.as_bytes()).err();
            assert_eq!(defect, Some(KeyDefect::Malformed), "{text}");
        }
    }

    #[test]
    fn members_that_say_nothing_new_are_welcome() {
        let mut jwk = generated(Algorithm::EdDsa);
        jwk["key_ops"] = json!(["sign", "verify"]);
        jwk["comment"] = json!("from the old server");
        jwk["x5u"] = json!("http://127.0.0.1:9/");
        assert_eq!(load(&jwk), Ok(()));
        jwk.as_object_mut().unwrap().remove("alg");
        jwk.as_object_mut().unwrap().remove("use");
        assert_eq!(load(&jwk), Ok(()));
    }
}
