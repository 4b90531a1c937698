//! Wycheproof's JOSE files: `json_web_signature`, `json_web_key`, `json_web_crypto`.

use serde_json::Value;

use super::{Outcome, Totals, decide, items, load, parse, read, text};
use countersign::token::{Algorithm, KeyDefect, jws};

/// Labels that are not followed, and why.
const OVERRIDDEN: [(u64, bool, &str); 4] = [
    // https://github.com/C2SP/wycheproof/issues/236
    (367, true, "byte for byte the token of 357, which is valid"),
    (370, true, "byte for byte the token of 357, which is valid"),
    (372, false, "a `?` inside the header: a second spelling"),
    (373, false, "a `?` inside the payload: a second spelling"),
];

fn is_valid(test: &Value) -> bool {
    match text(test, "result") {
        "valid" => true,
        "invalid" => false,
        other => panic!("an unknown label: {other}"),
    }
}

/// What verifies: the public key, or the secret where there is no other.
fn verifying(group: &Value) -> &Value {
    group.get("public").unwrap_or(&group["private"])
}

#[test]
fn json_web_signature() {
    let file = read("wycheproof/json_web_signature_test.json");
    let mut totals = Totals::default();
    let mut overridden = 0;
    let mut seen = Vec::new();
    for group in items(&file, "testGroups") {
        for test in items(group, "tests") {
            let id = test["tcId"].as_u64().unwrap();
            let outcome = decide(verifying(group), &test["jws"]);
            let valid = match OVERRIDDEN.iter().find(|(other, ..)| *other == id) {
                Some((_, valid, why)) => {
                    assert_ne!(*valid, is_valid(test), "{id}: mended upstream? {why}");
                    overridden += 1;
                    *valid
                }
                None => is_valid(test),
            };
            totals.count(valid, &outcome, &format!("json_web_signature {id}"));
            seen.push((id, outcome));
        }
        check_private(group);
    }
    assert_eq!(overridden, OVERRIDDEN.len());
    assert_eq!(
        totals,
        Totals {
            accepted: 12,             // HS256 10, ES256 2
            refused: 69,              // HS256 30, ES256 39
            valid_not_offered: 34, // RS256 8, RS384 4, RS512 4, PS256 8, PS384 4, PS512 4, ES512 2
            invalid_not_offered: 286, // RS256 227, PS256 42, PS384 1, PS512 16
        }
    );
    assert_eq!(seen.len(), 401);

    let outcome = |id| &seen.iter().find(|(other, _)| *other == id).unwrap().1;
    // Good signatures under keys that are meant for encryption.
    for (id, because) in [
        (353, KeyDefect::NotOffered),
        (354, KeyDefect::Use),
        (355, KeyDefect::NotOffered),
        (356, KeyDefect::Use),
    ] {
        assert_eq!(*outcome(id), Outcome::KeyRefused(because), "{id}");
    }
    // (r, s) and (r, n-s) over one message, both good: see `VerifyingKey::verify`.
    assert_eq!(outcome(18), outcome(378));
}

/// A private key of ours signs what its public key verifies; one that verifies nothing signs
/// nothing either.
fn check_private(group: &Value) {
    let signing = parse(&group["private"]).and_then(|key| key.signing_key());
    match load(verifying(group)) {
        Ok(verifying) => {
            let signature = signing.map(|key| key.sign(b"message").unwrap()).unwrap();
            assert_eq!(verifying.verify(b"message", &signature), Ok(()));
        }
        Err(_) => assert!(signing.is_err()),
    }
}

/// The vectors come in sets. Ours come one by one, each named by its thumbprint, so a set that is
/// ambiguous (1: symmetric and asymmetric keys mixed, 4: one `kid` twice) cannot arise, and as a
/// document it is refused like any that is not a key. Otherwise the key is the one its `kid` names.
fn of_set(set: &Value, test: &Value) -> Value {
    let keys = items(set, "keys");
    let ambiguous = test["flags"].as_array().unwrap().iter().any(|flag| flag == "Ambiguous")
        || text(test, "comment") == "rejectsValid";
    if ambiguous {
        return set.clone();
    }
    let token = text(test, "jws");
    let named = jws::parse(token).ok().and_then(|token| token.header().kid.clone());
    let of_name = |key: &&Value| named.as_deref() == key["kid"].as_str();
    match (&keys[..], keys.iter().find(of_name)) {
        (_, Some(key)) | ([key], None) => key.clone(),
        (_, None) => panic!("no key for {token}"),
    }
}

#[test]
fn json_web_key() {
    let file = read("wycheproof/json_web_key_test.json");
    let mut totals = Totals::default();
    let mut reasons = Vec::new();
    for group in items(&file, "testGroups") {
        for test in items(group, "tests") {
            let id = test["tcId"].as_u64().unwrap();
            let outcome = decide(&of_set(verifying(group), test), &test["jws"]);
            totals.count(is_valid(test), &outcome, &format!("json_web_key {id}"));
            if let Outcome::KeyRefused(defect) = outcome
                && defect != KeyDefect::NotOffered
            {
                reasons.push((id, defect));
            }
        }
    }
    assert_eq!(
        totals,
        Totals {
            accepted: 2,
            refused: 9,
            valid_not_offered: 3,    // RS256, HS384, HS512
            invalid_not_offered: 12, // RSA 4, HS384 2, HS512 2, ES521, ES224, A256GCM, A256KW
        }
    );
    assert_eq!(
        reasons,
        [
            (1, KeyDefect::Malformed),      // a set, mixed
            (4, KeyDefect::Malformed),      // a set, one kid twice
            (10, KeyDefect::TooShort),      // 31 bytes
            (16, KeyDefect::TooShort),      // none
            (21, KeyDefect::Use),           // use=enc
            (22, KeyDefect::Inconsistent),  // not on the curve
            (23, KeyDefect::Contradiction), // ES256 on P-384
            (24, KeyDefect::Contradiction), // ES256 of kty RSA
        ]
    );
}

#[test]
fn json_web_crypto() {
    let file = read("wycheproof/json_web_crypto_test.json");
    let mut totals = Totals::default();
    let mut encrypted = 0;
    for group in items(&file, "testGroups") {
        for test in items(group, "tests") {
            let id = test["tcId"].as_u64().unwrap();
            if let Some(jwe) = test.get("jwe") {
                // Encrypted: no such token is read and no such key is loaded, good or bad.
                let jwe = jwe.as_str().map_or_else(|| jwe.to_string(), str::to_owned);
                assert!(jws::parse(&jwe).is_err(), "{id}");
                assert!(load(&group["private"]).is_err(), "{id}");
                encrypted += 1;
                continue;
            }
            let key = verifying(group);
            let key = match key.get("keys") {
                Some(_) => of_set(key, test),
                None => key.clone(),
            };
            let outcome = decide(&key, &test["jws"]);
            totals.count(is_valid(test), &outcome, &format!("json_web_crypto {id}"));
        }
    }
    assert_eq!(encrypted, 34);
    assert_eq!(
        totals,
        Totals { accepted: 3, refused: 32, valid_not_offered: 1, invalid_not_offered: 13 }
    );
}

#[test]
fn no_algorithm_goes_by_a_name_of_the_vectors_that_is_not_offered() {
    for name in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES512", "ES521", "none"] {
        assert!(name.parse::<Algorithm>().is_err(), "{name}");
    }
}
