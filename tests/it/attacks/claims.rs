//! Class D: claims that are missing, of another type, given twice, or not true. All of these are
//! signed with the server's own key and are of a session that is alive.

use serde_json::{Value, json};

use super::{Attack, Scene, recipes::with};

/// What a recipe of this class comes to, if it leaves that to words.
pub(super) fn attacks(id: &str, scene: &Scene) -> Option<Vec<Attack>> {
    let good = &scene.claims;
    let iat = good["iat"].as_i64().unwrap();
    let name = id.split('-').nth(1).expect("a claim");
    let texts: Vec<String> = match id.rsplit('-').next().expect("a kind") {
        "types" => types(good, name),
        "dup" => {
            let (open, close) = (good.to_string(), good.to_string());
            let value = &good[name];
            let (open, close) = (&open[1..], &close[..close.len() - 1]);
            [value.to_string(), "null".into(), "0".into(), "\"x\"".into(), "[]".into()]
                .iter()
                .flat_map(|again| {
                    [
                        format!("{{\"{name}\":{again},{open}"),
                        format!("{close},\"{name}\":{again}}}"),
                        format!(
                            "{close},\"\\u{:04x}{}\":{again}}}",
                            name.as_bytes()[0],
                            &name[1..]
                        ),
                    ]
                })
                .collect()
        }
        "far" => ["9223372036854775808", "18446744073709551615", "9999999999999", "1e15"]
            .map(|number| raw(good, "exp", number))
            .into(),
        "future" if name == "iat" => [3_600, 6, 1_000_000_000]
            .into_iter()
            .map(|later| {
                let signed = with(good, "iat", (iat + later).into());
                with(&signed, "exp", (iat + later + 1_800).into()).to_string()
            })
            .collect(),
        "future" => ["iat", "exp"]
            .map(|like| with(good, name, json!(good[like].as_i64().unwrap() + 3_600)).to_string())
            .into(),
        "array" => {
            let value = &good[name];
            [
                json!([value, "https://evil.example"]),
                json!(["https://evil.example", value]),
                json!(["https://evil.example"]),
                json!([value]),
                json!([]),
                json!({"0": value}),
            ]
            .map(|value| with(good, name, value).to_string())
            .into()
        }
        "visits" => ["-1", "18446744073709551616", "\"1\"", "1e309", "1.0", "null", "[1]"]
            .into_iter()
            .flat_map(|value| [raw(good, "visits", value), raw(good, "prev", value)])
            .collect(),
        "missing" => return None,
        other => panic!("a new kind of recipe: {other}"),
    };
    Some(texts.into_iter().map(|text| of(id, scene, &text)).collect())
}

/// What the file does not have.
pub(super) fn more(scene: &Scene) -> Vec<Attack> {
    let good = &scene.claims;
    let iat = good["iat"].as_i64().unwrap();
    let mut texts = Vec::new();
    // Every claim in every way, the file's among them: a claim that comes later is in too.
    for name in good.as_object().unwrap().keys() {
        let mut missing = good.clone();
        missing.as_object_mut().unwrap().remove(name);
        texts.push(missing.to_string());
        texts.extend(types(good, name));
    }
    for (name, value) in [
        // No longer, or not yet.
        ("exp", json!(iat)),
        ("exp", json!(iat - 3_600)),
        ("exp", json!(0)),
        ("auth_time", json!(iat + 3_600)),
        // Somebody else's.
        ("sub", scene.others_claims["sub"].clone()),
        ("sid", scene.others_claims["sid"].clone()),
        ("sid", crate::support::routes::NO_SESSION.into()),
        ("sub", crate::support::routes::NO_SESSION.into()),
        // One that ended, of the same account.
        ("sid", scene.ended_sid.clone().into()),
        // Another service, or nearly this one.
        ("iss", "http://localhost:3001".into()),
        ("iss", "https://localhost:3000".into()),
        ("iss", "http://LOCALHOST:3000".into()),
        ("aud", "http://localhost:3000/".into()),
        ("aud", "http://localhost:3000\u{0}".into()),
        ("aud", "localhost".into()),
        // What nobody issues.
        ("admin", json!(true)),
        ("scope", "admin".into()),
        ("seq", json!(1)),
        ("Exp", good["exp"].clone()),
        ("", json!(1)),
    ] {
        texts.push(with(good, name, value).to_string());
    }
    let both = with(good, "sub", scene.others_claims["sub"].clone());
    texts.push(with(&both, "email", scene.others_claims["email"].clone()).to_string());
    // No object, or more than one.
    let text = good.to_string();
    let values: Vec<&Value> = good.as_object().unwrap().values().collect();
    texts.extend([
        json!(values).to_string(),
        format!("[{text}]"),
        format!("{text}{text}"),
        format!("{text}\0"),
        format!("\u{feff}{text}"),
        "null".into(),
        "{}".into(),
        String::new(),
        text.replacen("ann", "ann\\ud800", 1),
    ]);
    texts.into_iter().map(|text| of("a claim", scene, &text)).collect()
}

/// A claim as everything it must not be.
fn types(good: &Value, name: &str) -> Vec<String> {
    let value = good.get(name).unwrap_or(&good["iat"]);
    // A number for a text, a text for a number.
    let other = if value.is_number() { "\"1\"" } else { "1" };
    let within = json!([value]).to_string();
    let around = json!({"0": value}).to_string();
    let mut wrong = vec![
        "null",
        "true",
        "\"\"",
        "\"x\"",
        "\"\\u0000\"",
        other,
        "-1",
        "1.5",
        "1e400",
        "[]",
        "{}",
        &within,
        &around,
    ];
    // Of the right type, and long ago.
    if ["exp", "iat", "nbf"].contains(&name) {
        wrong.push("1");
    }
    wrong.into_iter().map(|value| raw(good, name, value)).collect()
}

/// With another text in place of the value of a member.
fn raw(good: &Value, name: &str, value: &str) -> String {
    with(good, name, "HERE".into()).to_string().replace("\"HERE\"", value)
}

fn of(id: &str, scene: &Scene, payload: &str) -> Attack {
    let token = scene.key.sign(scene.header.to_string(), payload);
    let shown: String = payload.chars().take(400).collect();
    Attack::token(format!("{id}: {shown}"), token)
}
