//! The key set that the world may see (RFC 7517 section 5): `/.well-known/jwks.json`.
//!
//! With it another service verifies tokens by itself. It learns from them who signed what, not
//! whether the session is still alive: for that it must ask.

use jsonwebtoken::jwk::JwkSet;

use super::{KeySet, Tokens};

impl Tokens {
    /// The public keys that tokens verify with, the signing one first. An HMAC key is never among
    /// them: whoever had it could sign.
    #[must_use]
    pub fn jwks(&self) -> JwkSet {
        self.keys().jwks()
    }
}

impl KeySet {
    /// See [`Tokens::jwks`].
    #[must_use]
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: self.iter().filter_map(|key| key.public.clone()).collect() }
    }
}
