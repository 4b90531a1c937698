//! After a run of the whole suite: in all that the service wrote there is no secret of those that
//! the suite met. Run by `just secrets`, which runs the suite first, and keeps what it writes as
//! `support::capture` says.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use aho_corasick::AhoCorasick;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use countersign::http::{openapi_json, openapi_yaml};
use serde_json::json;

use crate::support::capture::{FOLDER, Kind, Secret, TELLING, VARIABLE};

/// So much of a secret is looked for: no log has the beginning of one by chance.
const LOOKED_FOR: usize = 40;

/// What is in no output, whoever wrote it: the beginnings of a token's header and of a hash.
const NEVER: [&str; 3] = ["eyJhbGciOi", "eyJ0eXAiOi", "$argon2"];

/// What tests type as passwords and cookies, and is no secret: words of every log, and the mark of
/// `bad_input`, which is put into paths, too.
const NO_SECRETS: [&str; 3] = ["password", "countersign", crate::bad_input::MARKER];

/// The fewest secrets of each kind that a run of the whole suite meets.
const FEWEST: [(Kind, usize); 7] = [
    (Kind::Password, 1_000),
    (Kind::Token, 10_000),
    (Kind::Device, 150),
    (Kind::Key, 150),
    (Kind::Operator, 150),
    (Kind::Hash, 800),
    (Kind::Dashboard, 20),
];

/// Where the search must find something.
const PLANTED: &str = "planted";

/// The fewest processes whose output is kept.
const FEWEST_PROCESSES: usize = 200;

/// The fewest bytes that are written, by the processes and by the servers in the suite's own.
const FEWEST_BYTES: [(&str, usize); 2] = [("process", 512 << 10), ("suite", 20 << 20)];

/// What is looked for of a secret, in every form that a log could have it in.
fn patterns(secret: &Secret) -> Vec<String> {
    if secret.kind == Kind::Token {
        // A token is one by its signature, whatever stands before it.
        let signature = secret.text.rsplit('.').next().unwrap_or_default();
        let all = [signature, &secret.text];
        return all.into_iter().filter(|text| text.len() >= TELLING).map(beginning).collect();
    }
    let text = secret.text.as_bytes();
    let mut forms = vec![
        secret.text.clone(),
        json!(secret.text).to_string().trim_matches('"').to_owned(),
        url::form_urlencoded::byte_serialize(text).collect(),
        percent(text, "%20"),
        hex(text, false),
        hex(text, true),
        // As `Debug` shows bytes.
        text.iter().map(u8::to_string).collect::<Vec<_>>().join(", "),
    ];
    // In base64 it looks different behind each number of bytes; the letters at its ends are shared
    // with its neighbours.
    for before in 0..3 {
        let encoded = STANDARD_NO_PAD.encode([&vec![0; before][..], text].concat());
        let own = &encoded[[0, 2, 3][before]..encoded.len() - 1];
        forms.extend([own.to_owned(), own.replace('+', "-").replace('/', "_")]);
    }
    forms.retain(|form| form.len() >= TELLING);
    forms.iter().map(|form| beginning(form)).collect()
}

fn beginning(text: &str) -> String {
    text.chars().take(LOOKED_FOR).collect()
}

fn percent(text: &[u8], blank: &str) -> String {
    url::form_urlencoded::byte_serialize(text).collect::<String>().replace('+', blank)
}

fn hex(text: &[u8], upper: bool) -> String {
    let mut hex = String::new();
    for byte in text {
        let written = if upper { write!(hex, "{byte:02X}") } else { write!(hex, "{byte:02x}") };
        written.expect("a text takes everything");
    }
    hex
}

/// The secrets that are in some of the texts, each with where.
fn found(secrets: &HashSet<Secret>, texts: &[(String, Vec<u8>)]) -> BTreeMap<String, String> {
    let mut looked_for: Vec<String> = secrets.iter().flat_map(patterns).collect();
    looked_for.extend(NEVER.map(String::from));
    let automaton = AhoCorasick::new(&looked_for).expect("not too many");
    let mut found = BTreeMap::new();
    for (name, text) in texts {
        for hit in automaton.find_overlapping_iter(text) {
            let around = hit.start().saturating_sub(200)..text.len().min(hit.end() + 100);
            let around = String::from_utf8_lossy(&text[around]).into_owned();
            let pattern = &looked_for[hit.pattern().as_usize()];
            found.entry(pattern.clone()).or_insert_with(|| format!("{name}: …{around}…"));
        }
    }
    found
}

fn read_output(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder.join("output")).expect("what was written");
    files
        .map(|file| file.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

#[test]
#[ignore = "after the whole suite: `just secrets`"]
fn nothing_that_the_suite_wrote_has_a_secret() {
    let folder = FOLDER.as_deref().unwrap_or_else(|| panic!("{VARIABLE} names the folder"));
    let lines = fs::read_to_string(folder.join("secrets")).expect("the secrets");
    let mut secrets: HashSet<Secret> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    secrets.retain(|secret| !NO_SECRETS.contains(&secret.text.as_str()));
    let mut output = read_output(folder);
    // The document is public: its examples have the passwords that the tests have.
    output.retain(|(_, text)| {
        let text = text.trim_ascii();
        ![openapi_json(), openapi_yaml()].iter().any(|document| document.trim().as_bytes() == text)
    });

    // One of each kind, written where nothing else is: a search that finds nothing must be able to.
    let planted = FEWEST.map(|(kind, _)| secrets.iter().find(|secret| secret.kind == kind));
    let planted = planted.map(|secret| secret.map_or("", |secret| &secret.text)).join("\n");
    output.push((PLANTED.to_owned(), planted.into_bytes()));
    let found = found(&secrets, &output);
    let (planted, written): (Vec<_>, Vec<_>) =
        found.iter().partition(|(_, place)| place.starts_with(PLANTED));
    for (secret, place) in &written {
        eprintln!("{secret:?} in {place}\n");
    }
    assert_eq!(written.len(), 0, "secrets were written");
    assert!(planted.len() >= FEWEST.len(), "only {} were found again", planted.len());

    for (kind, fewest) in FEWEST {
        let met = secrets.iter().filter(|secret| secret.kind == kind).count();
        println!("{met:>8} of {kind:?}");
        assert!(met >= fewest, "only {met} of {kind:?}");
    }
    for (whose, fewest) in FEWEST_BYTES {
        let files = output.iter().filter(|(name, _)| name.starts_with(whose));
        let (count, bytes) =
            files.fold((0, 0), |(count, bytes), (_, text)| (count + 1, bytes + text.len()));
        println!("{bytes:>12} bytes of {whose}, in {count} files");
        assert!(bytes >= fewest, "{whose} wrote {bytes} bytes");
        assert!(whose == "suite" || count >= FEWEST_PROCESSES, "{count} processes");
    }
}

#[test]
fn a_secret_is_found_in_every_form_and_nothing_else_is() {
    let password = Secret { kind: Kind::Password, text: "tin hush, \"marble\" 4 ü?>~".into() };
    let token = Secret {
        kind: Kind::Token,
        text: format!("eyJhbGciOiJFZERTQSJ9.eyJzaWQiOiIxIn0.{}", "aZ3_".repeat(20)),
    };
    let secrets = HashSet::from([password.clone(), token.clone()]);
    let text = password.text.as_str();
    let base64 = |before: &str| STANDARD_NO_PAD.encode(format!("{before}{text}, and more"));
    for form in [
        text.to_owned(),
        json!({"a": text}).to_string(),
        format!("{text:?}"),
        format!("{:?}", text.as_bytes()),
        "tin+hush%2C+%22marble%22+4+%C3%BC%3F%3E%7E".into(),
        "tin%20hush%2C%20%22marble%22%204%20%C3%BC%3F%3E%7E".into(),
        hex(text.as_bytes(), false),
        hex(text.as_bytes(), true),
        base64(""),
        base64("a"),
        base64("ab"),
        base64("ab").replace('+', "-").replace('/', "_"),
        token.text.clone(),
        token.text.rsplit('.').next().unwrap().to_owned(),
        "eyJhbGciOiJub25lIn0".into(),
        "$argon2id$v=19".into(),
    ] {
        let line = format!("a line: {form} and its end\n").into_bytes();
        let among = vec![("x".to_owned(), b"another".to_vec()), ("y".to_owned(), line)];
        let found = found(&secrets, &among);
        assert!(!found.is_empty(), "{form}");
        assert!(found.values().all(|place| place.starts_with("y: ")), "{found:?}");
    }
    let harmless = b"tin hush marble 4; eyJ; argon2; session aZ3_aZ3_".to_vec();
    assert_eq!(found(&secrets, &[("z".to_owned(), harmless)]), BTreeMap::new());
    let kinds: BTreeSet<Kind> = FEWEST.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.len(), FEWEST.len());
}
