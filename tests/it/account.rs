//! One's own account: the password shown again, and what needs that; a new e-mail address, a copy
//! of all that is kept, and the end of it. By the API and by the page.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use crate::{
    api::{SESSION, assert_members},
    store_world::{at, cause},
    support::{Answer, Op, PASSWORD, TestApp, User, When, at_once, claims, in_time},
};

const TEN_MINUTES: SignedDuration = SignedDuration::from_mins(10);

async fn end_others(who: &User) -> Answer {
    who.api(Method::DELETE, "/sessions").send().await
}

async fn end_one(who: &User, sid: &str) -> Answer {
    who.api(Method::DELETE, &format!("/sessions/{sid}")).send().await
}

async fn close(who: &User) -> Answer {
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
    assert_members(&export["account"], &["created_at", "email", "id", "role", "state", "visits"]);
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

// --- at the same time ---

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_that_ends_after_a_change_sets_no_cookie_and_revives_nothing() {
    for change in ["password", "email", "reauthentication"] {
        let app = TestApp::start().await;
        let ann = app.browser();
        ann.join("ann@example.com").await;
        let tab = ann.copy();
        let gate = app.control.hold(Op::Visit, When::After);
        let late = tokio::spawn(tab.api(Method::POST, "/session/visits").send());
        gate.reached(1).await;
        match change {
            "password" => ann.change_password(PASSWORD, "staple after staple").await.expect(204),
            "email" => ann.change_email("anna@example.com").await.expect(200),
            _ => ann.reauthenticate(PASSWORD).await.expect(200),
        };
        gate.open();
        late.await.unwrap().expect_no_cookie();
        tab.check().await.expect(401);
        let (_, visits, sessions) = app.snapshot().await.remove(0);
        assert_eq!((visits, sessions.len()), (1, 1), "{change}: counted before, and once");
        assert_eq!(ann.visit().await, 2, "{change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_that_counts_after_a_change_is_refused() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let tab = ann.copy();
    let gate = app.control.hold(Op::Visit, When::Before);
    let late = tokio::spawn(tab.api(Method::POST, "/session/visits").send());
    gate.reached(1).await;
    ann.change_password(PASSWORD, "staple after staple").await.expect(204);
    gate.open();
    late.await.unwrap().expect(401).expect_no_cookie();
    assert_eq!(ann.visit().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_comes_after_the_logout_changes_nothing() {
    for op in [Op::ChangePassword, Op::ChangeEmail, Op::Reauthenticate, Op::CloseAccount] {
        let app = TestApp::start().await;
        let ann = app.browser();
        ann.join("ann@example.com").await;
        let tab = ann.copy();
        let before = app.account("ann@example.com").await;
        let gate = app.control.hold(op, When::Before);
        let late = tokio::spawn(async move {
            match op {
                Op::ChangePassword => tab.change_password(PASSWORD, "staple after staple").await,
                Op::ChangeEmail => tab.change_email("anna@example.com").await,
                Op::CloseAccount => close(&tab).await,
                _ => tab.reauthenticate(PASSWORD).await,
            }
        });
        gate.reached(1).await;
        ann.log_out().await.expect(204);
        gate.open();
        late.await.unwrap().expect_problem(401, "not_signed_in").expect_no_cookie();
        assert_eq!(app.account("ann@example.com").await, before);
        assert!(app.snapshot().await[0].2.is_empty());
    }
}

/// What is done, and then the session ends before the answer leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_answered_after_its_session_ended_sets_no_cookie() {
    for op in [Op::ChangePassword, Op::ChangeEmail, Op::Reauthenticate] {
        let app = TestApp::start().await;
        let ann = app.browser();
        ann.join("ann@example.com").await;
        let tab = ann.copy();
        let gate = app.control.hold(op, When::After);
        let late = tokio::spawn(async move {
            match op {
                Op::ChangePassword => tab.change_password(PASSWORD, "staple after staple").await,
                Op::ChangeEmail => tab.change_email("anna@example.com").await,
                _ => tab.reauthenticate(PASSWORD).await,
            }
        });
        gate.reached(1).await;
        app.store().revoke_all_sessions(cause(at(0))).await.unwrap();
        gate.open();
        late.await.unwrap().expect_no_cookie();
        assert!(app.snapshot().await[0].2.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_by_an_address_that_was_given_up_meanwhile_loses() {
    for when in [When::Before, When::After] {
        let app = TestApp::start().await;
        let (ann, elsewhere) = (app.browser(), app.program());
        ann.join("ann@example.com").await;
        let gate = app.control.hold(Op::CreateSession, when);
        let late = tokio::spawn(async move {
            elsewhere.try_log_in("ann@example.com", PASSWORD, json!({})).await
        });
        gate.reached(1).await;
        ann.change_email("anna@example.com").await.expect(200);
        gate.open();
        late.await.unwrap().expect_problem(401, "wrong_credentials");
        let (account, _, sessions) = app.snapshot().await.remove(0);
        assert_eq!(account.email.as_str(), "anna@example.com");
        assert_eq!(sessions.len(), 1, "{when:?}: the one that changed it");
        ann.check().await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_want_one_address_one_has_it() {
    let app = TestApp::start().await;
    let people: Vec<_> = (0..8).map(|_| app.program()).collect();
    for (n, who) in people.iter().enumerate() {
        who.join(&format!("ann{n}@example.com")).await;
    }
    let statuses = at_once(
        people
            .iter()
            .cloned()
            .map(|who| async move { who.change_email("ann@example.com").await.status }),
    )
    .await;
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(200), count(409)), (1, 7), "{statuses:?}");
    for who in people {
        who.check().await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_at_once_by_two_devices_one_is_made() {
    let app = TestApp::start().await;
    let devices = [app.program(), app.program()];
    devices[0].join("ann@example.com").await;
    devices[1].log_in("ann@example.com").await;
    let asked = devices.iter().cloned().enumerate().map(|(n, who)| async move {
        who.change_email(&format!("ann{n}@example.com")).await.status
    });
    let statuses = in_time("two changes", at_once(asked)).await;
    let won = statuses.iter().position(|status| *status == 200).expect("one of them");
    assert_eq!(statuses[1 - won], 401, "its session had ended");
    let (account, _, sessions) = app.snapshot().await.remove(0);
    assert_eq!(account.email.as_str(), format!("ann{won}@example.com"));
    assert_eq!(sessions.len(), 1);
    devices[won].check().await.expect(200);
}

// --- the page ---

async fn submit(who: &User, form: &str, fields: &[(&str, &str)]) -> Answer {
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
