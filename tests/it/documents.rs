//! What the documents say is so: their tables are compared with the program, their tests and links
//! looked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The texts between backticks.
fn code_words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Every key of the configuration with its default, as the program prints it.
fn defaults() -> BTreeMap<String, String> {
    let empty = tempfile::tempdir().unwrap();
    let show = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["config", "show"])
        .current_dir(empty.path())
        .env_clear()
        .output()
        .unwrap();
    assert!(show.status.success());
    let mut section = String::new();
    let mut defaults = BTreeMap::new();
    for line in String::from_utf8(show.stdout).unwrap().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, value)) = line.split_once(" = ") {
            defaults.insert(format!("{section}{key}"), value.trim_matches('"').to_owned());
        }
    }
    assert!(defaults.len() > 20, "{defaults:?}");
    defaults
}

#[test]
fn the_readme_has_every_key_of_the_configuration_with_its_default() {
    let mut documented = BTreeMap::new();
    let readme = document("README.md");
    let table = readme.split("| key | default | meaning |").nth(1).expect("the table");
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<_> = row.split(" | ").collect();
        let key = code_words(cells[0])[0].to_owned();
        let default = code_words(cells[1]).first().map(|word| word.trim_matches('"').to_owned());
        documented.insert(key, default);
    }
    let mut actual: BTreeMap<_, _> =
        defaults().into_iter().map(|(key, value)| (key, Some(value))).collect();
    // It is the number of this machine's cores.
    actual.insert("password.parallel".into(), None);
    assert_eq!(documented, actual);
}

/// The part of SECURITY.md under a heading.
fn section(heading: &str) -> String {
    let security = document("SECURITY.md");
    let from = security.split(&format!("\n## {heading}\n")).nth(1).expect(heading);
    from.split("\n## ").next().unwrap().to_owned()
}

/// The tests of this binary.
fn tests() -> BTreeSet<String> {
    let this = std::env::current_exe().unwrap();
    let listed = Command::new(this).arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let tests: BTreeSet<_> =
        listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect();
    assert!(tests.len() > 200, "only {}", tests.len());
    tests
}

/// Those of the names that are no test of ours. The contract of a store is run on each, and the word
/// between says on which.
fn missing<'a>(names: &[&'a str], tests: &BTreeSet<String>) -> Vec<&'a str> {
    let is_there = |name: &str| match name.split_once("::") {
        Some(("store_contract", test)) => tests.contains(&format!("store_contract::sled::{test}")),
        _ => tests.contains(name),
    };
    names.iter().copied().filter(|name| !is_there(name)).collect()
}

#[test]
fn every_test_that_a_promise_names_is_there() {
    let promises = section("What is promised");
    let mut named: Vec<_> =
        code_words(&promises).into_iter().filter(|word| word.contains("::")).collect();
    assert!(named.len() > 20, "{named:?}");
    // What is written `token::jws` is a module of the program.
    named.retain(|name| {
        let module = name.strip_prefix("token::").unwrap_or("no module");
        let path = format!("src/token/{module}.rs");
        !Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
    });
    assert_eq!(missing(&named, &tests()), Vec::<&str>::new());
}

#[test]
fn every_requirement_has_its_tests_or_its_reason() {
    const REASONS: [&str; 5] =
        ["Not met", "Not yet", "For you: ", "Does not apply", "Read, not run: "];
    let (table, tests) = (section("OWASP ASVS 5.0"), tests());
    let mut ids = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| **")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, how, shown_by] = cells[..] else { panic!("three cells: {row}") };
        if id == "id" {
            continue;
        }
        for id in id.split(", ") {
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
        }
        let named = code_words(shown_by);
        assert_eq!(missing(&named, &tests), Vec::<&str>::new(), "{id}");
        let other = how.strip_prefix("See ").and_then(|rest| rest.strip_suffix('.'));
        let has_reason = REASONS.iter().any(|reason| how.starts_with(reason))
            || other.is_some_and(|other| ids.contains(other));
        assert!(!named.is_empty() || has_reason, "{id} has neither test nor reason: {how}");
    }
    // All of these two chapters, as many as ASVS 5.0 has in each of their sections.
    let counts: [(&str, &[u32]); 2] = [("7", &[3, 4, 2, 5, 3, 2]), ("9", &[3, 4])];
    for (chapter, sections) in counts {
        for (section, count) in (1..).zip(sections) {
            for nth in 1..=*count {
                let id = format!("{chapter}.{section}.{nth}");
                assert!(ids.contains(&id), "{id}");
            }
        }
    }
    assert!(ids.len() > 90, "{}", ids.len());
}

#[test]
fn the_lifetimes_that_the_security_page_gives_are_the_defaults() {
    let security = document("SECURITY.md");
    let defaults = defaults();
    for (words, key) in [
        ("30 minutes", "session.idle"),
        ("12 hours", "session.absolute"),
        ("14 days", "session.remember_idle"),
        ("30 days", "session.remember_absolute"),
    ] {
        let short = words.replace(" minutes", "m").replace(" hours", "h").replace(" days", "d");
        assert_eq!(defaults[key], short);
        assert!(security.contains(words) && security.contains(key), "{key}");
    }
    let limit = format!("at most {} living sessions", defaults["session.max_per_account"]);
    assert!(security.replace('\n', " ").contains(&limit), "{limit}");
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut followed = 0;
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "data/README.md",
        "docs/moving-from-express.md",
        "docs/more-than-one-node.md",
        "packaging/README.md",
        "packaging/two-nodes/README.md",
    ] {
        let text = document(name);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, part) = link.split_once('#').map_or((link, None), |(f, p)| (f, Some(p)));
            let to = root.join(name).parent().unwrap().join(file);
            assert!(file.is_empty() || to.exists(), "{name}: {link}");
            if let Some(part) = part {
                let there =
                    if file.is_empty() { text.clone() } else { fs::read_to_string(to).unwrap() };
                assert!(headings(&there).any(|heading| heading == part), "{name}: {link}");
            }
            followed += 1;
        }
    }
    assert!(followed >= 5, "{followed}");
}

/// What the headings of a document are called in links.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        words.replace(|c: char| !c.is_alphanumeric() && c != ' ' && c != '-', "").replace(' ', "-")
    })
}

#[test]
fn every_operation_of_the_api_is_in_the_readme() {
    let readme = document("README.md");
    let openapi: serde_json::Value =
        serde_json::from_str(&document("openapi/countersign.json")).unwrap();
    let paths = openapi["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|path| path.as_object().unwrap().values());
    for operation in operations {
        let id = operation["operationId"].as_str().unwrap();
        assert!(readme.contains(&format!("| `{id}` |")), "{id}");
    }
}

#[test]
fn the_library_in_the_readme_is_the_example_that_compiles() {
    let readme = document("README.md");
    let section = readme.split("\n## As a library\n").nth(1).expect("the section");
    let code = section.split("```rust\n").nth(1).and_then(|rest| rest.split("```\n").next());
    assert_eq!(code, Some(document("examples/embed.rs").as_str()));
}
