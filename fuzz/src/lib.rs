//! The whole application in this thread, without a socket, over a store in memory: what the targets
//! send their inputs to. As in `benches/requests.rs`.

use std::sync::Arc;

use countersign::{
    config::Config,
    http::{self, Settings},
    model::{Clock as _, Email, Password, Transport, clock::SystemClock},
    session::{Hasher, LogIn, Policy, Sessions},
    store::MemoryStore,
    token::{Algorithm, KeySet, Tokens},
};
use poem::{
    Endpoint, EndpointExt as _, Request, Response,
    endpoint::BoxEndpoint,
    http::{Method, StatusCode},
};
use tokio::runtime::Runtime;

/// A service with one person logged in, once with a cookie and once with a bearer token.
pub struct Service {
    runtime: Runtime,
    app: BoxEndpoint<'static, Response>,
    /// The token in the cookie.
    pub cookie: String,
    /// The token of the program.
    pub bearer: String,
}

const PASSWORD: &str = "correct horse battery";

impl Service {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut config = Config::default();
        config.password.memory_kib = 8;
        config.password.passes = 1;
        let policy = Policy {
            lifetimes: config.session.lifetimes(),
            replay: config.replay.replay(),
            registration: config.registration,
            max_sessions_per_account: config.session.max_per_account,
            passwords: config.password.rules(&config.public_url),
        };
        let keys = KeySet::generate(Algorithm::EdDsa, SystemClock.now());
        let sessions = Sessions::new(
            Arc::new(MemoryStore::new()),
            Tokens::new(keys, config.issuer(), config.audience()),
            Arc::new(SystemClock),
            Hasher::new(config.password.cost()).expect("parameters that are allowed"),
            policy,
        );
        let log_in = async |transport| {
            let how = LogIn { transport, ..LogIn::default() };
            let password = Password::new(PASSWORD.to_owned());
            let issued = sessions.log_in("ann@example.com", password, how).await;
            issued.expect("the right password").token
        };
        let (cookie, bearer) = runtime.block_on(async {
            let email = Email::parse("ann@example.com").expect("an address");
            let password = Password::new(PASSWORD.to_owned());
            sessions.sign_up(email, password).await.expect("a new account");
            (log_in(Transport::Cookie).await, log_in(Transport::Bearer).await)
        });
        let public_url = config.public_url.url().clone();
        let app = http::app(sessions.clone(), Settings { public_url }).boxed();
        Self { runtime, app, cookie, bearer }
    }

    /// What is answered: never anything that is our own fault.
    ///
    /// # Panics
    /// When it is.
    #[must_use]
    pub fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &[u8])],
        body: &[u8],
    ) -> Option<(StatusCode, Vec<u8>)> {
        let mut request = Request::builder().method(method).uri_str(path);
        for (name, value) in headers {
            // What is no header cannot be sent.
            let value = poem::http::HeaderValue::from_bytes(value).ok()?;
            request = request.header(*name, value);
        }
        let request = request.body(body.to_vec());
        self.runtime.block_on(async {
            let answer = self.app.call(request).await.expect("errors are answers");
            let status = answer.status();
            let body = answer.into_body().into_vec().await.expect("a body");
            assert!(!status.is_server_error(), "{status}: {}", String::from_utf8_lossy(&body));
            Some((status, body))
        })
    }
}

impl Default for Service {
    fn default() -> Self {
        Self::new()
    }
}
