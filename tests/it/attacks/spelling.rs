//! Class E, the first half: other spellings of a good token.

use serde_json::json;

use super::{Attack, Scene, Shown, forge::encode};

/// The letters of base64url, in their order (RFC 4648 section 5).
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What a recipe of this kind comes to.
pub(super) fn attacks(id: &str, scene: &Scene) -> Option<Vec<Attack>> {
    let good = &scene.good;
    let [header, payload, signature] = scene.parts();
    let tokens: Vec<String> = match id {
        "E--90" => vec![
            format!("{header}.{payload}.{}", swapped(signature)),
            format!("{header}.{}.{signature}", swapped(payload)),
            format!("{header}.{payload}.{signature}="),
            format!("{header}.{payload}.{signature}=="),
            format!("{header}=.{payload}=.{signature}="),
        ],
        "E-trailing-91" => {
            let parts = scene.parts();
            let mut tokens = Vec::new();
            for nth in 0..3 {
                for spelling in same_bytes(parts[nth]) {
                    let mut parts = parts.map(str::to_owned);
                    parts[nth] = spelling;
                    tokens.push(parts.join("."));
                }
            }
            tokens
        }
        "E-2E-93" => vec![good.replace('.', "%2E"), good.replace('.', "%2e")],
        "E-percent-encoded-94" => {
            let all: Vec<_> = good.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let first = format!("%{:02X}{}", good.as_bytes()[0], &good[1..]);
            vec![all.concat(), first]
        }
        "E-NUL-96" => {
            let mut attacks = Attack::tokens(id, vec![format!("{good}%00"), format!("%00{good}")]);
            // In one piece with the header, which then is none.
            for bytes in [format!("{good}\0"), format!("\0{good}"), good.replace('.', "\0")] {
                attacks.push(Attack::raw(format!("{id}: raw"), bytes.into_bytes()));
            }
            return Some(attacks);
        }
        "E-invalid-100" => {
            let text = scene.claims.to_string();
            let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
            let payloads: [Vec<u8>; 5] = [
                [&text.as_bytes()[..text.len() - 1], b",\"x\":\"\xff\"}"].concat(),
                [b"\xef\xbb\xbf", text.as_bytes()].concat(),
                utf16(u16::to_le_bytes),
                utf16(u16::to_be_bytes),
                text.replace('a', "\u{0}a").into_bytes(),
            ];
            payloads.map(|payload| scene.key.sign(scene.header.to_string(), payload)).into()
        }
        "E-4-101" => vec![format!("{good}.{signature}"), format!("{good}."), format!("{good}..")],
        "E-2-102" => {
            vec![format!("{header}.{payload}"), format!("{payload}.{signature}"), header.into()]
        }
        "E-5-103" => {
            let bomb = json!({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2_147_483_647_u32, "p2s": "AAAA", "zip": "DEF"});
            let direct = json!({"alg": "dir", "enc": "A256GCM", "kid": scene.key.kid});
            let jwe = |head: &str| format!("{}.AAAA.AAAA.{payload}.AAAA", encode(head));
            vec![
                jwe(&bomb.to_string()),
                jwe(&direct.to_string()),
                format!("{good}.{payload}.{signature}"),
            ]
        }
        "E-leading/trailing-104" => {
            vec![format!(".{good}"), format!("{good}."), format!(".{good}.")]
        }
        "E-JSON-106" => {
            let flat = json!({"protected": header, "payload": payload, "signature": signature});
            let general = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
            vec![flat.to_string(), general.to_string(), encode(flat.to_string())]
        }
        "E-detached-107" => vec![format!("{header}..{signature}")],
        "E-double-108" => vec![
            encode(good),
            format!("{}.{}.{}", encode(header), encode(payload), encode(signature)),
            format!("{header}.{}.{signature}", encode(payload)),
        ],
        "E-quoted-109" => vec![
            format!("\"{good}\""),
            format!("\"{good}"),
            format!("'{good}'"),
            format!("\\{good}"),
        ],
        "E-empty-110" => {
            vec![
                String::new(),
                ".".into(),
                "..".into(),
                "undefined".into(),
                "null".into(),
                "\"\"".into(),
            ]
        }
        _ => return None,
    };
    Some(Attack::tokens(id, tokens))
}

/// What the file does not have.
pub(super) fn more(scene: &Scene) -> Vec<Attack> {
    let good = &scene.good;
    let [header, payload, signature] = scene.parts();
    let tokens = vec![
        good.replace('.', ". "),
        good.replace('.', ".\t"),
        good.replace('.', ","),
        good.to_lowercase(),
        good.to_uppercase(),
        format!("{good}, {good}"),
        format!("{good} {good}"),
        format!("{good}{good}"),
        format!("Bearer {good}"),
        format!("session={good}"),
        format!("{header}.{payload}.{signature}\u{a0}"),
        good.replace('.', "\u{ff0e}"),
        good.replacen(header.get(..1).unwrap(), "\u{435}", 1),
    ];
    let mut attacks = Attack::tokens("spelling", tokens);
    let bytes = [good.as_bytes(), b"\xff"].concat();
    let shown = if scene.by_cookie {
        ("cookie", [b"session=", bytes.as_slice()].concat())
    } else {
        ("authorization", [b"Bearer ", bytes.as_slice()].concat())
    };
    attacks.push(Attack::refused("spelling: no UTF-8", Shown::Headers(vec![shown])));
    attacks
}

/// In the alphabet that has `+` and `/`.
fn swapped(part: &str) -> String {
    let other = part.replace('-', "+").replace('_', "/");
    if other == part { format!("{part}+") } else { other }
}

/// The other spellings of the same bytes: with something in the bits that are left over.
fn same_bytes(part: &str) -> Vec<String> {
    let left_over = match part.len() % 4 {
        2 => 4,
        3 => 2,
        _ => return Vec::new(),
    };
    let (rest, last) = part.split_at(part.len() - 1);
    let at = LETTERS.iter().position(|letter| [*letter] == *last.as_bytes()).unwrap();
    (1..1 << left_over).map(|more| format!("{rest}{}", char::from(LETTERS[at | more]))).collect()
}
