//! Attacks on the signature itself.

use proptest::prelude::*;
use serde_json::Value;

use super::each_service;
use crate::token::{Algorithm, Defect, Tokens, testing::*};

#[test]
fn every_bit_of_the_signature_counts() {
    each_service(|tokens| {
        let [header, payload, signature] = parts(&issue(tokens));
        let signature = decode(&signature);
        let verify = |signature: &[u8]| {
            let token = format!("{header}.{payload}.{}", encode(signature));
            tokens.verify(&token, now()).map(|_| ())
        };
        assert_eq!(verify(&signature), Ok(()));
        for bit in 0..signature.len() * 8 {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(&flipped), Err(Defect::Signature), "bit {bit}");
        }
        for length in 0..signature.len() {
            assert_eq!(verify(&signature[..length]), Err(Defect::Signature), "{length} bytes");
        }
        for more in [&[0][..], &[1; 32], &signature] {
            assert_eq!(verify(&[&signature, more].concat()), Err(Defect::Signature));
            assert_eq!(verify(&[more, &signature].concat()), Err(Defect::Signature));
        }
        for byte in [0, 0xff] {
            assert_eq!(verify(&vec![byte; signature.len()]), Err(Defect::Signature));
        }
    });
}

/// `a + b` and `a - b` of numbers of 32 bytes, most significant first.
fn arithmetic(a: &[u8], b: &[u8], sign: i16) -> Vec<u8> {
    let mut carry = 0;
    let mut digits = vec![0; 32];
    for at in (0..32).rev() {
        let digit = i16::from(a[at]) + sign * i16::from(b[at]) + carry;
        digits[at] = u8::try_from(digit.rem_euclid(256)).unwrap();
        carry = digit.div_euclid(256);
    }
    assert_eq!(carry, 0);
    digits
}

/// The order of P-256 (FIPS 186-5).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The order of the group of Ed25519, most significant byte first (RFC 8032 section 5.1).
const ED25519_ORDER: [u8; 32] = [
    0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c,
    0xd6, 0x58, 0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
];

/// Decided, and pinned here: an ES256 token has a second spelling. It is the same session's, and
/// ends with it: nothing goes by the text of a token.
#[test]
fn the_other_signature_of_es256_is_the_same_token() {
    let tokens = service(Algorithm::Es256);
    let token = issue(&tokens);
    let [header, payload, signature] = parts(&token);
    let signature = decode(&signature);
    let (r, s) = signature.split_at(32);
    let other = [r, &arithmetic(&P256_ORDER, s, -1)].concat();
    let other = format!("{header}.{payload}.{}", encode(other));
    assert_ne!(other, token);
    assert_eq!(tokens.verify(&other, now()), tokens.verify(&token, now()));

    // The same two numbers as X.509 writes them are no signature of a token.
    let number = |n: &[u8]| [&[2, 33, 0], n].concat();
    let der = [&[0x30, 70][..], &number(r), &number(s)].concat();
    let der = format!("{header}.{payload}.{}", encode(der));
    assert_eq!(tokens.verify(&der, now()), Err(Defect::Signature));
}

#[test]
fn ed25519_has_one_signature_only() {
    let tokens = service(Algorithm::EdDsa);
    let [header, payload, signature] = parts(&issue(&tokens));
    let signature = decode(&signature);
    let (r, s) = signature.split_at(32);
    let reversed: Vec<_> = s.iter().rev().copied().collect();
    let mut other = arithmetic(&reversed, &ED25519_ORDER, 1);
    other.reverse();
    let other = format!("{header}.{payload}.{}", encode([r, &other].concat()));
    assert_eq!(tokens.verify(&other, now()), Err(Defect::Signature));
}

#[test]
fn a_signature_holds_for_one_content() {
    each_service(|tokens| {
        let [header, payload, signature] = parts(&issue(tokens));
        let [other_header, other_payload, other_signature] = parts(&issue(tokens));
        assert_eq!(header, other_header);
        for token in [
            format!("{header}.{other_payload}.{signature}"),
            format!("{header}.{payload}.{other_signature}"),
            format!("{header}..{signature}"),
            format!("{header}.{}.{signature}", encode(&payload)),
        ] {
            assert_eq!(tokens.verify(&token, now()), Err(Defect::Signature));
        }
        let good: Value = serde_json::from_slice(&decode(&payload)).unwrap();
        for claim in good.as_object().unwrap().keys() {
            let mut edited = good.clone();
            edited[claim] = match &good[claim] {
                Value::String(text) => format!("{text}x").into(),
                number => (number.as_i64().unwrap() + 1).into(),
            };
            let edited = encode(edited.to_string());
            let token = format!("{header}.{edited}.{signature}");
            assert_eq!(tokens.verify(&token, now()), Err(Defect::Signature), "{claim}");
        }
    });
}

#[test]
fn the_key_of_another_service_signs_nothing_here() {
    each_service(|tokens| {
        let stranger = service(tokens.keys().signing(now()).algorithm);
        let token = issue(&stranger);
        assert_eq!(tokens.verify(&token, now()), Err(Defect::UnknownKey));
        let named_as_ours =
            signed(&stranger, header(tokens).to_string(), claims(tokens).to_string());
        assert_eq!(tokens.verify(&named_as_ours, now()), Err(Defect::Signature));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_byte_of_a_token_can_be_changed(at in any::<prop::sample::Index>(), byte: u8) {
        thread_local! {
            static SERVICES: Vec<(Tokens, String)> = Algorithm::ALL
                .map(service)
                .map(|tokens| { let token = issue(&tokens); (tokens, token) })
                .into();
        }
        SERVICES.with(|services| for (tokens, token) in services {
            let mut edited = token.clone().into_bytes();
            edited[at.index(token.len())] = byte;
            // Bytes that are no UTF-8 cannot even be shown.
            if let Ok(edited) = String::from_utf8(edited) {
                let accepted = tokens.verify(&edited, now()).is_ok();
                assert_eq!(accepted, edited == *token, "{edited}");
            }
        });
    }
}
