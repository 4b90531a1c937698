//! What `just secrets` looks through: every secret that the suite meets, and all that is written by
//! the service while it does.
//!
//! With a folder in `CAPTURE_DIR`, the support code writes down there
//! - in `secrets`, a line of JSON each: what people type as passwords, the tokens that are handed out
//!   or shown, the cookies of devices, the codes and cookies of the dashboard, and of each data directory the keys, the operator's token and
//!   the password hashes;
//! - in `output/`, a file each: what every process of the service wrote to stdout and stderr.
//!
//! The servers in this process log to its own stderr then, at level `trace`, and the recipe keeps
//! that beside the others. Without the variable nothing of this happens.
//!
//! Whoever starts the binary in a new way hands what it wrote to [`output`]; whoever sends or gets a
//! secret in a new way hands it to [`secret`].

use std::{
    collections::HashSet,
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Output,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use countersign::{http::describe_request, telemetry};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The variable that names the folder. Not `COUNTERSIGN_*`: a server that is given all of a test's
/// variables takes that for a key of its configuration.
pub(crate) const VARIABLE: &str = "CAPTURE_DIR";

/// The folder, if there is one.
pub(crate) static FOLDER: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| env::var_os(VARIABLE).map(PathBuf::from));

/// The fewest bytes that are looked for: a shorter text is written by chance.
pub(crate) const TELLING: usize = 8;

/// What kind of secret something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Typed by somebody, right or wrong.
    Password,
    /// A session's, good or not: by a cookie or in a body.
    Token,
    /// What a device is known by.
    Device,
    /// The private half of a signing key, or all of one that has no halves.
    Key,
    /// What the command line shows to a running server.
    Operator,
    /// The salt or the hash of a password.
    Hash,
    /// What opens the operator's dashboard, and what its forms carry.
    Dashboard,
}

/// A line of `secrets`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// Keeps a secret.
pub(crate) fn secret(kind: Kind, text: &str) {
    static KEPT: LazyLock<Mutex<HashSet<Secret>>> = LazyLock::new(Mutex::default);
    let Some(folder) = &*FOLDER else { return };
    let secret = Secret { kind, text: text.to_owned() };
    if text.len() < TELLING || KEPT.lock().contains(&secret) {
        return;
    }
    let line = serde_json::to_string(&secret).expect("JSON") + "\n";
    let mut file =
        fs::OpenOptions::new().create(true).append(true).open(folder.join("secrets")).unwrap();
    file.write_all(line.as_bytes()).unwrap();
    KEPT.lock().insert(secret);
}

/// A new file for what a process writes.
pub(crate) fn file() -> Option<fs::File> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = FOLDER.as_ref()?.join("output");
    let name = format!("process-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Some(fs::File::create_new(folder.join(name)).unwrap())
}

/// Keeps what a process has written.
pub(crate) fn output(written: &[u8]) {
    if let Some(mut file) = file() {
        file.write_all(written).unwrap();
    }
}

/// Keeps what a command has written.
pub(crate) fn finished(done: Output) -> Output {
    output(&[&done.stdout[..], &done.stderr].concat());
    done
}

/// The level that servers log at, unless their test chose one.
pub(crate) fn log_filter() -> &'static str {
    if FOLDER.is_some() { "trace" } else { "info" }
}

/// Lets the servers in this process log to its stderr.
pub(crate) fn log_here() {
    static INSTALLED: LazyLock<()> = LazyLock::new(|| {
        if FOLDER.is_some() {
            let format = telemetry::Format::Json;
            telemetry::install(format, log_filter(), describe_request).expect("no other logger");
        }
    });
    LazyLock::force(&INSTALLED);
}

/// Keeps the secrets of a request: what its headers and its body show.
pub(crate) fn request(headers: &[(String, Vec<u8>)], body: Option<&[u8]>) {
    if FOLDER.is_none() {
        return;
    }
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value);
        match name.as_str() {
            "cookie" => value.split(';').for_each(cookie),
            "authorization" => shown(value.rsplit(' ').next().unwrap_or_default()),
            _ => {}
        }
    }
    let body = body.unwrap_or_default();
    let fields: Value = serde_json::from_slice(body).unwrap_or_default();
    members(&fields);
    if fields.is_null() {
        for (name, value) in url::form_urlencoded::parse(body) {
            field(&name, &value);
        }
    }
}

/// Keeps the secrets of an answer: what it sets and what it hands out.
pub(crate) fn answer(set_cookies: &[String], body: &[u8]) {
    if FOLDER.is_none() {
        return;
    }
    for set_cookie in set_cookies {
        cookie(set_cookie.split(';').next().unwrap_or_default());
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(token) = body["token"].as_str() {
        shown(token);
    }
}

/// Keeps the secrets of a data directory: its keys, the operator's token, the password hashes.
pub(crate) fn data(dir: &Path) {
    if FOLDER.is_none() || !dir.is_dir() {
        return;
    }
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            data(&path);
            continue;
        }
        // A running server may replace it just now.
        let content = fs::read(&path).unwrap_or_default();
        let json: Value = serde_json::from_slice(&content).unwrap_or_default();
        for (kind, name) in [(Kind::Key, "d"), (Kind::Key, "k"), (Kind::Operator, "token")] {
            if let Some(text) = json[name].as_str() {
                secret(kind, text);
            }
        }
        for hash in String::from_utf8_lossy(&content).split("$argon2id$").skip(1) {
            let is_base64 = |c: char| c.is_ascii_alphanumeric() || ['+', '/'].contains(&c);
            for part in hash.split('$').skip(2).take(2) {
                let end = part.find(|c| !is_base64(c)).unwrap_or(part.len());
                secret(Kind::Hash, &part[..end]);
            }
        }
    }
}

fn cookie(pair: &str) {
    match pair.trim().split_once('=') {
        Some(("session" | "__Host-session", token)) => shown(token),
        Some(("device" | "__Host-device", token)) => secret(Kind::Device, token),
        Some(("countersign-dashboard", token)) => secret(Kind::Dashboard, token),
        _ => {}
    }
}

/// Keeps a token. What is no longer than its signature is none, whatever it was shown as.
fn shown(token: &str) {
    if token.len() > 86 {
        secret(Kind::Token, token);
    }
}

fn members(json: &Value) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) => field(name, text),
                    other => self::members(other),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(members),
        _ => {}
    }
}

fn field(name: &str, value: &str) {
    match name {
        "password" | "pass" | "current" | "new" => secret(Kind::Password, value),
        "token" => shown(value),
        "form" => secret(Kind::Dashboard, value),
        _ => {}
    }
}
