//! One's own account: the password shown again, and what needs that; a new e-mail address, a copy
//! of all that is kept, and the end of it. By the API here, and
//!
//! | file | what it shows |
//! |---|---|
//! | `page` | the same by the page |
//! | `together` | what else happens to the account at the same time |
//!
//! With tokens that do not say whose they are, the same is shown in `opaque`.

pub(crate) mod page;
mod together;

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use crate::{
    api::{SESSION, assert_members},
    support::{Answer, PASSWORD, TestApp, User, claims},
};

const TEN_MINUTES: SignedDuration = SignedDuration::from_mins(10);

pub(crate) async fn end_others(who: &User) -> Answer {
    who.api(Method::DELETE, "/sessions").send().await
}

async fn end_one(who: &User, sid: &str) -> Answer {
    who.api(Method::DELETE, &format!("/sessions/{sid}")).send().await
}

pub(crate) async fn close(who: &User) -> Answer {
    who.api(Method::DELETE, "/account").send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_the_password_again_has_a_new_session_and_the_old_one_is_over() {
    let app = TestApp::start().await;
    for who in [app.browser(), app.program()] {
        let other = app.program();
        app.anonymous().sign_up("ann@example.com").await;
        who.log_in("ann@example.com").await;
        other.log_in("ann@example.com").await;
        who.visit().await;
        app.pass(TEN_MINUTES);
        let (before, born) = (who.copy(), claims(&who.token()));
        who.reauthenticate("wrong").await.expect_problem(403, "wrong_password").expect_no_cookie();
        who.check().await.expect(200);

        let answer = who.reauthenticate(PASSWORD).await.expect(200);
        let mut members = SESSION.to_vec();
        if answer.json().get("token").is_some() {
            answer.clone().expect_no_cookie();
            members.push("token");
        } else {
            assert_eq!(answer.set_cookies().len(), 1);
        }
        members.sort_unstable();
        assert_members(&answer.json(), &members);
        let now = claims(&who.token());
        for new in ["sid", "jti"] {
            assert_ne!(now[new], born[new], "{new}");
        }
        assert_eq!(now["sub"], born["sub"]);
        let age = now["auth_time"].as_i64().unwrap() - born["auth_time"].as_i64().unwrap();
        assert_eq!(age, TEN_MINUTES.as_secs());
        before.check().await.expect(401);
        before.try_visit().await.expect(401).expect_no_cookie();
        before.log_out().await.expect(401).expect_no_cookie();
        other.check().await.expect(200);
        assert_eq!(who.visit().await, 2, "it goes on counting");
        end_others(&who).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stolen_cookie_must_not_do_needs_the_password_to_be_shown_lately() {
    let app = TestApp::start().await;
    let (ann, phone) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    phone.log_in("ann@example.com").await;
    app.pass(TEN_MINUTES);
    end_one(&ann, crate::support::routes::NO_SESSION).await.expect(404);
    app.pass(SignedDuration::from_millis(1));
    ann.visit().await;
    let before = app.snapshot().await;
    for refused in [
        end_one(&ann, &phone.sid()).await,
        end_one(&ann, crate::support::routes::NO_SESSION).await,
        end_others(&ann).await,
        ann.change_email("anna@example.com").await,
        close(&ann).await,
    ] {
        refused.expect_problem(403, "reauth_required").expect_no_cookie();
    }
    assert_eq!(app.snapshot().await, before);
    // What needs no proof, or brings its own.
    ann.api(Method::GET, "/account/export").send().await.expect(200);
    ann.change_password(PASSWORD, "staple after staple").await.expect(204);
    phone.check().await.expect(401);
    end_others(&ann).await.expect(200);
    app.pass(TEN_MINUTES * 2);
    let copy = ann.copy();
    end_one(&ann, &ann.sid()).await.expect(204);
    copy.check().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_lately_is_the_operators_choice() {
    let app = TestApp::with(|config| config.session.recent = "5s".parse().unwrap()).await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    app.pass(SignedDuration::from_secs(5));
    end_others(&ann).await.expect(200);
    app.pass(SignedDuration::from_millis(1));
    end_others(&ann).await.expect_problem(403, "reauth_required");
    ann.reauthenticate(PASSWORD).await.expect(200);
    end_others(&ann).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_gives_the_current_session_a_new_id() {
    let app = TestApp::start().await;
    for (who, status) in [(app.browser(), 204), (app.program(), 200)] {
        let email = format!("ann{status}@example.com");
        who.join(&email).await;
        who.visit().await;
        let (before, phone) = (who.copy(), app.program());
        phone.log_in(&email).await;
        let answer = who.change_password(PASSWORD, "staple after staple").await.expect(status);
        assert_eq!(answer.set_cookies().len(), usize::from(status == 204));
        assert_ne!(who.sid(), before.sid());
        for over in [&before, &phone] {
            over.check().await.expect(401);
        }
        assert_eq!(who.visit().await, 2, "it goes on counting");
        let mut sessions = app.snapshot().await;
        sessions.retain(|(account, ..)| account.email.as_str() == email);
        assert_eq!((sessions[0].1, sessions[0].2.len()), (2, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_is_the_one_to_log_in_with_from_now_on() {
    let app = TestApp::start().await;
    let (ann, phone, bob) = (app.browser(), app.program(), app.program());
    ann.join("ann@example.com").await;
    phone.log_in("ann@example.com").await;
    bob.join("bob@example.com").await;
    ann.change_email("Bob@example.com").await.expect_problem(409, "email_taken").expect_no_cookie();
    ann.change_email("no address").await.expect_problem(422, "invalid_email").expect_no_cookie();
    phone.check().await.expect(200);

    let before = ann.copy();
    app.pass(TEN_MINUTES);
    let answer = ann.change_email("Anna@Example.com").await.expect(200);
    assert_eq!(answer.json()["email"], "anna@example.com");
    assert_eq!(claims(&ann.token())["email"], "anna@example.com");
    assert_eq!(claims(&ann.token())["auth_time"], claims(&before.token())["auth_time"]);
    for over in [&before, &phone] {
        over.check().await.expect(401);
    }
    assert_eq!(ann.open_admin().await, 1);
    phone.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect(401);
    phone.log_in("anna@example.com").await;
    app.anonymous().sign_up("ann@example.com").await.expect(201);
    bob.change_email("robert@example.com").await.expect(200);
    assert_eq!(bob.check().await.expect(200).json()["email"], "robert@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_account_is_gone_with_everything() {
    let app = TestApp::start().await;
    let (ann, phone, bob) = (app.browser(), app.program(), app.program());
    ann.join("ann@example.com").await;
    phone.log_in("ann@example.com").await;
    bob.join("bob@example.com").await;
    let copy = ann.copy();
    let answer = close(&ann).await.expect(204);
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(ann.cookie(), None, "cleared");
    for over in [&copy, &phone] {
        over.check().await.expect(401);
        close(over).await.expect(401).expect_no_cookie();
    }
    ann.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect(401);
    let left = app.snapshot().await;
    assert_eq!(left.len(), 1);
    bob.check().await.expect(200);
    close(&bob).await.expect(204).expect_no_cookie();
    ann.join("ann@example.com").await;
    assert_eq!(ann.visit().await, 1, "a new account");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_all_that_is_kept_and_no_secret() {
    let app = TestApp::start().await;
    let (ann, phone, bob) = (app.browser(), app.program(), app.program());
    ann.join("ann@example.com").await;
    ann.visit().await;
    app.pass(SignedDuration::from_secs(1));
    phone.log_in("ann@example.com").await;
    bob.join("bob@example.com").await;
    app.pass(SignedDuration::from_secs(1));
    let answer = ann.api(Method::GET, "/account/export").send().await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let disposition = "attachment; filename=\"countersign-account.json\"";
    assert_eq!(answer.header("content-disposition"), disposition);
    let export = answer.json();
    assert_members(&export, &["account", "events", "exported_at", "sessions"]);
    let account = app.account("ann@example.com").await;
    let members = ["created_at", "email", "id", "role", "state", "visits", "visits_by_day"];
    assert_members(&export["account"], &members);
    assert_eq!(export["account"]["visits_by_day"], json!([{"day": "2026-11-23", "visits": 1}]));
    assert_eq!(export["account"]["id"], account.id.to_string());
    assert_eq!(export["account"]["visits"], 1);
    let sessions = export["sessions"].as_array().unwrap();
    let events = export["events"].as_array().unwrap().iter();
    let codes: Vec<_> = events.map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(codes, ["account_exported", "log_in", "log_in", "sign_up"]);
    let log_in = json!({
        "at": "2026-11-23T09:00:01Z", "event": "log_in", "by": account.id, "from": "127.0.0.1",
        "account": account.id, "sid": phone.sid(), "ended": 0,
    });
    assert_eq!(export["events"][1], log_in);
    let sids: Vec<_> = sessions.iter().map(|session| session["sid"].as_str().unwrap()).collect();
    assert_eq!(sids, [ann.sid(), phone.sid()]);
    assert_eq!(sessions[1]["user_agent"], "reporter/2.1");
    assert_eq!(sessions[1]["transport"], "bearer");
    // As many values as the store keeps, but for whose it is, and what is unset.
    assert_eq!(sessions[0].as_object().unwrap().len(), 10);
    for secret in [&ann.token(), &phone.token(), PASSWORD, account.password.as_str(), "argon2"] {
        assert!(!answer.mentions(secret), "{secret}");
    }
    assert!(!answer.mentions("bob") && !answer.mentions(&bob.sid()));
}
