//! Attacks by what the claims say. All of these are properly signed.

use serde_json::{Value, json};

use super::each_service;
use crate::token::{Defect, testing::*};

/// Values that a claim must not have, by what it should be. Of the texts, `iss` and `aud` are
/// refused for what they say.
fn wrong_values(right: &Value) -> Vec<Value> {
    let values = [
        json!(null),
        json!(true),
        json!(""),
        json!("text"),
        json!("1790000000"),
        json!(1_790_000_000),
        json!(-1),
        json!(1.5),
        json!([]),
        json!({}),
        json!([right]),
        json!({"0": right}),
        json!(u64::MAX),
    ];
    let same_type = |value: &Value| right.is_u64() && value.as_i64().is_some_and(|n| n >= 0);
    values.into_iter().filter(|value| !same_type(value)).collect()
}

/// Each claim in its place, and all the ways it can be wrong, properly signed.
#[test]
fn every_claim_is_there_once_and_of_its_type() {
    each_service(|tokens| {
        let good = claims(tokens);
        let refused = |payload: &str| {
            let defect = tokens.verify(&signed_claims(tokens, payload), now()).unwrap_err();
            assert!(
                matches!(defect, Defect::Claims | Defect::Issuer | Defect::Audience),
                "{payload}: {defect}"
            );
        };
        let names: Vec<_> = good.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names.len(), if good.get("seq").is_some() { 10 } else { 11 });
        for name in &names {
            let mut missing = good.clone();
            missing.as_object_mut().unwrap().remove(name);
            refused(&missing.to_string());

            let wrong_values = wrong_values(&good[name]);
            assert!(wrong_values.len() >= 11);
            for wrong in wrong_values {
                // `visits`, `seq` and `prev` may be as large as they like: they are only compared.
                if wrong == json!(u64::MAX) && ["visits", "seq", "prev"].contains(&name.as_str()) {
                    continue;
                }
                let mut bad = good.clone();
                bad[name] = wrong;
                refused(&bad.to_string());
            }
            for number in ["1e400", "1.0", "1e3", "18446744073709551616", "-0.0"] {
                let mut bad = good.clone();
                bad[name] = "HERE".into();
                refused(&bad.to_string().replace("\"HERE\"", number));
            }

            let members = &good.to_string()[1..];
            let again = format!("\"{name}\":{}", good[name]);
            refused(&format!("{{{again},{members}"));
            refused(&format!("{{\"{name}\":null,{members}"));
            let members = &good.to_string();
            let members = &members[..members.len() - 1];
            refused(&format!("{members},{again}}}"));
            refused(&format!("{members},\"{name}\":0}}"));
        }
    });
}

#[test]
fn there_are_no_other_claims_and_no_other_forms() {
    each_service(|tokens| {
        let good = claims(tokens);
        let others = ["email", "visits", "seq", "nbf", "scope", "Exp", "", "admin"];
        for name in others.into_iter().filter(|name| good.get(name).is_none()) {
            let mut more = good.clone();
            more[name] = json!(1);
            let token = signed_claims(tokens, more.to_string());
            assert_eq!(tokens.verify(&token, now()), Err(Defect::Claims), "{name}");
        }
        // In the order of the struct, serde would take an array for it.
        let written = serde_json::to_string(&tokens.claims(&grant(&email()))).unwrap();
        let ordered: Vec<_> = written
            .trim_matches(['{', '}'])
            .split(',')
            .map(|member| member.split_once(':').unwrap().1)
            .collect();
        let array = format!("[{}]", ordered.join(","));
        let text = good.to_string();
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for payload in [
            array.as_bytes(),
            b"",
            b"null",
            b"{}",
            b"foo",
            &utf16,
            format!("\u{feff}{text}").as_bytes(),
            format!("{text}{text}").as_bytes(),
            format!("{text}\0").as_bytes(),
            format!("[{text}]").as_bytes(),
            encode(&text).as_bytes(),
            text.replace("https:", "https\\ud800:").as_bytes(),
            &[text.replace('}', ",\"x\":\"").as_bytes(), b"\xff\"}"].concat(),
        ] {
            let token = signed_claims(tokens, payload);
            let shown = String::from_utf8_lossy(payload);
            assert_eq!(tokens.verify(&token, now()), Err(Defect::Claims), "{shown}");
        }
    });
}
