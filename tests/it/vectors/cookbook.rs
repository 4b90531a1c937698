//! The JOSE cookbook: RFC 7520, RFC 8037 and RFC 7797.

use std::fs;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign::token::{Defect, KeyDefect, jws};
use serde_json::Value;

use super::{Outcome, decide, load, parse, path, read, text};

#[test]
fn every_example_of_the_cookbook() {
    let mut names: Vec<_> = fs::read_dir(path("jose-cookbook"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "LICENSE")
        .collect();
    names.sort();
    assert_eq!(names.len(), 11);
    for name in names {
        let example = read(&format!("jose-cookbook/{name}"));
        match name.as_str() {
            "curve25519_jws.json" | "jws_4_4.hmac-sha2_integrity_protection.json" => {
                accepted(&example);
            }
            "jws_4_1.rsa_v15_signature.json" | "jws_4_3.ecdsa_signature.json" => {
                not_offered(&example);
            }
            "jws_4_5.signature_with_detached_content.json" => detached(&example),
            "jws_4_8.multiple_signatures.json" | "rfc7797_4.2.hmac-sha2_b64_false.json" => {
                only_json(&example);
            }
            "rfc7797_hmac-sha2_b64_false.json" => unencoded(&example),
            "jwk_3_1.ec_public_key.json" | "jwk_3_3.rsa_public_key.json" => {
                assert_eq!(load(&example).err(), Some(KeyDefect::NotOffered), "{name}");
            }
            "jwk_3_5.symmetric_key_mac_computation.json" => assert!(load(&example).is_ok()),
            other => panic!("{other} is not accounted for"),
        }
        for form in ["json", "json_flat"] {
            if let Some(serialised) = example["output"].get(form) {
                assert!(jws::parse(&serialised.to_string()).is_err(), "{name} {form}");
            }
        }
    }
}

/// Accepted with its payload, and signed again it is the same: both algorithms use no chance.
fn accepted(example: &Value) {
    let input = &example["input"];
    let payload = text(input, "payload").as_bytes().to_vec();
    let outcome = decide(&with_alg(input), &example["output"]["compact"]);
    assert_eq!(outcome, Outcome::Accepted(payload));

    let signing = &example["signing"];
    let key = parse(&with_alg(input)).unwrap().signing_key().unwrap();
    let signature = key.sign(text(signing, "sig-input").as_bytes()).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(signature), text(signing, "sig"));
}

/// The example's key, which leaves its `alg` to the example.
fn with_alg(input: &Value) -> Value {
    let mut key = input["key"].clone();
    key["alg"] = input["alg"].clone();
    key
}

fn not_offered(example: &Value) {
    let outcome = decide(&example["input"]["key"], &example["output"]["compact"]);
    assert_eq!(outcome, Outcome::KeyRefused(KeyDefect::NotOffered));
}

/// Without its payload, a token says nothing, and that was not signed.
fn detached(example: &Value) {
    let outcome = decide(&example["input"]["key"], &example["output"]["compact"]);
    assert_eq!(outcome, Outcome::TokenRefused(Defect::Signature));
}

fn only_json(example: &Value) {
    assert!(example["output"].get("compact").is_none());
    assert!(example["output"].get("json").is_some());
}

/// `b64: false`: neither as it stands, nor with only its header.
fn unencoded(example: &Value) {
    let token = text(&example["output"], "compact");
    assert_eq!(jws::parse(token).unwrap_err(), Defect::Alphabet);
    let header = token.split('.').next().unwrap();
    let only_header = format!("{header}.e30.e30");
    assert_eq!(jws::parse(&only_header).unwrap_err(), Defect::Header);
}

/// RFC 8037 appendix A.3.
#[test]
fn the_thumbprint_of_the_rfc() {
    let example = read("jose-cookbook/curve25519_jws.json");
    assert_eq!(
        parse(&example["input"]["key"]).unwrap().thumbprint().unwrap(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}
