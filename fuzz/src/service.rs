//! The whole application in this thread, without a socket, over a store in memory and a clock that
//! stands still.

use std::sync::Arc;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign::{
    config::{Config, LoginSection, SignUpSection},
    http::{self, Settings},
    model::{
        Email, Password, Timestamp, Transport,
        clock::{ManualClock, from_millis},
    },
    session::{Hasher, LogIn, Sessions},
    store::MemoryStore,
    token::{Algorithm, KeySet, Tokens},
};
use poem::{
    Endpoint, EndpointExt as _, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderMap, HeaderValue, Method, StatusCode},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Who is logged in.
pub const EMAIL: &str = "ann@example.com";
/// Their password.
pub const PASSWORD: &str = "correct horse battery";

/// A service with one person logged in, once with a cookie and once with a bearer token.
pub struct Service {
    runtime: Runtime,
    app: BoxEndpoint<'static, Response>,
    /// The token in the cookie.
    pub cookie: String,
    /// The token of the program.
    pub bearer: String,
    /// What verifies tokens, for asking it by itself.
    pub tokens: Tokens,
    /// What signs them.
    pub key: Ed25519KeyPair,
    /// What time it is.
    pub now: Timestamp,
    keys: TempDir,
}

/// What came of a request.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Its body as JSON; nothing if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The code of the problem that it is, or nothing.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Service {
    /// A new one, with a key of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::on(tempfile::tempdir().expect("a directory"))
    }

    /// The same key over an empty store: nothing of what was done before is left.
    pub fn begin_anew(&mut self) {
        let keys = std::mem::replace(&mut self.keys, tempfile::tempdir().expect("a directory"));
        *self = Self::on(keys);
    }

    fn on(keys: TempDir) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let mut config = Config::default();
        config.password.memory_kib = 8;
        config.password.passes = 1;
        // Whatever is tried here, it is tried often.
        let many = u32::MAX;
        config.login = LoginSection {
            attempts: many,
            attempts_per_account: many,
            attempts_per_address: many,
            ..config.login
        };
        config.sign_up =
            SignUpSection { attempts: many, attempts_per_address: many, ..config.sign_up };
        let clock = ManualClock::new(from_millis(1_795_424_400_000));
        let now = countersign::model::Clock::now(&clock);
        let tokens = || {
            let longest = config.session.lifetimes().longest_token();
            let keys = KeySet::open(keys.path(), Algorithm::EdDsa, now, longest);
            Tokens::new(keys.expect("a folder"), config.issuer(), config.audience())
        };
        let sessions = Sessions::new(
            Arc::new(MemoryStore::new()),
            tokens(),
            Arc::new(clock),
            Hasher::new(config.password.cost()).expect("parameters that are allowed"),
            config.policy(),
        );
        let log_in = async |transport| {
            let how = LogIn { transport, ..LogIn::default() };
            let password = Password::new(PASSWORD.to_owned());
            let issued = sessions.log_in(EMAIL, password, how).await;
            issued.expect("the right password").token
        };
        let (cookie, bearer) = runtime.block_on(async {
            let email = Email::parse(EMAIL).expect("an address");
            let password = Password::new(PASSWORD.to_owned());
            sessions.sign_up(email, password, None).await.expect("a new account");
            (log_in(Transport::Cookie).await, log_in(Transport::Bearer).await)
        });
        let public_url = config.public_url.url().clone();
        let settings = Settings { public_url, trusted_proxies: Vec::new() };
        let app = http::app(sessions.clone(), settings).boxed();
        Self { runtime, app, cookie, bearer, tokens: tokens(), key: read_key(&keys), now, keys }
    }

    /// What is answered. `None` when a header is none that could be sent.
    ///
    /// # Panics
    /// When it is an error of ours, or an answer to nobody in particular.
    #[must_use]
    pub fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &[u8])],
        body: &[u8],
    ) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri_str(path);
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value).ok()?);
        }
        let request = request.body(body.to_vec());
        self.runtime.block_on(async {
            let answer = self.app.call(request).await.expect("errors are answers");
            let (parts, body) = answer.into_parts();
            let body = body.into_vec().await.expect("a body");
            let status = parts.status;
            assert!(!status.is_server_error(), "{status}: {}", String::from_utf8_lossy(&body));
            Some(Answer { status, headers: parts.headers, body })
        })
    }
}

impl Default for Service {
    fn default() -> Self {
        Self::new()
    }
}

/// The one key in the folder.
fn read_key(keys: &TempDir) -> Ed25519KeyPair {
    let mut files = keys.path().read_dir().expect("a folder").map(|file| file.expect("a file"));
    let file = files.next().expect("a key").path();
    let jwk: Value = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON");
    let seed = URL_SAFE_NO_PAD.decode(jwk["d"].as_str().expect("a key")).expect("base64url");
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes")
}
