//! `token.claims = "opaque"`: tokens that say neither whose they are nor how many visits were counted.
//! The story of the tutorial and the finding of copies are run for both sets in their own files.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign::token::ClaimSet;
use jiff::SignedDuration;
use reqwest::Method;

use crate::store_world::{at, cause};
use crate::support::{TestApp, User, claims};

const FULL: [&str; 11] =
    ["aud", "auth_time", "email", "exp", "iat", "iss", "jti", "prev", "sid", "sub", "visits"];
const OPAQUE: [&str; 10] =
    ["aud", "auth_time", "exp", "iat", "iss", "jti", "prev", "seq", "sid", "sub"];

async fn opaque() -> TestApp {
    TestApp::with(|config| config.token.claims = ClaimSet::Opaque).await
}

fn members(token: &str) -> BTreeSet<String> {
    claims(token).as_object().unwrap().keys().cloned().collect()
}

#[track_caller]
fn assert_members(who: &User, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
    assert_eq!(members(&who.token()), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_neither_who_nor_how_often_and_the_answers_do() {
    let app = opaque().await;
    for (who, email) in [(app.browser(), "ann@example.com"), (app.program(), "joann@example.com")] {
        who.join(email).await;
        for number in 1..=3 {
            let visited = who.try_visit().await.expect(200).json();
            assert_eq!(visited["visits"], number);
            assert_eq!(visited["email"], email);
            assert_members(&who, &OPAQUE);
            let token = who.token();
            let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
            let payload = String::from_utf8(payload).unwrap();
            for said in ["@", "example.com", "ann", "email", "visits"] {
                assert!(!payload.contains(said), "{said} in {payload}");
            }
            assert_eq!(claims(&token)["seq"], number);
            assert_eq!(claims(&token)["prev"], number - 1);
        }
        let session = who.check().await.expect(200).json();
        assert_eq!((&session["visits"], &session["email"]), (&3.into(), &email.into()));
        let sessions = who.api(Method::GET, "/sessions").send().await.expect(200).json();
        assert_eq!(sessions[0]["email"], email);
        let account = who.api(Method::GET, "/account").send().await.expect(200).json();
        assert_eq!((&account["visits"], &account["email"]), (&3.into(), &email.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_keeps_the_place_in_the_chain() {
    let app = opaque().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    ann.visit().await;
    ann.visit().await;
    let old = claims(&ann.token());
    app.pass(SignedDuration::from_mins(16));
    assert_eq!(ann.check().await.expect(200).set_cookies().len(), 1);
    let new = claims(&ann.token());
    assert_ne!(old["jti"], new["jti"]);
    for kept in ["seq", "prev", "sid", "sub", "auth_time"] {
        assert_eq!(old[kept], new[kept], "{kept}");
    }
    assert_members(&ann, &OPAQUE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_of_the_set_logs_nobody_out() {
    let mut app = TestApp::start().await;
    let (ann, bob) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    bob.join("bob@example.com").await;
    let mut visits = 0;
    let steps = [ClaimSet::Full, ClaimSet::Opaque, ClaimSet::Opaque, ClaimSet::Full];
    let mut shown = Vec::new();
    for claim_set in steps {
        app.restart_with(|config| config.token.claims = claim_set).await;
        visits += 1;
        for (who, email) in [(&ann, "ann@example.com"), (&bob, "bob@example.com")] {
            shown.push((who.clone(), who.token()));
            assert_eq!(who.check().await.expect(200).json()["email"], email);
            assert_eq!(who.visit().await, visits);
            match claim_set {
                ClaimSet::Full => assert_members(who, &FULL),
                ClaimSet::Opaque => assert_members(who, &OPAQUE),
            }
        }
        let text = ann.copy().get("/admin").await.expect_page(200).visible();
        assert!(text.contains("Hello ann@example.com"), "{text}");
        visits += 1;
        bob.visit().await;
    }
    // Each token of either set is good until it ends.
    for (who, token) in &shown {
        let old = who.copy();
        old.take(token);
        old.check().await.expect(200);
    }
    ann.log_out().await.expect(204);
    bob.log_out().await.expect(204);
    for (who, token) in &shown {
        let old = who.copy();
        old.take(token);
        old.check().await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_gone() {
    let app = opaque().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    ann.visit().await;
    let account = app.account("ann@example.com").await.id;
    app.store().remove_account(account, cause(at(0))).await.unwrap();
    ann.check().await.expect_problem(401, "not_signed_in");
    ann.try_visit().await.expect_problem(401, "not_signed_in").expect_no_cookie();
    ann.get("/admin").await.expect_page(401);
    assert!(app.snapshot().await.is_empty());
}
