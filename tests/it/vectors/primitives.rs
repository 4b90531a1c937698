//! Wycheproof's files on the bare signatures, through [`VerifyingKey`] as tokens use it.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign::token::{KeyDefect, signing::VerifyingKey};
use serde_json::{Value, json};

use super::{items, load, read, text};

fn bytes(of: &Value, member: &str) -> Vec<u8> {
    let digits = text(of, member);
    assert!(digits.len().is_multiple_of(2));
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// How many there are of each label, and that each is decided as its label says.
fn decide_all(name: &str, key_of: impl Fn(&Value) -> VerifyingKey) -> BTreeMap<String, usize> {
    let file = read(name);
    let mut totals = BTreeMap::new();
    for group in items(&file, "testGroups") {
        let key = key_of(group);
        for test in items(group, "tests") {
            let label = text(test, "result");
            let fits = key.verify(&bytes(test, "msg"), &bytes(test, "sig")).is_ok();
            assert_eq!(fits, label == "valid", "{name} {}", test["tcId"]);
            *totals.entry(label.to_owned()).or_default() += 1;
        }
    }
    totals
}

fn totals(valid: usize, invalid: usize) -> BTreeMap<String, usize> {
    [("invalid".to_owned(), invalid), ("valid".to_owned(), valid)].into()
}

#[test]
fn ed25519() {
    let found =
        decide_all("wycheproof/ed25519_test.json", |group| load(&group["publicKeyJwk"]).unwrap());
    assert_eq!(found, totals(88, 63));
}

#[test]
fn es256() {
    let name = "wycheproof/ecdsa_secp256r1_sha256_p1363_test.json";
    let found = decide_all(name, |group| {
        let point = bytes(&group["publicKey"], "uncompressed");
        let (x, y) = point[1..].split_at(32);
        load(&json!({"kty": "EC", "crv": "P-256", "x": base64(x), "y": base64(y)})).unwrap()
    });
    assert_eq!(found, totals(173, 89));
}

#[test]
fn hs256() {
    let file = read("wycheproof/hmac_sha256_test.json");
    let (mut accepted, mut refused, mut cut_off, mut too_short) = (0, 0, 0, 0);
    for group in items(&file, "testGroups") {
        for test in items(group, "tests") {
            let k = base64(&bytes(test, "key"));
            let key = load(&json!({"kty": "oct", "alg": "HS256", "k": k}));
            if group["keySize"] == 128 {
                // Good codes, by secrets that HS256 must not have (RFC 7518 section 3.2).
                assert_eq!(key.err(), Some(KeyDefect::TooShort));
                too_short += 1;
                continue;
            }
            let fits = key.unwrap().verify(&bytes(test, "msg"), &bytes(test, "tag"));
            if group["tagSize"] == 128 {
                // Half a code is none, though some of these are labelled valid.
                assert!(fits.is_err(), "{}", test["tcId"]);
                cut_off += 1;
            } else if text(test, "result") == "valid" {
                assert!(fits.is_ok(), "{}", test["tcId"]);
                accepted += 1;
            } else {
                assert!(fits.is_err(), "{}", test["tcId"]);
                refused += 1;
            }
        }
    }
    assert_eq!((accepted, refused, cut_off, too_short), (30, 54, 84, 6));
}

#[test]
fn rsa_is_not_offered() {
    let file = read("wycheproof/rsa_signature_2048_sha256_test.json");
    let ours = [
        json!({"kty": "oct", "alg": "HS256", "k": base64(&[7; 32])}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
    ]
    .map(|key| load(&key).unwrap());
    let mut seen = 0;
    for group in items(&file, "testGroups") {
        assert_eq!(load(&group["keyJwk"]).err(), Some(KeyDefect::NotOffered));
        for test in items(group, "tests") {
            let (message, signature) = (bytes(test, "msg"), bytes(test, "sig"));
            for key in &ours {
                assert!(key.verify(&message, &signature).is_err(), "{}", test["tcId"]);
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 259);
}
