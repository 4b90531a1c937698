//! The published test vectors, all of them, through the functions that run in production.
//!
//! A vector either means something to us and must be decided as its label says, or it is for an
//! algorithm that is not offered, and then its key must not load. Every file has its exact totals,
//! so that none is skipped in silence. To add a file: put it under `tests/vectors`, count it here.
//!
//! The labels follow RFC 7515 and not our rules for session tokens, so they are put to the layer
//! below, `token::jws` and `token::jwk`. No vector at all is a session token: each is shown to
//! [`Tokens::verify`] as well.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cookbook;
mod primitives;
mod wycheproof;

use std::{fs, path::PathBuf, sync::LazyLock};

use countersign::{
    model::{Timestamp, clock::from_millis},
    token::{Algorithm, Defect, KeyDefect, KeySet, Tokens, jwk::Jwk, jws, signing::VerifyingKey},
};
use serde_json::Value;

/// A moment of the present, for keys and tokens whose times do not matter.
fn now() -> Timestamp {
    from_millis(1_790_000_000_000)
}

/// A service for each algorithm, to which every vector is a stranger's token.
static STRANGERS: LazyLock<Vec<Tokens>> = LazyLock::new(|| {
    Algorithm::ALL
        .into_iter()
        .map(|algorithm| {
            Tokens::new(
                KeySet::generate(algorithm, now()),
                "https://login.example".into(),
                "https://login.example".into(),
            )
        })
        .collect()
});

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

fn read(name: &str) -> Value {
    let text = fs::read_to_string(path(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn items<'a>(of: &'a Value, member: &str) -> &'a Vec<Value> {
    of[member].as_array().unwrap()
}

fn text<'a>(of: &'a Value, member: &str) -> &'a str {
    of[member].as_str().unwrap()
}

fn parse(key: &Value) -> Result<Jwk, KeyDefect> {
    Jwk::parse(key.to_string().as_bytes())
}

fn load(key: &Value) -> Result<VerifyingKey, KeyDefect> {
    parse(key)?.verifying_key()
}

/// What becomes of a token under a key.
#[derive(Debug, PartialEq)]
enum Outcome {
    Accepted(Vec<u8>),
    TokenRefused(Defect),
    KeyRefused(KeyDefect),
}

/// Shows a token to its key, and to every stranger. A token that is no text is shown as JSON.
fn decide(key: &Value, token: &Value) -> Outcome {
    let token = token.as_str().map_or_else(|| token.to_string(), str::to_owned);
    for stranger in &*STRANGERS {
        assert!(stranger.verify(&token, now()).is_err(), "{token}");
    }
    let key = match load(key) {
        Ok(key) => key,
        Err(defect) => return Outcome::KeyRefused(defect),
    };
    match jws::parse(&token).and_then(|token| token.verify(&key)) {
        Ok(payload) => Outcome::Accepted(payload),
        Err(defect) => Outcome::TokenRefused(defect),
    }
}

/// How the vectors of a file were decided.
#[derive(Debug, Default, PartialEq)]
struct Totals {
    /// Labelled valid, and accepted.
    accepted: usize,
    /// Labelled invalid, and refused: the token, or the key it comes with.
    refused: usize,
    /// Labelled valid, for an algorithm that is not offered: its key does not load.
    valid_not_offered: usize,
    /// Labelled invalid, for an algorithm that is not offered: refused, but that proves little.
    invalid_not_offered: usize,
}

impl Totals {
    /// Checks an outcome against its label, and counts it.
    fn count(&mut self, valid: bool, outcome: &Outcome, what: &str) {
        let counter = match (valid, outcome) {
            (true, Outcome::Accepted(_)) => &mut self.accepted,
            (true, Outcome::KeyRefused(KeyDefect::NotOffered)) => &mut self.valid_not_offered,
            (false, Outcome::KeyRefused(KeyDefect::NotOffered)) => &mut self.invalid_not_offered,
            (false, Outcome::TokenRefused(_) | Outcome::KeyRefused(_)) => &mut self.refused,
            (true, Outcome::TokenRefused(_) | Outcome::KeyRefused(_))
            | (false, Outcome::Accepted(_)) => {
                panic!("{what}: labelled valid: {valid}, but {outcome:?}")
            }
        };
        *counter += 1;
    }
}
