//! The words that whoever attacks an account tries first (ASVS 6.1.2): the parts of its e-mail
//! address, of the host that the service is found by, and the service's own name.

use zeroize::Zeroizing;

use crate::model::Email;

/// What the program itself is called.
const NAME: &str = "countersign";

/// Shorter ones are in every second sentence.
const MIN_CHARS: usize = 3;

/// The words, in lower case, longest first:
///
/// - the program's name, and the service's host with its labels but the last (`com`, `org`);
/// - the whole e-mail address, its local part, the runs of letters in it, all its letters and
///   digits without what separates them, and its domain like the host.
pub(super) fn words(email: &Email, host: &str) -> Vec<String> {
    let (local, domain) = email.as_str().rsplit_once('@').unwrap_or((email.as_str(), ""));
    let mut words = vec![NAME.to_owned(), email.as_str().to_owned(), local.to_owned()];
    words.extend(local.split(|c: char| !c.is_alphabetic()).map(str::to_owned));
    words.push(local.chars().filter(|c| c.is_alphanumeric()).collect());
    for host in [host, domain] {
        words.push(host.to_lowercase());
        let labels = host.rsplit_once('.').map_or("", |(labels, _)| labels);
        words.extend(labels.split('.').map(str::to_lowercase));
    }
    words.retain(|word| word.chars().count() >= MIN_CHARS);
    words.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    words.dedup();
    words
}

/// How many characters are left of a password when the words are taken out of it.
pub(super) fn chars_beside(password: &str, words: &[String]) -> usize {
    let mut left = Zeroizing::new(password.to_lowercase());
    for word in words {
        left = Zeroizing::new(left.replace(word.as_str(), ""));
    }
    left.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_what_an_attacker_would_try() {
        let email = Email::parse("Mara.L-1987@mail.example.org").unwrap();
        assert_eq!(
            words(&email, "Login.Shop.example"),
            [
                "mara.l-1987@mail.example.org",
                "login.shop.example",
                "mail.example.org",
                "countersign",
                "mara.l-1987",
                "maral1987",
                "example",
                "login",
                "mail",
                "mara",
                "shop",
            ]
        );
        let short = Email::parse("a@b.c").unwrap();
        assert_eq!(words(&short, "localhost"), ["countersign", "localhost", "a@b.c", "b.c"]);
    }

    #[test]
    fn what_is_beside_them_is_counted_in_characters() {
        let words = ["lindqvist".to_owned(), "ann".to_owned()];
        assert_eq!(chars_beside("LindqvistLindqvist", &words), 0);
        assert_eq!(chars_beside("Ann & ünder", &words), 8);
        assert_eq!(chars_beside("", &words), 0);
    }
}
