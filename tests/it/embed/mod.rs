//! The library: what is promised of sessions holds for the handlers of an app that embeds them.

mod app;
#[path = "../../../examples/embed.rs"]
#[expect(dead_code, reason = "its `main` serves on a port of its own; the rest is what is tested")]
mod example;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use countersign::{Countersign, config::Period, library::OpenError, model::By};
use jiff::SignedDuration;
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::json;

use self::app::App;
use crate::support::{Answer, Op, PASSWORD, User, When, in_time, store::Outage, user::Kind};

const ANN: [(&str, &str); 2] = [("email", "ann@example.com"), ("password", PASSWORD)];

/// Somebody with a browser and an account.
async fn joined(app: &App) -> User {
    let ann = app.browser();
    ann.post("/signup", &ANN).await.expect_redirect("/admin");
    ann
}

async fn visit(who: &User) -> u64 {
    who.get("/admin").await.expect(200).text().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_is_the_tutorial() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Countersign::open(dir.path().join("data")).unwrap();
    let (address, stop, task) = app::serve(example::app(&sessions)).await;
    let ann = User::new(
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap(),
        Arc::new(Mutex::new(address)),
        "http://localhost:3000".parse().unwrap(),
        Kind::Browser,
        Arc::new(countersign::model::clock::SystemClock),
    );
    assert!(ann.get("/").await.expect(200).text().contains("action=\"/login\""));
    ann.get("/admin").await.expect_page(401);
    ann.post("/login", &ANN).await.expect_page(401);
    ann.post("/signup", &ANN).await.expect_redirect("/admin");
    for number in 1..=3 {
        let page = ann.get("/admin").await.expect(200);
        assert_eq!(page.text(), format!("Hello ann@example.com\nThis is visit number {number}"));
    }
    assert!(ann.get("/").await.expect(200).text().contains("href=\"/admin\""));
    let copy = ann.copy();
    ann.post("/logout", &[]).await.expect_redirect("/");
    assert_eq!(ann.cookie(), None);
    copy.get("/admin").await.expect(401);
    ann.post("/login", &ANN).await.expect_redirect("/admin");
    assert!(ann.get("/admin").await.expect(200).text().ends_with("number 1"));
    let _ = stop.send(());
    task.await.unwrap();
    sessions.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_ended_is_ended_on_every_route_and_after_a_restart() {
    let mut app = App::start().await;
    let ann = joined(&app).await;
    assert_eq!(visit(&ann).await, 1);
    let (older, newer) = (ann.copy(), ann.copy());
    assert_eq!(visit(&newer).await, 2);
    ann.post("/logout", &[]).await.expect_redirect("/");
    for _ in 0..2 {
        for copy in [&older, &newer] {
            for path in ["/admin", "/whoami", "/kept", "/kept-visit"] {
                copy.get(path).await.expect(401).expect_no_cookie();
            }
            copy.check().await.expect_problem(401, "not_signed_in");
            assert_eq!(copy.get("/").await.expect(200).text(), "nobody");
        }
        app.restart().await;
    }
    ann.post("/login", &ANN).await.expect_redirect("/admin");
    assert_eq!(visit(&ann).await, 1, "another session");
    older.get("/whoami").await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_ends_a_session_can_do_no_more_with_it() {
    let app = App::start().await;
    let ann = joined(&app).await;
    let copy = ann.copy();
    let answer = ann.post("/leave", &[]).await.expect_page(401);
    let cookies = answer.set_cookies();
    assert!(cookies.len() == 1 && cookies[0].starts_with("session=; "), "{cookies:?}");
    copy.get("/whoami").await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_sets_no_cookie_and_revives_nothing() {
    for (when, statuses) in [(When::After, &[200, 401][..]), (When::Before, &[401])] {
        let app = App::start().await;
        let ann = joined(&app).await;
        let tab = ann.copy();
        let gate = app.control.hold(Op::Visit, when);
        let late = tokio::spawn(tab.request(Method::GET, "/admin").send());
        gate.reached(1).await;
        ann.post("/logout", &[]).await.expect_redirect("/");
        gate.open();
        let late = late.await.unwrap().expect_no_cookie();
        assert!(statuses.contains(&late.status), "{when:?}: {}", late.status);
        tab.get("/whoami").await.expect(401);
        let again = app.browser();
        again.post("/login", &ANN).await.expect_redirect("/admin");
        let living = again.api(Method::GET, "/sessions").send().await.expect(200).json();
        assert_eq!(living.as_array().unwrap().len(), 1, "its own alone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_tell_makes_nobody_of_nobody() {
    let app = App::start().await;
    let ann = joined(&app).await;
    let cookie = ann.cookie();
    let unavailable = |answer: Answer| {
        let answer = answer.expect_page(503).expect_no_cookie();
        assert_eq!(answer.header("retry-after"), "1");
        assert!(!answer.mentions("secret/path"));
    };
    app.control.outage(Outage::All);
    for path in ["/", "/whoami", "/admin", "/public"] {
        unavailable(ann.get(path).await);
    }
    unavailable(ann.post("/logout", &[]).await);
    let runs = app.runs.load(Ordering::SeqCst);
    unavailable(ann.post("/count", &[]).await);
    assert_eq!(app.runs.load(Ordering::SeqCst), runs, "no handler ran");
    app.stranger().get("/public").await.expect(200);

    app.control.outage(Outage::Writes);
    assert_eq!(ann.get("/").await.expect(200).text(), "ann@example.com");
    unavailable(ann.get("/admin").await);
    unavailable(ann.post("/logout", &[]).await);
    unavailable(ann.post("/login", &ANN).await);
    app.control.outage(Outage::None);
    assert_eq!(ann.cookie(), cookie);
    assert_eq!(visit(&ann).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_changes_nothing() {
    let app = App::start().await;
    let ann = joined(&app).await;
    let from_elsewhere = async |method: Method, path: &str| {
        let draft = ann.request(method, path).header("sec-fetch-site", "cross-site");
        draft.header("accept", "*/*").form(&ANN).send().await.expect_no_cookie()
    };
    for path in ["/count", "/login", "/signup", "/logout", "/enter"] {
        from_elsewhere(Method::POST, path).await.expect_problem(403, "cross_site");
    }
    assert_eq!(app.runs.load(Ordering::SeqCst), 0, "the handler did not run");
    from_elsewhere(Method::GET, "/count").await.expect(200);
    // A link is followed, and neither logs out nor in.
    for path in ["/logout", "/login"] {
        from_elsewhere(Method::GET, path).await.expect_problem(403, "cross_site");
    }
    let prefetch = ann.request(Method::GET, "/logout").header("sec-purpose", "prefetch");
    prefetch.send().await.expect_page(403).expect_no_cookie();
    assert_eq!(ann.get("/whoami").await.expect(200).text(), "ann@example.com 0");
    ann.get("/logout").await.expect_redirect("/");
    ann.get("/whoami").await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_one_person_is_kept_by_nobody() {
    let app = App::start().await;
    let ann = joined(&app).await;
    let caching = async |who: &User, path: &str| {
        let answer = who.get(path).await;
        (answer.status, answer.header("cache-control").to_owned())
    };
    let signed_out = app.stranger();
    for (who, path, expected) in [
        (&ann, "/", (200, "no-store")),
        (&ann, "/whoami", (200, "no-store")),
        (&ann, "/admin", (200, "no-store")),
        (&ann, "/kept", (200, "private, max-age=60")),
        (&ann, "/kept-visit", (200, "no-store")),
        (&ann, "/public", (200, "")),
        (&ann, "/broken", (418, "")),
        (&signed_out, "/", (200, "no-store")),
        (&signed_out, "/whoami", (401, "no-store")),
        (&signed_out, "/public", (200, "")),
    ] {
        let (status, value) = caching(who, path).await;
        assert_eq!((status, value.as_str()), expected, "{path}");
    }
    let broken = ann.get("/broken").await.expect(418);
    assert_eq!(broken.text(), "short and stout", "the app's errors are its own");
    assert_eq!(broken.header("content-security-policy"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_signed_in_gets_a_page_a_problem_or_the_way_to_the_log_in() {
    let app = App::start().await;
    let page = app.browser().get("/whoami").await.expect_page(401);
    assert_eq!(page.visible(), "401 Unauthorized You need to log in.");
    assert_ne!(page.header("content-security-policy"), "");
    assert_ne!(page.header("www-authenticate"), "");
    app.stranger().get("/whoami").await.expect_problem(401, "not_signed_in");

    let app = App::with(|_| {}, |builder| builder.log_in_at("/login?from=admin")).await;
    app.browser().get("/whoami").await.expect_redirect("/login?from=admin").expect_no_cookie();
    app.stranger().get("/whoami").await.expect_problem(401, "not_signed_in");
    let wrong = app.browser().post("/login", &ANN).await.expect_page(401);
    assert_eq!(wrong.visible(), "401 Unauthorized The e-mail address or the password is wrong.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_ahead_counts_nothing() {
    let app = App::start().await;
    let ann = joined(&app).await;
    assert_eq!(visit(&ann).await, 1);
    ann.request(Method::HEAD, "/admin").send().await.expect(200).expect_no_cookie();
    let prefetch = ann.request(Method::GET, "/admin").header("sec-purpose", "prefetch");
    let answer = prefetch.send().await.expect(200).expect_no_cookie();
    assert_eq!(answer.text(), "1");
    assert_eq!(visit(&ann).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_ends_the_session_before_and_is_known_by_its_device() {
    let app = App::start().await;
    let ann = joined(&app).await;
    let before = ann.copy();
    ann.jar(|jar| assert!(jar.get("device", countersign::model::Clock::now(&app.clock)).is_some()));
    let remembered = [&ANN[..], &[("remember", "true")]].concat();
    let answer = ann.post("/login", &remembered).await.expect_redirect("/admin");
    assert!(answer.set_cookies()[0].contains("; Max-Age=1209600"), "{:?}", answer.set_cookies());
    before.get("/whoami").await.expect(401);
    assert_eq!(visit(&ann).await, 1);

    let elsewhere = app.browser();
    let entered = elsewhere.post("/enter", &ANN).await.expect(200);
    assert_eq!(entered.text(), "2");
    let names: Vec<_> = entered
        .set_cookies()
        .iter()
        .map(|cookie| cookie.split('=').next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["session", "device"], "the latest token, and the device");
    assert_eq!(elsewhere.get("/whoami").await.expect(200).text(), "ann@example.com 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_used_goes_on_and_one_that_is_not_ends_and_is_swept() {
    let app =
        App::with(|config| config.store.sweep_interval = Period::seconds(1), |builder| builder)
            .await;
    let (ann, idle) = (joined(&app).await, app.browser());
    idle.post("/login", &ANN).await.expect_redirect("/admin");
    for _ in 0..4 {
        app.clock.advance(SignedDuration::from_mins(16));
        let answer = ann.get("/").await.expect(200);
        assert_eq!(answer.text(), "ann@example.com");
        assert_eq!(answer.set_cookies().len(), 1, "a new cookie, which counts nothing");
        assert_eq!(ann.get("/").await.expect_no_cookie().text(), "ann@example.com");
    }
    idle.get("/whoami").await.expect(401);
    in_time("the sweep", async {
        while app.control.swept() < 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(visit(&ann).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn once_closed_it_answers_503_and_the_directory_is_free() {
    let mut app = App::start().await;
    let ann = joined(&app).await;
    let open = || Countersign::builder(app.config().clone()).clock(app.clock.clone()).open();
    let in_use = open();
    assert!(matches!(in_use, Err(OpenError::Service(_))));
    app.sessions.close().await.unwrap();
    ann.get("/admin").await.expect(503).expect_no_cookie();
    let next = open().unwrap();
    next.close().await.unwrap();
    app.restart_closed().await;
    assert_eq!(visit(&ann).await, 1, "the cookie is good in the next life");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_when_it_was_dropped_and_not_closed() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let sessions = Countersign::open(&data).unwrap();
    let (address, stop, task) = app::serve(example::app(&sessions)).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let form = "email=ann%40example.com&password=correct+horse+battery";
    let post = http.post(address.join("/signup").unwrap()).body(form);
    let post = post.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(post.send().await.unwrap().status(), 401, "led to a page without its cookie");
    let _ = stop.send(());
    task.await.unwrap();
    drop(sessions);
    let again = in_time("the directory", async {
        loop {
            match Countersign::open(&data) {
                Ok(sessions) => return sessions,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await;
    let email = countersign::model::Email::parse("ann@example.com").unwrap();
    let command = countersign::session::operate::Command::DisableAccount { email };
    again.operations().operate(command, &By::COMMAND_LINE).await.expect("the account is there");
    again.close().await.unwrap();
}

async fn set(who: &User, name: &str, words: &str) -> Answer {
    let draft = who.request(Method::POST, &format!("/variable/{name}"));
    draft.body("text/plain", words.as_bytes().to_vec()).send().await
}

async fn variable(who: &User, name: &str) -> String {
    who.get(&format!("/variable/{name}")).await.expect(200).text().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_is_there_at_the_next_request_and_after_a_restart_and_not_after_the_end() {
    let mut app = App::start().await;
    let ann = joined(&app).await;
    assert_eq!(variable(&ann, "cart").await, "nothing");
    set(&ann, "cart", "tea milk").await.expect(200);
    set(&ann, "cart", "tea milk sugar").await.expect(200);
    set(&ann, "theme", "dark blue").await.expect(200);
    visit(&ann).await;
    let export = ann.api(Method::GET, "/account/export").send().await.expect(200).json();
    let kept = json!({"cart": r#"["tea","milk","sugar"]"#, "theme": r#"["dark","blue"]"#});
    assert_eq!(export["sessions"][0]["variables"], kept, "it is about ann");
    app.restart().await;
    assert_eq!(variable(&ann, "cart").await, "tea milk sugar");
    let elsewhere = app.browser();
    elsewhere.post("/login", &ANN).await.expect_redirect("/admin");
    assert_eq!(variable(&elsewhere, "cart").await, "nothing", "it is another session");
    let removed = ann.request(Method::DELETE, "/variable/theme");
    assert_eq!(removed.send().await.expect(200).text(), "true");
    let removed = ann.request(Method::DELETE, "/variable/theme");
    assert_eq!(removed.send().await.expect(200).text(), "false");
    // The password shown again gives the session a new id.
    ann.reauthenticate(PASSWORD).await.expect(200);
    assert_eq!(variable(&ann, "cart").await, "tea milk sugar");
    let copy = ann.copy();
    ann.post("/logout", &[]).await.expect_redirect("/");
    copy.get("/variable/cart").await.expect(401);
    set(&copy, "cart", "tea milk").await.expect(401);
    ann.post("/login", &ANN).await.expect_redirect("/admin");
    assert_eq!(variable(&ann, "cart").await, "nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_requests_that_set_different_variables_at_once_both_win() {
    let app = App::start().await;
    let ann = joined(&app).await;
    let gate = app.control.hold(Op::ChangeVariable, When::Before);
    let setting: Vec<_> = ["cart", "theme"]
        .map(|name| {
            let ann = ann.clone();
            tokio::spawn(async move { set(&ann, name, &format!("the {name}")).await })
        })
        .into();
    // Both have read what they wanted to read.
    gate.reached(2).await;
    gate.open();
    for answer in setting {
        answer.await.unwrap().expect(200);
    }
    for name in ["cart", "theme"] {
        assert_eq!(variable(&ann, name).await, format!("the {name}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_set_as_the_session_ends_revives_nothing() {
    let app = App::start().await;
    let ann = joined(&app).await;
    let tab = ann.copy();
    let gate = app.control.hold(Op::ChangeVariable, When::Before);
    let late = tokio::spawn({
        let tab = tab.clone();
        async move { set(&tab, "cart", "tea milk").await }
    });
    gate.reached(1).await;
    ann.post("/logout", &[]).await.expect_redirect("/");
    gate.open();
    late.await.unwrap().expect(401).expect_no_cookie();
    tab.get("/variable/cart").await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_cannot_be_kept_is_the_apps_mistake_and_repeated_to_nobody() {
    let app = App::start().await;
    let ann = joined(&app).await;
    set(&ann, "cart", &format!("secret {}", "x".repeat(5_000))).await.expect_page(500);
    assert_eq!(variable(&ann, "cart").await, "nothing");
    set(&ann, "cart", "secret").await.expect(200);
    let unfit = ann.get("/variable/cart").await.expect_page(500);
    assert!(!unfit.mentions("secret"));
    app.control.outage(Outage::Writes);
    set(&ann, "cart", "tea milk").await.expect_page(503).expect_no_cookie();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_outside_of_the_middleware_has_no_session_and_says_so() {
    let app = App::start().await;
    let ann = joined(&app).await;
    ann.get("/outside").await.expect_problem(500, "internal");
}
