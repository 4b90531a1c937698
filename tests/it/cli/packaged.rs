//! What is handed to machines that run it as a service: the image, the unit, completions and
//! manual pages.

use std::{fs, path::Path, process::Command};

use super::{Server, countersign, done, failed, run, stdout, temp};

fn of_the_repository(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The image is the program with these variables and arguments: they start a server.
#[tokio::test]
async fn the_image_starts_a_server() {
    let file = of_the_repository("Dockerfile");
    let file = file.replace("\\\n", " ");
    let line = |word: &str| {
        let mut lines = file.lines().filter_map(|line| line.strip_prefix(word));
        let line = lines.next_back().unwrap_or_else(|| panic!("no {word}"));
        line.trim().to_owned()
    };
    assert_eq!(line("ENTRYPOINT"), r#"["countersign"]"#);
    assert_eq!(line("CMD"), r#"["serve"]"#);
    let variables = line("ENV");
    let variables: Vec<_> =
        variables.split_whitespace().map(|word| word.split_once('=').unwrap()).collect();
    assert!(variables.contains(&("COUNTERSIGN_DATA_DIR", line("VOLUME").as_str())));
    assert!(variables.contains(&("COUNTERSIGN_LISTEN", &format!("0.0.0.0:{}", line("EXPOSE")))));

    let dir = temp();
    let data = dir.path().join("data").display().to_string();
    // The port is the helper's, by a flag, which is stronger.
    let variables: Vec<_> = variables
        .into_iter()
        .map(|(name, value)| (name, if name.ends_with("DATA_DIR") { data.as_str() } else { value }))
        .collect();
    let server = Server::start_with(dir.path(), &variables);
    assert!(server.is_alive().await);
    assert!(dir.path().join("data/store").is_dir());
}

/// All that it needs of a system is in the image's base: the C library and that of the compiler.
#[cfg(target_os = "linux")]
#[test]
fn the_program_needs_nothing_but_the_c_library() {
    let found = Command::new("ldd").arg(env!("CARGO_BIN_EXE_countersign")).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let names = found.lines().filter_map(|line| line.split_whitespace().next());
    let known = ["linux-vdso", "libgcc_s", "libm.", "libc.", "libdl.", "libpthread.", "ld-linux"];
    let unknown: Vec<_> =
        names.filter(|name| !known.iter().any(|known| name.contains(known))).collect();
    assert!(found.contains("libc."), "{found}");
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The unit gives the program a command line that it takes.
#[test]
fn the_unit_is_understood() {
    let unit = of_the_repository("packaging/countersign.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let mut words = start.split_whitespace();
    assert_eq!(words.next(), Some("/usr/local/bin/countersign"));
    let state = unit.lines().find_map(|line| line.strip_prefix("StateDirectory=")).unwrap();
    let data = format!("/var/lib/{state}");
    assert!(start.ends_with(&format!("--data-dir {data}")), "the one place it may write to");
    let users = of_the_repository("packaging/countersign.sysusers");
    let user = unit.lines().find_map(|line| line.strip_prefix("User=")).unwrap();
    assert!(users.contains(&format!("u {user} ")) && users.contains(&data), "{users}");

    // Everything but the files is as on the machine: what is missing is the file, not a word.
    let dir = temp();
    let words: Vec<_> = words.collect();
    let output = countersign(dir.path()).args(words).output().unwrap();
    let line = failed(&output);
    assert!(line.contains("/etc/countersign/countersign.toml"), "{line}");
}

#[test]
fn every_shell_and_man_learn_every_command() {
    let dir = temp();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(dir.path(), &["completions", shell], "");
        let script = done(&script);
        for word in ["account", "revoke", "restore", "--data-dir"] {
            let word = if shell == "fish" { word.trim_start_matches("--") } else { word };
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let unknown = run(dir.path(), &["completions", "csh"], "");
    assert_eq!((unknown.status.code(), stdout(&unknown)), (Some(2), ""));

    let pages = dir.path().join("man1");
    let refused = run(dir.path(), &["man", "man1"], "");
    assert!(failed(&refused).contains("cannot write into man1"));
    fs::create_dir(&pages).unwrap();
    assert_eq!(done(&run(dir.path(), &["man", "man1"], "")), "");
    for page in ["countersign", "countersign-serve", "countersign-account-add"] {
        let text = fs::read_to_string(pages.join(format!("{page}.1"))).unwrap();
        assert!(text.starts_with(".ie \\n(.g") && text.contains(".SH SYNOPSIS"), "{page}");
    }
    let about_password = fs::read_to_string(pages.join("countersign-account-add.1")).unwrap();
    assert!(about_password.contains("standard input"), "the long help, too");
}
