//! Keys ready for use.
//!
//! `jsonwebtoken` builds its key anew on every call, which for Ed25519 costs as much as the
//! signature itself. Here a key is built once and kept, so `aws-lc-rs` is called directly: in this
//! file, and in `jwk` where keys are made and loaded.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey},
};

use super::{Algorithm, Defect, SigningFailed};

/// What checks signatures.
pub struct VerifyingKey(pub(super) Verifying);

pub(super) enum Verifying {
    EdDsa(ParsedPublicKey),
    Es256(ParsedPublicKey),
    Hs256(Box<hmac::Key>),
}

/// What makes signatures.
pub struct SigningKey(pub(super) Signing);

pub(super) enum Signing {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Hs256(Box<hmac::Key>),
}

impl VerifyingKey {
    /// The one algorithm that this key is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Verifying::EdDsa(_) => Algorithm::EdDsa,
            Verifying::Es256(_) => Algorithm::Es256,
            Verifying::Hs256(_) => Algorithm::Hs256,
        }
    }

    /// Checks a signature, as JOSE writes it: for ES256 the two numbers in 64 bytes, for HS256 the
    /// whole code.
    ///
    /// Of an ES256 signature (r, s) anyone can make (r, n-s), and it fits as well: nothing may
    /// depend on a token having one spelling. Revocation goes by `sid`.
    ///
    /// # Errors
    /// [`Defect::Signature`] when it does not fit.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Defect> {
        match &self.0 {
            Verifying::EdDsa(key) | Verifying::Es256(key) => key.verify_sig(message, signature),
            Verifying::Hs256(key) => hmac::verify(key, message, signature),
        }
        .map_err(|_| Defect::Signature)
    }
}

impl SigningKey {
    /// Signs a message.
    ///
    /// # Errors
    /// [`SigningFailed::Crypto`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        match &self.0 {
            Signing::EdDsa(key) => key.try_sign(message).map(|made| made.as_ref().to_vec()),
            Signing::Es256(key) => {
                key.sign(&SystemRandom::new(), message).map(|made| made.as_ref().to_vec())
            }
            Signing::Hs256(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
        .map_err(|_| SigningFailed::Crypto)
    }
}
