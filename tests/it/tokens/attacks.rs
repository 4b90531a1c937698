//! The forge, and what comes out of it.

use std::{fs, path::Path};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{TestApp, claims, header, routes};

/// Signs whatever it is given with the server's own key.
pub(super) struct Forge {
    key: Ed25519KeyPair,
    pub(super) kid: String,
}

impl Forge {
    pub(super) fn of(app: &TestApp) -> Self {
        let jwk = private_keys(app.data_dir()).remove(0);
        let seed = URL_SAFE_NO_PAD.decode(jwk["d"].as_str().unwrap()).unwrap();
        Self {
            key: Ed25519KeyPair::from_seed_unchecked(&seed).unwrap(),
            kid: jwk["kid"].as_str().unwrap().to_owned(),
        }
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        let text = format!("{}.{}", encode(header), encode(payload));
        let signature = self.key.sign(text.as_bytes());
        format!("{text}.{}", encode(signature.as_ref()))
    }

    /// With the right header.
    pub(super) fn sign_claims(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.kid, "typ": "session+jwt"});
        self.sign(&header.to_string(), &claims.to_string())
    }
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The private keys in the data directory, wherever in it they are.
pub(super) fn private_keys(dir: &Path) -> Vec<Value> {
    let mut keys = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            keys.extend(private_keys(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let jwk: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            if jwk.get("d").or(jwk.get("k")).is_some() {
                keys.push(jwk);
            }
        }
    }
    keys
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

/// What the attacks start from.
struct Base<'a> {
    good: &'a str,
    other: &'a str,
    forge: &'a Forge,
    header: Value,
    claims: Value,
    parts: [&'a str; 3],
}

/// Tokens that must not be accepted, by name. `good` is of a session that is alive, and so is
/// `other`, of somebody else's.
pub(super) fn attacks(good: &str, forge: &Forge, other: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = good.split('.').collect();
    let base = Base {
        good,
        other,
        forge,
        header: header(good),
        claims: claims(good),
        parts: parts.try_into().expect("three parts"),
    };
    let mut attacks = Vec::new();
    let mut attack = |name, token| attacks.push((name, token));
    algorithm(&base, &mut attack);
    signature(&base, &mut attack);
    header_members(&base, &mut attack);
    claims_members(&base, &mut attack);
    spelling(&base, &mut attack);
    attacks
}

/// Another algorithm than the key's.
fn algorithm(base: &Base<'_>, attack: &mut impl FnMut(String, String)) {
    let Base { forge, header, claims, parts: [_, payload, signature], .. } = base;
    for alg in ["none", "None", "NONE", "nOnE", "", "HS256", "HS512", "ES256", "RS256", "eddsa"] {
        let patched = encode(with(header, "alg", alg.into()).to_string());
        attack(format!("alg {alg:?}, no signature"), format!("{patched}.{payload}."));
        attack(format!("alg {alg:?}, signature kept"), format!("{patched}.{payload}.{signature}"));
        let resigned =
            forge.sign(&with(header, "alg", alg.into()).to_string(), &claims.to_string());
        attack(format!("alg {alg:?}, signed anew"), resigned);
    }
}

/// A signature that is not of this text.
fn signature(base: &Base<'_>, attack: &mut impl FnMut(String, String)) {
    let Base { good, other, claims, parts, .. } = base;
    let [head, payload, signature] = parts;
    attack("no signature".into(), format!("{head}.{payload}."));
    attack("no last part".into(), format!("{head}.{payload}"));
    attack("a short signature".into(), format!("{head}.{payload}.{}", &signature[..40]));
    attack("a long signature".into(), format!("{good}AAAA"));
    attack("a signature of zeros".into(), format!("{head}.{payload}.{}", encode([0; 64])));
    for nth in 0..3 {
        for at in [0, parts[nth].len() / 2, parts[nth].len() - 1] {
            let mut bytes = parts.iter().map(|p| p.as_bytes().to_vec()).collect::<Vec<_>>();
            bytes[nth][at] = if bytes[nth][at] == b'A' { b'B' } else { b'A' };
            let token = bytes.join(&b'.');
            attack(format!("part {nth} changed at {at}"), String::from_utf8(token).unwrap());
        }
    }
    let spliced = other.split('.').nth(1).unwrap();
    attack("another one's payload".into(), format!("{head}.{spliced}.{signature}"));
    for (name, value) in [
        ("visits", json!(1_000_000)),
        ("email", "eve@example.com".into()),
        ("exp", json!(9_999_999_999_i64)),
    ] {
        let edited = encode(with(claims, name, value).to_string());
        attack(format!("{name} edited"), format!("{head}.{edited}.{signature}"));
    }
}

/// Another header, signed anew with the server's key.
fn header_members(base: &Base<'_>, attack: &mut impl FnMut(String, String)) {
    let Base { forge, header, claims, .. } = base;
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("SESSION+JWT")),
        ("typ", Value::Null),
        ("kid", json!("nobody")),
        ("kid", json!("../../../dev/null")),
        ("kid", json!("' OR 1=1")),
        ("kid", json!(["a"])),
        ("jku", json!("http://127.0.0.1:9/jwks.json")),
        ("x5u", json!("http://127.0.0.1:9/x5u")),
        ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": encode([1; 32])})),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
    ] {
        let patched = with(header, name, value.clone()).to_string();
        attack(
            format!("{name} = {value} in the header"),
            forge.sign(&patched, &claims.to_string()),
        );
    }
    for name in ["alg", "typ", "kid"] {
        let mut patched = header.clone();
        patched.as_object_mut().unwrap().remove(name);
        attack(format!("no {name}"), forge.sign(&patched.to_string(), &claims.to_string()));
    }
}

/// Other claims, signed anew with the server's key, of a session that is alive.
fn claims_members(base: &Base<'_>, attack: &mut impl FnMut(String, String)) {
    let Base { other, forge, claims, .. } = base;
    for name in claims.as_object().unwrap().keys() {
        let mut missing = claims.clone();
        missing.as_object_mut().unwrap().remove(name);
        attack(format!("no {name}"), forge.sign_claims(&missing));
        for wrong in [
            json!(null),
            json!(true),
            json!([]),
            json!({}),
            json!([claims[name]]),
            json!(-1),
            json!(1.5),
            json!(""),
            json!("x"),
            json!("\u{0}"),
        ] {
            attack(format!("{name} = {wrong}"), forge.sign_claims(&with(claims, name, wrong)));
        }
        let twice = claims.to_string().replacen('{', &format!("{{\"{name}\":{},", claims[name]), 1);
        let right_header = json!({"alg": "EdDSA", "kid": forge.kid, "typ": "session+jwt"});
        attack(format!("{name} twice"), forge.sign(&right_header.to_string(), &twice));
    }
    attack("a claim of its own".into(), forge.sign_claims(&with(claims, "admin", json!(true))));
    let past = claims["iat"].as_i64().unwrap() - 3_600;
    attack("expired".into(), forge.sign_claims(&with(claims, "exp", past.into())));
    attack(
        "expires as it is signed".into(),
        forge.sign_claims(&with(claims, "exp", claims["iat"].clone())),
    );
    attack(
        "from the future".into(),
        forge.sign_claims(&with(claims, "iat", (past + 7_200).into())),
    );
    for (name, value) in [
        ("iss", "http://localhost:3001"),
        ("iss", "https://localhost:3000"),
        ("aud", "http://localhost:3000/"),
        ("sub", routes::NO_SESSION),
        ("sid", routes::NO_SESSION),
    ] {
        attack(format!("{name} = {value}"), forge.sign_claims(&with(claims, name, value.into())));
    }
    let other_sub = crate::support::claims(other)["sub"].clone();
    attack("another one's sub".into(), forge.sign_claims(&with(claims, "sub", other_sub)));
}

/// Another spelling of the good token, or no token at all.
fn spelling(base: &Base<'_>, attack: &mut impl FnMut(String, String)) {
    let Base { good, parts, .. } = base;
    let [head, payload, signature] = parts;
    attack("padded".into(), format!("{good}="));
    attack("quoted".into(), format!("\"{good}\""));
    attack("percent-encoded".into(), good.replace('.', "%2E"));
    attack("with a blank".into(), good.replace('.', ". "));
    attack("four parts".into(), format!("{good}.{signature}"));
    attack("five parts".into(), format!("{good}..."));
    attack("a dot before".into(), format!(".{good}"));
    attack(
        "standard alphabet".into(),
        format!("{head}.{payload}.{}", signature.replace(['-', '_'], "+")) + "/",
    );
    attack(
        "JSON".into(),
        json!({"protected": head, "payload": payload, "signature": signature}).to_string(),
    );
    attack("huge".into(), format!("{head}.{}.{signature}", "A".repeat(12_000)));
    attack("nothing".into(), String::new());
    attack("a word".into(), "undefined".into());
}
