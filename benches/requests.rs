//! What the layers above the store cost, in nanoseconds a request: the whole application is called
//! in this thread, without a socket, over a store in memory; and beside it a handler of the bare
//! framework that answers the same bytes. `just bench-requests`, or
//! `just bench-requests visit` for one kind.

use std::{
    hint::black_box,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use countersign::{
    config::Config,
    http::{self, Settings},
    model::{Clock as _, Email, Password, clock::SystemClock},
    session::{Hasher, LogIn, Sessions},
    store::MemoryStore,
    telemetry,
    token::{Algorithm, KeySet, Tokens},
};
use poem::{
    Endpoint, EndpointExt as _, Request, Response, Route, get, handler,
    http::{Method, StatusCode},
    web::Json,
};
use serde::Serialize;

/// The best of so many rounds is told: what disturbs a round makes it slower, never faster.
const ROUNDS: u32 = 1_000;
/// So few in a round that they are still in the processor's cache when they are sent.
const REQUESTS: u32 = 32;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    telemetry::install(telemetry::Format::Json, "info", http::describe_request)
        .expect("no other logger");
    let metrics = telemetry::metrics::install();
    let bare = Route::new().at("/check", get(plain)).boxed();
    let asked = Asked { path: "/check", method: Method::GET, cookie: String::new() };
    println!("{:<28} {:>6} ns", "plain handler", time(&bare, &asked).await.as_nanos());
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let (app, cookie) = countersign(algorithm).await;
        let only = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
        for (name, method, path) in [
            ("check", Method::GET, "/api/v1/session"),
            ("visit", Method::POST, "/api/v1/session/visits"),
            ("page", Method::GET, "/admin"),
        ] {
            if only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            let took = time(&app, &Asked { path, method, cookie: cookie.clone() }).await;
            println!("{:<28} {:>6} ns", format!("{name}, {}", algorithm.name()), took.as_nanos());
            metrics.upkeep();
        }
    }
}

/// As in `benches/peers/plain`: an answer of the shape and size of a session.
#[derive(Serialize)]
struct Session {
    sid: &'static str,
    email: &'static str,
    visits: u64,
    created_at: &'static str,
    last_seen_at: &'static str,
    expires_at: &'static str,
    idle_expires_at: &'static str,
    current: bool,
    user_agent: &'static str,
}

#[handler]
fn plain() -> Json<Session> {
    Json(Session {
        sid: "01890a5d-ac96-774b-bcce-b302099a8057",
        email: "bench-00@example.com",
        visits: 1_000,
        created_at: "2026-01-01T00:00:00.000Z",
        last_seen_at: "2026-01-01T00:00:00.000Z",
        expires_at: "2026-01-01T12:00:00.000Z",
        idle_expires_at: "2026-01-01T00:30:00.000Z",
        current: true,
        user_agent: "",
    })
}

struct Asked {
    path: &'static str,
    method: Method,
    cookie: String,
}

impl Asked {
    fn request(&self) -> Request {
        let request = Request::builder().method(self.method.clone()).uri_str(self.path);
        request.header("host", "localhost:3000").header("cookie", &self.cookie).finish()
    }
}

/// The service with one person logged in, and their cookie.
async fn countersign(algorithm: Algorithm) -> (impl Endpoint<Output = Response>, String) {
    let mut config = Config::default();
    config.password.memory_kib = 8;
    config.password.passes = 1;
    config.check().expect("it is allowed");
    let keys = KeySet::generate(algorithm, SystemClock.now());
    let sessions = Sessions::new(
        Arc::new(MemoryStore::new()),
        Tokens::new(keys, config.issuer(), config.audience()),
        Arc::new(SystemClock),
        Hasher::new(config.password.cost()).expect("parameters that are allowed"),
        config.policy(),
    );
    let email = Email::parse("bench-00@example.com").expect("an address");
    let password = || Password::new("correct horse battery".to_owned());
    sessions.sign_up(email.clone(), password(), None).await.expect("a new account");
    let issued = sessions.log_in(email.as_str(), password(), LogIn::default()).await;
    let token = issued.expect("the right password").token;
    let public_url = config.public_url.url().clone();
    (
        http::app(sessions, Settings { public_url, trusted_proxies: Vec::new() }),
        format!("session={token}"),
    )
}

/// The time of one request, the building of it left out.
async fn time(app: &impl Endpoint<Output = Response>, asked: &Asked) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let requests: Vec<_> = (0..REQUESTS).map(|_| asked.request()).collect();
        let mut answers = Vec::with_capacity(requests.len());
        let started = Instant::now();
        for request in requests {
            answers.push(black_box(app.call(request).await));
        }
        best = best.min(started.elapsed() / REQUESTS);
        for answer in answers {
            let status = answer.map(|response| response.status()).map_err(io::Error::other);
            assert_eq!(status.expect("an answer"), StatusCode::OK, "{}", asked.path);
        }
    }
    best
}
