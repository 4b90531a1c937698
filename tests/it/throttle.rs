//! How many attempts there may be: at log-in, at sign-up, at a change of password, and from where.

use countersign::{
    config::{Config, Period},
    token::Algorithm,
};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, PASSWORD, TestApp, User, at_once, store::Outage};

/// Few attempts, so that tests need few.
fn strict(config: &mut Config) {
    config.login.attempts = 3;
    config.login.attempts_per_account = 6;
    config.login.attempts_per_address = 8;
}

/// The same behind a proxy, which is the test itself: it says where requests come from.
fn behind_a_proxy(config: &mut Config) {
    strict(config);
    config.server.trusted_proxies = serde_json::from_str("\"127.0.0.0/8\"").unwrap();
}

/// A log-in by the API, with what stands in `X-Forwarded-For`.
async fn from(who: &User, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    let asked = who.api(Method::POST, "/session").header("x-forwarded-for", address);
    asked.json(&body).send().await
}

async fn wrong(who: &User, email: &str) -> Answer {
    who.try_log_in(email, "a wrong password", json!({})).await
}

async fn fail(who: &User, email: &str, times: u32) {
    for _ in 0..times {
        wrong(who, email).await.expect_problem(401, "wrong_credentials");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_that_failed_too_often_waits_for_the_end_of_the_window() {
    let app = TestApp::with(strict).await;
    let ann = app.anonymous();
    ann.join("ann@example.com").await;
    fail(&ann, "ann@example.com", 2).await;
    app.pass(SignedDuration::from_mins(5));
    fail(&ann, "ann@example.com", 1).await;
    // Now the right password opens nothing either.
    let refused = ann.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect_no_cookie();
    let refused = refused.expect_problem(429, "too_many_attempts");
    assert_eq!(refused.header("retry-after"), "600");
    // As pages, too, for people and for scripts.
    let form = [("email", "ann@example.com"), ("password", PASSWORD)];
    let page = app.browser().post("/login", &form).await.expect_page(429).expect_no_cookie();
    assert_eq!(page.header("retry-after"), "600");
    assert!(page.text().contains("Too many attempts. Try again in 10 minutes."));
    let script = app.anonymous().request(Method::POST, "/login");
    let script = script.header("x-requested-with", "XMLHttpRequest").form(&form).send().await;
    assert_eq!((script.status, script.header("retry-after")), (429, "600"));

    // Who is logged in stays so.
    ann.visit().await;
    // To ask all the time does not make it longer.
    app.pass(SignedDuration::from_millis(599_999));
    let refused = wrong(&ann, "ann@example.com").await.expect_problem(429, "too_many_attempts");
    assert_eq!(refused.header("retry-after"), "1");
    app.pass(SignedDuration::from_millis(1));
    ann.log_in("ann@example.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_no_attempt() {
    let mut app = TestApp::with(strict).await;
    let ann = app.anonymous();
    ann.sign_up("ann@example.com").await.expect(201);
    fail(&ann, "ann@example.com", 2).await;
    app.restart().await;
    fail(&ann, "ann@example.com", 1).await;
    app.restart().await;
    let refused = ann.try_log_in("ann@example.com", PASSWORD, json!({})).await;
    refused.expect_problem(429, "too_many_attempts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_that_succeeds_begins_anew_but_not_for_the_address() {
    let app = TestApp::with(strict).await;
    let ann = app.program();
    ann.sign_up("ann@example.com").await.expect(201);
    for _ in 0..2 {
        fail(&ann, "ann@example.com", 2).await;
        ann.log_in("ann@example.com").await;
    }
    fail(&ann, "ann@example.com", 2).await;
    // The account has had its six by now, and the address, with two more, its eight.
    wrong(&ann, "ann@example.com").await.expect_problem(429, "too_many_attempts");
    fail(&ann, "bob@example.com", 2).await;
    wrong(&ann, "carol@example.com").await.expect_problem(429, "too_many_attempts");
}

/// Also in time: what is unknown is counted and refused as what is known.
#[tokio::test(flavor = "multi_thread")]
async fn whether_an_account_exists_makes_no_difference() {
    let app = TestApp::with(behind_a_proxy).await;
    let stranger = app.anonymous();
    stranger.sign_up("ann@example.com").await.expect(201);
    let mut told = Vec::new();
    for (email, address) in [("ann@example.com", "192.0.2.1"), ("nobody@example.com", "192.0.2.2")]
    {
        let mut answers = Vec::new();
        for n in 0..5 {
            let answer = from(&stranger, address, email, "a wrong password").await;
            assert_eq!(answer.status, if n < 3 { 401 } else { 429 }, "{email}");
            let mut headers = answer.headers.clone();
            for own in ["x-request-id", "date"] {
                headers.remove(own);
            }
            answers.push((answer.status, format!("{headers:?}"), answer.body));
        }
        told.push(answers);
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_locks_nobody_out() {
    let app = TestApp::with(behind_a_proxy).await;
    let (ann, eve) = (app.program(), app.anonymous());
    ann.sign_up("ann@example.com").await.expect(201);
    for n in 0..20 {
        let status = from(&eve, "192.0.2.66", "ann@example.com", "a wrong password").await.status;
        assert_eq!(status, if n < 3 { 401 } else { 429 });
    }
    // From elsewhere in her own network, too, which is one to us.
    let own = "2001:db8:1:2::";
    for n in 0..20 {
        let address = format!("{own}{n:x}");
        let status = from(&eve, &address, "bob@example.com", "a wrong password").await.status;
        assert_eq!(status, if n < 3 { 401 } else { 429 });
    }
    from(&eve, "2001:db8:1:3::1", "bob@example.com", "wrong").await.expect(401);
    from(&ann, "192.0.2.1", "ann@example.com", PASSWORD).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_one_account_from_many_places_come_to_an_end() {
    let app = TestApp::with(behind_a_proxy).await;
    let eve = app.anonymous();
    eve.sign_up("ann@example.com").await.expect(201);
    for n in 0..9 {
        let address = format!("192.0.2.{n}");
        let status = from(&eve, &address, "ann@example.com", "a wrong password").await.status;
        assert_eq!(status, if n < 6 { 401 } else { 429 });
    }
}

/// And they lock nobody out of a device that was logged in before, by a logout either.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_logged_in_before_gets_in_whatever_strangers_do() {
    let app = TestApp::with(behind_a_proxy).await;
    let (known, unknown, eve) = (app.browser(), app.browser(), app.anonymous());
    known.join("ann@example.com").await;
    known.log_out().await.expect(204);
    for n in 0..6 {
        let address = format!("203.0.113.{n}");
        from(&eve, &address, "ann@example.com", "a wrong password").await.expect(401);
    }
    for n in 0..3 {
        let address = format!("192.0.2.{n}");
        from(&unknown, &address, "ann@example.com", PASSWORD).await.expect(429);
        from(&known, &address, "ann@example.com", PASSWORD).await.expect(201);
    }
    // By the form, too; and it may try no more often than others.
    let form = [("email", "ann@example.com"), ("password", PASSWORD)];
    known.post("/login", &form).await.expect_redirect("/admin");
    for n in 0..5 {
        let status = from(&known, "192.0.2.9", "ann@example.com", "a wrong password").await.status;
        assert_eq!(status, if n < 3 { 401 } else { 429 });
    }
}

/// A device token is good for longer than any session token of the key that signed it.
#[tokio::test(flavor = "multi_thread")]
async fn another_algorithm_forgets_no_device() {
    let mut app = TestApp::with(behind_a_proxy).await;
    let (known, eve) = (app.browser(), app.anonymous());
    known.join("ann@example.com").await;
    known.log_out().await.expect(204);
    let day = SignedDuration::from_hours(24);
    app.pass(day);
    app.restart_with(|config| config.token.algorithm = Algorithm::Es256).await;
    let strangers = async || {
        for n in 0..6 {
            let address = format!("203.0.113.{n}");
            from(&eve, &address, "ann@example.com", "a wrong password").await.expect(401);
        }
        from(&eve, "203.0.113.7", "ann@example.com", PASSWORD).await.expect(429);
    };
    let forgotten = known.copy();
    app.pass(day * 44);
    app.restart().await;
    strangers().await;
    from(&known, "192.0.2.1", "ann@example.com", PASSWORD).await.expect(201);
    // By half of its time it was given another token, which is of the new key.
    app.pass(day * 46);
    app.restart().await;
    strangers().await;
    from(&forgotten, "192.0.2.1", "ann@example.com", PASSWORD).await.expect(429);
    from(&known, "192.0.2.1", "ann@example.com", PASSWORD).await.expect(201);
}

/// 50 log-ins with rotating headers from one peer (failures.md, 10).
#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_up_where_they_come_from() {
    let app = TestApp::with(strict).await;
    let eve = app.anonymous();
    let mut statuses = Vec::new();
    for n in 0..50 {
        let body = json!({"email": format!("user{n}@example.com"), "password": "a wrong password"});
        let mut asked = eve.api(Method::POST, "/session");
        for name in ["x-forwarded-for", "x-real-ip", "client-ip", "cf-connecting-ip"] {
            asked = asked.header(name, &format!("192.0.2.{n}"));
        }
        let asked = asked.header("forwarded", &format!("for=192.0.2.{n}"));
        statuses.push(asked.json(&body).send().await.status);
    }
    assert_eq!(statuses[..8], [401; 8]);
    assert_eq!(statuses[8..], [429; 42]);
}

/// Behind a trusted proxy, what the client wrote itself stands before what the proxy added.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_the_client_is_the_last_that_the_proxy_names() {
    let app = TestApp::with(behind_a_proxy).await;
    let eve = app.anonymous();
    for n in 0..5 {
        let address = format!("203.0.113.{n}, 192.0.2.66, 127.0.0.9");
        let status = from(&eve, &address, "ann@example.com", "a wrong password").await.status;
        assert_eq!(status, if n < 3 { 401 } else { 429 }, "{n}");
    }
    from(&eve, "192.0.2.1", "ann@example.com", "a wrong password").await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ups_have_limits_of_their_own() {
    let app = TestApp::with(|config| {
        behind_a_proxy(config);
        config.sign_up.attempts = 2;
        config.sign_up.attempts_per_address = 4;
        config.sign_up.window = Period::hours(1);
    })
    .await;
    let stranger = app.anonymous();
    let sign_up = async |email: &str, address: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        let asked = stranger.api(Method::POST, "/accounts").header("x-forwarded-for", address);
        asked.json(&body).send().await
    };
    for _ in 0..9 {
        sign_up("ann@example.com", "192.0.2.1", "short").await.expect(422);
    }
    sign_up("ann@example.com", "192.0.2.1", PASSWORD).await.expect(201);
    sign_up("ann@example.com", "192.0.2.2", PASSWORD).await.expect_problem(409, "email_taken");
    let refused = sign_up("ann@example.com", "192.0.2.3", PASSWORD).await;
    let refused = refused.expect_problem(429, "too_many_attempts");
    assert_eq!(refused.header("retry-after"), "3600");
    for n in 0..5 {
        let answer = sign_up(&format!("user{n}@example.com"), "192.0.2.1", PASSWORD).await;
        assert_eq!(answer.status, if n < 3 { 201 } else { 429 });
    }
    // By the form, too.
    let form = [("email", "late@example.com"), ("password", PASSWORD)];
    let posted = app.browser().request(Method::POST, "/signup");
    let posted = posted.header("x-forwarded-for", "192.0.2.1").form(&form).send().await;
    posted.expect_page(429).expect_no_cookie();
    // And none of it keeps anybody from logging in.
    from(&stranger, "192.0.2.1", "ann@example.com", PASSWORD).await.expect(201);
    app.pass(SignedDuration::from_hours(1));
    sign_up("late@example.com", "192.0.2.1", PASSWORD).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_current_password_is_a_failed_log_in() {
    let app = TestApp::with(strict).await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let change = async |current: &str| {
        let body = json!({"current": current, "new": "staple after staple"});
        ann.api(Method::PUT, "/account/password").json(&body).send().await
    };
    for _ in 0..2 {
        change("a wrong password").await.expect_problem(403, "wrong_password");
    }
    fail(&app.anonymous(), "ann@example.com", 1).await;
    change(PASSWORD).await.expect_problem(429, "too_many_attempts");
    wrong(&app.anonymous(), "ann@example.com").await.expect(429);
    app.pass(SignedDuration::from_mins(15));
    change(PASSWORD).await.expect(204);
}

/// A failure that cannot be recorded is not told, and no guess is checked that cannot be counted.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_counted_is_answered_503() {
    let app = TestApp::with(strict).await;
    let ann = app.anonymous();
    ann.join("ann@example.com").await;
    for outage in [Outage::Writes, Outage::All] {
        app.control.outage(outage);
        for email in ["ann@example.com", "nobody@example.com", "no address"] {
            wrong(&ann, email).await.expect_problem(503, "store_unavailable");
        }
        ann.sign_up("bob@example.com").await.expect_problem(503, "store_unavailable");
    }
    app.control.outage(Outage::None);
    fail(&ann, "ann@example.com", 3).await;
    wrong(&ann, "ann@example.com").await.expect(429);
}

/// Of many guesses at once no more are checked than there may be, and all are answered.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_guesses_at_once_are_three() {
    let app = TestApp::with(|config| {
        strict(config);
        config.password.parallel = Some(2);
    })
    .await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let guesses = at_once((0..500).map(|_| {
        let eve = app.anonymous();
        async move { wrong(&eve, "ann@example.com").await }
    }));
    let checks = async {
        for _ in 0..50 {
            ann.check().await.expect(200);
        }
    };
    let (answers, ()) = tokio::join!(guesses, checks);
    let mut counts = std::collections::BTreeMap::<u16, u32>::new();
    for answer in answers {
        if answer.status == 503 {
            answer.clone().expect_problem(503, "busy");
        }
        *counts.entry(answer.status).or_default() += 1;
    }
    assert_eq!(counts.remove(&401), Some(3), "{counts:?}");
    assert!(counts.keys().all(|status| [429, 503].contains(status)), "{counts:?}");
}
