//! The key set that the world may see (RFC 7517 section 5): `/.well-known/jwks.json`.
//!
//! With it another service verifies tokens by itself. It learns from them who signed what, not
//! whether the session is still alive: for that it must ask.

use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;

use super::{KeySet, Tokens};
use crate::model::Timestamp;

/// How long a verifier may keep the key set without asking again. Short: it is told of a new key no
/// sooner, and where several nodes share their keys that has to be before the key signs (the notice
/// in `service::keys` is longer than this and a node's reading together). A node that is alone signs
/// with a new algorithm as soon as it starts.
pub const PUBLISHED_FOR: Duration = Duration::from_secs(10);

impl Tokens {
    /// The public keys that tokens verify with at `now`, the signing one first. An HMAC key is never
    /// among them: whoever had it could sign.
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> JwkSet {
        self.keys().jwks(now)
    }
}

impl KeySet {
    /// See [`Tokens::jwks`].
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> JwkSet {
        let keys = self.in_order(now).filter(|key| key.verifies(now));
        JwkSet { keys: keys.filter_map(|key| key.public.clone()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use crate::token::{Algorithm, KeySet, testing::*};

    #[test]
    fn the_world_sees_public_keys_only() {
        let dir = tempfile::tempdir().unwrap();
        let open = |algorithm, at| {
            let lifetime = SignedDuration::from_hours(1);
            KeySet::open(dir.path(), algorithm, after(at), lifetime).unwrap()
        };
        let first = open(Algorithm::Hs256, 0);
        assert!(with_keys(first).jwks(now()).keys.is_empty());
        open(Algorithm::EdDsa, 1);
        let tokens = with_keys(open(Algorithm::Es256, 2));

        let jwks = serde_json::to_value(tokens.jwks(after(2))).unwrap();
        let keys = jwks["keys"].as_array().unwrap();
        let shown: Vec<_> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
        assert_eq!(shown, ["ES256", "EdDSA"], "the signing key first, no HMAC key");
        let members = |at: usize| -> Vec<&str> {
            keys[at].as_object().unwrap().keys().map(String::as_str).collect()
        };
        assert_eq!(members(0), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert_eq!(members(1), ["alg", "crv", "kid", "kty", "use", "x"]);
        assert!(keys.iter().all(|key| key["use"] == "sig"));
        assert_eq!(keys[0]["kid"], tokens.keys().signing(after(2)).kid.as_str());

        // Not even in another wrapping: no secret of the folder is in the text.
        let shown = jwks.to_string();
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let file: serde_json::Value = serde_json::from_str(&text).unwrap();
            for secret in ["d", "k"] {
                if let Some(secret) = file[secret].as_str() {
                    assert!(!shown.contains(secret));
                }
            }
        }
    }
}
