//! How a token travels: in its own way, in one way at a time, and in no other.

use reqwest::Method;

use crate::support::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn one_credential_at_a_time() {
    let app = TestApp::start().await;
    let ann = app.browser();
    let program = app.program();
    ann.join("ann@example.com").await;
    program.log_in("ann@example.com").await;
    let (cookie, bearer) =
        (format!("session={}", ann.token()), format!("Bearer {}", program.token()));
    for route in crate::support::routes::operations() {
        if !route.protected {
            continue;
        }
        let both = route.ask(&app.anonymous()).header("cookie", &cookie);
        let both = both.header("authorization", &bearer).send().await;
        both.expect_problem(400, "ambiguous_credentials");
        let twice = route.ask(&app.anonymous()).header("authorization", &bearer);
        let twice = twice.and_header("authorization", bearer.as_bytes()).send().await;
        twice.expect_problem(400, "ambiguous_credentials");
        let twice = route.ask(&app.anonymous()).header("cookie", &format!("{cookie}; {cookie}"));
        twice.send().await.expect_problem(400, "duplicate_cookie");
        let twice = route.ask(&app.anonymous()).header("cookie", &cookie);
        let twice = twice.and_header("cookie", cookie.as_bytes()).send().await;
        twice.expect_problem(400, "duplicate_cookie");
    }
    ann.check().await.expect(200);
    program.check().await.expect(200);
    assert_eq!(ann.visit().await, 1, "none of these counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_travels_its_own_way_alone() {
    let app = TestApp::start().await;
    let (ann, program) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    program.log_in("ann@example.com").await;
    let before = app.snapshot().await;
    for route in crate::support::routes::operations() {
        if !route.protected {
            continue;
        }
        let asked = route.ask(&app.anonymous());
        let asked = asked.header("authorization", &format!("Bearer {}", ann.token()));
        asked.send().await.expect_problem(401, "not_signed_in");
        let asked = route.ask(&app.anonymous());
        let asked = asked.header("cookie", &format!("session={}", program.token()));
        asked.send().await.expect_problem(401, "not_signed_in").expect_no_cookie();
    }
    assert_eq!(app.snapshot().await, before);
    ann.check().await.expect(200);
    program.check().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_looked_for_nowhere_else() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    let token = ann.token();
    let stranger = app.anonymous();
    let query = format!("/api/v1/session?token={token}&access_token={token}&session={token}");
    stranger.get(&query).await.expect_problem(401, "not_signed_in");
    for (name, value) in [
        ("authorization", token.clone()),
        ("authorization", format!("Basic {token}")),
        ("authorization", format!("Bearer  {token}")),
        ("authorization", format!("Bearer {token} ")),
        ("authorization", format!("Bearer {token},Bearer {token}")),
        ("x-access-token", token.clone()),
        ("x-auth-token", token.clone()),
        ("x-forwarded-user", "ann@example.com".into()),
        ("cookie", format!("__Host-session={token}")),
        ("cookie", format!("Session={token}")),
        ("cookie", format!("token={token}")),
    ] {
        // Blanks around a header's value are no part of it (RFC 9110 section 5.5).
        if value.ends_with(' ') {
            continue;
        }
        let asked = stranger.request(Method::GET, "/api/v1/session").header(name, &value);
        asked.send().await.expect_problem(401, "not_signed_in");
    }
    let asked = stranger.request(Method::GET, "/api/v1/session");
    asked.header("authorization", &format!("bEARER {token}")).send().await.expect(200);
}
