//! Changes of an account while a visit, a log-in, a logout or another change is under way.

use reqwest::Method;
use serde_json::json;

use super::close;
use crate::store_world::{at, cause};
use crate::support::{Op, PASSWORD, TestApp, When, at_once, in_time};

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
