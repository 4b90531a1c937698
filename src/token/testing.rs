//! What the tests of this layer share.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Algorithm, Grant, KeySet, Tokens};
use crate::model::{
    AccountId, Email, SessionId, Timestamp,
    clock::{from_millis, later},
};

/// What all services of the tests are called.
pub(super) const URL: &str = "https://login.example";

/// The present moment, in the middle of a second.
pub(super) fn now() -> Timestamp {
    from_millis(1_790_000_000_500)
}

/// `seconds` after [`now`].
pub(super) fn after(seconds: i64) -> Timestamp {
    later(now(), SignedDuration::from_secs(seconds))
}

/// A service with one new key.
pub(super) fn service(algorithm: Algorithm) -> Tokens {
    with_keys(KeySet::generate(algorithm, now()))
}

pub(super) fn with_keys(keys: KeySet) -> Tokens {
    Tokens::new(keys, URL.into(), URL.into())
}

pub(super) fn email() -> Email {
    Email::parse("ann@example.com").unwrap()
}

/// Seven visits, half an hour.
pub(super) fn grant(email: &Email) -> Grant<'_> {
    Grant {
        account: AccountId::new(now()),
        session: SessionId::new(now()),
        email,
        visits: 7,
        prev: 6,
        issued_at: now(),
        expires_at: after(1_800),
        authenticated_at: after(-600),
    }
}

pub(super) fn issue(tokens: &Tokens) -> String {
    tokens.issue(&grant(&email())).unwrap()
}

pub(super) fn encode(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

pub(super) fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// A token's three parts.
pub(super) fn parts(token: &str) -> [String; 3] {
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

/// The header that the service writes.
pub(super) fn header(tokens: &Tokens) -> Value {
    let keys = tokens.keys();
    let key = keys.signing(now());
    json!({"alg": key.algorithm, "kid": key.kid, "typ": "session+jwt"})
}

/// The claims that the service writes.
pub(super) fn claims(tokens: &Tokens) -> Value {
    serde_json::to_value(tokens.claims(&grant(&email()))).unwrap()
}

/// Whatever one likes, with a good signature by the service's own key.
pub(super) fn signed(
    tokens: &Tokens,
    header: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature = tokens.keys().signing(now()).signing.sign(signed.as_bytes());
    format!("{signed}.{}", encode(signature.unwrap()))
}

/// Its usual header over a payload of one's own.
pub(super) fn signed_claims(tokens: &Tokens, payload: impl AsRef<[u8]>) -> String {
    signed(tokens, header(tokens).to_string(), payload)
}
