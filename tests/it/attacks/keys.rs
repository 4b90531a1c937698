//! Keys that were good once, and good keys in the wrong place.

use countersign::token::Algorithm;
use jiff::SignedDuration;
use serde_json::json;

use super::{
    Attack,
    doors::{Door, doors},
    forge::{Key, key_of},
};
use crate::support::{TestApp, User, claims, header};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn key_behind(app: &TestApp, who: &User) -> Key {
    key_of(app, &header(&who.token())["kid"])
}

/// The claims of `who`'s newest token, signed with `key` by somebody who has stolen it.
fn stolen(key: &Key, who: &User) -> String {
    key.sign_claims(&claims(&who.token()))
}

async fn refused_everywhere(app: &TestApp, doors: &[Door], what: &str, token: String) {
    let before = app.snapshot().await;
    let attack = Attack::token(what, token);
    for door in doors {
        door.refuses(app, &attack).await;
    }
    assert_eq!(app.snapshot().await, before, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_verifies_until_its_end() {
    let mut app = TestApp::start().await;
    let ann = app.program();
    ann.sign_up("ann@example.com").await.expect(201);
    ann.log_in_with("ann@example.com", json!({"remember": true})).await;
    let old = key_behind(&app, &ann);
    app.restart_with(|config| config.token.algorithm = Algorithm::Es256).await;
    let doors = doors(&app, false).await;
    ann.visit().await;
    let new = key_behind(&app, &ann);
    assert_ne!(old.kid, new.kid);
    // The longest token of the old key lives for fourteen days.
    app.pass(DAY * 13);
    ann.visit().await;
    for key in [&old, &new] {
        doors[0].control(&app, &stolen(key, &ann)).await;
    }
    app.pass(DAY + SignedDuration::from_secs(1));
    ann.visit().await;
    doors[0].control(&app, &stolen(&new, &ann)).await;
    refused_everywhere(&app, &doors, "signed with a retired key", stolen(&old, &ann)).await;
    let jwks = app.anonymous().get("/.well-known/jwks.json").await.expect(200);
    assert!(!jwks.mentions(&old.kid) && jwks.mentions(&new.kid), "published no longer");
    ann.check().await.expect(200);
}

/// What an operator does whose key was stolen.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_away_takes_its_tokens_along() {
    let mut app = TestApp::start().await;
    let (ann, bob) = (app.program(), app.program());
    ann.join("ann@example.com").await;
    let stolen_key = key_behind(&app, &ann);
    app.restart_with(|config| config.token.algorithm = Algorithm::Es256).await;
    bob.join("bob@example.com").await;
    doors(&app, false).await[0].control(&app, &ann.token()).await;
    app.stop().await;
    let file = format!("{}.json", stolen_key.kid);
    std::fs::remove_file(app.data_dir().join("keys").join(file)).unwrap();
    app.restart().await;
    let doors = doors(&app, false).await;
    refused_everywhere(&app, &doors, "its own token", ann.token()).await;
    refused_everywhere(&app, &doors, "a new token", stolen(&stolen_key, &bob)).await;
    bob.check().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_another_address_is_for_another_service() {
    let mut app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    app.restart_with(|config| config.public_url = "http://127.0.0.1:3000".parse().unwrap()).await;
    let doors = doors(&app, false).await;
    refused_everywhere(&app, &doors, "for the old address", ann.token()).await;
    // The same key, the same session: the address alone is another.
    let mut claims = claims(&ann.token());
    for name in ["iss", "aud"] {
        refused_everywhere(&app, &doors, name, key_behind(&app, &ann).sign_claims(&claims)).await;
        claims[name] = "http://127.0.0.1:3000".into();
    }
    doors[0].control(&app, &key_behind(&app, &ann).sign_claims(&claims)).await;
}
