//! What it says, and what it makes of its configuration.

use std::fs;

use serde_json::Value;

use super::{EMAIL, PASSWORD, countersign, done, failed, finish, run, stdout, temp};

#[test]
fn every_command_has_its_help() {
    let dir = temp();
    for command in [
        &[][..],
        &["serve"],
        &["account"],
        &["account", "add"],
        &["session"],
        &["session", "revoke"],
        &["keys"],
        &["keys", "list"],
        &["keys", "rotate"],
        &["openapi"],
        &["config"],
        &["config", "show"],
        &["completions"],
        &["man"],
    ] {
        let args = [command, &["--help"]].concat();
        let help = run(dir.path(), &args, "");
        assert!(done(&help).contains("Usage: countersign"), "{args:?}");
    }
    let help = run(dir.path(), &["--help"], "");
    for word in ["serve", "account", "session", "keys", "openapi", "config", "Examples:"] {
        assert!(stdout(&help).contains(word), "{word}");
    }
}

#[test]
fn what_is_not_understood_exits_with_2() {
    let dir = temp();
    for args in [
        &["frobnicate"][..],
        &["account", "add"],
        &["account", "add", "no address"],
        &["account", "add", EMAIL, "--password", PASSWORD],
        &["account", "add", EMAIL, &format!("--password={PASSWORD}")],
        &["account", "password", EMAIL, PASSWORD],
        &["account", "add", EMAIL, PASSWORD],
        &["session", "revoke"],
        &["session", "revoke", EMAIL, "no-session-id"],
        &["session", "revoke", EMAIL, "--all-accounts"],
        &["serve", "--listen", "3000"],
        &["serve", "--public-url", "https://example.com/path"],
        &["serve", "--store", &format!("redis+unix://:{PASSWORD}@localhost")],
        &["serve", "--store", &format!("redis://:{PASSWORD}@localhost/sessions")],
        &["openapi", "--format", "xml"],
    ] {
        let output = run(dir.path(), args, "");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(stdout(&output), "");
        assert!(!output.stderr.is_empty());
        assert!(!String::from_utf8_lossy(&output.stderr).contains(PASSWORD), "{args:?}");
    }
    assert!(!dir.path().join("data").exists(), "and nothing was made");
}

#[test]
fn the_openapi_document_is_printed_in_both_forms() {
    let dir = temp();
    let json = run(dir.path(), &["openapi"], "");
    let document: Value = serde_json::from_str(done(&json)).unwrap();
    assert!(document["paths"].as_object().unwrap().len() > 3);
    let yaml = run(dir.path(), &["openapi", "--format", "yaml"], "");
    assert!(done(&yaml).starts_with("openapi: "));
}

#[test]
fn an_unknown_key_stops_every_command_and_is_named() {
    let dir = temp();
    fs::write(dir.path().join("countersign.toml"), "[session]\nidel = '5m'\n").unwrap();
    for args in [&["serve"][..], &["account", "list"], &["config", "check"], &["keys", "list"]] {
        let line = failed(&run(dir.path(), args, ""));
        assert!(line.starts_with("unknown key `session.idel` in countersign.toml"), "{line}");
    }
    let escape = "\"\\u001b[2J\\n\" = 1";
    fs::write(dir.path().join("countersign.toml"), escape).unwrap();
    let line = failed(&run(dir.path(), &["serve"], ""));
    assert!(!line.contains('\u{1b}'), "a terminal is shown it, and does not obey it: {line:?}");
    fs::write(dir.path().join("countersign.toml"), "").unwrap();
    let variable = finish(
        countersign(dir.path()).args(["config", "check"]).env("COUNTERSIGN_SESSION__IDEL", "5m"),
        "",
    );
    let line = failed(&variable);
    assert!(line.contains("`session.idel`") && line.contains("COUNTERSIGN_SESSION__IDEL"));
}

#[test]
fn what_show_prints_is_the_same_configuration_again() {
    let dir = temp();
    let shown = finish(
        countersign(dir.path())
            .args(["config", "show", "--data-dir", "elsewhere"])
            .env("COUNTERSIGN_SESSION__IDLE", "90m")
            .env("COUNTERSIGN_PUBLIC_URL", "https://login.example.com"),
        "",
    );
    let shown = done(&shown);
    for line in [
        "idle = \"1h30m\"",
        "data_dir = \"elsewhere\"",
        "issuer = \"https://login.example.com\"",
        "memory_kib = 64",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    let file = dir.path().join("again.toml");
    fs::write(&file, shown).unwrap();
    let file = file.to_str().unwrap();
    let again = run(dir.path(), &["config", "show", "--config", file], "");
    assert_eq!(done(&again), shown);
    let checked = run(dir.path(), &["config", "check", "--config", file], "");
    assert!(done(&checked).contains("the configuration is good"));
    assert!(done(&checked).contains("warning: password.memory_kib"));
    let named = finish(
        countersign(dir.path()).args(["config", "show"]).env("COUNTERSIGN_CONFIG", file),
        "",
    );
    assert_eq!(done(&named), shown);
    assert!(!dir.path().join("elsewhere").exists(), "showing makes nothing");
}
