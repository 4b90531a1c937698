//! A new signing key among the files of a data directory: announced, published, and in force when its
//! time has come; nobody is logged out by it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use jiff::SignedDuration;
use serde_json::Value;

use crate::{
    kernel::{strace, strace_works},
    support::{Process, TestApp, User, at_once, capture, header},
};

/// How long a key of files is announced.
const NOTICE: SignedDuration = SignedDuration::from_secs(15);

const INSTANT: SignedDuration = SignedDuration::from_millis(1);

/// `countersign keys rotate --json` on a data directory.
fn rotate(data: &Path) -> Output {
    rotate_by(&[], data)
}

/// The same, run by something else.
fn rotate_by(wrapper: &[String], data: &Path) -> Output {
    let binary = [env!("CARGO_BIN_EXE_countersign").to_owned()];
    let words = [wrapper, &binary].concat();
    let mut command = Command::new(&words[0]);
    command
        .env_clear()
        .args(&words[1..])
        .args(["keys", "rotate", "--json", "--data-dir"])
        .arg(data)
        .current_dir(data)
        .stdin(Stdio::null());
    capture::finished(command.output().unwrap())
}

/// The ids of all keys and what they are good for, oldest first.
fn done(output: &Output) -> Vec<(String, String)> {
    assert!(output.status.success(), "{output:?}");
    let keys: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    keys.iter().map(|key| (text(key, "kid"), text(key, "status"))).collect()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stdout, b"");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// The key files with what they say.
fn files(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(data.join("keys")).unwrap().map(|entry| entry.unwrap().path());
    let is_key = |path: &PathBuf| path.extension().is_some_and(|it| it == "json");
    let mut files: Vec<_> =
        paths.filter(is_key).map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

async fn published(anybody: &User) -> Vec<String> {
    let keys = anybody.get("/.well-known/jwks.json").await.expect(200).json();
    let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
    keys["keys"].as_array().unwrap().iter().map(kid).collect()
}

/// What signed the newest token of a person.
fn signed(who: &User) -> String {
    header(&who.token())["kid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_takes_a_new_key_up_and_nobody_is_logged_out() {
    let mut app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    let old = signed(&ann);
    let keys = done(&rotate(app.data_dir()));
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], (old.clone(), "signing".to_owned()));
    let (new, status) = keys[1].clone();
    assert_eq!(status, "announced");

    // Whoever verifies elsewhere has the time to ask, also while the server is restarted.
    for restarted in [false, true] {
        if restarted {
            app.pass(NOTICE - INSTANT);
            app.restart().await;
        }
        assert_eq!(published(&app.anonymous()).await, [old.clone(), new.clone()]);
        ann.visit().await;
        assert_eq!(signed(&ann), old);
        let (before, again) = (files(app.data_dir()), refused(&rotate(app.data_dir())));
        assert!(again.contains(&new) && again.contains("nothing was changed"), "{again}");
        assert_eq!(files(app.data_dir()), before);
    }
    let early = ann.copy();
    app.pass(INSTANT);
    for restarted in [false, true] {
        if restarted {
            app.restart().await;
        }
        assert_eq!(published(&app.anonymous()).await, [new.clone(), old.clone()]);
        ann.visit().await;
        assert_eq!(signed(&ann), new);
        early.check().await.expect(200);
    }
    assert_eq!(early.visit().await, 5, "one session, by whichever key");

    // Another takes over from that one; and the oldest is over when its last token is.
    assert_eq!(done(&rotate(app.data_dir())).len(), 3);
    assert_eq!(published(&app.anonymous()).await.len(), 3);
    app.pass(SignedDuration::from_hours(24 * 14));
    assert!(published(&app.anonymous()).await.contains(&old));
    app.pass(NOTICE);
    assert!(!published(&app.anonymous()).await.contains(&old));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_rotations_at_once_one_is_done() {
    let app = TestApp::start().await;
    let file = fs::read(app.data_dir().join("admin.json")).unwrap();
    let admin: Value = serde_json::from_slice(&file).unwrap();
    let text = |name: &str| admin[name].as_str().unwrap().to_owned();
    let (url, token) = (format!("{}/keys", text("url")), text("token"));
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let ask = |token: &str| client.post(&url).bearer_auth(token).send();
    assert_eq!(ask("not it").await.unwrap().status(), 401);
    assert_eq!(files(app.data_dir()).len(), 1);
    let answers = at_once((0..16).map(|_| ask(&token))).await;
    let done = answers.iter().filter(|answer| answer.as_ref().unwrap().status() == 200);
    assert_eq!(done.count(), 1);
    assert_eq!(files(app.data_dir()).len(), 2);
    assert_eq!(published(&app.anonymous()).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_not_announced() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    let (old, before) = (signed(&ann), files(app.data_dir()));
    let in_the_way = app.data_dir().join(format!("keys/.{old}.json.new"));
    fs::create_dir(&in_the_way).unwrap();
    let said = refused(&rotate(app.data_dir()));
    assert!(said.contains("cannot write") && said.contains(&old), "{said}");
    assert_eq!(files(app.data_dir()), before);
    assert_eq!(published(&app.anonymous()).await, std::slice::from_ref(&old));
    app.pass(NOTICE);
    ann.visit().await;
    assert_eq!(signed(&ann), old);
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(done(&rotate(app.data_dir())).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_files_are_changed_and_the_next_start_knows_them() {
    let mut server = Process::start();
    let ann = server.program();
    ann.join("ann@example.com").await;
    let (data, old) = (server.data_dir(), signed(&ann));
    // One that runs and cannot be asked is left alone.
    let admin = fs::read(data.join("admin.json")).unwrap();
    fs::remove_file(data.join("admin.json")).unwrap();
    let before = files(&data);
    let said = refused(&rotate(&data));
    assert!(said.contains("another process") && said.contains("has no admin interface"), "{said}");
    assert_eq!(files(&data), before);
    // One that was killed has left where it was.
    fs::write(data.join("admin.json"), admin).unwrap();
    server.kill_hard();
    let keys = done(&rotate(&data));
    assert_eq!(keys[0], (old.clone(), "signing".to_owned()));
    assert_eq!((keys.len(), keys[1].1.as_str()), (2, "announced"));
    server.restart();
    let both = published(&server.anonymous()).await;
    assert!(both.len() == 2 && both.contains(&old) && both.contains(&keys[1].0), "{both:?}");
    assert_eq!(ann.visit().await, 1);

    let nowhere = tempfile::tempdir().unwrap();
    let said = refused(&rotate(nowhere.path()));
    assert!(said.contains("there are no signing keys in"), "{said}");
    assert_eq!(fs::read_dir(nowhere.path()).unwrap().count(), 0);
}

/// Between the file of the new key and the end of the old one.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_half_way_has_announced_it_all_the_same() {
    if !strace_works() {
        return;
    }
    let mut server = Process::start();
    let ann = server.program();
    ann.join("ann@example.com").await;
    let (data, old) = (server.data_dir(), signed(&ann));
    assert!(server.terminate().success());
    let before = files(&data);
    let inject = "inject=rename,renameat,renameat2:signal=SIGKILL:when=2";
    let by = strace(&["-e", inject, "-o", "/dev/null"]);
    let killed = rotate_by(&by, &data);
    assert!(!killed.status.success() && killed.stdout.is_empty(), "{killed:?}");
    let between = files(&data);
    assert_eq!(between.len(), 2);
    assert!(between.contains(&before[0]), "the old one has no end yet");

    server.restart();
    let after = files(&data);
    assert!(after.len() == 2 && !after.contains(&before[0]), "it has one now");
    let both = published(&server.anonymous()).await;
    assert!(both.len() == 2 && both.contains(&old), "{both:?}");
    assert_eq!(ann.visit().await, 1);
}
