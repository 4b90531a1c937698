//! Tokens that were good once: of sessions that have ended, and of a chain that has moved on.

use countersign::model::session::ReplayPolicy;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use super::{
    Attack,
    doors::{Door, doors},
    forge::key_of,
};
use crate::support::{PASSWORD, TestApp, User, claims, header};

async fn refused_everywhere(app: &TestApp, doors: &[Door], what: &str, tokens: &[String]) {
    let before = app.snapshot().await;
    for (nth, token) in tokens.iter().enumerate() {
        let attack = Attack::token(format!("{what}, token {nth}"), token.clone());
        for door in doors {
            door.refuses(app, &attack).await;
        }
    }
    assert_eq!(app.snapshot().await, before, "{what}");
}

/// All tokens that this session has had: of the log-in, of two visits, and one that the forge signs.
async fn tokens_of(app: &TestApp, who: &User) -> Vec<String> {
    let mut tokens = vec![who.token()];
    for _ in 0..2 {
        who.visit().await;
        tokens.push(who.token());
    }
    let mut forged = claims(&who.token());
    forged["visits"] = 1_000.into();
    tokens.push(key_of(app, &header(&who.token())["kid"]).sign_claims(&forged));
    tokens
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_of_an_ended_session_opens_any_route() {
    let app = TestApp::start().await;
    let owner = app.browser();
    owner.sign_up("ann@example.com").await.expect(201);
    for by_cookie in [true, false] {
        owner.log_in("ann@example.com").await;
        let doors = doors(&app, by_cookie).await;
        let new = async || {
            let who = if by_cookie { app.browser() } else { app.program() };
            who.log_in("ann@example.com").await;
            let tokens = tokens_of(&app, &who).await;
            for token in &tokens {
                doors[0].control(&app, token).await;
            }
            (who, tokens)
        };

        let (who, tokens) = new().await;
        who.log_out().await.expect(204);
        refused_everywhere(&app, &doors, "after a log-out", &tokens).await;

        let (who, tokens) = new().await;
        let end = format!("/sessions/{}", who.sid());
        owner.api(Method::DELETE, &end).send().await.expect(204);
        refused_everywhere(&app, &doors, "ended by another session", &tokens).await;

        let (_, tokens) = new().await;
        owner.api(Method::DELETE, "/sessions").send().await.expect(200);
        refused_everywhere(&app, &doors, "ended with all others", &tokens).await;

        let (who, tokens) = new().await;
        who.log_in("ann@example.com").await;
        refused_everywhere(&app, &doors, "replaced by a log-in", &tokens).await;
        who.check().await.expect(200);

        let (_, tokens) = new().await;
        let body = json!({"current": PASSWORD, "new": PASSWORD});
        let changed = owner.api(Method::PUT, "/account/password").json(&body).send().await;
        changed.expect(204);
        refused_everywhere(&app, &doors, "after a new password", &tokens).await;

        let (_, tokens) = new().await;
        app.pass(SignedDuration::from_mins(20));
        owner.visit().await;
        app.pass(SignedDuration::from_mins(20));
        refused_everywhere(&app, &doors, "not used", &tokens).await;
        owner.check().await.expect(200);
    }
}

/// An older token of a living session is excused for the grace, on every route, and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_that_the_chain_has_left_behind_opens_any_route() {
    let app = TestApp::with(|config| config.replay.policy = ReplayPolicy::Refuse).await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let mut doors = doors(&app, true).await;
    // Either holder may end the session.
    doors.retain(|door| !["logOut", "POST /logout"].contains(&door.id()));
    let old = tokens_of(&app, &ann).await;
    let left_behind = [old[0].clone()];
    for token in &old[..3] {
        doors[0].control(&app, token).await;
    }
    app.pass(SignedDuration::from_secs(59));
    doors[0].control(&app, &left_behind[0]).await;
    app.pass(SignedDuration::from_secs(2));
    ann.visit().await;
    app.pass(SignedDuration::from_secs(61));
    ann.visit().await;
    refused_everywhere(&app, &doors, "left behind", &left_behind).await;
    ann.check().await.expect(200);
}
