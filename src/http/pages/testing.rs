//! The whole service over the store in memory, to ask for pages. What people do with it all is
//! in `tests/it/pages.rs`; here is what one answer of one page must be.

use std::sync::Arc;

use poem::{
    Endpoint, Request, Response,
    http::{Method, header},
};
use url::Url;

use crate::{
    http::{Settings, app},
    model::{
        Email, Password,
        clock::{ManualClock, from_millis},
    },
    session::{
        Hasher, LogIn, Policy, Registration, Sessions, password::HashingCost, testing::policy,
    },
    store::memory::MemoryStore,
    token::{Algorithm, KeySet, Tokens},
};

const URL: &str = "http://localhost:3000";

pub(super) struct Service {
    pub(super) sessions: Sessions,
    pub(super) clock: ManualClock,
}

impl Service {
    pub(super) fn new(registration: Registration) -> Self {
        let policy = Policy { registration, ..policy() };
        let cost = HashingCost { memory_kib: 64, passes: 1, parallel: 1, waiting: 8 };
        let now = from_millis(1_790_000_000_000);
        let keys = KeySet::generate(Algorithm::EdDsa, now);
        let clock = ManualClock::new(now);
        let sessions = Sessions::new(
            Arc::new(MemoryStore::new()),
            Tokens::new(keys, URL.into(), URL.into()),
            Arc::new(clock.clone()),
            Hasher::new(cost).unwrap(),
            policy,
        );
        Self { sessions, clock }
    }

    /// The cookie of somebody who just signed up.
    pub(super) async fn cookie(&self) -> String {
        let email = Email::parse("ann@example.com").unwrap();
        let password = Password::new("correct horse battery".into());
        let issued = self.sessions.sign_up_and_log_in(email, password, LogIn::default());
        format!("session={}", issued.await.unwrap().token)
    }

    /// What a browser gets that asks with that cookie, and posts that form if it posts.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        cookie: &str,
        form: &'static str,
    ) -> Response {
        let settings =
            Settings { public_url: Url::parse(URL).unwrap(), trusted_proxies: Vec::new() };
        let request = Request::builder()
            .method(method)
            .uri_str(path)
            .header(header::ACCEPT, "text/html")
            .header(header::COOKIE, cookie)
            .content_type("application/x-www-form-urlencoded")
            .body(form);
        app(self.sessions.clone(), settings).get_response(request).await
    }
}
