//! Tokens, in two ways.
//!
//! A text that claims to be one, whole or in parts, opens something if it is the good one to the
//! letter: a token has one spelling. `@` in an input stands for the good token.
//!
//! And what a token says, signed with the service's own key: it is believed if it is a header and
//! claims as a reader without mercy finds them, who is written down once more, here; and then it is
//! taken to say exactly what was signed. In these `@` stands for the members that a good header or
//! good claims have, and a byte from 1 on for one of them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign::model::{Email, SessionId};
use poem::http::Method;
use serde_json::Value;

use self::reader::Members;
use super::Service;

mod reader;

/// As `token::jws` says.
const MOST_BYTES: usize = 4096;
/// As `token::jwt` says.
const LEEWAY_SECONDS: i64 = 5;
/// The last second of the year 9999, less the largest difference of time zones.
const LAST_SECOND: i64 = 253_402_207_200;

/// No text but the good token opens anything, and what is signed is read to the letter.
///
/// # Panics
/// When it is not so.
pub fn check(service: &mut Service, data: &[u8]) {
    show(service, data);
    let good: Vec<&str> = service.bearer.split('.').collect();
    let (header, payload) = (decode(good[0]), decode(good[1]));
    let encoded = URL_SAFE_NO_PAD.encode(data);
    for parts in
        [[&encoded, good[1], good[2]], [good[0], &encoded, good[2]], [good[0], good[1], &encoded]]
    {
        show(service, parts.join(".").as_bytes());
    }
    let signed_header = written(data, &header);
    believe(service, &signed_header, &payload);
    believe(service, &header, &written(data, &payload));
}

/// Shows a text as a cookie and as a bearer token.
fn show(service: &Service, text: &[u8]) {
    for (name, before, good) in
        [("authorization", "Bearer ", &service.bearer), ("cookie", "session=", &service.cookie)]
    {
        let text = text.split(|byte| *byte == b'@').collect::<Vec<_>>().join(good.as_bytes());
        let value = [before.as_bytes(), &text].concat();
        let Some(answer) = service.ask(Method::GET, "/api/v1/session", &[(name, &value)], b"")
        else {
            continue;
        };
        // What a cookie's semicolon does is for `cookie` to say.
        if name == "cookie" && text.contains(&b';') {
            continue;
        }
        let read = if name == "cookie" { text.trim_ascii_end() } else { &text };
        let says = || format!("{}: {}", answer.status, value.escape_ascii());
        if read == good.as_bytes() {
            assert_eq!(answer.status, 200, "{}", says());
            assert_eq!(answer.json()["sid"], claims(good)["sid"], "{}", says());
        } else {
            assert!(answer.status.is_client_error(), "{}", says());
        }
    }
}

/// Signs header and payload, and compares what is made of them.
fn believe(service: &Service, header: &[u8], payload: &[u8]) {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(service.key.sign(text.as_bytes()));
    let token = format!("{text}.{signature}");
    let verdict = service.tokens.verify(&token, service.now);
    let says = || format!("{} . {}", header.escape_ascii(), payload.escape_ascii());
    let kept = verdict.as_deref().map(|claims| serde_json::to_value(claims).expect("JSON"));
    if token.len() <= MOST_BYTES && is_header(service, header) && is_good(service, payload) {
        let signed = named(payload);
        assert_eq!(kept.as_ref().ok(), Some(&signed), "{verdict:?} {}", says());
    } else {
        assert_eq!(kept.ok(), None, "{}", says());
    }
}

/// The claims that were signed. Ids and addresses have several spellings each, of which one is kept:
/// they are compared by what they name.
fn named(payload: &[u8]) -> Value {
    let mut claims: Value = serde_json::from_slice(payload).expect("it was read before");
    for name in ["sub", "sid", "jti"] {
        let id = claims[name].as_str().and_then(|id| id.parse::<SessionId>().ok());
        claims[name] = id.expect("an id").to_string().into();
    }
    if let Some(email) = claims.get_mut("email") {
        *email = Email::parse(email.as_str().unwrap_or_default()).expect("one").as_str().into();
    }
    claims
}

/// Whether it is, in any order, exactly the header of the good token.
fn is_header(service: &Service, header: &[u8]) -> bool {
    let good = decode(service.bearer.split('.').next().expect("a part"));
    reader::object(header) == reader::object(&good)
}

/// Whether they are claims of one of the two sets, true now.
fn is_good(service: &Service, payload: &[u8]) -> bool {
    let Some(mut claims) = reader::object(payload) else { return false };
    let good = self::claims(&service.bearer);
    let number = |claims: &mut Members, name: &str| claims.remove(name)?.as_u64();
    let text = |claims: &mut Members, name: &str| match claims.remove(name)? {
        Value::String(text) => Some(text),
        _ => None,
    };
    let is_full = claims.contains_key("email");
    let mut read = || {
        let named = ["iss", "aud"].into_iter().all(|name| {
            text(&mut claims, name).is_some_and(|said| Some(&*said) == good[name].as_str())
        });
        let ids = ["sub", "sid", "jti"]
            .into_iter()
            .all(|name| text(&mut claims, name).is_some_and(|id| id.parse::<SessionId>().is_ok()));
        let whose = if is_full { Email::parse(&text(&mut claims, "email")?).is_ok() } else { true };
        number(&mut claims, if is_full { "visits" } else { "seq" })?;
        number(&mut claims, "prev")?;
        let [iat, exp, auth_time] = ["iat", "exp", "auth_time"]
            .map(|name| number(&mut claims, name).and_then(|at| i64::try_from(at).ok()));
        let (iat, exp, auth_time) = (iat?, exp?, auth_time?);
        let now = service.now.as_second();
        let in_time = iat <= now + LEEWAY_SECONDS
            && iat < exp
            && now < exp
            && auth_time <= iat + LEEWAY_SECONDS
            && [iat, exp, auth_time].iter().all(|at| *at <= LAST_SECOND);
        Some(named && ids && whose && in_time)
    };
    read() == Some(true) && claims.is_empty()
}

/// The input with the members of something good in it.
fn written(data: &[u8], good: &[u8]) -> Vec<u8> {
    let good: Value = serde_json::from_slice(good).expect("JSON");
    let members: Vec<String> = good
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    let mut written = Vec::new();
    for byte in data {
        match *byte {
            b'@' => written.extend_from_slice(members.join(",").as_bytes()),
            nth @ (1..=8 | 11..=12 | 14..=31) => {
                let member = members.get(usize::from(nth) - 1);
                written.extend_from_slice(member.map_or("", String::as_str).as_bytes());
            }
            byte => written.push(byte),
        }
    }
    written
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a part");
    serde_json::from_slice(&decode(payload)).expect("JSON")
}

fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).expect("base64url")
}
