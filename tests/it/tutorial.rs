//! The story of the tutorial: log in, be counted, log out; and what no in-memory session can do:
//! go on after a restart, and stay ended after one.

use countersign::token::ClaimSet;
use reqwest::Method;

use crate::support::{PASSWORD, Process, TestApp, User};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_up_is_counted_and_logs_out() {
    story(TestApp::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_opaque_tokens_the_story_is_the_same() {
    story(TestApp::with(|config| config.token.claims = ClaimSet::Opaque).await).await;
}

async fn story(mut app: TestApp) {
    let ann = app.browser();

    let home = ann.get("/").await.expect_page(200).expect_no_cookie();
    let page = scraper::Html::parse_document(home.text());
    let has = |selector| {
        let selector = scraper::Selector::parse(selector).unwrap();
        page.select(&selector).next().is_some()
    };
    assert!(has("form[method=post][action='/login']"));
    assert!(has("form[action='/login'] input[name=email]"));
    assert!(has("form[action='/login'] input[name=password][type=password]"));
    assert!(has("form[action='/login'] input[name=remember][type=checkbox]"));
    assert!(has("a[href='/signup']"));
    assert!(!has("script"), "it works without JavaScript");

    ann.get("/signup").await.expect_page(200);
    let fields = [("email", "Ann@Example.com"), ("password", PASSWORD)];
    ann.post("/signup", &fields).await.expect_redirect("/admin");

    for number in 1..=3 {
        let page = ann.get("/admin").await.expect_page(200);
        let text = page.visible();
        assert!(text.contains("Hello ann@example.com"), "{text}");
        assert!(text.contains(&format!("his is visit number {number}")), "{text}");
        assert!(text.contains("Refresh page to increase visits"), "{text}");
        let form = scraper::Selector::parse("form[method=post][action='/logout']").unwrap();
        let page = scraper::Html::parse_document(page.text());
        assert!(page.select(&form).next().is_some(), "a way out");
    }
    ann.get("/").await.expect_redirect("/admin");

    let before = app.address();
    app.restart().await;
    assert_ne!(app.address(), before, "another port");
    assert_eq!(ann.open_admin().await, 4, "the same cookie");

    let copy = ann.copy();
    ann.post("/logout", &[]).await.expect_redirect("/");
    assert_eq!(ann.cookie(), None, "a browser obeys the removal");
    let refused = copy.get("/admin").await.expect_page(401);
    assert!(
        refused.visible().contains("You need to log in before you can see this page."),
        "{}",
        refused.visible()
    );
    let selector = scraper::Selector::parse("a[href='/']").unwrap();
    let page = scraper::Html::parse_document(refused.text());
    assert!(page.select(&selector).next().is_some(), "a link home");
    drop(page);
    ann.get("/admin").await.expect_page(401);
    ann.get("/").await.expect_page(200);

    app.restart().await;
    copy.get("/admin").await.expect_page(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_story_survives_kill_9() {
    let mut server = Process::start();
    let ann = server.browser();
    let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
    ann.post("/signup", &fields).await.expect_redirect("/admin");
    for number in 1..=3 {
        assert_eq!(ann.open_admin().await, number);
    }

    server.kill_hard();
    server.restart();
    assert_eq!(ann.open_admin().await, 4, "three visits were on the disk");

    let copy = ann.copy();
    ann.get("/logout").await.expect_redirect("/");
    server.kill_hard();
    server.restart();
    copy.get("/admin").await.expect_page(401);
    assert_eq!(copy.check().await.status, 401);

    ann.post("/login", &fields).await.expect_redirect("/admin");
    assert_eq!(ann.open_admin().await, 1, "a new session counts anew");
    assert!(server.terminate().success(), "SIGTERM ends it well");
    assert!(server.output().lines().next().unwrap().len() > 1);
}

/// What the tutorial's page does: jQuery posts `email` and `pass` to `/login`, compares the answer
/// with `done`, and then goes to `/admin`.
#[tokio::test(flavor = "multi_thread")]
async fn the_tutorials_own_front_end_works_unchanged() {
    async fn post(ann: &User, pass: &str) -> crate::support::Answer {
        ann.request(Method::POST, "/login")
            .header("x-requested-with", "XMLHttpRequest")
            .header("accept", "*/*")
            .header("sec-fetch-mode", "cors")
            .header("sec-fetch-dest", "empty")
            .form(&[("email", "ann@example.com"), ("pass", pass)])
            .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
            .send()
            .await
    }

    let app = TestApp::start().await;
    let ann = app.browser();
    ann.sign_up("ann@example.com").await.expect(201);
    let refused = post(&ann, "wrong").await.expect(401).expect_no_cookie();
    assert_ne!(refused.text_lossy(), "done");
    let answer = post(&ann, PASSWORD).await.expect(200);
    assert_eq!(answer.text(), "done");
    assert!(answer.header("content-type").starts_with("text/plain"));
    let page = ann.get("/admin").await.expect_page(200);
    assert!(page.visible().contains("Hello ann@example.com"));
    ann.get("/logout").await.expect_redirect("/");
}
