//! Signs whatever it is given, with the server's own keys or with a stranger's.

use std::{fs, path::Path};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::TestApp;

/// A private key and what is told of it.
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) alg: String,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Secret(Vec<u8>),
}

/// All keys of the server, the newest first.
pub(crate) fn keys_of(app: &TestApp) -> Vec<Key> {
    let mut jwks = private_keys(app.data_dir());
    jwks.sort_by_key(|jwk| std::cmp::Reverse(jwk["created_at"].as_str().unwrap().to_owned()));
    jwks.iter().map(Key::of).collect()
}

/// The key of this name.
pub(crate) fn key_of(app: &TestApp, kid: &Value) -> Key {
    keys_of(app).into_iter().find(|key| key.kid == *kid).expect("a key of the server")
}

impl Key {
    pub(crate) fn of(jwk: &Value) -> Self {
        let member = |name: &str| decode(jwk[name].as_str().expect(name));
        let alg = jwk["alg"].as_str().unwrap().to_owned();
        let pair = match alg.as_str() {
            "EdDSA" => Pair::Ed25519(Ed25519KeyPair::from_seed_unchecked(&member("d")).unwrap()),
            "ES256" => {
                let point = [vec![4], member("x"), member("y")].concat();
                let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair =
                    EcdsaKeyPair::from_private_key_and_public_key(signing, &member("d"), &point);
                Pair::P256(pair.unwrap())
            }
            _ => Pair::Secret(member("k")),
        };
        Self { kid: jwk["kid"].as_str().unwrap().to_owned(), alg, pair }
    }

    /// A key of the same kind that the server has never seen, with a name of its own.
    pub(crate) fn stranger(&self) -> Self {
        let pair = match self.pair {
            Pair::Ed25519(_) => Pair::Ed25519(Ed25519KeyPair::generate().unwrap()),
            Pair::P256(_) => {
                Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
            }
            Pair::Secret(_) => Pair::Secret(vec![7; 32]),
        };
        Self { kid: "stranger".to_owned(), alg: self.alg.clone(), pair }
    }

    /// The bytes of its public half: a curve point, or the secret of a key that has no halves.
    pub(crate) fn public(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Pair::P256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Secret(secret) => secret.clone(),
        }
    }

    /// Its public half as X.509 writes it (RFC 8410 section 4, RFC 5480 section 2).
    pub(crate) fn public_der(&self) -> Vec<u8> {
        let hex = match self.pair {
            Pair::P256(_) => "3059301306072a8648ce3d020106082a8648ce3d030107034200",
            Pair::Ed25519(_) | Pair::Secret(_) => "302a300506032b6570032100",
        };
        let prefix = (0..hex.len()).step_by(2);
        let prefix = prefix.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        prefix.chain(self.public()).collect()
    }

    /// Its public half as a JWK; of a secret, the secret.
    pub(crate) fn public_jwk(&self) -> Value {
        let bytes = self.public();
        match self.pair {
            Pair::Ed25519(_) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(bytes)}),
            Pair::P256(_) => {
                let (x, y) = bytes[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
            Pair::Secret(_) => json!({"kty": "oct", "k": encode(bytes)}),
        }
    }

    /// A token of these texts, whatever they are.
    pub(crate) fn sign(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let text = format!("{}.{}", encode(header), encode(payload));
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(text.as_bytes()).as_ref().to_vec(),
            Pair::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), text.as_bytes());
                signature.unwrap().as_ref().to_vec()
            }
            Pair::Secret(secret) => mac(hmac::HMAC_SHA256, secret, &text),
        };
        format!("{text}.{}", encode(signature))
    }

    /// A token of these claims with the right header.
    pub(crate) fn sign_claims(&self, claims: &Value) -> String {
        self.sign(self.header().to_string(), claims.to_string())
    }

    /// The header of its tokens.
    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.alg, "kid": self.kid, "typ": "session+jwt"})
    }

    /// Signed as the header says, by an algorithm of the same family.
    pub(crate) fn sign_as(&self, sibling: &str, header: &Value, payload: &Value) -> String {
        let (header, payload) = (header.to_string(), payload.to_string());
        match &self.pair {
            Pair::Secret(secret) => {
                let algorithm =
                    if sibling == "HS512" { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA384 };
                let text = format!("{}.{}", encode(header), encode(payload));
                format!("{text}.{}", encode(mac(algorithm, secret, &text)))
            }
            _ => self.sign(header, payload),
        }
    }
}

/// A token with an HMAC by any secret.
pub(crate) fn hmac_signed(secret: &[u8], header: &Value, payload: &Value) -> String {
    let text = format!("{}.{}", encode(header.to_string()), encode(payload.to_string()));
    format!("{text}.{}", encode(mac(hmac::HMAC_SHA256, secret, &text)))
}

fn mac(algorithm: hmac::Algorithm, secret: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, secret), text.as_bytes()).as_ref().to_vec()
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// The private keys in the data directory, wherever in it they are.
pub(crate) fn private_keys(dir: &Path) -> Vec<Value> {
    let mut keys = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            keys.extend(private_keys(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let jwk: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            if jwk.get("d").or(jwk.get("k")).is_some() {
                keys.push(jwk);
            }
        }
    }
    keys
}
