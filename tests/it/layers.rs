//! The architecture, as a test: arrows only point down.
//!
//! `cli -> http -> session -> {token, store} -> model`; `service` joins `config` with `session` and
//! what is beneath; `library` stands beside `cli`; `telemetry` is joined by `cli` alone; and each
//! outside crate that matters has one place.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each layer may use of ours.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("model", &[]),
    ("token", &["model"]),
    ("store", &["model"]),
    ("session", &["token", "store", "model"]),
    ("http", &["session", "token", "store", "model"]),
    // The configuration speaks the words of the layers; none of them knows it.
    ("config", &["session", "token", "store", "model"]),
    ("telemetry", &[]),
    ("service", &["session", "token", "store", "model", "config"]),
    ("library", &["service", "http", "session", "store", "model", "config"]),
    ("cli", &["service", "http", "session", "token", "store", "model", "config", "telemetry"]),
];

/// Where an outside crate may be used.
const ONE_PLACE: [(&str, &[&str]); 10] = [
    ("sled", &["store/sled"]),
    ("redis", &["store/redis"]),
    ("jsonwebtoken", &["token"]),
    ("aws_lc_rs", &["token"]),
    ("poem", &["http", "library", "cli/serve"]),
    ("poem_openapi", &["http"]),
    ("serde_yaml", &["http/api"]),
    ("argon2", &["session/password"]),
    ("clap", &["cli", "main"]),
    ("figment", &["config"]),
];

struct Source {
    /// Below `src/`, without `.rs`: `store/sled/mod`.
    name: String,
    /// Without comments and literals.
    code: String,
}

impl Source {
    fn layer(&self) -> &str {
        self.name.split('/').next().expect("a name")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().with_extension("");
        Source {
            name: name.to_str().unwrap().to_owned(),
            code: code(&fs::read_to_string(&path).unwrap()),
        }
    };
    paths.into_iter().map(read).collect()
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The text without line comments and without strings: enough for paths.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' => {
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
                code.push_str("\"\"");
            }
            // A quote as a character would open a string that never ends.
            '\'' if chars.peek() == Some(&'"') => {
                chars.next();
                chars.next_if_eq(&'\'');
            }
            '\'' if chars.peek() == Some(&'\\') => {
                chars.next();
                chars.next();
                chars.next_if_eq(&'\'');
            }
            _ => code.push(c),
        }
    }
    code
}

/// The first words after each `root::`, those of a group `root::{a::b, c}` included.
fn first_words(code: &str, root: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let marker = format!("{root}::");
    for (at, _) in code.match_indices(&marker) {
        let before = code[..at].chars().next_back();
        // `pub(crate)` and `my_crate::` are no paths from the root; `::sled` is.
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = code[at + marker.len()..].trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => {
                        words.insert(head(&word));
                        break;
                    }
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        words.insert(head(&word));
                        word.clear();
                    }
                    _ if depth == 0 => word.push(c),
                    _ => {}
                }
            }
        } else {
            words.insert(head(rest));
        }
    }
    words.remove("");
    words
}

fn head(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn uses_crate(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    if code.contains(&format!("{name}::{{self")) {
        // A module of ours of that name was brought in: the crate is `::name`.
        return code.contains(&format!(" ::{path}"));
    }
    let as_path = code.match_indices(&path).any(|(at, _)| {
        let before = &code[..at];
        let absolute = before.ends_with("::") && !before.ends_with(|c: char| c.is_alphanumeric());
        let outer = before.strip_suffix("::").unwrap_or("x");
        let starts = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        starts || absolute && !outer.ends_with(|c: char| c.is_alphanumeric() || c == '_')
    });
    as_path || code.contains(&format!("use {name};")) || code.contains(&format!("use {name} "))
}

#[test]
fn arrows_only_point_down() {
    let layers: BTreeMap<_, _> = MAY_USE.into();
    let mut arrows: BTreeSet<(String, String)> = BTreeSet::new();
    for source in sources() {
        if ["lib", "main"].contains(&source.layer()) {
            continue;
        }
        let allowed = layers
            .get(source.layer())
            .unwrap_or_else(|| panic!("{} is in no layer: say where it stands", source.name));
        for used in first_words(&source.code, "crate") {
            if used == source.layer() || !layers.contains_key(used.as_str()) {
                continue;
            }
            assert!(
                allowed.contains(&used.as_str()),
                "src/{}.rs uses crate::{used}, which stands above or beside {}",
                source.name,
                source.layer()
            );
            arrows.insert((source.layer().to_owned(), used));
        }
    }
    println!("arrows: {arrows:?}");
    // It cannot pass on nothing: these are there.
    for (from, to) in [
        ("cli", "http"),
        ("cli", "service"),
        ("library", "http"),
        ("library", "service"),
        ("service", "config"),
        ("service", "session"),
        ("cli", "config"),
        ("cli", "telemetry"),
        ("http", "session"),
        ("session", "token"),
        ("session", "store"),
        ("token", "model"),
        ("store", "model"),
    ] {
        assert!(arrows.contains(&(from.into(), to.into())), "{from} -> {to} was not seen");
    }
}

#[test]
fn each_outside_crate_has_one_place() {
    let sources = sources();
    for (name, places) in ONE_PLACE {
        let users: Vec<_> = sources
            .iter()
            .filter(|source| uses_crate(&source.code, name))
            .map(|source| source.name.as_str())
            .collect();
        println!("{name}: {users:?}");
        assert!(!users.is_empty(), "{name} was not found anywhere");
        for user in users {
            let at_home = places.iter().any(|place| {
                user == *place || user.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'))
            });
            assert!(at_home, "src/{user}.rs uses {name}, whose place is {places:?}");
        }
    }
}

#[test]
fn the_scan_sees_what_it_is_to_see() {
    let text = r#"
        use crate::{
            model::{Email, session::Session},
            // store::Hidden,
            token::Claims,
        };
        pub(crate) fn f() { crate::http::app(); let s = "crate::config::x"; let c = '"'; }
        use crate::cli;
        fn g() { my_crate::telemetry::x(); ::sled::open(); self::poem::x(); tree_sled::y(); }
    "#;
    let code = code(text);
    let words: Vec<_> = first_words(&code, "crate").into_iter().collect();
    assert_eq!(words, ["cli", "http", "model", "token"]);
    assert!(uses_crate(&code, "sled"));
    assert!(!uses_crate(&code, "poem"));
    assert!(uses_crate("use poem;", "poem") && !uses_crate("use poem_openapi::x;", "poem"));
}
