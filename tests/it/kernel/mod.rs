//! The real binary, and what it asks of the kernel: seen, and made to fail, by strace.
//!
//! | file | what it shows |
//! |---|---|
//! | `order` | what is answered was written and then synced before |
//! | `errors` | the kernel says EIO: changes are refused, checks go on, nothing is lost, it heals |
//!
//! Where there is no strace these say so and show nothing; with `CI` set they fail.

mod errors;
mod order;

use std::process::Command;

/// Whether there is a strace that may be used.
pub(crate) fn strace_works() -> bool {
    let tried = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    let works = tried.as_ref().is_ok_and(|tried| tried.status.success());
    if !works {
        assert!(std::env::var_os("CI").is_none(), "strace is needed: {tried:?}");
        println!("skipped: strace does not work here: {tried:?}");
    }
    works
}

/// The beginning of a command line that runs what follows under strace.
pub(crate) fn strace(args: &[&str]) -> Vec<String> {
    let words = [&["strace", "-f", "-qq"], args].concat();
    words.iter().map(|word| (*word).to_owned()).collect()
}
