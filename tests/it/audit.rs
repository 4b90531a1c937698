//! Audit events: who did what, when, and from where, through real requests and real commands.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use countersign::{
    config::Config,
    model::{Account, Actor, AuditEvent, AuditKind, By, Clock as _, SessionId, clock::SystemClock},
    store::{SledOptions, SledStore, Store},
};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    store_machine::operation::list,
    support::{Answer, PASSWORD, Process, TestApp, User, at_once, in_time, store::Outage},
};

/// The test itself is the proxy: it says where requests come from.
fn behind_a_proxy(config: &mut Config) {
    config.server.trusted_proxies = serde_json::from_str("\"127.0.0.0/8\"").unwrap();
}

fn address(last: u8) -> std::net::IpAddr {
    [192, 0, 2, last].into()
}

/// All events, the latest first.
pub(crate) async fn events(app: &TestApp) -> Vec<AuditEvent> {
    list(&*app.store(), None, 3, app.clock.now()).await.unwrap()
}

/// Asks by the API, from that address, and keeps the token that comes back.
async fn ask(who: &User, last: u8, method: Method, path: &str, body: Value) -> Answer {
    let mut draft = who.api(method, path).header("x-forwarded-for", &address(last).to_string());
    if !body.is_null() {
        draft = draft.json(&body);
    }
    let answer = draft.send().await;
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(token) = told["token"].as_str() {
        who.take(token);
    }
    answer
}

fn credentials(password: &str) -> Value {
    json!({"email": "ann@example.com", "password": password, "transport": "bearer"})
}

fn sid(who: &User) -> SessionId {
    who.sid().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_story_is_written_down_with_who_and_from_where() {
    let app = TestApp::with(behind_a_proxy).await;
    let (ann, other, stranger) = (app.program(), app.program(), app.anonymous());
    let (post, put, delete) = (Method::POST, Method::PUT, Method::DELETE);
    let new = json!({"email": "ann@example.com", "password": PASSWORD});
    ask(&stranger, 1, post.clone(), "/accounts", new).await.expect(201);
    let id = app.account("ann@example.com").await.id;
    let (herself, unknown) = (Actor::Account(id), Actor::Unknown);
    // What is to be found, in its order; and of each the session, and the one before it.
    let mut expected = vec![(1, AuditKind::SignedUp, herself, Some(id), None, None, 0)];

    app.pass(SignedDuration::from_secs(1));
    ask(&ann, 2, post.clone(), "/session", credentials(PASSWORD)).await.expect(201);
    let first = sid(&ann);
    expected.push((2, AuditKind::LoggedIn, herself, Some(id), Some(first), None, 0));
    for (last, email, account) in
        [(3, "ann@example.com", Some(id)), (4, "nobody@example.com", None), (5, "no address", None)]
    {
        let wrong = json!({"email": email, "password": "a wrong password"});
        ask(&stranger, last, post.clone(), "/session", wrong).await.expect(401);
        expected.push((last, AuditKind::LogInRefused, unknown, account, None, None, 0));
    }
    let show = "/session/reauthentication";
    ask(&ann, 6, post.clone(), show, json!({"password": "wrong"})).await.expect(403);
    expected.push((6, AuditKind::CurrentPasswordRefused, herself, Some(id), None, None, 0));
    ask(&ann, 7, post.clone(), show, json!({"password": PASSWORD})).await.expect(200);
    let (before, now) = (first, sid(&ann));
    expected.push((7, AuditKind::Reauthenticated, herself, Some(id), Some(now), Some(before), 0));

    ask(&other, 8, post.clone(), "/session", credentials(PASSWORD)).await.expect(201);
    expected.push((8, AuditKind::LoggedIn, herself, Some(id), Some(sid(&other)), None, 0));
    let end = format!("/sessions/{}", other.sid());
    ask(&ann, 9, delete.clone(), &end, Value::Null).await.expect(204);
    expected.push((9, AuditKind::SessionEnded, herself, Some(id), Some(sid(&other)), None, 1));
    ask(&ann, 9, delete.clone(), &end, Value::Null).await.expect(404);
    for last in [10, 11] {
        let someone = app.program();
        ask(&someone, last, post.clone(), "/session", credentials(PASSWORD)).await.expect(201);
        expected.push((last, AuditKind::LoggedIn, herself, Some(id), Some(sid(&someone)), None, 0));
    }
    ask(&ann, 12, delete.clone(), "/sessions", Value::Null).await.expect(200);
    expected.push((12, AuditKind::SessionsEnded, herself, Some(id), None, None, 2));
    ask(&ann, 12, delete.clone(), "/sessions", Value::Null).await.expect(200);

    let change = json!({"current": PASSWORD, "new": "staple after staple"});
    ask(&ann, 13, put.clone(), "/account/password", change).await.expect(200);
    let (before, now) = (now, sid(&ann));
    expected.push((13, AuditKind::PasswordChanged, herself, Some(id), Some(now), Some(before), 0));
    let change = json!({"email": "anna@example.com"});
    ask(&ann, 14, put, "/account/email", change).await.expect(200);
    let (before, now) = (now, sid(&ann));
    expected.push((14, AuditKind::EmailChanged, herself, Some(id), Some(now), Some(before), 0));
    ask(&ann, 15, Method::GET, "/account/export", Value::Null).await.expect(200);
    expected.push((15, AuditKind::AccountExported, herself, Some(id), None, None, 0));

    // A log-in whose token comes along ends its session.
    let anna = json!({
        "email": "anna@example.com", "password": "staple after staple", "transport": "bearer",
    });
    let (before, log_in) = (now, "/session");
    ask(&ann, 16, post.clone(), log_in, anna.clone()).await.expect(201);
    expected.push((16, AuditKind::LoggedIn, herself, Some(id), Some(sid(&ann)), None, 0));
    expected.push((16, AuditKind::SessionReplaced, herself, Some(id), Some(before), None, 1));
    // What is looked at, and counted, is not written down.
    ask(&ann, 17, Method::GET, log_in, Value::Null).await.expect(200);
    ask(&ann, 17, post.clone(), "/session/visits", Value::Null).await.expect(200);
    ask(&ann, 18, delete.clone(), log_in, Value::Null).await.expect(204);
    expected.push((18, AuditKind::LoggedOut, herself, Some(id), Some(sid(&ann)), None, 1));
    ask(&ann, 18, delete.clone(), log_in, Value::Null).await.expect(401);
    let last_one = app.program();
    ask(&last_one, 19, post, log_in, anna).await.expect(201);
    expected.push((19, AuditKind::LoggedIn, herself, Some(id), Some(sid(&last_one)), None, 0));
    ask(&last_one, 20, delete, "/account", Value::Null).await.expect(204);
    expected.push((20, AuditKind::AccountClosed, herself, Some(id), None, None, 1));

    let found = events(&app).await;
    assert!(found.iter().skip(1).zip(&found).all(|(earlier, later)| earlier.at <= later.at));
    // At one moment, those of one trail are before the others.
    let shape = |event: &AuditEvent| {
        let By { actor, from } = event.by;
        assert!(from.is_some_and(|from| (1..=20).any(|last| from == address(last))), "{event:?}");
        (from, event.what, actor, event.account, event.session, event.replaced, event.ended)
    };
    for refused in [false, true] {
        let is_of_it = |what: AuditKind| (what.trail() != AuditKind::SignedUp.trail()) == refused;
        let found: Vec<_> =
            found.iter().rev().filter(|event| is_of_it(event.what)).map(shape).collect();
        let expected: Vec<_> = expected
            .iter()
            .filter(|(_, what, ..)| is_of_it(*what))
            .map(|(last, what, actor, account, session, replaced, ended)| {
                (Some(address(*last)), *what, *actor, *account, *session, *replaced, *ended)
            })
            .collect();
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.last().unwrap().at, app.clock.now() - SignedDuration::from_secs(1));
    // Neither what was typed nor an e-mail address is in any record.
    let said = format!("{found:?}");
    for typed in ["example", "no address", "wrong password", PASSWORD] {
        assert!(!said.contains(typed), "{typed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_say_where_people_are_and_strangers_cannot_make_it_up() {
    for trusted in [true, false] {
        let app = TestApp::with(|config| {
            if trusted {
                behind_a_proxy(config);
            }
        })
        .await;
        let ann = app.browser();
        let form = [("email", "ann@example.com"), ("password", PASSWORD)];
        let posts: [(&str, &[(&str, &str)]); 5] = [
            ("/signup", &form),
            ("/logout", &[]),
            ("/login", &form),
            ("/account/email", &[("email", "anna@example.com"), ("current", PASSWORD)]),
            ("/account/close", &[("current", PASSWORD)]),
        ];
        for (last, (path, fields)) in (1..).zip(posts) {
            let draft = ann.request(Method::POST, path).form(fields);
            let answer = draft.header("x-forwarded-for", &address(last).to_string()).send().await;
            assert!([200, 303].contains(&answer.status), "{path}: {}", answer.status);
        }
        let found = events(&app).await;
        let told: Vec<_> = found.iter().rev().map(|event| (event.what, event.by.from)).collect();
        let expected = [
            (1, AuditKind::SignedUp),
            (1, AuditKind::LoggedIn),
            (2, AuditKind::LoggedOut),
            (3, AuditKind::LoggedIn),
            (4, AuditKind::Reauthenticated),
            (4, AuditKind::EmailChanged),
            (5, AuditKind::Reauthenticated),
            (5, AuditKind::AccountClosed),
        ];
        let here: std::net::IpAddr = [127, 0, 0, 1].into();
        let from = |last| Some(if trusted { address(last) } else { here });
        assert_eq!(told, expected.map(|(last, what)| (what, from(last))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_cookie_is_an_event_of_nobody_known() {
    for by_visit in [true, false] {
        let app = TestApp::with(behind_a_proxy).await;
        let ann = app.browser();
        ann.join("ann@example.com").await;
        ann.visit().await;
        let thief = ann.copy();
        for _ in 0..2 {
            app.pass(SignedDuration::from_secs(61));
            ann.visit().await;
        }
        app.pass(SignedDuration::from_secs(61));
        let (method, path) =
            if by_visit { (Method::POST, "/session/visits") } else { (Method::GET, "/session") };
        ask(&thief, 66, method, path, Value::Null).await.expect(401);
        let found = events(&app).await[0];
        let by = By { actor: Actor::Unknown, from: Some(address(66)) };
        assert_eq!((found.what, found.by), (AuditKind::CopyFound, by));
        let account = app.account("ann@example.com").await.id;
        assert_eq!((found.account, found.session), (Some(account), Some(sid(&ann))));
        assert_eq!((found.ended, found.at), (1, app.clock.now()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_tells_how_many_sessions_made_room_for_it() {
    let app = TestApp::with(|config| config.session.max_per_account = 1).await;
    app.program().join("ann@example.com").await;
    app.program().log_in("ann@example.com").await;
    let found = events(&app).await[0];
    assert_eq!((found.what, found.ended), (AuditKind::LoggedIn, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_503_is_not_among_the_events() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    let before = events(&app).await;
    app.control.outage(Outage::Writes);
    ann.log_out().await.expect(503);
    ann.api(Method::GET, "/account/export").send().await.expect(503);
    ann.reauthenticate("wrong").await.expect(503);
    app.control.outage(Outage::None);
    assert_eq!(events(&app).await, before);
    ann.log_out().await.expect(204);
    assert_eq!(events(&app).await.len(), before.len() + 1);
}

/// A full disk is what it is for.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_cannot_be_written_down_is_made_all_the_same() {
    let app = TestApp::start().await;
    app.program().join("ann@example.com").await;
    let before = events(&app).await;
    let admin = std::fs::read(app.data_dir().join("admin.json")).unwrap();
    let admin: Value = serde_json::from_slice(&admin).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let backup = async || {
        let request = client.get(format!("{}/backup", admin["url"].as_str().unwrap()));
        let answer = request.bearer_auth(admin["token"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap().len()
    };
    app.pass(SignedDuration::from_secs(1));
    app.control.outage(Outage::Writes);
    let length = backup().await;
    app.control.outage(Outage::None);
    assert_eq!(events(&app).await, before);
    assert!(backup().await > length, "with what is written down now");
    assert_eq!(events(&app).await[0].what, AuditKind::BackupBegun);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_and_how_many_is_the_operators_choice() {
    let app = TestApp::with(|config| {
        config.audit.keep = "1h".parse().unwrap();
        config.audit.max_events = 1_000;
    })
    .await;
    let ann = app.program();
    ann.sign_up("ann@example.com").await.expect(201);
    app.pass(SignedDuration::from_mins(59));
    ann.log_in("ann@example.com").await;
    assert_eq!(events(&app).await.len(), 2);
    app.pass(SignedDuration::from_mins(1));
    assert_eq!(events(&app).await.len(), 1);
    let event = events(&app).await[0];
    at_once((0..1_100).map(|_| {
        let store = app.store();
        async move { store.write_event(event).await.unwrap() }
    }))
    .await;
    let kept = list(&*app.store(), None, 1_000, app.clock.now()).await.unwrap().len();
    assert!((960..=1_000).contains(&kept), "{kept}");
}

/// A command on `dir/data`, with what it reads.
fn command(dir: &Path, args: &[&str], input: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .env_clear()
        .env("COUNTERSIGN_PASSWORD__MEMORY_KIB", "8")
        .env("COUNTERSIGN_PASSWORD__PASSES", "1")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Who reads no input may be gone already.
    let _gone = child.stdin.take().unwrap().write_all(input.as_bytes());
    assert!(child.wait().unwrap().success(), "{args:?}");
}

/// What a stopped service has in `dir/data`.
async fn kept_in(dir: &Path) -> (Vec<Account>, Vec<SessionId>, Vec<AuditEvent>) {
    let store = SledStore::open(&dir.join("data"), SledOptions::default()).unwrap();
    let now = SystemClock.now();
    let events = list(&store, None, 1_000, now).await.unwrap();
    let accounts = crate::store_world::everybody(&store).await;
    let mut living = Vec::new();
    for account in &accounts {
        let sessions = store.sessions(account.id, now).await.unwrap();
        living.extend(sessions.into_iter().map(|session| session.id));
    }
    store.close().await.unwrap();
    (accounts, living, events)
}

#[tokio::test]
async fn what_an_operator_does_is_the_command_lines() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| command(dir.path(), args, "staple after staple\n");
    run(&["account", "add", "ann@example.com"]);
    run(&["account", "disable", "ann@example.com"]);
    run(&["account", "enable", "ann@example.com"]);
    run(&["account", "password", "ann@example.com"]);
    run(&["session", "revoke", "--all-accounts", "--yes"]);
    run(&["backup", "file"]);
    run(&["account", "remove", "ann@example.com"]);
    // To look changes nothing.
    run(&["account", "list"]);
    let (_, _, events) = kept_in(dir.path()).await;
    assert!(events.iter().all(|event| event.by == By::COMMAND_LINE));
    let told: Vec<_> = events.iter().rev().map(|event| event.what).collect();
    let expected = [
        AuditKind::AccountAdded,
        AuditKind::AccountDisabled,
        AuditKind::AccountEnabled,
        AuditKind::PasswordChanged,
        AuditKind::AllSessionsEnded,
        AuditKind::BackupBegun,
        AuditKind::AccountRemoved,
    ];
    assert_eq!(told, expected);
    // The backup has all that was before it, and itself.
    command(dir.path(), &["restore", "--replace", "--end-sessions", "file"], "");
    let (_, _, restored) = kept_in(dir.path()).await;
    assert_eq!(restored[1..], events[1..]);
    assert_eq!((restored[0].what, restored[0].by), (AuditKind::AllSessionsEnded, By::COMMAND_LINE));
}

/// Whatever was under way: each session that lives was opened and not ended, as it is written down.
#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_the_events_tell_which_sessions_live() {
    let mut server = Process::with(&[("COUNTERSIGN_LOG__FILTER", "off")]);
    server.anonymous().sign_up("ann@example.com").await.expect(201);
    for _ in 0..3 {
        let logged_in = Arc::new(AtomicUsize::new(0));
        let load: Vec<_> = (0..8)
            .map(|n| {
                let who = server.program();
                let logged_in = Arc::clone(&logged_in);
                tokio::spawn(async move {
                    for round in 0.. {
                        let asked = who.api(Method::POST, "/session").json(&credentials(PASSWORD));
                        let Ok(answer) = asked.try_send().await else { return };
                        let told: Value = serde_json::from_slice(&answer.body).unwrap();
                        who.take(told["token"].as_str().unwrap());
                        logged_in.fetch_add(1, Ordering::SeqCst);
                        if (n + round) % 3 == 0 {
                            continue;
                        }
                        if who.api(Method::DELETE, "/session").try_send().await.is_err() {
                            return;
                        }
                    }
                })
            })
            .collect();
        in_time("a load", async {
            while logged_in.load(Ordering::SeqCst) < 20 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        })
        .await;
        server.kill_hard();
        for task in load {
            task.await.unwrap();
        }
        let (_, living, events) = kept_in(server.directory()).await;
        let of = |wanted: &[AuditKind]| -> BTreeSet<_> {
            let found = events.iter().filter(|event| wanted.contains(&event.what));
            found.filter_map(|event| event.session).collect()
        };
        let opened = of(&[AuditKind::LoggedIn]);
        let ended = of(&[AuditKind::LoggedOut, AuditKind::SessionReplaced]);
        // More than a hundred would end the oldest, of which the number alone is written down.
        let made_room: u64 = events
            .iter()
            .filter(|event| event.what == AuditKind::LoggedIn)
            .map(|event| event.ended)
            .sum();
        assert!(opened.len() > 10, "there was load");
        assert_eq!(opened.len() - ended.len(), living.len() + usize::try_from(made_room).unwrap());
        assert!(living.iter().all(|session| opened.contains(session) && !ended.contains(session)));
        server.restart();
    }
    assert!(server.terminate().success());
}
