//! Requests that are wrong in their line or their headers: refused as `bad_input` says.

use reqwest::Method;

use crate::{
    bad_input::{MARKER, assert_code},
    support::{TestApp, raw, routes},
};

#[tokio::test(flavor = "multi_thread")]
async fn large_headers_are_refused_and_several_cookies_tolerated() {
    let app = TestApp::start().await;
    let ann = app.anonymous();
    ann.join("ann@example.com").await;
    let token = ann.token();
    let ask = |cookie: &str| {
        app.anonymous().request(Method::GET, "/api/v1/session").header("cookie", cookie).send()
    };
    let large = format!("other={MARKER}{}; session={token}", "x".repeat(100_000));
    let answer = ask(&large).await;
    assert!([400, 431].contains(&answer.status), "{}", answer.status);
    assert!(!answer.mentions(MARKER));
    ask(&format!("a=b; session={token}; c=\"d\"; e; =f; ; g=%zz")).await.expect(200);
    let asked = app.anonymous().request(Method::GET, "/api/v1/session").header("cookie", "a=b");
    asked.and_header("cookie", format!("session={token}").as_bytes()).send().await.expect(200);
    let twice = ask(&format!("session={token}; session={MARKER}")).await;
    assert_code(&twice, 400, "duplicate_cookie", "two cookies");
    let asked = app.anonymous().request(Method::GET, "/api/v1/session");
    let answer = asked.and_header("cookie", b"session=\xff\xfezq9Marker7x").send().await;
    assert_code(&answer, 401, "not_signed_in", "bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_places_and_methods_are_404_and_405() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    let before = app.snapshot().await;
    for path in [
        "/zq9Marker7x",
        "/api",
        "/api/v1",
        "/api/v2/session",
        "/api/v1/zq9Marker7x",
        "/admin/zq9Marker7x",
        "/metrics",
        "/.env",
        "/.git/config",
        "/wp-login.php",
        "/login/..%2fadmin",
        "/%00",
        "/%ff%fe",
        "/api/v1/session/visits/1",
        "//admin",
        "/ADMIN",
        "/docs/oauth-receiver.html",
        "/healthz/zq9Marker7x",
    ] {
        let answer = ann.get(path).await;
        assert_code(&answer, 404, "not_found", path);
    }
    for route in routes::all() {
        for method in ["PATCH", "TRACE", "PROPFIND", "ZQ9MARKER"] {
            let draft = ann.request(method.parse().unwrap(), &route.path);
            let answer = draft.send().await;
            assert_code(&answer, 405, "method_not_allowed", &format!("{method} {}", route.path));
        }
    }
    for (method, path, allowed) in [
        (Method::PUT, "/login", "GET, HEAD, POST"),
        (Method::POST, "/docs", "GET, HEAD"),
        (Method::PUT, "/api/v1/session", "DELETE, GET, HEAD, POST"),
        (Method::GET, "/api/v1/session/visits", "POST"),
        (Method::HEAD, "/api/v1/session/visits", "POST"),
        (Method::GET, "/api/v1/accounts", "POST"),
        (Method::PUT, "/api/v1/account", "DELETE, GET, HEAD"),
        (Method::POST, "/admin", "GET, HEAD"),
        (Method::POST, "/", "GET, HEAD"),
        (Method::POST, "/healthz", "GET, HEAD"),
    ] {
        let answer = ann.request(method.clone(), path).send().await;
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        if method != Method::HEAD {
            assert_code(&answer, 405, "method_not_allowed", &format!("{method} {path}"));
        }
    }
    let page = app.browser().request(Method::PUT, "/login").send().await;
    assert_eq!(page.header("allow"), "GET, HEAD, POST");
    assert_eq!(app.snapshot().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_or_a_user_id_in_the_query_has_no_effect() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.program(), app.program());
    ann.join("ann@example.com").await;
    bob.join("bob@example.com").await;
    let bobs = app.account("bob@example.com").await.id;
    let plain = ann.check().await.expect(200);
    let path = format!("/api/v1/session?callback=x&user_id={bobs}&sub={bobs}&sid={}", bob.sid());
    let answer = ann.get(&path).await.expect(200);
    assert_eq!(answer.json(), plain.json());
    assert_eq!(answer.header("content-type"), plain.header("content-type"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_dropped_and_the_server_lives() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"zq9Marker7x\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"POST /api/v1/session HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: -1\r\n\r\n",
        b"POST /api/v1/session HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"GET /api/v1/session HTTP/1.1\r\nhost: a\r\nconnection: close\r\nuser-agent: a\x01b\r\n\r\n",
    ] {
        if let Some(answer) = raw::send(&app.address(), bytes).await {
            assert!((400..500).contains(&answer.status), "{bytes:?}: {}", answer.status);
            assert!(!answer.mentions(MARKER));
        }
    }
    ann.check().await.expect(200);
}
