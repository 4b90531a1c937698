//! The session cookie: every `Set-Cookie` that any route sends, and what browsers make of it.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, PASSWORD, TestApp, routes};

const FORM: [(&str, &str); 2] = [("email", "ann@example.com"), ("password", PASSWORD)];

async fn https() -> TestApp {
    TestApp::with(|config| config.public_url = "https://login.example.com".parse().unwrap()).await
}

/// The one `Set-Cookie` but for the device's, as name, value and attributes.
#[track_caller]
fn set_cookie(answer: &Answer) -> (String, String, Vec<String>) {
    let mut lines = answer.set_cookies();
    lines.retain(|line| !is_device(line));
    let [line]: [String; 1] = lines.try_into().expect("one cookie");
    parts(&line)
}

fn is_device(line: &str) -> bool {
    line.starts_with("device=") || line.starts_with("__Host-device=")
}

fn parts(line: &str) -> (String, String, Vec<String>) {
    let mut parts = line.split("; ");
    let (name, value) = parts.next().unwrap().split_once('=').unwrap();
    let mut attributes: Vec<_> = parts.map(str::to_owned).collect();
    attributes.sort();
    (name.into(), value.into(), attributes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_repeats_every_attribute_of_the_log_in() {
    for (app, name, flags) in [
        (TestApp::start().await, "session", &["HttpOnly", "Path=/", "SameSite=Lax"][..]),
        (https().await, "__Host-session", &["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]),
    ] {
        let ann = app.browser();
        ann.sign_up("ann@example.com").await.expect(201);
        let mut cleared = flags.to_vec();
        cleared.insert(1, "Max-Age=0");

        let answers = [
            ann.post("/login", &FORM).await.expect(303),
            ann.get("/admin").await.expect(200),
            ann.try_visit().await.expect(200),
            ann.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect(201),
            ann.post("/signup", &[("email", "bob@example.com"), ("password", PASSWORD)])
                .await
                .expect(303),
        ];
        for answer in &answers {
            let (set, value, attributes) = set_cookie(answer);
            assert_eq!(
                (set.as_str(), attributes.as_slice()),
                (name, &flags.to_vec().iter().map(ToString::to_string).collect::<Vec<_>>()[..])
            );
            assert_eq!(value.split('.').count(), 3);
            assert!(!answer.text().contains(&value), "nowhere but in the cookie");
        }

        let logouts: [&dyn Fn() -> crate::support::user::Draft; 4] = [
            &|| ann.request(Method::POST, "/logout").form(&[]),
            &|| ann.request(Method::GET, "/logout"),
            &|| ann.api(Method::DELETE, "/session"),
            &|| ann.api(Method::DELETE, &format!("/sessions/{}", ann.sid())),
        ];
        for logout in logouts {
            ann.log_in("ann@example.com").await;
            let answer = logout().send().await;
            assert!(answer.status < 400, "{}", answer.status);
            let (set, value, attributes) = set_cookie(&answer);
            assert_eq!((set.as_str(), value.as_str()), (name, ""));
            assert_eq!(attributes, cleared);
            assert_eq!(ann.cookie(), None, "a browser obeys it");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_has_hsts_and_plain_http_has_not() {
    for (app, hsts) in [(TestApp::start().await, ""), (https().await, "max-age=31536000")] {
        for route in routes::all() {
            let answer = route.ask(&app.anonymous()).send().await;
            assert_eq!(answer.header("strict-transport-security"), hsts, "{}", route.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_https_no_other_cookie_is_read() {
    let app = https().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let token = ann.token();
    for name in ["session", "__host-session", "__HOST-SESSION", "__Secure-session", "Host-session"]
    {
        let asked = app.anonymous().request(Method::GET, "/api/v1/session");
        let asked = asked.header("cookie", &format!("{name}={token}"));
        asked.send().await.expect(401);
    }
    ann.check().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_who_opens_renews_or_ends_a_session_sets_a_cookie() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    for who in [app.anonymous(), ann] {
        for route in routes::all() {
            let sets = ["countVisit", "logOut", "GET /admin", "GET /logout", "POST /logout"];
            let renews = ["POST /signup", "changeEmail", "closeAccount"];
            if sets.contains(&route.id.as_str()) || renews.contains(&route.id.as_str()) {
                continue;
            }
            let answer = route.ask(&who).send().await;
            assert_eq!(answer.set_cookies(), Vec::<String>::new(), "{}", route.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn remember_keeps_the_cookie_when_the_browser_is_closed() {
    let app = TestApp::start().await;
    let (once, always) = (app.browser(), app.browser());
    once.join("ann@example.com").await;
    let form = [FORM[0], FORM[1], ("remember", "on")];
    let answer = always.post("/login", &form).await.expect(303);
    let fourteen_days = format!("Max-Age={}", 14 * 24 * 3600);
    assert!(set_cookie(&answer).2.contains(&fourteen_days));
    for browser in [&once, &always] {
        browser.jar(crate::support::Jar::close_browser);
    }
    assert_eq!(once.cookie(), None);
    assert_eq!(always.visit().await, 1);

    app.pass(SignedDuration::from_hours(24 * 13));
    let answer = always.check().await.expect(200);
    assert!(set_cookie(&answer).2.contains(&fourteen_days), "renewed");
    // The absolute end is never moved.
    app.pass(SignedDuration::from_hours(24 * 13));
    let answer = always.check().await.expect(200);
    let four_days = format!("Max-Age={}", 4 * 24 * 3600);
    assert!(set_cookie(&answer).2.contains(&four_days));
    app.pass(SignedDuration::from_hours(24 * 4 - 1));
    always.check().await.expect(200);
    app.pass(SignedDuration::from_hours(1));
    assert_eq!(always.cookie(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_address_still_fits_into_a_cookie() {
    let app = https().await;
    let domain = format!("{0}.{0}.{1}", "d".repeat(63), "e".repeat(61));
    let email = format!("{}@{domain}", "a".repeat(64));
    assert_eq!(email.len(), 254);
    let ann = app.browser();
    ann.sign_up(&email).await.expect(201);
    let answer = ann.try_log_in(&email, PASSWORD, json!({"remember": true})).await.expect(201);
    for answer in [answer, ann.try_visit().await.expect(200)] {
        let (name, value, _) = set_cookie(&answer);
        assert!(name.len() + value.len() <= 4096, "{}", value.len());
    }
    assert_eq!(ann.open_admin().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_known_by_a_cookie_that_opens_nothing_and_outlives_the_session() {
    for (app, name, flags) in [
        (TestApp::start().await, "device", &["HttpOnly", "Path=/", "SameSite=Lax"][..]),
        (https().await, "__Host-device", &["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]),
    ] {
        let ann = app.browser();
        ann.sign_up("ann@example.com").await.expect(201).expect_no_cookie();
        let answer = ann.post("/login", &FORM).await.expect(303);
        let lines = answer.set_cookies();
        assert_eq!(lines.len(), 2, "the session first");
        let (set, token, attributes) = parts(&lines[1]);
        let mut expected = flags.to_vec();
        expected.insert(1, "Max-Age=7776000");
        assert_eq!(
            (set.as_str(), attributes),
            (name, expected.iter().map(ToString::to_string).collect())
        );

        // It is no session, however it is shown.
        let thief = app.anonymous();
        let session = thief.cookie_name();
        for (header, value) in [
            ("cookie", format!("{session}={token}")),
            ("cookie", format!("{name}={token}")),
            ("authorization", format!("Bearer {token}")),
        ] {
            let shown = thief.api(Method::GET, "/session").header(header, &value).send().await;
            shown.expect_problem(401, "not_signed_in").expect_no_cookie();
        }
        // A logout leaves it, and the next log-in finds it.
        let out = ann.post("/logout", &[]).await.expect(303);
        assert!(!out.set_cookies().iter().any(|line| is_device(line)));
        assert_eq!(ann.post("/login", &FORM).await.expect(303).set_cookies().len(), 1);
    }
}
