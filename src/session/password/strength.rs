//! How hard a password is to guess, as zxcvbn estimates it: words, names, dates, rows of keys,
//! repetitions and what is usually done to them.
//!
//! zxcvbn looks at every part of the text, and at each once more for every way to read its digits
//! and symbols as letters (`p@$$w0rd`): its time grows with the square of the length, and eight
//! hundredfold with the symbols, to seconds for a hundred characters. Both are bounded here, to less
//! than a hash takes: `cargo test --lib strength -- --nocapture` prints the worst that was found,
//! 12 ms.

use std::fmt;

use zeroize::Zeroizing;
use zxcvbn::{Match, matching::patterns::MatchPattern, zxcvbn};

/// How many characters are looked at. What is behind them can only make it harder to guess.
const MAX_CHARS: usize = 48;

/// How many ways to read symbols as letters are tried, about.
const MAX_READINGS: usize = 16;

/// The characters that zxcvbn reads as one and the same letter: a, b, c, e, g, i, l, o, s, t, x, z.
const READ_AS_ONE: [&str; 12] =
    ["4@", "8", "({[<", "3", "69", "1!|", "1|7", "0", "$5", "+7", "%", "2"];

/// Why a password is weak.
pub(super) struct Weakness {
    /// What would help.
    pub(super) advice: Advice,
    /// Whether words of the context are in it.
    pub(super) of_context: bool,
}

/// What a person is told who has to find a better password: sentences of zxcvbn's, which say nothing
/// of the password itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice(String);

impl Advice {
    /// What always helps.
    pub(super) const GENERAL: &str = "Use a few words that have nothing to do with each other.";
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is weak about a password whose score is below `min`; nothing when it is not.
pub(super) fn weakness(password: &str, words: &[String], min: u8) -> Option<Weakness> {
    if min == 0 {
        return None;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let entropy = zxcvbn(&bounded(password), &words);
    if u8::from(entropy.score()) >= min {
        return None;
    }
    // It has nothing to say of what is guessed with some effort only.
    let advice = entropy.feedback().map_or_else(|| Advice::GENERAL.to_owned(), ToString::to_string);
    let of_context = entropy.sequence().iter().any(|part| is_of(part, &words));
    Some(Weakness { advice: Advice(advice), of_context })
}

fn is_of(part: &Match, words: &[&str]) -> bool {
    match &part.pattern {
        MatchPattern::Dictionary(found) => words.contains(&found.matched_word.as_str()),
        MatchPattern::Repeat(repeat) => repeat.base_matches.iter().any(|part| is_of(part, words)),
        _ => false,
    }
}

/// The beginning of a password, in which symbols that would be one too many are no symbols any more.
/// Digits stay: they are dates and sequences, too, and all ten are read in no more than eight ways.
fn bounded(password: &str) -> Zeroizing<String> {
    let mut read: Vec<char> =
        password.chars().take(MAX_CHARS).filter(char::is_ascii_digit).collect();
    let mut text = Zeroizing::new(String::with_capacity(4 * MAX_CHARS));
    for character in password.chars().take(MAX_CHARS) {
        read.push(character);
        if readings(&read) <= MAX_READINGS {
            text.push(character);
        } else {
            read.pop();
            text.push(unreadable(character));
        }
    }
    text
}

/// In how many ways a text of these characters can be read, about.
fn readings(characters: &[char]) -> usize {
    let ways = |symbols: &&str| symbols.chars().filter(|it| characters.contains(it)).count().max(1);
    READ_AS_ONE.iter().map(ways).product()
}

/// A character of the private use area that stands for a symbol: no letter looks like it, and it is
/// in no sequence with its neighbours, which are 32 away.
fn unreadable(symbol: char) -> char {
    char::from_u32(0xE000 + 32 * (u32::from(symbol) % 128)).unwrap_or('\u{e000}')
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    fn score_is_below(password: &str, min: u8) -> bool {
        weakness(password, &[], min).is_some()
    }

    /// The longest that a text of so many characters keeps zxcvbn busy, of those that were thought of.
    fn worst(chars: usize) -> Duration {
        let texts = [
            "@({[<!|$+%4836917052",
            "|!1@passwordletmeinmonkeydragon",
            "4@({[<369passwordletmeinmonkey",
            "1qaz!QAZ2wsx@WSX",
            "11/11/1991",
            "ab",
            "aab",
            "qa",
            "ü漢🦉",
            "correct horse battery ",
        ];
        let context = vec!["mara.lindqvist@mailbox.example".to_owned(); 12];
        let took = texts.iter().map(|text| {
            let text: String = text.chars().cycle().take(chars).collect();
            let begun = Instant::now();
            let _judged = weakness(&text, &context, 4);
            begun.elapsed()
        });
        took.max().unwrap()
    }

    #[test]
    fn the_longest_text_with_all_symbols_does_not_take_long() {
        // The first call makes the dictionaries.
        worst(8);
        for chars in [16, 32, 48, 128, 1_024] {
            println!("{chars} characters: {:?} at the worst", worst(chars));
        }
        // 20 to 50 ms; without the bounds, seconds.
        let quickest = (0..3).map(|_| worst(1_024)).min().unwrap();
        assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    }

    #[test]
    fn a_text_is_cut_and_read_in_few_ways() {
        let long = "@({[<!|$+%4836917052 and letters".repeat(40);
        let text = bounded(&long);
        assert_eq!(text.chars().count(), MAX_CHARS);
        let characters: Vec<char> = text.chars().collect();
        assert!(readings(&characters) <= MAX_READINGS);
        for digit in '0'..='9' {
            assert!(text.contains(digit));
        }
        for usual in ["p@$$w0rd!", "!@#$%^&*()", "C0rr3ct-H0rs3!", "1234567890", "ü漢🦉"] {
            assert_eq!(*bounded(usual), usual);
        }
    }

    #[test]
    fn symbols_that_stand_for_letters_are_read() {
        for password in ["p@$$w0rdp@$$w0rd", "P455w0rd12345678", "|etmein|etmein00"] {
            assert!(score_is_below(password, 3), "{password}");
        }
    }

    #[test]
    fn three_guessable_pieces_are_no_four() {
        for password in ["Password1234567!", "monkey2026!!!!!!", "summer2026winter"] {
            assert!(score_is_below(password, 4), "{password}");
            assert!(!score_is_below(password, 0), "zero asks for nothing");
        }
        for password in ["correct horse b", "three owls upon a kettle"] {
            assert!(!score_is_below(password, 4), "{password}");
        }
    }

    #[test]
    fn there_is_always_something_to_say() {
        for password in
            ["aaaaaaaaaaaaaaaa", "Password1234567!", "tangerine otter", "qwertyuiopasdfgh"]
        {
            let advice = weakness(password, &[], 4).unwrap().advice.to_string();
            assert!(advice.len() > 20 && advice.ends_with('.'), "{advice}");
        }
    }

    proptest! {
        // A panic would be answered 500, and its message might have the text in it.
        #[test]
        fn no_text_makes_it_panic(
            text in any::<String>(),
            ascii in "[ -~]{0,80}",
            few in "[a1!ÜİSs]{0,70}",
            walk in "(qa|wa|sw|qw){0,30}",
        ) {
            for text in [&text, &ascii, &few, &walk] {
                weakness(text, std::slice::from_ref(text), 4);
            }
        }
    }
}
