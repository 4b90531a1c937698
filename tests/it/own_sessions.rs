//! Sessions as their owner and the operator see them: listed, and ended at once.

use countersign::model::AccountState;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use crate::{
    api::{SESSION, assert_members},
    store_world::{at, cause},
    support::{Answer, PASSWORD, TestApp, User},
};

async fn sids(who: &User) -> Vec<String> {
    let sessions = who.api(Method::GET, "/sessions").send().await.expect(200).json();
    let sessions = sessions.as_array().unwrap().iter();
    sessions.map(|session| session["sid"].as_str().unwrap().to_owned()).collect()
}

async fn end(who: &User, sid: &str) -> Answer {
    who.api(Method::DELETE, &format!("/sessions/{sid}")).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_by_their_owner() {
    let app = TestApp::start().await;
    let (ann, phone, bob) = (app.browser(), app.program(), app.browser());
    ann.join("ann@example.com").await;
    app.pass(SignedDuration::from_secs(1));
    phone.log_in("ann@example.com").await;
    bob.join("bob@example.com").await;

    let list = ann.api(Method::GET, "/sessions").send().await.expect(200).json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    for session in list {
        assert_members(session, &SESSION);
        assert_eq!(session["email"], "ann@example.com");
    }
    assert_eq!(list[0]["sid"], ann.sid(), "oldest first");
    assert_eq!((&list[0]["current"], &list[1]["current"]), (&json!(true), &json!(false)));
    assert_eq!(list[1]["user_agent"], "reporter/2.1");

    for foreign in
        [bob.sid(), crate::support::routes::NO_SESSION.into(), "no-id".into(), "%00".into()]
    {
        end(&ann, &foreign).await.expect_problem(404, "no_such_session").expect_no_cookie();
    }
    bob.check().await.expect(200);

    end(&ann, &phone.sid()).await.expect(204).expect_no_cookie();
    phone.check().await.expect(401);
    end(&ann, &phone.sid()).await.expect_problem(404, "no_such_session");
    assert_eq!(sids(&ann).await, [ann.sid()]);

    let copy = ann.copy();
    let own = end(&ann, &ann.sid()).await.expect(204);
    assert_eq!(own.set_cookies().len(), 1, "the current one: the cookie goes");
    assert_eq!(ann.cookie(), None);
    copy.check().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_other_sessions_are_ended_at_once() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.browser(), app.browser());
    ann.join("ann@example.com").await;
    bob.join("bob@example.com").await;
    let others: Vec<_> = (0..3).map(|_| app.program()).collect();
    for other in &others {
        other.log_in("ann@example.com").await;
    }
    let answer = ann.api(Method::DELETE, "/sessions").send().await.expect(200);
    assert_eq!(answer.json(), json!({"ended": 3}));
    for other in &others {
        other.check().await.expect(401);
    }
    ann.check().await.expect(200);
    bob.check().await.expect(200);
    let answer = ann.api(Method::DELETE, "/sessions").send().await.expect(200);
    assert_eq!(answer.json(), json!({"ended": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_every_session_of_everybody_in_one_step() {
    let app = TestApp::start().await;
    let everybody = [app.browser(), app.program()];
    everybody[0].join("ann@example.com").await;
    everybody[1].join("bob@example.com").await;
    app.store().revoke_all_sessions(cause(at(0))).await.unwrap();
    for who in &everybody {
        who.check().await.expect(401);
        who.try_visit().await.expect(401);
        who.log_out().await.expect(401);
    }
    everybody[0].log_in("ann@example.com").await;
    assert_eq!(sids(&everybody[0]).await, [everybody[0].sid()], "the new one alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_over_is_in_no_list() {
    let app = TestApp::start().await;
    let (ann, phone) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    phone.log_in("ann@example.com").await;
    app.pass(SignedDuration::from_mins(20));
    ann.visit().await;
    assert_eq!(sids(&ann).await.len(), 2);
    app.pass(SignedDuration::from_mins(10));
    assert_eq!(sids(&ann).await, [ann.sid()]);
    ann.reauthenticate(PASSWORD).await.expect(200);
    end(&ann, &phone.sid()).await.expect_problem(404, "no_such_session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_or_removed_account_is_out_at_once() {
    let app = TestApp::start().await;
    let (ann, phone) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    phone.log_in("ann@example.com").await;
    let id = app.account("ann@example.com").await.id;
    let store = app.store();
    store.set_account_state(id, AccountState::Disabled, cause(at(0))).await.unwrap();
    ann.check().await.expect(401);
    phone.try_visit().await.expect(401);
    ann.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect(401);
    store.set_account_state(id, AccountState::Active, cause(at(0))).await.unwrap();
    ann.check().await.expect(401);
    phone.check().await.expect(401);
    ann.log_in("ann@example.com").await;
    store.remove_account(id, cause(at(0))).await.unwrap();
    ann.check().await.expect(401);
    ann.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect(401);
}
