//! Attacks on the choice of the algorithm and of its key.

use serde_json::{Value, json};

use super::{each_service, hmac_signed, with_header};
use crate::token::{Algorithm, Defect, testing::*};

#[test]
fn the_algorithm_is_the_keys_whatever_the_header_says() {
    const NAMES: [&str; 17] = [
        "none", "None", "NONE", "nOnE", "none\0", " none", "", "HS256", "HS384", "ES256", "ES384",
        "RS256", "PS256", "EdDSA", "Ed25519", "eddsa", "hs256",
    ];
    each_service(|tokens| {
        for name in NAMES {
            if name == tokens.keys().signing(now()).algorithm.name() {
                continue;
            }
            let token = with_header(tokens, &json!({"alg": name}));
            assert_eq!(tokens.verify(&token, now()), Err(Defect::Algorithm), "{name:?}");
            let [header, payload, _] = parts(&token);
            let unsigned = format!("{header}.{payload}.");
            assert_eq!(tokens.verify(&unsigned, now()), Err(Defect::Algorithm), "{name:?}");
        }
        for alg in [json!(["EdDSA"]), json!(1), json!({}), json!(true), Value::Null] {
            let token = with_header(tokens, &json!({"alg": alg}));
            assert_eq!(tokens.verify(&token, now()), Err(Defect::Header), "{alg}");
        }
    });
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let tokens = service(algorithm);
        let jwks = serde_json::to_value(tokens.jwks(now())).unwrap();
        let jwk = &jwks["keys"][0];
        let x = jwk["x"].as_str().unwrap();
        let y = jwk["y"].as_str().unwrap_or_default();
        let point = [vec![4], decode(x), decode(y)].concat();
        let forms = [
            x.as_bytes().to_vec(),
            decode(x),
            point,
            jwk.to_string().into_bytes(),
            jwks.to_string().into_bytes(),
            tokens.keys().signing(now()).kid.clone().into_bytes(),
            Vec::new(),
        ];
        for secret in forms {
            let mut header = header(&tokens);
            let claims = claims(&tokens);
            let token = hmac_signed(&secret, &header, &claims);
            assert_eq!(tokens.verify(&token, now()), Err(Defect::Signature));
            header["alg"] = "HS256".into();
            let token = hmac_signed(&secret, &header, &claims);
            assert_eq!(tokens.verify(&token, now()), Err(Defect::Algorithm));
        }
    }
}

#[test]
fn a_secret_is_not_guessed_from_a_list() {
    let tokens = service(Algorithm::Hs256);
    let kid = tokens.keys().signing(now()).kid.clone();
    for secret in ["", "secret", "changeme", &"0".repeat(32), &kid, &format!("{kid}.json"), URL] {
        let token = hmac_signed(secret.as_bytes(), &header(&tokens), &claims(&tokens));
        assert_eq!(tokens.verify(&token, now()), Err(Defect::Signature), "{secret}");
    }
}
