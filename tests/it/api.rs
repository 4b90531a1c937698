//! The JSON API: every operation, with a cookie and with a bearer token. Lists of sessions are in
//! `own_sessions`, the ways of a token in `credentials`.

use countersign::model::AccountState;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::store_world::{at, cause};
use crate::support::{PASSWORD, TestApp, claims};

/// The members of a session.
pub(crate) const SESSION: [&str; 9] = [
    "created_at",
    "current",
    "email",
    "expires_at",
    "idle_expires_at",
    "last_seen_at",
    "sid",
    "user_agent",
    "visits",
];

#[track_caller]
pub(crate) fn assert_members(value: &Value, members: &[&str]) {
    let mut found: Vec<_> = value.as_object().expect("an object").keys().collect();
    found.sort();
    assert_eq!(found, members);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_and_shown() {
    let app = TestApp::start().await;
    let ann = app.browser();
    let made = ann.sign_up(" Ann@EXAMPLE.com").await.expect(201).expect_no_cookie();
    assert_members(&made.json(), &["created_at", "email", "id", "visits"]);
    assert_eq!(made.json()["email"], "ann@example.com");
    assert_eq!(made.json()["visits"], 0);
    assert_eq!(made.json()["created_at"], "2026-11-23T09:00:00Z");
    ann.sign_up("ANN@example.com").await.expect_problem(409, "email_taken").expect_no_cookie();

    ann.log_in("ann@example.com").await;
    ann.visit().await;
    let phone = app.program();
    phone.log_in("ann@example.com").await;
    phone.visit().await;
    phone.log_out().await.expect(204);
    let account = ann.api(Method::GET, "/account").send().await.expect(200).json();
    assert_members(&account, &["created_at", "email", "id", "visits"]);
    assert_eq!(account["id"], made.json()["id"]);
    assert_eq!(account["visits"], 2, "over all sessions, ended ones too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_and_a_program_go_through_a_whole_session() {
    let app = TestApp::start().await;
    app.anonymous().sign_up("ann@example.com").await.expect(201);
    for who in [app.browser(), app.program()] {
        let answer = who.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect(201);
        let bearer = answer.set_cookies().is_empty();
        if bearer {
            let mut members = SESSION.to_vec();
            members.insert(7, "token");
            assert_members(&answer.json(), &members);
        } else {
            assert_members(&answer.json(), &SESSION);
        }
        let session = answer.json();
        assert_eq!(session["visits"], 0);
        assert_eq!(session["current"], true);
        assert_eq!(session["email"], "ann@example.com");
        assert_eq!(session["created_at"], "2026-11-23T09:00:00Z");
        assert_eq!(session["last_seen_at"], "2026-11-23T09:00:00Z");
        assert_eq!(session["idle_expires_at"], "2026-11-23T09:30:00Z");
        assert_eq!(session["expires_at"], "2026-11-23T21:00:00Z");

        let checked = who.check().await.expect(200).expect_no_cookie();
        assert_members(&checked.json(), &SESSION);
        for n in 1..=3 {
            let answer = who.try_visit().await.expect(200);
            assert_eq!(answer.json()["visits"], n);
            assert_eq!(answer.json().get("token").is_some(), bearer);
            assert_eq!(answer.set_cookies().len(), usize::from(!bearer));
            let claims = claims(&who.token());
            assert_eq!(
                (claims["visits"].clone(), claims["prev"].clone()),
                (n.into(), (n - 1).into())
            );
        }
        assert_eq!(who.check().await.expect(200).json()["visits"], 3);

        let copy = who.copy();
        let answer = who.log_out().await.expect(204);
        assert!(answer.body.is_empty());
        assert_eq!(answer.set_cookies().len(), usize::from(!bearer));
        copy.log_out().await.expect_problem(401, "not_signed_in").expect_no_cookie();
        copy.check().await.expect_problem(401, "not_signed_in").expect_no_cookie();
        copy.try_visit().await.expect_problem(401, "not_signed_in").expect_no_cookie();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_exactly_the_documented_claims() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    ann.visit().await;
    let claims = claims(&ann.token());
    assert_members(
        &claims,
        &["aud", "auth_time", "email", "exp", "iat", "iss", "jti", "prev", "sid", "sub", "visits"],
    );
    assert_eq!(claims["iss"], "http://localhost:3000");
    assert_eq!(claims["aud"], "http://localhost:3000");
    assert_eq!(claims["sub"], app.account("ann@example.com").await.id.to_string());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 1_800);
    let header = crate::support::header(&ann.token());
    assert_members(&header, &["alg", "kid", "typ"]);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("session+jwt")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_log_in_is_one_answer_byte_for_byte() {
    let app = TestApp::start().await;
    let ann = app.program();
    for email in ["ann@example.com", "dis@example.com"] {
        ann.sign_up(email).await.expect(201);
    }
    let disabled = app.account("dis@example.com").await.id;
    app.store().set_account_state(disabled, AccountState::Disabled, cause(at(0))).await.unwrap();
    let reference = ann.try_log_in("ann@example.com", "wrong", json!({})).await;
    let reference = reference.expect_problem(401, "wrong_credentials");
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("dis@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("ann@example.com", ""),
    ] {
        let answer = ann.try_log_in(email, password, json!({})).await.expect_no_cookie();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body, reference.body, "{email}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_the_other_sessions() {
    let app = TestApp::start().await;
    let (ann, phone) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    phone.log_in("ann@example.com").await;
    let change = async |current: &str, new: &str| ann.change_password(current, new).await;
    change("wrong", "staple after staple").await.expect_problem(403, "wrong_password");
    change(PASSWORD, "14 characters!").await.expect_problem(422, "password_too_short");
    change(PASSWORD, &"x".repeat(129)).await.expect_problem(422, "password_too_long");
    phone.check().await.expect(200);
    ann.try_log_in("ann@example.com", "staple after staple", json!({})).await.expect(401);

    let before = ann.copy();
    let changed = change(PASSWORD, "staple after staple").await.expect(204);
    assert_eq!(changed.set_cookies().len(), 1);
    ann.check().await.expect(200);
    assert_ne!(ann.sid(), before.sid(), "ASVS 7.2.4: a new session");
    before.check().await.expect(401);
    phone.check().await.expect(401);
    phone.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect(401);
    phone.try_log_in("ann@example.com", "staple after staple", json!({})).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_ends_the_session_whose_token_came_with_it() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.browser(), app.browser());
    ann.join("ann@example.com").await;
    bob.join("bob@example.com").await;

    let old = ann.copy();
    ann.log_in("ann@example.com").await;
    assert_ne!(ann.sid(), old.sid());
    old.check().await.expect(401);

    // Another person's: it is their browser now.
    let bobs = bob.copy();
    bob.log_in("ann@example.com").await;
    bobs.check().await.expect(401);
    ann.check().await.expect(200);
    assert_eq!(bob.check().await.json()["email"], "ann@example.com");

    // With the form, and with a bearer token.
    let old = ann.copy();
    ann.post("/login", &[("email", "ann@example.com"), ("password", PASSWORD)]).await.expect(303);
    old.check().await.expect(401);
    let old = ann.copy();
    let fields = [("email", "cid@example.com"), ("password", PASSWORD)];
    ann.post("/signup", &fields).await.expect(303);
    old.check().await.expect(401);
    let program = app.program();
    program.log_in("ann@example.com").await;
    let old = program.copy();
    program.log_in("ann@example.com").await;
    old.check().await.expect(401);

    // A wrong password ends nothing.
    ann.try_log_in("cid@example.com", "wrong", json!({})).await.expect(401).expect_no_cookie();
    ann.check().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_can_be_planted() {
    let app = TestApp::start().await;
    app.anonymous().sign_up("ann@example.com").await.expect(201);
    for planted in ["invented", "a.b.c", ""] {
        let ann = app.anonymous();
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let asked = ann.api(Method::POST, "/session").json(&body);
        asked.header("cookie", &format!("session={planted}")).send().await.expect(201);
        assert_ne!(ann.token(), planted);
        ann.check().await.expect(200);
    }
    let (one, two) = (app.browser(), app.browser());
    one.log_in("ann@example.com").await;
    two.log_in("ann@example.com").await;
    let (one, two) = (claims(&one.token()), claims(&two.token()));
    assert_ne!(one["jti"], two["jti"]);
    assert_ne!(one["sid"], two["sid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_renews_only_after_half_of_the_idle_time() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    ann.visit().await;
    let first = ann.token();

    app.pass(SignedDuration::from_mins(15));
    for path in ["/session", "/sessions", "/account"] {
        ann.api(Method::GET, path).send().await.expect(200).expect_no_cookie();
    }
    app.pass(SignedDuration::from_secs(1));
    let renewed = ann.check().await.expect(200);
    assert_eq!(renewed.set_cookies().len(), 1);
    assert_eq!(renewed.json()["visits"], 1, "nothing was counted");
    let (old, new) = (claims(&first), claims(&ann.token()));
    assert_ne!(old["jti"], new["jti"]);
    for kept in ["visits", "prev", "sid", "sub", "auth_time"] {
        assert_eq!(old[kept], new[kept], "{kept}");
    }
    assert_eq!(new["exp"].as_i64().unwrap() - new["iat"].as_i64().unwrap(), 1_800);
    ann.check().await.expect(200).expect_no_cookie();

    // The older one stays good until its own end.
    let old = app.browser();
    old.take(&first);
    let check = old.api(Method::GET, "/session").losing_cookies();
    check.send().await.expect(200);
    app.pass(SignedDuration::from_mins(15));
    old.check().await.expect(401);
    ann.check().await.expect(200);

    let program = app.program();
    program.log_in("ann@example.com").await;
    app.pass(SignedDuration::from_mins(29));
    program.check().await.expect(200).expect_no_cookie();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_always_hands_out_the_next_token() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let mut tokens = vec![ann.token()];
    for _ in 0..3 {
        ann.visit().await;
        assert!(!tokens.contains(&ann.token()));
        tokens.push(ann.token());
    }
    for token in tokens {
        let old = app.browser();
        old.take(&token);
        old.check().await.expect(200);
    }
}
