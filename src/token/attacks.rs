//! Attacks on tokens, by the classes of the literature: algorithm, signature, header, claims.
//! Each is tried on every algorithm and both sets of claims. Where a defect could hide behind a bad signature, the token is
//! signed with the service's own key: the check that is meant is the only one that can refuse it.
//! To add an attack: a test in the file of its class, and its defect by name.

mod algorithm;
mod claims;
mod header;
mod signature;

use aws_lc_rs::hmac;
use serde_json::Value;

use super::{Algorithm, ClaimSet, Tokens, testing::*};

fn each_service(attack: impl Fn(&Tokens)) {
    for algorithm in Algorithm::ALL {
        for claim_set in [ClaimSet::Full, ClaimSet::Opaque] {
            let tokens = service(algorithm).with_claims(claim_set);
            let good = signed_claims(&tokens, claims(&tokens).to_string());
            assert!(tokens.verify(&good, now()).is_ok(), "the control");
            attack(&tokens);
        }
    }
}

/// With `changes` made to the usual header; `null` removes a member.
fn with_header(tokens: &Tokens, changes: &Value) -> String {
    let mut header = header(tokens);
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            header.as_object_mut().unwrap().remove(name);
        } else {
            header[name] = value.clone();
        }
    }
    signed(tokens, header.to_string(), claims(tokens).to_string())
}

fn hmac_signed(secret: &[u8], header: &Value, payload: &Value) -> String {
    let signed = format!("{}.{}", encode(header.to_string()), encode(payload.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{signed}.{}", encode(hmac::sign(&key, signed.as_bytes())))
}
