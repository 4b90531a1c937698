//! The headers that every answer has, errors included.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::support::{Answer, TestApp, raw, routes, store::Outage};

#[track_caller]
fn assert_secure(answer: &Answer, what: &str) {
    let is_page = answer.header("content-type").starts_with("text/html");
    for (name, value, of_pages) in [
        ("x-content-type-options", "nosniff", false),
        ("referrer-policy", "same-origin", false),
        ("cross-origin-resource-policy", "same-origin", false),
        ("x-frame-options", "DENY", true),
        ("cross-origin-opener-policy", "same-origin", true),
    ] {
        let expected = if is_page || !of_pages { value } else { "" };
        assert_eq!(answer.header(name), expected, "{name} of {what}");
    }
    let policy = answer.header("content-security-policy");
    if is_page {
        for directive in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(directive), "{directive} of {what}: {policy}");
        }
    } else {
        assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'", "{what}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{what}: {policy}");
    for banner in ["server", "x-powered-by", "via"] {
        assert_eq!(answer.header(banner), "", "{banner} of {what}");
    }
    let id = answer.header("x-request-id");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{what}: {id}");
    if !answer.body.is_empty() {
        let media_type = answer.header("content-type");
        assert!(!media_type.is_empty(), "{what} has a media type");
        if media_type.starts_with("text/") {
            assert!(media_type.ends_with("charset=utf-8"), "{what}: {media_type}");
        }
    }
}

fn is_public(id: &str) -> bool {
    ["/.well-known/jwks.json", "/favicon.ico"].contains(&id)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_security_headers() {
    let app = TestApp::start().await;
    let (stranger, ann) = (app.anonymous(), app.browser());
    for route in routes::all() {
        // One of them closes the account.
        let made = ann.sign_up("ann@example.com").await.status;
        assert!([201, 409].contains(&made), "{made}");
        ann.log_in("ann@example.com").await;
        for (who, name) in [(&stranger, "a stranger"), (&ann, "ann")] {
            let answer = route.ask(who).send().await;
            assert_secure(&answer, &format!("{} for {name}: {}", route.id, answer.status));
            let caching = answer.header("cache-control");
            if is_public(&route.id) {
                assert!(caching.contains("max-age"), "{}: {caching}", route.id);
                if route.id.contains("jwks") {
                    // A new key signs so soon after it is there.
                    assert_eq!(caching, "public, max-age=10");
                }
            } else {
                assert_eq!(caching, "no-store", "{}", route.id);
            }
        }
    }
    let home = stranger.get("/").await.expect_page(200);
    let link = scraper::Selector::parse("link[rel=stylesheet]").unwrap();
    let html = scraper::Html::parse_document(home.text());
    let style = html.select(&link).next().expect("a style sheet").value().attr("href");
    let style = style.unwrap().to_owned();
    drop(html);
    let style = stranger.get(&style).await.expect(200);
    assert_secure(&style, "the style sheet");
    assert!(style.header("cache-control").contains("max-age"));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_them_too() {
    let app = TestApp::start().await;
    for who in [app.anonymous(), app.browser()] {
        let ask = async |method: &str, path: &str| {
            let method = method.parse().unwrap();
            who.request(method, path).send().await
        };
        for (method, path, status) in [
            ("GET", "/nowhere", 404),
            ("GET", "/api/v1/nowhere", 404),
            ("DELETE", "/login", 405),
            ("PATCH", "/api/v1/session", 405),
            ("POST", "/api/v1/session", 415),
            ("GET", "/api/v1/session", 401),
            ("GET", "/admin", 401),
        ] {
            let answer = ask(method, path).await.expect(status);
            assert_secure(&answer, &format!("{method} {path}"));
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        let foreign = who.request(reqwest::Method::POST, "/logout");
        let foreign = foreign.header("sec-fetch-site", "cross-site").send().await.expect(403);
        assert_secure(&foreign, "403");
        app.control.outage(Outage::All);
        assert_secure(&ask("GET", "/readyz").await.expect(503), "503");
        app.control.outage(Outage::None);
    }
    let large = b"POST /api/v1/session HTTP/1.1\r\nhost: localhost:3000\r\nconnection: close\r\n\
                  content-type: application/json\r\ncontent-length: 1048576\r\n\r\n";
    let large = raw::send(&app.address(), large).await.expect("an answer").expect(413);
    assert_secure(&large, "413");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_says_what_a_client_needs() {
    let app = TestApp::start().await;
    let refused = app.program().check().await.expect_problem(401, "not_signed_in");
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
    app.control.outage(Outage::All);
    let busy = app.program().get("/readyz").await.expect_problem(503, "store_unavailable");
    assert_eq!(busy.header("retry-after"), "1");
    app.control.outage(Outage::None);
}

/// The script of a page, of which there is one at the most; nothing else in it could run.
#[track_caller]
fn script_of(page: &Answer, what: &str) -> Option<String> {
    let html = scraper::Html::parse_document(page.text());
    let (all, scripts) = ["*", "script"].map(|s| scraper::Selector::parse(s).unwrap()).into();
    for element in html.select(&all) {
        let handles = |(name, value): (&str, &str)| {
            name.starts_with("on") || name == "style" || value.starts_with("javascript:")
        };
        assert!(!element.value().attrs().any(handles), "{what}: {}", element.html());
    }
    let mut scripts = html.select(&scripts);
    let script = scripts.next()?;
    assert!(scripts.next().is_none() && script.inner_html().is_empty(), "{what}");
    Some(script.attr("src").expect("it is a file").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_page_has_our_script_and_no_other_page_has_any() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.sign_up("ann@example.com").await.expect(201);
    let plain = app.anonymous().get("/").await.expect_page(200);
    let plain = plain.header("content-security-policy");
    assert!(!plain.contains("script"), "{plain}");
    let mut scripts = Vec::new();
    for route in routes::pages() {
        ann.log_in("ann@example.com").await;
        // A sign-up makes of a stranger somebody.
        for (who, name) in [(&app.anonymous(), "a stranger"), (&ann, "ann")] {
            let what = format!("{} for {name}", route.id);
            let page = route.ask(who).header("accept", "text/html").send().await;
            if !page.header("content-type").starts_with("text/html") {
                continue;
            }
            let policy = page.header("content-security-policy");
            let is_account = route.path.starts_with("/account") && name == "ann";
            if is_account {
                scripts.push(script_of(&page, &what).expect(&what));
                let more = "script-src 'self'; connect-src 'self'; ";
                assert_eq!(policy.replacen(more, "", 1), plain, "{what}");
                assert!(policy.contains(more), "{what}: {policy}");
            } else {
                assert_eq!(script_of(&page, &what), None, "{what}");
                assert_eq!(policy, plain, "{what}");
            }
        }
    }
    assert_eq!(scripts.len(), 5, "the page, and again after each of its forms");
    scripts.dedup();
    let [path] = scripts.as_slice() else { panic!("{scripts:?}") };
    let script = app.anonymous().get(path).await.expect(200);
    assert_secure(&script, "the script");
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert!(script.header("cache-control").contains("immutable"));
    assert!(!script.text().contains("innerHTML") && !script.text().contains("eval("));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_of_the_docs_lets_in_exactly_what_is_in_the_page() {
    let app = TestApp::start().await;
    let page = app.browser().get("/docs").await.expect(200);
    let policy = page.header("content-security-policy").to_owned();
    let html = scraper::Html::parse_document(page.text());
    let mut hashes = 0;
    for (element, directive) in [("script", "script-src"), ("style", "style-src")] {
        let allowed = policy.split("; ").find(|d| d.starts_with(directive)).expect(directive);
        let selector = scraper::Selector::parse(element).unwrap();
        let mut expected = vec![directive.to_owned()];
        for inline in html.select(&selector) {
            assert_eq!(inline.value().attr("src"), None, "nothing is loaded from elsewhere");
            // From the bytes as they were sent, which is what a browser hashes.
            let text = inline.text().collect::<String>();
            assert!(page.text().contains(&text));
            expected.push(format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text))));
            hashes += 1;
        }
        assert_eq!(allowed.split(' ').collect::<Vec<_>>(), expected);
    }
    assert!(hashes >= 3, "it has scripts and styles of its own");
    let with_handler = scraper::Selector::parse("[onclick], [onload], [style]").unwrap();
    assert_eq!(html.select(&with_handler).count(), 0, "which no hash would cover");
    // Nothing else is relaxed.
    for path in ["/", "/signup", "/openapi.json", "/docs/nowhere"] {
        let other = app.browser().get(path).await;
        assert!(!other.header("content-security-policy").contains("script-src"), "{path}");
    }
}
