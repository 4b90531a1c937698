//! The store fails: what must be recorded says so, and nobody is logged out by it.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, PASSWORD, TestApp, User, routes, store::Outage};

/// Every operation and page that records something, of a signed-in `who`.
async fn writes(who: &User) -> Vec<(&'static str, Answer)> {
    let credentials = [("email", "ann@example.com"), ("password", PASSWORD)];
    let newcomer = [("email", "new@example.com"), ("password", PASSWORD)];
    let passwords = json!({"current": PASSWORD, "new": "staple after staple"});
    let account = async |what: &str| {
        let fields = [("email", "anna@example.com"), ("session", "others"), ("current", PASSWORD)];
        let fields = [&fields[..], &[("new", "staple after staple")]].concat();
        who.post(&format!("/account/{what}"), &fields).await
    };
    let end = format!("/sessions/{}", who.sid());
    vec![
        ("createAccount", who.sign_up("new@example.com").await),
        ("logIn", who.try_log_in("ann@example.com", PASSWORD, json!({})).await),
        ("countVisit", who.try_visit().await),
        ("logOut", who.log_out().await),
        ("endSession", who.api(Method::DELETE, &end).send().await),
        ("endOtherSessions", who.api(Method::DELETE, "/sessions").send().await),
        ("reauthenticate", who.reauthenticate(PASSWORD).await),
        ("changeEmail", who.change_email("anna@example.com").await),
        ("closeAccount", who.api(Method::DELETE, "/account").send().await),
        ("changePassword", who.api(Method::PUT, "/account/password").json(&passwords).send().await),
        ("POST /login", who.post("/login", &credentials).await),
        ("POST /signup", who.post("/signup", &newcomer).await),
        ("POST /account/sessions", account("sessions").await),
        ("POST /account/password", account("password").await),
        ("POST /account/email", account("email").await),
        ("POST /account/close", account("close").await),
        ("GET /admin", who.get("/admin").await),
        ("GET /logout", who.get("/logout").await),
        ("POST /logout", who.post("/logout", &[]).await),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_answered_503_and_nobody_loses_a_cookie() {
    let app = TestApp::start().await;
    let (ann, browser) = (app.anonymous(), app.browser());
    ann.join("ann@example.com").await;
    browser.log_in("ann@example.com").await;
    ann.visit().await;
    let (before, cookie) = (app.snapshot().await, ann.cookie());
    for outage in [Outage::Writes, Outage::All] {
        app.control.outage(outage);
        for (what, answer) in writes(&ann).await {
            assert_eq!(answer.status, 503, "{what} with {outage:?}: {}", answer.beginning());
            let answer = answer.expect_no_cookie();
            let answer = answer.expect_problem(503, "store_unavailable");
            assert_eq!(answer.header("retry-after"), "1");
            assert!(!answer.mentions("secret/path") && !answer.mentions("disk full"));
        }
        for (what, answer) in writes(&browser).await {
            assert_eq!(answer.status, 503, "{what} with {outage:?}");
            answer.expect_no_cookie();
        }
        app.control.outage(Outage::None);
        assert_eq!(app.snapshot().await, before);
    }
    assert_eq!(ann.cookie(), cookie, "the jar is as it was");
    assert_eq!(ann.visit().await, 2, "it works again, without a restart");
    ann.log_out().await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_reads_work_checks_go_on() {
    let app = TestApp::start().await;
    let (ann, program) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    program.log_in("ann@example.com").await;
    app.control.outage(Outage::Writes);
    for who in [&ann, &program] {
        for path in ["/session", "/sessions", "/account"] {
            who.api(Method::GET, path).send().await.expect(200).expect_no_cookie();
        }
    }
    // Even when a renewal is due that cannot be recorded.
    app.pass(SignedDuration::from_mins(20));
    ann.check().await.expect(200).expect_no_cookie();
    app.control.outage(Outage::None);
    assert_eq!(ann.check().await.expect(200).set_cookies().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_store_lets_nobody_in() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    app.control.outage(Outage::All);
    for route in routes::operations() {
        let answer = route.ask(&ann).send().await.expect_no_cookie();
        assert_eq!(answer.status, 503, "{}", route.id);
    }
    // What is refused by its signature needs no store.
    let eve = app.anonymous();
    let asked = eve.request(Method::GET, "/api/v1/session");
    asked.header("cookie", "session=a.b.c").send().await.expect_problem(401, "not_signed_in");
    eve.check().await.expect_problem(401, "not_signed_in");
    app.control.outage(Outage::None);
    ann.check().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_store_and_liveness_does_not() {
    let app = TestApp::start().await;
    let probe = app.anonymous();
    probe.get("/readyz").await.expect(200);
    for outage in [Outage::Writes, Outage::All] {
        app.control.outage(outage);
        probe.get("/readyz").await.expect_problem(503, "store_unavailable");
        probe.get("/healthz").await.expect(200);
        probe.get("/.well-known/jwks.json").await.expect(200);
        app.control.outage(Outage::None);
        probe.get("/readyz").await.expect(200);
    }
}

/// The visit is counted; then the store cannot say whether the session is still alive.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_dies_between_the_visit_and_the_answer_hands_out_no_cookie() {
    use crate::support::{Op, When};

    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let gate = app.control.hold(Op::Visit, When::After);
    let late = tokio::spawn(ann.api(Method::POST, "/session/visits").send());
    gate.reached(1).await;
    app.control.outage(Outage::All);
    gate.open();
    late.await.unwrap().expect_problem(503, "store_unavailable").expect_no_cookie();
    app.control.outage(Outage::None);
    let number = ann.visit().await;
    assert!([1, 2].contains(&number), "a visit that was not answered counts at most once");
}
