//! The `Cookie` header: whatever is in it, what is found is what a reader of RFC 6265bis finds who
//! wrote it down once more, here: pairs between semicolons, names to the letter, and a value as it
//! stands. Two session cookies are one too many, whatever is in them.
//!
//! `@` in an input stands for the good token, and a new line begins a second header.

use poem::http::Method;

use super::Service;

const NAME: &[u8] = b"session";
/// As `http::limits` says.
const MOST_BYTES: usize = 16 * 1024;

/// What is answered is what these cookies deserve.
///
/// # Panics
/// When it is not.
pub fn check(service: &mut Service, data: &[u8]) {
    let lines: Vec<Vec<u8>> = data
        .split(|byte| *byte == b'\n')
        .map(|line| match line.split(|byte| *byte == b'@').collect::<Vec<_>>() {
            parts if parts.len() == 1 => line.to_vec(),
            parts => parts.join(service.cookie.as_bytes()),
        })
        .collect();
    let headers: Vec<(&str, &[u8])> = lines.iter().map(|line| ("cookie", &line[..])).collect();
    let expected = if lines.iter().map(Vec::len).sum::<usize>() > MOST_BYTES {
        Expected::Refused("headers_too_large")
    } else {
        match &found(&lines)[..] {
            [value] if *value == service.cookie.as_bytes() => Expected::Ann,
            [] | [_] => Expected::Nobody,
            _ => Expected::Refused("duplicate_cookie"),
        }
    };
    let text = || String::from_utf8_lossy(data).escape_debug().to_string();
    let Some(check) = service.ask(Method::GET, "/api/v1/session", &headers, b"") else {
        return;
    };
    let home = service.ask(Method::GET, "/", &headers, b"").expect("it could be sent before");
    let statuses = (check.status.as_u16(), home.status.as_u16());
    match expected {
        Expected::Ann => {
            assert_eq!(statuses, (200, 303), "{}", text());
            assert_eq!(check.json()["email"], super::service::EMAIL);
        }
        Expected::Nobody => {
            assert_eq!(statuses, (401, 200), "{}", text());
            assert_eq!(check.code(), "not_signed_in");
        }
        Expected::Refused(code) => {
            assert_eq!(statuses, (400, 400), "{}", text());
            assert_eq!(check.code(), code, "{}", text());
        }
    }
    for answer in [check, home] {
        assert!(!answer.headers.contains_key("set-cookie"), "{}", text());
    }
}

enum Expected {
    Ann,
    Nobody,
    Refused(&'static str),
}

/// The value of every session cookie.
fn found(lines: &[Vec<u8>]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    for pair in lines.iter().flat_map(|line| line.split(|byte| *byte == b';')) {
        let pair = pair.trim_ascii();
        let Some(at) = pair.iter().position(|byte| *byte == b'=') else { continue };
        if &pair[..at] == NAME {
            found.push(&pair[at + 1..]);
        }
    }
    found
}
