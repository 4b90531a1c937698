//! What is asked of the person at the terminal.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

use zeroize::Zeroizing;

use super::Failure;
use crate::model::Password;

/// The longest line that is read for a password: beyond any that is allowed.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// A new password: asked for twice on a terminal, without echo; otherwise one line of standard
/// input. Never an argument: those are in everybody's process list.
pub(super) fn new_password() -> Result<Password, Failure> {
    if !io::stdin().is_terminal() {
        return first_line(io::stdin().lock());
    }
    let typed = prompt("New password: ")?;
    if *typed != *prompt("The same again: ")? {
        return Err(Failure::Input("the two passwords differ".into()));
    }
    Ok(Password::new(typed.as_str().to_owned()))
}

/// A password that is there: asked for once on a terminal, otherwise one line of standard input.
pub(super) fn password(question: &str) -> Result<Password, Failure> {
    if !io::stdin().is_terminal() {
        return first_line(io::stdin().lock());
    }
    Ok(Password::new(prompt(question)?.as_str().to_owned()))
}

fn prompt(text: &str) -> Result<Zeroizing<String>, Failure> {
    let typed = rpassword::prompt_password(text).map(Zeroizing::new)?;
    if typed.is_empty() {
        return Err(Failure::Input("no password was typed".into()));
    }
    Ok(typed)
}

/// All of the first line but its line break: spaces belong to the password.
fn first_line(input: impl BufRead) -> Result<Password, Failure> {
    let mut line = Zeroizing::new(String::new());
    input.take(MAX_LINE_BYTES).read_line(&mut line)?;
    let typed = line.strip_suffix('\n').unwrap_or(&line);
    let typed = typed.strip_suffix('\r').unwrap_or(typed);
    if typed.is_empty() {
        return Err(Failure::Input("no password on standard input: give it as one line".into()));
    }
    Ok(Password::new(typed.to_owned()))
}

/// Asks before something that cannot be taken back. Without a terminal there is nobody to ask: a
/// program that calls this means it.
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes || !io::stdin().is_terminal() {
        return Ok(());
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::Input("nothing was changed".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_break_is_taken_off() {
        for (input, password) in [
            ("open sesame\n", "open sesame"),
            ("  spaced out  \n", "  spaced out  "),
            ("no break at the end", "no break at the end"),
            ("from windows\r\n", "from windows"),
            ("first line\nsecond line\n", "first line"),
        ] {
            assert_eq!(first_line(input.as_bytes()).unwrap().expose(), password);
        }
    }

    #[test]
    fn no_password_is_no_empty_password() {
        for input in ["", "\n", "\r\n"] {
            assert!(first_line(input.as_bytes()).is_err(), "{input:?}");
        }
        assert!(first_line(&b"\xff\xfe\n"[..]).is_err(), "not UTF-8");
    }
}
