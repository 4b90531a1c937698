//! The attack corpus: every recipe of `tests/vectors/attacks.json`, and what the file does not have,
//! over HTTP on every protected route.
//!
//! Each attack stands beside its positive control: the token that was not touched opens every route,
//! so does one that the forge signed anew, and afterwards the session goes on as if nothing had
//! been. What somebody with an attack is told is, to the byte, what somebody without any token is
//! told; and the store is the same before and after each recipe.
//!
//! | file | what it has |
//! |---|---|
//! | `recipes` | the file's entries, and how they are read; class A and C |
//! | `signature`, `claims`, `spelling`, `transport` | classes B, D, E and F, and what the file lacks |
//! | `redirects` | class F: where a redirect leads |
//! | `ended`, `keys` | tokens that were good once |
//! | `edits` | thousands of random edits of a living token |
//! | `doors` | the routes, and what they tell a stranger |
//! | `forge` | signing whatever one likes |
//!
//! To add an attack: a recipe in the file, or a line in `more` of its class.

mod claims;
mod doors;
mod edits;
mod ended;
pub(crate) mod forge;
mod keys;
mod recipes;
mod redirects;
pub(crate) mod signature;
mod spelling;
mod transport;

use countersign::token::Algorithm;
use serde_json::Value;
use tokio::net::TcpListener;

use self::{
    doors::doors,
    forge::{Key, key_of, keys_of},
    recipes::Plan,
};
use crate::support::{TestApp, User, claims as claims_of, header as header_of};

/// What is sent in place of a good token.
enum Shown {
    /// This, where the good token would be.
    Token(String),
    /// These headers.
    Headers(Vec<(&'static str, Vec<u8>)>),
    /// Nothing, but this after the path.
    Query(String),
    /// Nothing, and this added to the path to the letter.
    Path(&'static str),
    /// Nothing, but this body.
    Body(Value),
    /// Bytes that no client sends, where the good token would be.
    Raw(Vec<u8>),
}

/// What must come of it.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// What somebody without any token is told.
    Refused,
    /// 400 with this code.
    Code(&'static str),
    /// 400 or 431, or the end of the connection.
    TooLarge,
    /// 400, from whoever reads HTTP.
    NoHttp,
    /// 404; or 401 or 405 where the address has room for anything.
    NotThere,
}

struct Attack {
    name: String,
    shown: Shown,
    expected: Expected,
}

impl Attack {
    fn refused(name: impl Into<String>, shown: Shown) -> Self {
        Self { name: name.into(), shown, expected: Expected::Refused }
    }

    fn token(name: impl Into<String>, token: String) -> Self {
        Self::refused(name, Shown::Token(token))
    }

    fn tokens(id: &str, tokens: Vec<String>) -> Vec<Self> {
        let numbered = tokens.into_iter().enumerate();
        numbered.map(|(nth, token)| Self::token(format!("{id}, {nth}"), token)).collect()
    }

    fn coded(name: impl Into<String>, shown: Shown, code: &'static str) -> Self {
        Self { name: name.into(), shown, expected: Expected::Code(code) }
    }

    fn too_large(name: String, token: String) -> Self {
        Self { name, shown: Shown::Token(token), expected: Expected::TooLarge }
    }

    fn lost(name: String, shown: Shown) -> Self {
        Self { name, shown, expected: Expected::NotThere }
    }

    fn raw(name: String, bytes: Vec<u8>) -> Self {
        Self { name, shown: Shown::Raw(bytes), expected: Expected::NoHttp }
    }
}

/// What attacks start from.
struct Scene {
    by_cookie: bool,
    /// A token of a living session, taken apart.
    good: String,
    header: Value,
    claims: Value,
    /// The key that signed it.
    key: Key,
    /// Another key of the server, or a name of none.
    other_kid: String,
    /// A key whose public half is published.
    published: Key,
    /// A key of the attacker's, of the same kind.
    stranger: Key,
    /// A token of somebody else's living session, and what it says.
    other: String,
    others_claims: Value,
    /// A token of a session of the same account that travels the other way.
    elsewhere: String,
    /// A token of a session of the same account that has ended, and that session.
    ended: String,
    ended_sid: String,
    /// A port of ours where nobody must ever come.
    listener: u16,
}

impl Scene {
    fn parts(&self) -> [&str; 3] {
        let parts: Vec<&str> = self.good.split('.').collect();
        parts.try_into().expect("three parts")
    }
}

/// How the keys came to be what they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// There was never another.
    One,
    /// The algorithm was changed, and the session is newer than that.
    Changed(Algorithm),
    /// The algorithm was changed, and the session is older than that.
    Retired,
}

/// How many requests a test makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Breadth {
    /// Every attack on every route; where a recipe has hundreds, as [`Breadth::Sample`].
    Full,
    /// Every attack on one route, and on each other route a sample that is another each time.
    Sample,
}

const EMAILS: [&str; 2] = ["ann@example.com", "annabel@example.com"];

/// All attacks on a service with such keys, by cookie and by bearer token.
async fn siege(keys: Keys, breadth: Breadth) {
    let mut app = TestApp::start().await;
    let bob = app.program();
    bob.join("bob@example.com").await;
    let users = [(app.browser(), app.program()), (app.program(), app.browser())];
    for ((ann, _), email) in users.iter().zip(EMAILS) {
        ann.join(email).await;
    }
    match keys {
        Keys::One => {}
        Keys::Changed(algorithm) => {
            app.restart_with(|config| config.token.algorithm = algorithm).await;
            for ((ann, _), email) in users.iter().zip(EMAILS) {
                ann.log_in(email).await;
            }
        }
        Keys::Retired => {
            app.restart_with(|config| config.token.algorithm = Algorithm::Es256).await;
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for ((ann, tablet), email) in users.iter().zip(EMAILS) {
        let phone = if ann.is_browser() { app.browser() } else { app.program() };
        phone.log_in(email).await;
        let ended = phone.token();
        phone.log_out().await.expect(204);
        tablet.log_in(email).await;
        let scene = Scene::of(&app, ann, tablet, &bob, ended, &listener);
        assert_eq!(scene.key.kid != key_of_new_session(&app).await, keys == Keys::Retired);
        attack(&app, ann, &scene, breadth).await;
    }
    // Nobody came by.
    let came = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
    assert!(came.is_err(), "something was fetched: {came:?}");
}

async fn key_of_new_session(app: &TestApp) -> String {
    let bob = app.program();
    bob.log_in("bob@example.com").await;
    header_of(&bob.token())["kid"].as_str().unwrap().to_owned()
}

impl Scene {
    fn of(
        app: &TestApp,
        ann: &User,
        tablet: &User,
        bob: &User,
        ended: String,
        listener: &TcpListener,
    ) -> Self {
        let (good, other) = (ann.token(), bob.token());
        let header = header_of(&good);
        let key = key_of(app, &header["kid"]);
        let published = keys_of(app).into_iter().find(|key| key.alg != "HS256");
        let other_kid = keys_of(app).into_iter().find(|other| other.kid != key.kid);
        Self {
            by_cookie: ann.is_browser(),
            header,
            claims: claims_of(&good),
            stranger: key.stranger(),
            other_kid: other_kid.map_or_else(|| "A".repeat(43), |key| key.kid),
            published: published.expect("the first key is of Ed25519"),
            key,
            others_claims: claims_of(&other),
            other,
            elsewhere: tablet.token(),
            ended_sid: claims_of(&ended)["sid"].as_str().unwrap().to_owned(),
            ended,
            listener: listener.local_addr().unwrap().port(),
            good,
        }
    }
}

/// All attacks on one session.
async fn attack(app: &TestApp, ann: &User, scene: &Scene, breadth: Breadth) {
    let doors = doors(app, scene.by_cookie).await;
    doors::open_with_a_good_token(app, scene.by_cookie).await;
    // Untouched, and signed anew by the forge.
    for token in [scene.good.clone(), scene.key.sign_claims(&scene.claims)] {
        doors[0].control(app, &token).await;
    }
    let mut planned: Vec<(String, Vec<Attack>)> = Vec::new();
    let mut twins = Vec::new();
    for recipe in recipes::all() {
        match recipe.plan(scene) {
            Plan::Refused(attacks) => planned.push((recipe.id, attacks)),
            Plan::Twin(token) => twins.push(token),
            Plan::Elsewhere | Plan::Nothing(_) => {}
        }
    }
    planned.push(("claims".into(), claims::more(scene)));
    planned.push(("spelling".into(), spelling::more(scene)));
    planned.push(("transport".into(), transport::more(scene)));

    for (id, attacks) in &planned {
        let before = app.snapshot().await;
        let sampled = breadth == Breadth::Sample || attacks.len() > 100;
        for (index, attack) in attacks.iter().enumerate() {
            for (nth, door) in doors.iter().enumerate() {
                if sampled && nth > 0 && index % doors.len() != nth {
                    continue;
                }
                door.refuses(app, attack).await;
            }
        }
        assert_eq!(app.snapshot().await, before, "{id} changed something");
    }
    for twin in &twins {
        doors[0].control(app, twin).await;
    }

    // The session lives, and when it has ended, every spelling of it is dead.
    doors[0].control(app, &scene.good).await;
    let before = claims_of(&scene.good)["visits"].as_u64().unwrap();
    assert_eq!(ann.visit().await, before + 1, "no attack counted");
    twins.extend([scene.good.clone(), ann.token(), scene.key.sign_claims(&scene.claims)]);
    ann.log_out().await.expect(204);
    for dead in twins {
        let dead = Attack::token("after the log-out", dead);
        for door in &doors {
            door.refuses(app, &dead).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recipe_is_refused_with_one_key() {
    siege(Keys::One, Breadth::Full).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recipe_is_refused_after_a_key_change() {
    siege(Keys::Changed(Algorithm::Es256), Breadth::Sample).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recipe_is_refused_with_a_shared_secret() {
    siege(Keys::Changed(Algorithm::Hs256), Breadth::Sample).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recipe_is_refused_when_the_key_is_a_retired_one() {
    siege(Keys::Retired, Breadth::Sample).await;
}

/// None is skipped in silence: what means nothing here is counted, by name.
#[tokio::test(flavor = "multi_thread")]
async fn every_recipe_of_the_file_has_its_attack_or_its_reason() {
    let app = TestApp::start().await;
    let (ann, tablet, bob) = (app.browser(), app.program(), app.program());
    bob.join("bob@example.com").await;
    ann.join("ann@example.com").await;
    tablet.log_in("ann@example.com").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scene = Scene::of(&app, &ann, &tablet, &bob, tablet.token(), &listener);
    let (mut refused, mut requests, mut elsewhere, mut nothing) = (0, 0, 0, Vec::new());
    for recipe in recipes::all() {
        match recipe.plan(&scene) {
            Plan::Refused(attacks) => {
                refused += 1;
                requests += attacks.len();
                for attack in attacks {
                    let is_good =
                        matches!(&attack.shown, Shown::Token(token) if *token == scene.good);
                    assert!(!is_good, "{} is the good token", attack.name);
                }
            }
            Plan::Twin(_) => panic!("Ed25519 has one signature only"),
            Plan::Elsewhere => elsewhere += 1,
            Plan::Nothing(reason) => nothing.push((recipe.id, reason)),
        }
    }
    assert_eq!(nothing, [("D-nbf-missing".to_owned(), "there is no nbf that could be missing")]);
    assert_eq!(elsewhere, redirects::targets().len(), "shown by redirects.rs");
    assert_eq!((refused, elsewhere, nothing.len()), (86, 17, 1), "all 104 of the file");
    assert!(requests > 900, "{requests}");
}
