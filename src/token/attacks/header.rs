//! Attacks by what a header says, or brings along. All of these are properly signed.

use serde_json::json;

use super::{each_service, with_header};
use crate::token::{Defect, testing::*};

#[test]
fn a_header_brings_nothing_along() {
    let jwk = json!({"kty": "oct", "alg": "HS256", "k": encode([7; 32])});
    for changes in [
        json!({"jwk": jwk}),
        json!({"jku": "http://127.0.0.1:9/jwks.json"}),
        json!({"x5u": "http://127.0.0.1:9/chain.pem"}),
        json!({"x5c": ["MIIB"]}),
        json!({"x5t": "AAAA"}),
        json!({"crit": ["x"], "x": 1}),
        json!({"crit": []}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"b64": false}),
        json!({"b64": true}),
        json!({"cty": "JWT"}),
        json!({"zip": "DEF"}),
        json!({"enc": "A256GCM"}),
        json!({"nonce": "1"}),
    ] {
        each_service(|tokens| {
            let token = with_header(tokens, &changes);
            assert_eq!(tokens.verify(&token, now()), Err(Defect::Header), "{changes}");
        });
    }
}

#[test]
fn a_key_goes_by_its_whole_name() {
    each_service(|tokens| {
        let kid = &tokens.keys().signing(now()).kid.clone();
        for other in [
            "",
            "nope",
            "*",
            "../../../../../../dev/null",
            "x' UNION SELECT '1';--",
            "|sleep 10",
            &kid.to_lowercase(),
            &kid[1..],
            &format!("{kid}\0"),
            &format!("{kid}.json"),
        ] {
            let token = with_header(tokens, &json!({"kid": other}));
            assert_eq!(tokens.verify(&token, now()), Err(Defect::UnknownKey), "{other}");
        }
        let token = with_header(tokens, &json!({"kid": null}));
        assert_eq!(tokens.verify(&token, now()), Err(Defect::UnknownKey));
        for other in [json!(1), json!([kid]), json!({"kid": kid}), json!(false)] {
            let token = with_header(tokens, &json!({"kid": other}));
            assert_eq!(tokens.verify(&token, now()), Err(Defect::Header), "{other}");
        }
    });
}

#[test]
fn only_session_tokens_are_session_tokens() {
    each_service(|tokens| {
        for typ in
            ["", "JWT", "jwt", "at+jwt", "Session+JWT", "session+jwt ", "application/session+jwt"]
        {
            let token = with_header(tokens, &json!({"typ": typ}));
            assert_eq!(tokens.verify(&token, now()), Err(Defect::Type), "{typ}");
        }
        let token = with_header(tokens, &json!({"typ": null}));
        assert_eq!(tokens.verify(&token, now()), Err(Defect::Type));
    });
}
