//! The pages, as people and their browsers meet them.

use reqwest::Method;
use serde_json::json;

use crate::store_world::{at, cause};
use crate::support::{Control, PASSWORD, TestApp, User, store::Outage};
use countersign::session::Registration;

async fn submit(who: &User, path: &str, email: &str, password: &str) -> crate::support::Answer {
    who.post(path, &[("email", email), ("password", password)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_log_in_looks_the_same_whatever_was_wrong() {
    let app = TestApp::start().await;
    let ann = app.browser();
    for email in ["ann@example.com", "dis@example.com"] {
        ann.sign_up(email).await.expect(201);
    }
    let disabled = app.account("dis@example.com").await.id;
    let state = countersign::model::AccountState::Disabled;
    app.store().set_account_state(disabled, state, cause(at(0))).await.unwrap();

    let reference = submit(&ann, "/login", "ann@example.com", "wrong").await;
    let reference = reference.expect_page(401).expect_no_cookie();
    let text = reference.text().to_owned();
    assert!(text.contains("value=\"ann@example.com\""), "the e-mail is kept");
    for (email, password) in [
        ("ann@example.com", "Correct horse b"),
        ("ann@example.com", "correct horse b "),
        ("ann@example.com", ""),
        ("nobody@example.com", PASSWORD),
        ("dis@example.com", PASSWORD),
        ("dis@example.com", "wrong"),
        ("nonsense", PASSWORD),
    ] {
        let answer = submit(&ann, "/login", email, password).await;
        let answer = answer.expect_page(401).expect_no_cookie();
        assert_eq!(
            answer.text().replace(email, "ann@example.com"),
            text,
            "{email} with {password:?}"
        );
        let names = |answer: &crate::support::Answer| -> Vec<String> {
            answer.headers.keys().map(ToString::to_string).collect()
        };
        assert_eq!(names(&answer), names(&reference));
    }
    // The positive control.
    submit(&ann, "/login", "ann@example.com", PASSWORD).await.expect_redirect("/admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_comes_back_as_text_and_never_as_markup() {
    let app = TestApp::start().await;
    let ann = app.browser();
    let email = "\"><script>alert(1)</script>@example.com";
    for path in ["/login", "/signup"] {
        let answer = submit(&ann, path, email, "a password too").await;
        assert!(answer.status == 401 || answer.status == 422, "{}", answer.status);
        assert!(!answer.text().contains("<script>"), "{}", answer.text());
        assert!(!answer.text().contains("a password too"), "never the password");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_ahead_and_asking_for_the_head_count_nothing() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    assert_eq!(ann.open_admin().await, 1);

    let head = ann.request(Method::HEAD, "/admin").send().await.expect(200);
    assert!(head.body.is_empty());
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
    ] {
        let ahead = ann.request(Method::GET, "/admin").header(name, value);
        let ahead = ahead.send().await.expect_no_cookie();
        assert!(ahead.status < 500, "{}", ahead.status);
    }
    assert_eq!(ann.open_admin().await, 2);

    app.anonymous().request(Method::HEAD, "/admin").send().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_read_the_cookie_alone() {
    let app = TestApp::start().await;
    let (ann, program) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    program.log_in("ann@example.com").await;
    program.get("/admin").await.expect(401);
    let stranger = app.anonymous();
    let asked = stranger.request(Method::GET, "/admin");
    let bearer = format!("Bearer {}", ann.token());
    asked.header("authorization", &bearer).send().await.expect(401);
    let query = format!("/admin?token={}", ann.token());
    stranger.get(&query).await.expect(401);
    assert_eq!(ann.open_admin().await, 1, "the cookie opens it, and none of these counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_view_after_a_log_in_is_number_one() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.sign_up("ann@example.com").await.expect(201);
    for _ in 0..2 {
        submit(&ann, "/login", "ann@example.com", PASSWORD).await.expect_redirect("/admin");
        assert_eq!(ann.open_admin().await, 1);
        assert_eq!(ann.open_admin().await, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_link_works_from_our_own_pages_and_not_from_others() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;

    for foreign in [
        ann.request(Method::GET, "/logout").header("sec-fetch-site", "cross-site"),
        ann.request(Method::GET, "/logout").header("sec-fetch-site", "same-site"),
        ann.request(Method::GET, "/logout").header("sec-purpose", "prefetch"),
        ann.request(Method::GET, "/logout")
            .without_fetch_metadata()
            .header("referer", "http://evil.example/page"),
    ] {
        let page = foreign.send().await.expect_page(200).expect_no_cookie();
        let form = scraper::Selector::parse("form[method=post][action='/logout'] button").unwrap();
        let html = scraper::Html::parse_document(page.text());
        assert!(html.select(&form).next().is_some(), "it asks first");
        ann.check().await.expect(200);
    }
    let post = ann.request(Method::POST, "/logout").header("sec-fetch-site", "cross-site");
    post.send().await.expect_page(403).expect_no_cookie();
    ann.check().await.expect(200);

    let copy = ann.copy();
    ann.get("/logout").await.expect_redirect("/");
    assert_eq!(ann.cookie(), None);
    copy.check().await.expect(401);

    // As from a plain-http page on a LAN.
    ann.log_in("ann@example.com").await;
    let own = ann.request(Method::GET, "/logout").without_fetch_metadata();
    let own = own.header("referer", "http://localhost:3000/admin").send().await;
    own.expect_redirect("/");
    assert_eq!(ann.cookie(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_twice_leads_home_both_times() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let other_tab = ann.copy();
    ann.post("/logout", &[]).await.expect_redirect("/");
    other_tab.post("/logout", &[]).await.expect_redirect("/");
    app.browser().get("/logout").await.expect_redirect("/");
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_up_says_what_is_wrong_and_makes_nothing() {
    let app = TestApp::start().await;
    let ann = app.browser();
    for (email, password, status) in [
        ("nonsense", PASSWORD, 422),
        ("ann@example.com", "14 characters!", 422),
        ("ann@example.com", "", 422),
        ("", PASSWORD, 422),
    ] {
        let page = submit(&ann, "/signup", email, password).await;
        let page = page.expect_page(status).expect_no_cookie();
        assert!(page.text().contains("action=\"/signup\""), "the form again");
    }
    assert!(app.snapshot().await.is_empty());

    submit(&ann, "/signup", "ann@example.com", PASSWORD).await.expect_redirect("/admin");
    assert_eq!(ann.open_admin().await, 1);
    let bob = app.browser();
    let page = submit(&bob, "/signup", "ANN@example.com", "another password").await;
    page.expect_page(409).expect_no_cookie();
    assert_eq!(app.snapshot().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_registration_is_closed_on_every_way() {
    let app = TestApp::with(|config| config.registration = Registration::Closed).await;
    let ann = app.browser();
    let page = submit(&ann, "/signup", "ann@example.com", PASSWORD).await;
    page.expect_page(403).expect_no_cookie();
    ann.sign_up("ann@example.com").await.expect_problem(403, "registration_closed");
    let home = ann.get("/").await.expect_page(200);
    assert!(!home.text().contains("href=\"/signup\""), "nobody is led there");
    assert!(app.snapshot().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_logout_takes_the_cookie_away() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let dead = ann.copy();
    ann.log_out().await.expect(204);
    for path in ["/admin", "/api/v1/session"] {
        dead.get(path).await.expect(401).expect_no_cookie();
    }
    dead.get("/").await.expect_page(200).expect_no_cookie();
    assert!(dead.cookie().is_some(), "it may be a newer one by now");

    ann.log_in("ann@example.com").await;
    let control: &Control = &app.control;
    control.outage(Outage::All);
    // Home, too: who is signed in must not be told that they are not.
    for path in ["/admin", "/logout", "/api/v1/session", "/"] {
        ann.get(path).await.expect(503).expect_no_cookie();
    }
    ann.post("/logout", &[]).await.expect_page(503).expect_no_cookie();
    control.outage(Outage::None);
    assert_eq!(ann.open_admin().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_a_page_for_people_and_a_problem_for_programs() {
    let app = TestApp::start().await;
    app.browser().get("/nowhere").await.expect_page(404);
    app.program().get("/nowhere").await.expect_problem(404, "not_found");
    app.anonymous().get("/nowhere").await.expect_problem(404, "not_found");
    app.browser().get("/api/v1/nowhere").await.expect_problem(404, "not_found");
    let html = app.browser().request(Method::GET, "/api/v1/session");
    html.header("accept", "text/html").send().await.expect_problem(401, "not_signed_in");
    app.browser().request(Method::DELETE, "/admin").send().await.expect_page(405);
    app.program()
        .request(Method::DELETE, "/admin")
        .send()
        .await
        .expect_problem(405, "method_not_allowed");
    app.browser().get("/admin").await.expect_page(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_page_lists_this_accounts_sessions_and_no_others() {
    let app = TestApp::start().await;
    let (ann, phone, bob) = (app.browser(), app.program(), app.browser());
    ann.join("ann@example.com").await;
    phone.log_in("ann@example.com").await;
    bob.sign_up("bob@example.com").await.expect(201);
    let agent = bob.api(Method::POST, "/session").header("user-agent", "Bobs <b>browser</b>");
    let body = json!({"email": "bob@example.com", "password": PASSWORD});
    agent.json(&body).send().await.expect(201);

    let text = ann.get("/admin").await.expect_page(200).visible();
    assert!(text.contains("Mozilla/5.0 (X11; Linux x86_64; rv:142.0)"), "{text}");
    assert!(text.contains("reporter/2.1"), "{text}");
    assert!(!text.contains("Bobs"), "{text}");
    let page = bob.get("/admin").await.expect_page(200);
    assert!(page.visible().contains("Bobs <b>browser</b>"), "as text");
    assert!(!page.text().contains("<b>browser"), "not as markup");
    for token in [ann.token(), phone.token()] {
        assert!(!page.mentions(&token));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_home_page_sets_no_session_cookie_even_when_a_renewal_is_due() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    app.pass(jiff::SignedDuration::from_mins(20));
    ann.get("/").await.expect_redirect("/admin").expect_no_cookie();
}
