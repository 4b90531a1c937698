//! The recipes of `tests/vectors/attacks.json`, and what each comes to here.
//!
//! Most say themselves what is to be done: a change to the header, one to the claims, and who signs
//! the result. What they leave to words is in the file of its class: `signature`, `claims`,
//! `spelling`, `transport`. A recipe that means nothing here is named with the reason.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Attack, Scene, claims,
    forge::{Key, encode, hmac_signed},
    signature, spelling, transport,
};

/// One entry of the file.
#[derive(Debug, Deserialize)]
pub(super) struct Recipe {
    pub(super) id: String,
    #[serde(rename = "cls")]
    pub(super) class: String,
    pub(super) desc: String,
    header_patch: Option<Map<String, Value>>,
    payload_patch: Option<Map<String, Value>>,
    raw: Option<String>,
}

/// What a recipe comes to.
pub(super) enum Plan {
    /// All of these are refused.
    Refused(Vec<Attack>),
    /// This is another spelling of the good token: as alive as it is, and as dead.
    Twin(String),
    /// It is shown by a test of its own.
    Elsewhere,
    /// It means nothing here.
    Nothing(&'static str),
}

/// All of them.
pub(super) fn all() -> Vec<Recipe> {
    #[derive(Deserialize)]
    struct File {
        attacks: Vec<Recipe>,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/attacks.json");
    let file: File = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    file.attacks
}

impl Recipe {
    /// Prepares it for a scene.
    pub(super) fn plan(&self, scene: &Scene) -> Plan {
        match self.id.as_str() {
            "D-nbf-missing" => return Plan::Nothing("there is no nbf that could be missing"),
            "B-malleate" => return signature::malleated(scene),
            id if id.starts_with("F-rd-") => return Plan::Elsewhere,
            _ => {}
        }
        let by_hand = match self.class.split(' ').next().expect("a letter") {
            "A" => self.algorithm(scene),
            "B" => signature::attacks(&self.id, scene),
            "C" => self.header_of_size(scene),
            "D" => claims::attacks(&self.id, scene),
            "E" => {
                spelling::attacks(&self.id, scene).or_else(|| transport::attacks(&self.id, scene))
            }
            "F" => transport::attacks(&self.id, scene),
            other => panic!("a new class: {other}"),
        };
        let attacks = by_hand.unwrap_or_else(|| self.patched(scene));
        assert!(!attacks.is_empty(), "{self:?}");
        Plan::Refused(attacks)
    }

    /// What the recipe itself says.
    fn patched(&self, scene: &Scene) -> Vec<Attack> {
        assert!(self.header_patch.is_some() || self.payload_patch.is_some(), "{self:?}");
        let payload = patch(&scene.claims, self.payload_patch.as_ref(), scene);
        let mut attacks = Vec::new();
        for patch_of_header in self.header_patches() {
            let header = patch(&scene.header, patch_of_header.as_ref(), scene);
            let [_, _, signature] = scene.parts();
            let text = format!("{}.{}", encode(header.to_string()), encode(payload.to_string()));
            let server = || scene.key.sign(header.to_string(), payload.to_string());
            let stranger = || scene.stranger.sign(header.to_string(), payload.to_string());
            let secret = |secret: &[u8]| hmac_signed(secret, &header, &payload);
            let tokens = match self.raw.as_deref() {
                None => vec![format!("{text}.{signature}"), server()],
                Some("sig=''") => vec![format!("{text}."), server()],
                Some("resign" | "resign+register") => vec![server()],
                Some("resign=attacker") => vec![stranger()],
                Some("resign=hmac('')") => vec![secret(b"")],
                // With the right name of a key or another, and signed by the server's own key too:
                // then nothing but the header can be what is refused.
                Some("resign=hmac('') and attacker") => vec![secret(b""), stranger(), server()],
                Some(other) => panic!("{}: {other}", self.id),
            };
            let named = |token| Attack::token(format!("{}: {header}", self.id), token);
            attacks.extend(tokens.into_iter().map(named));
        }
        attacks
    }

    /// Those of the recipe, and what its words say besides.
    fn header_patches(&self) -> Vec<Option<Map<String, Value>>> {
        let mut patches = vec![self.header_patch.clone()];
        let more = match self.id.as_str() {
            "A-none-none" => vec![json!({"alg": "NONE"}), json!({"alg": ""}), json!({"alg": null})],
            "C-crit" => vec![json!({"crit": []}), json!({"crit": ["exp"]})],
            "C-b64" => vec![json!({"b64": false}), json!({"b64": true})],
            "C-typ" => vec![
                json!({"typ": "JWT"}),
                json!({"typ": "__remove__"}),
                json!({"typ": "Session+JWT"}),
                json!({"typ": "application/session+jwt"}),
                json!({"typ": null}),
            ],
            "C-jwk-same-kid" => vec![json!({"jwk": "__attacker_pub__", "kid": "stranger"})],
            _ => vec![],
        };
        patches.extend(more.into_iter().map(|patch| patch.as_object().cloned()));
        patches
    }

    /// Class A, where the file leaves something to words.
    fn algorithm(&self, scene: &Scene) -> Option<Vec<Attack>> {
        let Scene { header, claims, key, .. } = scene;
        let header = |alg: &str| with(header, "alg", alg.into());
        let tokens: Vec<String> = match self.id.as_str() {
            "A-alg-dup" => {
                let kid = &key.kid;
                let rest = format!("\"kid\":\"{kid}\",\"typ\":\"session+jwt\"");
                let alg = &key.alg;
                let texts = [
                    format!("{{\"alg\":\"none\",\"alg\":\"{alg}\",{rest}}}"),
                    format!("{{\"alg\":\"{alg}\",\"alg\":\"none\",{rest}}}"),
                    format!("{{\"alg\":\"{alg}\",\"alg\":\"{alg}\",{rest}}}"),
                ];
                texts.map(|text| key.sign(text, claims.to_string())).into()
            }
            "A-confusion-pem" => {
                let der = scene.published.public_der();
                let pem = format!(
                    "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
                    STANDARD.encode(&der)
                );
                let jwk = scene.published.public_jwk();
                let secrets =
                    [pem.clone().into_bytes(), pem.trim_end().into(), der, jwk.to_string().into()];
                secrets.map(|secret| hmac_signed(&secret, &header("HS256"), claims)).into()
            }
            "A-confusion-raw-point" => {
                vec![hmac_signed(&scene.published.public(), &header("HS256"), claims)]
            }
            "A-confusion-n-bytes" => {
                let jwk = scene.published.public_jwk();
                let x = jwk["x"].as_str().unwrap();
                let secrets = [x.as_bytes().to_vec(), super::forge::decode(x)];
                secrets.map(|secret| hmac_signed(&secret, &header("HS256"), claims)).into()
            }
            "A-samefamily" => siblings(&key.alg)
                .iter()
                .map(|sibling| key.sign_as(sibling, &header(sibling), claims))
                .collect(),
            "A-weak-keys" => {
                let file = format!("{}.json", key.kid);
                ["secret", "changeme", &"0".repeat(32), &key.kid, &file, "password", "countersign"]
                    .map(|secret| hmac_signed(secret.as_bytes(), &header("HS256"), claims))
                    .into()
            }
            _ => return None,
        };
        Some(Attack::tokens(&self.id, tokens))
    }

    /// `C-extra`.
    fn header_of_size(&self, scene: &Scene) -> Option<Vec<Attack>> {
        if self.id != "C-extra" {
            return None;
        }
        let mut many = scene.header.clone();
        for n in 0..1_000 {
            many[format!("x{n}")] = n.into();
        }
        let nested = |depth: usize| {
            let good = scene.header.to_string();
            let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            format!("{},\"x\":{deep}}}", good.trim_end_matches('}'))
        };
        let headers = [many.to_string(), nested(127), nested(128), nested(1_200), nested(5_000)];
        let tokens = headers.map(|header| scene.key.sign(header, scene.claims.to_string()));
        Some(Attack::tokens(&self.id, tokens.into()))
    }
}

/// Algorithms that a key of `alg` could be mistaken for a key of.
fn siblings(alg: &str) -> &'static [&'static str] {
    match alg {
        "EdDSA" => &["Ed25519", "Ed448", "eddsa", "ES256"],
        "ES256" => &["ES384", "ES512", "ES256K", "PS256", "RS256"],
        _ => &["HS384", "HS512", "hs256"],
    }
}

/// With another value of one member.
pub(super) fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[name] = value;
    object
}

fn patch(object: &Value, changes: Option<&Map<String, Value>>, scene: &Scene) -> Value {
    let mut object = object.clone();
    for (name, value) in changes.into_iter().flatten() {
        match meant(value, scene) {
            Some(value) => object[name] = value,
            None => {
                object.as_object_mut().unwrap().remove(name);
            }
        }
    }
    object
}

/// A value in which the words between underscores stand for something.
fn meant(value: &Value, scene: &Scene) -> Option<Value> {
    let stranger: &Key = &scene.stranger;
    Some(match value.as_str() {
        Some("__remove__") => return None,
        Some("__attacker_pub__") => stranger.public_jwk(),
        Some("__real__") => scene.key.kid.clone().into(),
        Some("__other__") => scene.other_kid.clone().into(),
        Some("__cert__") => STANDARD.encode(stranger.public_der()).into(),
        Some("now+3600") => (scene.claims["iat"].as_i64().unwrap() + 3_600).into(),
        Some(text) => text.replace("__port__", &scene.listener.to_string()).into(),
        None => match value {
            Value::Array(items) => items.iter().filter_map(|item| meant(item, scene)).collect(),
            other => other.clone(),
        },
    })
}
