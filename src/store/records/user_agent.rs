//! What browsers call themselves, in a few bytes: a hundred and more are half of a session
//! otherwise.
//!
//! User agents are made of few phrases. Control characters, which are in no user agent that is kept,
//! stand for them: 1 to 31 for the phrases below. A control character that is there all the same (in
//! a backup from elsewhere) is written behind a 0.

use super::{Result, damaged};

/// The table. Its order is part of the records' form: a change is a new version of them. Where one
/// phrase begins another, the longer one comes first.
const PHRASES: [&str; 31] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64",
    "Mozilla/5.0 (Linux; Android 10; K",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7",
    "Mozilla/5.0 (iPhone; CPU iPhone OS ",
    "Mozilla/5.0 (iPad; CPU OS ",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64",
    "Mozilla/5.0 (X11; Linux x86_64",
    "Mozilla/5.0 (Linux; Android ",
    "Mozilla/5.0 (",
    " like Mac OS X",
    ") AppleWebKit/537.36 (KHTML, like Gecko) ",
    ") AppleWebKit/605.1.15 (KHTML, like Gecko) ",
    "Chrome/",
    "SamsungBrowser/",
    "Version/",
    "CriOS/",
    "FxiOS/",
    "GSA/",
    ".0.0.0 Mobile Safari/537.36",
    ".0.0.0 Safari/537.36",
    ".0.0.0",
    " Mobile Safari/537.36",
    " Mobile/15E148 Safari/604.1",
    " Safari/605.1.15",
    " Safari/537.36",
    ".0) Gecko/20100101 Firefox/",
    "; rv:",
    " Edg/",
    " EdgA/",
    " OPR/",
    "Mobile",
];

/// What phrases begin with: at most other letters, none needs to be looked for.
const BEGINNINGS: &[u8] = b"M )CSVFG.;";

/// What is written before a byte that would stand for a phrase.
const AS_IT_IS: u8 = 0;

/// The user agent in as few bytes as the table allows.
pub(in crate::store) fn shortened(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    let mut rest = text;
    while let Some(next) = rest.bytes().next() {
        let phrase = |&(_, phrase): &(u8, &str)| rest.starts_with(phrase);
        if BEGINNINGS.contains(&next)
            && let Some((code, phrase)) = (1..).zip(PHRASES).find(phrase)
        {
            bytes.push(code);
            rest = &rest[phrase.len()..];
            continue;
        }
        if next < b' ' {
            bytes.push(AS_IT_IS);
        }
        let length = rest.chars().next().map_or(0, char::len_utf8);
        bytes.extend_from_slice(&rest.as_bytes()[..length]);
        rest = &rest[length..];
    }
    bytes
}

/// The user agent that was [shortened].
pub(in crate::store) fn whole(bytes: &[u8]) -> Result<String> {
    let unreadable = || damaged("session", "its user agent cannot be read");
    let mut text = Vec::with_capacity(128);
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            AS_IT_IS => text.push(*rest.next().ok_or_else(unreadable)?),
            b' '.. => text.push(byte),
            code => text.extend_from_slice(PHRASES[usize::from(code) - 1].as_bytes()),
        }
    }
    String::from_utf8(text).map_err(|_| unreadable())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_comes_back(
            parts in prop::collection::vec(
                prop_oneof![prop::sample::select(&PHRASES[..]).prop_map(str::to_owned), ".{0,9}"],
                0..6,
            ),
        ) {
            let text = parts.concat();
            prop_assert_eq!(whole(&shortened(&text)).unwrap(), text);
        }
    }

    #[test]
    fn browsers_are_short_and_what_is_no_text_is_damaged() {
        for (text, most) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
                7,
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36",
                7,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:146.0) Gecko/20100101 Firefox/146.0",
                12,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                13,
            ),
            ("\u{1}\u{1f}\u{0}", 6),
        ] {
            let short = shortened(text);
            assert!(short.len() <= most, "{} bytes: {text}", short.len());
            assert_eq!(whole(&short).unwrap(), text);
        }
        assert!(whole(&[b'a', AS_IT_IS]).is_err());
        assert!(whole(&[0xff]).is_err());
    }

    #[test]
    fn a_phrase_hides_no_longer_one() {
        for (at, phrase) in PHRASES.iter().enumerate() {
            let hidden = PHRASES[at + 1..].iter().find(|later| later.starts_with(phrase));
            assert_eq!(hidden, None, "behind {phrase}");
            assert!(BEGINNINGS.contains(&phrase.as_bytes()[0]), "{phrase}");
        }
    }
}
