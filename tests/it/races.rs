//! What happens at the same time.

use std::time::{Duration, Instant};

use countersign::{
    model::{AccountState, PasswordHash},
    store::PasswordChange,
};
use reqwest::Method;
use serde_json::json;

use crate::store_world::{at, cause};
use crate::support::{Op, PASSWORD, TestApp, User, When, at_once};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_parallel_visits_are_two_hundred() {
    let app = TestApp::start().await;
    let (ann, program) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    program.log_in("ann@example.com").await;
    for who in [ann, program] {
        let mut numbers = at_once((0..200).map(|_| who.visit())).await;
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=200).collect::<Vec<_>>(), "each its own number");
        assert_eq!(who.check().await.expect(200).json()["visits"], 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_api_count_into_one_counter() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    at_once((0..60).map(|n| {
        let ann = ann.clone();
        async move { if n % 2 == 0 { ann.open_admin().await } else { ann.visit().await } }
    }))
    .await;
    assert_eq!(ann.visit().await, 61);
}

/// Begins a visit and leaves it where it is held.
async fn begin(who: &User, path: &'static str) -> tokio::task::JoinHandle<crate::support::Answer> {
    let draft = if path == "/admin" {
        who.request(Method::GET, path)
    } else {
        who.request(Method::POST, path)
    };
    tokio::spawn(draft.send())
}

const VISITS: [&str; 2] = ["/admin", "/api/v1/session/visits"];

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_that_ends_after_the_logout_sets_no_cookie_and_revives_nothing() {
    for path in VISITS {
        let app = TestApp::start().await;
        let ann = app.browser();
        ann.join("ann@example.com").await;
        let (tab, copy) = (ann.copy(), ann.copy());

        let gate = app.control.hold(Op::Visit, When::After);
        let late = begin(&tab, path).await;
        gate.reached(1).await;
        ann.log_out().await.expect(204);
        gate.open();
        // It was counted before the end, so it may say so; it must not hand out a token.
        let answer = late.await.unwrap().expect_no_cookie();
        assert!([200, 401].contains(&answer.status), "{}", answer.status);
        for dead in [&tab, &copy] {
            dead.check().await.expect(401);
        }
        assert!(app.snapshot().await[0].2.is_empty(), "no session is there");
        assert_eq!(app.snapshot().await[0].1, 1, "the visit was counted once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_that_begins_before_the_logout_and_counts_after_it_is_refused() {
    for path in VISITS {
        let app = TestApp::start().await;
        let ann = app.browser();
        ann.join("ann@example.com").await;
        let tab = ann.copy();

        let gate = app.control.hold(Op::Visit, When::Before);
        let late = begin(&tab, path).await;
        gate.reached(1).await;
        ann.log_out().await.expect(204);
        gate.open();
        late.await.unwrap().expect(401).expect_no_cookie();
        tab.check().await.expect(401);
        assert!(app.snapshot().await[0].2.is_empty());
        assert_eq!(app.snapshot().await[0].1, 0, "nothing was counted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_ends_after_the_logout_sets_no_cookie() {
    for when in [When::Before, When::After] {
        let app = TestApp::start().await;
        let ann = app.browser();
        ann.join("ann@example.com").await;
        app.pass(jiff::SignedDuration::from_mins(20));
        let (tab, copy) = (ann.copy(), ann.copy());
        let gate = app.control.hold(Op::Renew, when);
        let late = tokio::spawn(tab.api(Method::GET, "/session").send());
        gate.reached(1).await;
        ann.log_out().await.expect(204);
        gate.open();
        late.await.unwrap().expect_no_cookie();
        for dead in [&tab, &copy] {
            dead.check().await.expect(401);
        }
        assert!(app.snapshot().await[0].2.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_that_ends_after_its_session_did_sets_no_cookie() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.sign_up("ann@example.com").await.expect(201);
    let gate = app.control.hold(Op::CreateSession, When::After);
    let login = ann.api(Method::POST, "/session");
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let late = tokio::spawn(login.json(&body).send());
    gate.reached(1).await;
    let id = app.account("ann@example.com").await.id;
    app.store().set_account_state(id, AccountState::Disabled, cause(at(0))).await.unwrap();
    gate.open();
    late.await.unwrap().expect_no_cookie();
    assert!(app.snapshot().await[0].2.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_that_races_a_disable_or_a_password_change_loses() {
    for disable in [true, false] {
        let app = TestApp::start().await;
        let ann = app.browser();
        ann.sign_up("ann@example.com").await.expect(201);
        let account = app.account("ann@example.com").await;
        let gate = app.control.hold(Op::CreateSession, When::Before);
        let login = ann.api(Method::POST, "/session");
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let late = tokio::spawn(login.json(&body).send());
        gate.reached(1).await;
        if disable {
            let state = AccountState::Disabled;
            app.store().set_account_state(account.id, state, cause(at(0))).await.unwrap();
        } else {
            let new =
                PasswordHash::new("$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWE".into());
            let changed = app
                .store()
                .change_password(account.id, None, new, None, cause(at(0)))
                .await
                .unwrap();
            assert_eq!(changed, PasswordChange::Changed { ended: 0, session: None });
        }
        gate.open();
        late.await.unwrap().expect_problem(401, "wrong_credentials").expect_no_cookie();
        assert!(app.snapshot().await[0].2.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_parallel_logouts_of_a_hundred_sessions_take_no_time() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.sign_up("ann@example.com").await.expect(201);
    let users: Vec<_> = (0..100).map(|_| app.program()).collect();
    at_once(users.iter().cloned().map(|who| async move {
        who.log_in("ann@example.com").await;
    }))
    .await;
    let started = Instant::now();
    let answers =
        at_once(users.iter().cloned().map(|who| async move { who.log_out().await })).await;
    let took = started.elapsed();
    for answer in answers {
        answer.expect(204);
    }
    assert!(took < Duration::from_secs(20), "{took:?}");
    at_once(users.into_iter().map(|who| async move {
        who.check().await.expect(401);
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_logouts_of_one_session_one_is_the_one() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let tabs: Vec<_> = (0..100).map(|_| ann.copy()).collect();
    let answers = at_once(tabs.into_iter().map(|tab| async move { tab.log_out().await })).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(204), count(401)), (1, 99));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_answer_to_a_logout_no_visit_is_answered() {
    let app = TestApp::start().await;
    for round in 0..10 {
        let ann = app.browser();
        ann.join(&format!("ann{round}@example.com")).await;
        let tabs: Vec<_> = (0..16).map(|_| ann.copy()).collect();
        let visiting = tabs.iter().cloned().map(|tab| async move {
            // Until the first refusal, and none is good after it.
            let mut good = 0_u64;
            while tab.try_visit().await.status == 200 {
                good += 1;
            }
            for _ in 0..2 {
                tab.try_visit().await.expect(401).expect_no_cookie();
            }
            good
        });
        let tasks: Vec<_> = visiting.map(tokio::spawn).collect();
        for _ in 0..3 {
            ann.visit().await;
        }
        ann.log_out().await.expect(204);
        // Begun after the answer: refused, all of them.
        at_once(tabs.iter().map(User::copy).map(|tab| async move {
            tab.check().await.expect(401);
            tab.try_visit().await.expect(401);
        }))
        .await;
        let mut good = 3;
        for task in tasks {
            good += task.await.unwrap();
        }
        let snapshot = app.snapshot().await;
        let account =
            snapshot.iter().find(|(a, ..)| a.email.as_str() == format!("ann{round}@example.com"));
        let (_, visits, sessions) = account.unwrap();
        assert!(sessions.is_empty());
        assert_eq!(*visits, good, "answered visits, each once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_account_has_more_sessions_than_allowed_and_the_oldest_goes() {
    let app = TestApp::with(|config| config.session.max_per_account = 3).await;
    let ann = app.program();
    ann.sign_up("ann@example.com").await.expect(201);
    let mut users = Vec::new();
    for _ in 0..4 {
        app.pass(jiff::SignedDuration::from_secs(1));
        let user = app.program();
        user.log_in("ann@example.com").await;
        users.push(user);
    }
    users[0].check().await.expect(401);
    for user in &users[1..] {
        user.check().await.expect(200);
    }
    at_once((0..20).map(|_| {
        let user = app.program();
        async move {
            user.log_in("ann@example.com").await;
        }
    }))
    .await;
    assert_eq!(app.snapshot().await[0].2.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_who_sign_up_with_one_address_one_has_it() {
    let app = TestApp::start().await;
    let answers = at_once((0..20).map(|_| {
        let user = app.anonymous();
        async move { user.sign_up("ann@example.com").await.status }
    }))
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 409).count(), 19);
    assert_eq!(app.snapshot().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_racing_password_changes_wins() {
    let app = TestApp::start().await;
    let (one, two) = (app.program(), app.program());
    one.join("ann@example.com").await;
    two.log_in("ann@example.com").await;
    let change = |who: &User, new: &'static str| {
        let who = who.clone();
        async move { who.change_password(PASSWORD, new).await.status }
    };
    let answers =
        at_once([change(&one, "the first new password"), change(&two, "the second new password")])
            .await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    let alive = [&one, &two].map(|who| {
        let who = who.clone();
        async move { who.check().await.status }
    });
    let alive = at_once(alive).await;
    assert_eq!(alive.iter().filter(|status| **status == 200).count(), 1, "{alive:?}");
}
