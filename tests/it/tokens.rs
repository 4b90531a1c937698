//! The life of tokens: when they end, which keys sign them, who can verify them. What is done to
//! them by attackers is in `attacks`.

use std::fs;

use countersign::{model::Role, token::Algorithm};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    attacks::{forge::private_keys, signature::other_spelling},
    support::{TestApp, User, claims, header, routes, routes::Route},
};

fn protected() -> Vec<Route> {
    let mut routes = routes::operations();
    routes.retain(|route| route.protected);
    assert!(routes.len() >= 8, "{routes:?}");
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn no_protected_route_opens_without_a_token_and_each_does_with_one() {
    let app = TestApp::start().await;
    let bare = app.anonymous();
    for route in protected() {
        let refused = route.ask(&bare).send().await.expect_problem(401, "not_signed_in");
        assert_eq!(refused.set_cookies().len(), 0);
    }
    let ann = app.program();
    for route in protected() {
        // One of them closes the account.
        let made = ann.sign_up("ann@example.com").await.status;
        assert!([201, 409].contains(&made), "{made}");
        app.set_role("ann@example.com", Role::Admin).await;
        ann.log_in("ann@example.com").await;
        let answer = route.ask(&ann).send().await;
        let refused_later = route.path.contains(routes::NO_ACCOUNT)
            || ["endSession", "changePassword", "reauthenticate"].contains(&route.id.as_str());
        assert_eq!(answer.status < 300, !refused_later, "{} {}", route.id, answer.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_it_is_not_used() {
    let app = TestApp::start().await;
    let (ann, program) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    program.log_in("ann@example.com").await;
    let first = ann.copy();
    for _ in 0..3 {
        app.pass(SignedDuration::from_mins(29));
        ann.visit().await;
        program.visit().await;
    }
    first.check().await.expect(401);
    app.pass(SignedDuration::from_mins(30) - SignedDuration::from_millis(1));
    ann.check().await.expect(200);
    program.check().await.expect(200);
    let (stale, program_stale) = (ann.copy(), program.copy());
    app.pass(SignedDuration::from_mins(30));
    for who in [ann, program, stale, program_stale] {
        who.check().await.expect(401);
        who.try_visit().await.expect(401);
        who.log_out().await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_whatever_happens() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let born = claims(&ann.token())["auth_time"].clone();
    let twenty = SignedDuration::from_mins(20);
    for _ in 0..35 {
        app.pass(twenty);
        ann.visit().await;
        assert_eq!(claims(&ann.token())["auth_time"], born);
    }
    app.pass(twenty - SignedDuration::from_millis(1));
    ann.visit().await;
    app.pass(SignedDuration::from_millis(1));
    ann.check().await.expect(401);
    ann.try_visit().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_to_be_remembered_is_for_longer_and_not_for_ever() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.sign_up("ann@example.com").await.expect(201);
    ann.log_in_with("ann@example.com", json!({"remember": true})).await;
    let idle_end = ann.copy();
    app.pass(SignedDuration::from_hours(24 * 13));
    ann.visit().await;
    app.pass(SignedDuration::from_hours(24 * 13));
    ann.visit().await;
    idle_end.check().await.expect(401);
    app.pass(SignedDuration::from_hours(24 * 4) - SignedDuration::from_millis(1));
    ann.check().await.expect(200);
    app.pass(SignedDuration::from_millis(1));
    ann.check().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_another_port_logs_nobody_out() {
    let mut app = TestApp::start().await;
    let (ann, program) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    program.log_in("ann@example.com").await;
    ann.visit().await;
    let before = app.address();
    app.restart().await;
    assert_ne!(app.address().port(), before.port());
    assert_eq!(ann.visit().await, 2);
    assert_eq!(program.visit().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_algorithm_signs_new_tokens_and_old_keys_verify_until_their_last_token() {
    let mut app = TestApp::start().await;
    let mut users: Vec<(User, &str)> = Vec::new();
    app.anonymous().sign_up("ann@example.com").await.expect(201);
    for (algorithm, name) in [
        (Algorithm::EdDsa, "EdDSA"),
        (Algorithm::Es256, "ES256"),
        (Algorithm::Hs256, "HS256"),
        (Algorithm::EdDsa, "EdDSA"),
    ] {
        app.restart_with(|config| config.token.algorithm = algorithm).await;
        for (user, signed_with) in &users {
            assert_eq!(header(&user.token())["alg"], *signed_with);
            user.check().await.expect(200);
        }
        let ann = app.program();
        ann.log_in("ann@example.com").await;
        assert_eq!(header(&ann.token())["alg"], name);
        users.push((ann, name));

        let jwks = app.anonymous().get("/.well-known/jwks.json").await.expect(200);
        assert_eq!(jwks.header("content-type"), "application/jwk-set+json");
        let keys = jwks.json()["keys"].as_array().unwrap().clone();
        assert!(!keys.is_empty());
        for key in &keys {
            assert!(key["kty"] == "OKP" || key["kty"] == "EC", "no HMAC key: {key}");
        }
        for private in private_keys(app.data_dir()) {
            for secret in [&private["d"], &private["k"]] {
                if let Some(secret) = secret.as_str() {
                    assert!(!jwks.mentions(secret), "a secret is published");
                }
            }
        }
    }
    // Used, each goes on with a token of the key that signs now.
    for (user, _) in &users {
        user.visit().await;
        assert_eq!(header(&user.token())["alg"], "EdDSA");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_service_can_verify_a_token_by_the_published_keys() {
    for (algorithm, name) in [
        (Algorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA),
        (Algorithm::Es256, jsonwebtoken::Algorithm::ES256),
    ] {
        let app = TestApp::with(|config| config.token.algorithm = algorithm).await;
        let ann = app.browser();
        ann.join("ann@example.com").await;
        let jwks = app.anonymous().get("/.well-known/jwks.json").await.expect(200);
        let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&jwks.body).unwrap();
        let verify = |token: &str| {
            let kid = header(token)["kid"].as_str().unwrap().to_owned();
            let key = jsonwebtoken::DecodingKey::from_jwk(jwks.find(&kid).unwrap()).unwrap();
            let mut validation = jsonwebtoken::Validation::new(name);
            validation.set_audience(&["http://localhost:3000"]);
            validation.set_issuer(&["http://localhost:3000"]);
            // The tokens are of the test's clock.
            validation.validate_exp = false;
            #[expect(
                clippy::disallowed_methods,
                reason = "an independent verifier: it shares no code with token/"
            )]
            let decoded = jsonwebtoken::decode::<Value>(token, &key, &validation);
            decoded.map(|token| token.claims)
        };
        let token = ann.token();
        assert_eq!(verify(&token).unwrap(), claims(&token));
        let forged = format!("{}A", &token[..token.len() - 2]);
        assert!(verify(&forged).is_err());
        let thumbprint = jwks.keys[0].thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);
        assert_eq!(header(&token)["kid"], thumbprint.unwrap(), "RFC 7638");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_store_revives_nobody() {
    let mut app = TestApp::start().await;
    let (ann, program) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    program.log_in("ann@example.com").await;
    app.stop().await;
    // The keys stay: the signatures are good.
    for entry in fs::read_dir(app.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        let holds_keys = path.is_dir() && !private_keys(&path).is_empty();
        if path.is_dir() && !holds_keys {
            fs::remove_dir_all(path).unwrap();
        }
    }
    app.restart().await;
    assert!(app.snapshot().await.is_empty(), "it is wiped");
    let fresh = app.program();
    fresh.join("bob@example.com").await;
    assert_eq!(header(&fresh.token())["kid"], header(&ann.token())["kid"], "the same key");
    for who in [ann, program] {
        who.check().await.expect_problem(401, "not_signed_in");
        who.try_visit().await.expect_problem(401, "not_signed_in");
        who.log_out().await.expect_problem(401, "not_signed_in");
    }
    assert_eq!(app.snapshot().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malleated_signature_is_as_dead_as_its_session() {
    let app = TestApp::with(|config| config.token.algorithm = Algorithm::Es256).await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    let twin = app.program();
    twin.take(&other_spelling(&ann.token()));
    assert_ne!(twin.token(), ann.token());
    // As good a signature as the other (Wycheproof 18 and 378); it is the session that is ended.
    twin.check().await.expect(200);
    ann.log_out().await.expect(204);
    ann.check().await.expect(401);
    twin.check().await.expect(401);
}
