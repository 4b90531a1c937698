//! Requests from other sites change nothing, and this is decided before anything else.

use countersign::model::Role;

use crate::support::{Answer, TestApp, User, routes, routes::Route};

/// Header combinations as browsers send them from elsewhere.
const FOREIGN: [&[(&str, &str)]; 10] = [
    &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
    &[("sec-fetch-site", "same-site"), ("origin", "https://evil.localhost")],
    // Fetch Metadata first: an origin that looks right does not help.
    &[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:3000")],
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "Same-Origin")],
    &[("sec-fetch-site", "")],
    &[("origin", "null")],
    &[("origin", "https://evil.example")],
    &[("origin", "http://localhost:3001")],
    &[("origin", "http://localhost:3000.evil.example")],
];

const OWN: [&[(&str, &str)]; 6] = [
    &[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:3000")],
    &[("sec-fetch-site", "none")],
    // Fetch Metadata first.
    &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
    &[("origin", "http://localhost:3000")],
    &[("origin", "http://192.168.0.7:8080"), ("host", "192.168.0.7:8080")],
    // curl.
    &[],
];

async fn ask(route: &Route, who: &User, headers: &[(&str, &str)]) -> Answer {
    let mut draft = route.ask(who);
    for (name, value) in headers {
        draft = draft.header(name, value);
    }
    draft.send().await
}

fn unsafe_routes() -> Vec<Route> {
    let mut routes = routes::operations();
    routes.extend(routes::pages());
    routes.retain(Route::is_unsafe);
    assert!(routes.len() >= 10, "{routes:?}");
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_from_another_site_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let ann = app.anonymous();
    ann.join("ann@example.com").await;
    // What members are refused, administrators are refused from another site.
    app.set_role("ann@example.com", Role::Admin).await;
    ann.log_in("ann@example.com").await;
    ann.visit().await;
    let before = app.snapshot().await;
    for route in unsafe_routes() {
        for headers in FOREIGN {
            let answer = ask(&route, &ann, headers).await.expect_no_cookie();
            let answer = answer.expect_problem(403, "cross_site");
            // Before authentication: a stranger is told the same.
            let stranger = ask(&route, &app.anonymous(), headers).await;
            assert_eq!(stranger.status, 403, "{} {headers:?}", route.id);
            assert_eq!(stranger.body, answer.body);
        }
        let twice = route.ask(&ann).header("sec-fetch-site", "same-origin");
        let twice = twice.and_header("sec-fetch-site", b"same-origin").send().await;
        twice.expect_problem(403, "cross_site");
        let twice = route.ask(&ann).header("origin", "http://localhost:3000");
        let twice = twice.and_header("origin", b"http://localhost:3000").send().await;
        twice.expect_problem(403, "cross_site");
    }
    assert_eq!(app.snapshot().await, before);
    assert_eq!(ann.visit().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_header_makes_no_foreign_origin_own() {
    let app =
        TestApp::with(|config| config.public_url = "https://login.example.com".parse().unwrap())
            .await;
    let stranger = app.anonymous();
    for route in unsafe_routes() {
        for headers in [
            // The scheme is the public URL's.
            [("origin", "http://login.example.com"), ("host", "login.example.com")],
            [("origin", "http://10.0.0.7"), ("host", "10.0.0.7")],
            [("origin", "https://evil.example"), ("x-forwarded-host", "evil.example")],
        ] {
            let answer = ask(&route, &stranger, &headers).await;
            assert_eq!(answer.status, 403, "{} {headers:?}", route.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_pages_and_programs_pass() {
    let app = TestApp::start().await;
    let ann = app.anonymous();
    for route in unsafe_routes() {
        for headers in OWN {
            // One of them closes the account.
            let made = ann.sign_up("ann@example.com").await.status;
            assert!([201, 409].contains(&made), "{made}");
            app.set_role("ann@example.com", Role::Admin).await;
            ann.log_in("ann@example.com").await;
            let answer = ask(&route, &ann, headers).await;
            let name = format!("{} {headers:?}: {}", route.id, answer.beginning());
            assert!(!name.contains("cross_site"), "{name}");
            // What each of them says to a well-formed request that was let in.
            let expected: &[u16] = match route.id.as_str() {
                "createAccount" => &[201, 409],
                "POST /signup" => &[303, 409],
                "logIn" | "POST /login" => &[401],
                "endSession" | "setAccountState" | "endAccountSession" | "endAccountSessions" => {
                    &[404]
                }
                "changePassword" | "reauthenticate" => &[403],
                page if page.starts_with("POST /account/") => &[403],
                "POST /logout" => &[303],
                "countVisit" | "endOtherSessions" | "changeEmail" => &[200],
                "logOut" | "closeAccount" | "endEverySession" => &[204],
                other => panic!("a new route: {other}"),
            };
            assert!(expected.contains(&answer.status), "{name} {}", answer.status);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_from_elsewhere_is_no_writing() {
    let app = TestApp::start().await;
    let ann = app.anonymous();
    ann.join("ann@example.com").await;
    app.set_role("ann@example.com", Role::Admin).await;
    ann.log_in("ann@example.com").await;
    let id = app.account("ann@example.com").await.id.to_string();
    let before = app.snapshot().await;
    for route in routes::all() {
        let route = route.of(&id, &ann.sid());
        if route.is_unsafe() || ["GET /admin", "GET /logout"].contains(&route.id.as_str()) {
            continue;
        }
        let answer = ask(&route, &ann, FOREIGN[0]).await;
        assert!(answer.status < 400, "{} {}", route.id, answer.status);
        for header in ["access-control-allow-origin", "access-control-allow-credentials"] {
            assert_eq!(answer.header(header), "", "{}", route.id);
        }
    }
    assert_eq!(app.snapshot().await, before, "no GET changes anything");
    let preflight = ann.request(reqwest::Method::OPTIONS, "/api/v1/session");
    let preflight = preflight
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "DELETE");
    assert_eq!(preflight.send().await.header("access-control-allow-origin"), "");
}
