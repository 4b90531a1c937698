//! What people do on `/account`.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use super::TEN_MINUTES;
use crate::support::{Answer, PASSWORD, TestApp, User};

/// Posts one of its forms.
pub(crate) async fn submit(who: &User, form: &str, fields: &[(&str, &str)]) -> Answer {
    who.post(&format!("/account/{form}"), fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_ends_sessions_for_who_types_the_password() {
    let app = TestApp::start().await;
    let ann = app.browser();
    let others = [app.program(), app.program(), app.program()];
    ann.join("ann@example.com").await;
    for other in &others {
        other.log_in("ann@example.com").await;
    }
    app.pass(TEN_MINUTES * 2);
    let page = ann.get("/account").await.expect_page(200);
    for sid in others.each_ref().map(User::sid) {
        assert!(page.mentions(&sid));
    }
    assert!(page.visible().contains("reporter/2.1"));
    assert_eq!(ann.open_admin().await, 1, "it counted nothing");
    let one = [("session", others[0].sid()), ("current", PASSWORD.to_owned())];
    let one = one.each_ref().map(|(name, value)| (*name, value.as_str()));
    let wrong = submit(&ann, "sessions", &[one[0], ("current", "wrong")]).await;
    let wrong = wrong.expect_page(403).expect_no_cookie();
    assert!(wrong.visible().contains("The current password is wrong."));
    others[0].check().await.expect(200);

    let before = ann.copy();
    submit(&ann, "sessions", &one).await.expect_redirect("/account?done=sessions");
    others[0].check().await.expect(401);
    others[1].check().await.expect(200);
    before.check().await.expect(401);
    assert!(ann.get("/account?done=sessions").await.visible().contains("The sessions have ended."));
    let again = submit(&ann, "sessions", &one).await.expect_page(404);
    assert!(again.visible().contains("There is no such session."));
    ann.check().await.expect(200);
    let all = [("session", "others"), ("current", PASSWORD)];
    submit(&ann, "sessions", &all).await.expect_redirect("/account?done=sessions");
    others[2].check().await.expect(401);
    assert_eq!(ann.open_admin().await, 2, "the browser has the newest cookie all along");
    let nothing = submit(&ann, "sessions", &[("current", PASSWORD)]).await.expect_page(404);
    assert!(nothing.visible().contains("There is no such session."));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_changes_password_and_address() {
    let app = TestApp::start().await;
    let (ann, phone, bob) = (app.browser(), app.program(), app.browser());
    ann.join("ann@example.com").await;
    bob.join("bob@example.com").await;
    phone.log_in("ann@example.com").await;
    app.pass(TEN_MINUTES * 2);
    let short = submit(&ann, "password", &[("current", PASSWORD), ("new", "short")]).await;
    short.expect_page(422).expect_no_cookie();
    phone.check().await.expect(200);
    let new = "staple after staple";
    let changed = submit(&ann, "password", &[("current", PASSWORD), ("new", new)]).await;
    changed.expect_redirect("/account?done=password");
    phone.check().await.expect(401);
    ann.check().await.expect(200);

    app.pass(TEN_MINUTES * 2);
    let taken = [("current", new), ("email", "bob@example.com")];
    let taken = submit(&ann, "email", &taken).await.expect_page(409);
    assert!(taken.visible().contains("An account with this e-mail address exists."));
    assert!(taken.text().contains("value=\"bob@example.com\""), "what was typed stays");
    // The password was shown, so the session was opened anew, and the browser has its cookie.
    assert_eq!(taken.set_cookies().len(), 1);
    ann.check().await.expect(200);
    let fields = [("current", new), ("email", "anna@example.com")];
    submit(&ann, "email", &fields).await.expect_redirect("/account?done=email");
    let page = ann.get("/account?done=email").await.expect_page(200);
    assert!(page.visible().contains("anna@example.com"));
    assert!(page.visible().contains("Your e-mail address is changed"));
    phone.try_log_in("anna@example.com", new, json!({})).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_closes_the_account() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    submit(&ann, "close", &[("current", "wrong")]).await.expect_page(403).expect_no_cookie();
    submit(&ann, "close", &[]).await.expect_page(403).expect_no_cookie();
    assert_eq!(app.snapshot().await.len(), 1);
    let closed = submit(&ann, "close", &[("current", PASSWORD)]).await.expect_page(200);
    assert!(closed.visible().contains("Your account is closed"));
    assert_eq!(ann.cookie(), None);
    assert!(app.snapshot().await.is_empty());
    for form in ["sessions", "password", "email", "close"] {
        submit(&ann, form, &[("current", PASSWORD)]).await.expect_page(401).expect_no_cookie();
    }
    ann.get("/account").await.expect_page(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_keeps_the_session_alive_and_says_so_in_the_cookie() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    app.pass(SignedDuration::from_mins(20));
    assert_eq!(ann.get("/account").await.expect_page(200).set_cookies().len(), 1);
    app.pass(SignedDuration::from_mins(20));
    ann.get("/account").await.expect_page(200);
    // From elsewhere nothing is said to be done.
    let link = ann.request(Method::GET, "/account?done=password");
    let link = link.header("sec-fetch-site", "cross-site").send().await.expect_page(200);
    assert!(!link.visible().contains("changed"));
}
