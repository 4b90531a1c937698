//! Class B: signatures that are not of this text, or are other spellings of one that is.

use serde_json::Value;

use super::{
    Attack, Scene,
    forge::{decode, encode},
    recipes::{Plan, with},
};

/// The order of P-256 (FIPS 186-5).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// What a recipe of this class comes to, if it leaves that to words.
pub(super) fn attacks(id: &str, scene: &Scene) -> Option<Vec<Attack>> {
    let [header, payload, signature] = scene.parts();
    let bytes = decode(signature);
    let signed = |bytes: &[u8]| format!("{header}.{payload}.{}", encode(bytes));
    let tokens: Vec<String> = match id {
        "B-null-sig" => vec![signed(&[]), format!("{header}.{payload}"), format!("{header}..")],
        "B-bitflip" => {
            let flipped = |bit: usize| {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                signed(&flipped)
            };
            (0..bytes.len() * 8).map(flipped).collect()
        }
        "B-trunc" => {
            let mut tokens: Vec<_> = (1..bytes.len()).map(|to| signed(&bytes[..to])).collect();
            tokens.extend([
                signed(&[&bytes[..], &[0]].concat()),
                signed(&[&bytes[..], &bytes].concat()),
            ]);
            tokens
        }
        "B-zero" => special(&bytes).iter().map(|bytes| signed(bytes)).collect(),
        "B-payload" => altered(&scene.claims)
            .iter()
            .map(|claims| format!("{header}.{}.{signature}", encode(claims.to_string())))
            .collect(),
        "B-splice" => {
            let of_other: Vec<&str> = scene.other.split('.').collect();
            vec![
                format!("{header}.{payload}.{}", of_other[2]),
                format!("{header}.{}.{signature}", of_other[1]),
            ]
        }
        _ => return None,
    };
    Some(Attack::tokens(id, tokens))
}

/// `B-malleate`: the other signature that the mathematics of ECDSA allow.
pub(super) fn malleated(scene: &Scene) -> Plan {
    match scene.key.alg.as_str() {
        "ES256" => Plan::Twin(other_spelling(&scene.good)),
        "EdDSA" => {
            let [header, payload, signature] = scene.parts();
            let bytes = decode(signature);
            let (r, s) = bytes.split_at(32);
            let token = format!("{header}.{payload}.{}", encode([r, &plus_order(s)].concat()));
            Plan::Refused(vec![Attack::token("B-malleate: (R, S + L)", token)])
        }
        _ => Plan::Nothing("a MAC has one spelling"),
    }
}

/// (r, n - s) in place of (r, s): as good a signature of the same text.
pub(crate) fn other_spelling(token: &str) -> String {
    let (text, signature) = token.rsplit_once('.').unwrap();
    let mut signature = decode(signature);
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(P256_ORDER[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + at] = difference.rem_euclid(256).try_into().unwrap();
    }
    format!("{text}.{}", encode(signature))
}

/// S + L, least significant byte first (RFC 8032 section 5.1.7 refuses it).
fn plus_order(s: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    let add = |(a, b): (&u8, u8)| {
        let sum = u16::from(*a) + u16::from(b) + carry;
        carry = sum >> 8;
        u8::try_from(sum & 0xff).unwrap()
    };
    s.iter().zip(ORDER).map(add).collect()
}

/// Signatures that careless mathematics accept for every text.
fn special(good: &[u8]) -> Vec<Vec<u8>> {
    let length = good.len();
    let one = |at: usize| {
        let mut bytes = vec![0; 32];
        bytes[at] = 1;
        bytes
    };
    let mut n_less_one = P256_ORDER.to_vec();
    n_less_one[31] -= 1;
    // As numbers of either byte order; the neutral element of Ed25519 is 1.
    let numbers = [vec![0; 32], one(0), one(31), P256_ORDER.to_vec(), n_less_one, vec![0xff; 32]];
    let mut all: Vec<Vec<u8>> = Vec::new();
    for number in &numbers {
        all.extend(numbers.iter().map(|other| [number.as_slice(), other].concat()));
        all.push([number, &good[length.min(32)..]].concat());
        all.push([&good[..length.min(32)], number].concat());
    }
    // As X.509 writes two numbers.
    let (r, s) = good.split_at(length / 2);
    let number = |n: &[u8]| {
        let sign: &[u8] = if n[0] > 0x7f { &[0] } else { &[] };
        let length = u8::try_from(n.len() + sign.len()).unwrap();
        [&[2, length][..], sign, n].concat()
    };
    let both = [number(r), number(s)].concat();
    all.push([&[0x30, u8::try_from(both.len()).unwrap()][..], &both].concat());
    all
}

/// Each claim altered, in its type.
fn altered(good: &Value) -> Vec<Value> {
    let alter = |name: &String| {
        let value = match &good[name] {
            Value::String(text) => format!("{text}x").into(),
            number => (number.as_i64().unwrap() + 1).into(),
        };
        with(good, name, value)
    };
    good.as_object().unwrap().keys().map(alter).collect()
}
