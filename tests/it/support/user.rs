//! Who sends requests: a stranger, a browser, a program.

use std::sync::Arc;

use countersign::model::Clock;
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{Answer, Jar, PASSWORD, capture, in_time};

/// Somebody with a client. Clones are the same person at the same client; a [`copy`](Self::copy)
/// is somebody else who has everything this one's client had at that moment.
#[derive(Clone)]
pub(crate) struct User(Arc<Client>);

struct Client {
    http: reqwest::Client,
    /// Where the server listens; it moves when the server is restarted.
    address: Arc<Mutex<Url>>,
    /// What the address bar says: behind a proxy, not the address above.
    public: Url,
    kind: Kind,
    clock: Arc<dyn Clock>,
    jar: Mutex<Jar>,
    bearer: Mutex<Option<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// curl without anything.
    Stranger,
    /// Keeps cookies, asks for pages, tells where requests come from.
    Browser,
    /// Shows a bearer token, reads JSON.
    Program,
}

/// What requests are sent with: it follows no redirects and keeps no cookies.
pub(crate) fn http_client() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.no_proxy().tls_certs_only([]).build().expect("a client")
}

impl User {
    pub(crate) fn new(
        http: reqwest::Client,
        address: Arc<Mutex<Url>>,
        public: Url,
        kind: Kind,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Client {
            http,
            address,
            public,
            kind,
            clock,
            jar: Mutex::default(),
            bearer: Mutex::default(),
        }))
    }

    /// A thief with all that this one has.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new(
            self.0.http.clone(),
            Arc::clone(&self.0.address),
            self.0.public.clone(),
            self.0.kind,
            Arc::clone(&self.0.clock),
        );
        *copy.0.jar.lock() = self.0.jar.lock().clone();
        (*copy.0.bearer.lock()).clone_from(&self.0.bearer.lock());
        copy
    }

    // --- what it has ---

    /// Whether it keeps cookies as a browser does.
    pub(crate) fn is_browser(&self) -> bool {
        self.0.kind == Kind::Browser
    }

    /// The name that the session cookie must have.
    pub(crate) fn cookie_name(&self) -> &'static str {
        match self.0.public.scheme() {
            "https" => "__Host-session",
            _ => "session",
        }
    }

    /// The token in the cookie jar.
    pub(crate) fn cookie(&self) -> Option<String> {
        let jar = self.0.jar.lock();
        jar.get(self.cookie_name(), self.0.clock.now()).map(|cookie| cookie.value.clone())
    }

    /// The token, wherever it is kept.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        let bearer = self.0.bearer.lock().clone();
        bearer.or_else(|| self.cookie()).expect("a token")
    }

    /// Puts a token where this client keeps it.
    pub(crate) fn take(&self, token: &str) {
        if self.0.kind == Kind::Program {
            *self.0.bearer.lock() = Some(token.to_owned());
        } else {
            let secure = if self.0.public.scheme() == "https" { "; Secure" } else { "" };
            let set_cookie = format!("{}={token}; Path=/{secure}", self.cookie_name());
            let now = self.0.clock.now();
            assert!(self.0.jar.lock().set(&self.0.public, &set_cookie, now));
        }
    }

    pub(crate) fn jar<T>(&self, look: impl FnOnce(&mut Jar) -> T) -> T {
        look(&mut self.0.jar.lock())
    }

    /// The `sid` of the token it has.
    #[track_caller]
    pub(crate) fn sid(&self) -> String {
        super::claims(&self.token())["sid"].as_str().unwrap().into()
    }

    // --- what it asks ---

    pub(crate) fn request(&self, method: Method, path: &str) -> Draft {
        let mut draft = Draft {
            user: self.clone(),
            url: self.address_of(path),
            method,
            headers: Vec::new(),
            body: None,
            keeps_cookies: true,
        };
        match self.0.kind {
            Kind::Stranger => draft = draft.header("user-agent", "curl/8.10.1"),
            Kind::Program => {
                draft = draft.header("user-agent", "reporter/2.1");
                if let Some(token) = &*self.0.bearer.lock() {
                    draft = draft.header("authorization", &format!("Bearer {token}"));
                }
            }
            Kind::Browser => draft = self.as_browser(draft),
        }
        if self.0.kind != Kind::Program {
            let mut here = self.0.public.clone();
            here.set_path(draft.url.path());
            if let Some(cookies) = self.0.jar.lock().header(&here, self.0.clock.now()) {
                draft = draft.header("cookie", &cookies);
            }
        }
        draft
    }

    /// To the letter: joining would take `//a` for a host.
    fn address_of(&self, path: &str) -> Url {
        let address = self.0.address.lock().to_string();
        let url = format!("{}{path}", address.trim_end_matches('/'));
        Url::parse(&url).expect("a path")
    }

    fn as_browser(&self, draft: Draft) -> Draft {
        let origin = self.0.public.origin().ascii_serialization();
        let host = &origin[origin.find("://").expect("a scheme") + 3..];
        let is_fetch = draft.url.path().starts_with("/api/");
        let is_read = [Method::GET, Method::HEAD].contains(&draft.method);
        let draft = draft
            .header("host", host)
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:142.0)")
            .header("sec-fetch-site", "same-origin");
        let draft = if is_fetch {
            draft
                .header("accept", "*/*")
                .header("sec-fetch-mode", "cors")
                .header("sec-fetch-dest", "empty")
        } else {
            draft
                .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
                .header("sec-fetch-mode", "navigate")
                .header("sec-fetch-dest", "document")
                .header("sec-fetch-user", "?1")
        };
        if is_read { draft } else { draft.header("origin", &origin) }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.request(Method::POST, path).form(fields).send().await
    }

    /// An operation of the API, by its path below `/api/v1`.
    pub(crate) fn api(&self, method: Method, path: &str) -> Draft {
        self.request(method, &format!("/api/v1{path}"))
    }

    // --- what it does all the time ---

    /// Makes an account by the API and logs in, the way of its kind.
    pub(crate) async fn join(&self, email: &str) -> &Self {
        self.sign_up(email).await.expect(201);
        self.log_in(email).await
    }

    pub(crate) async fn sign_up(&self, email: &str) -> Answer {
        let body = json!({"email": email, "password": PASSWORD});
        self.api(Method::POST, "/accounts").json(&body).send().await
    }

    /// Logs in, the way of its kind.
    pub(crate) async fn log_in(&self, email: &str) -> &Self {
        self.log_in_with(email, json!({})).await
    }

    /// Logs in with more members in the body.
    pub(crate) async fn log_in_with(&self, email: &str, more: Value) -> &Self {
        let answer = self.try_log_in(email, PASSWORD, more).await.expect(201);
        assert!(self.0.kind == Kind::Program || answer.json().get("token").is_none());
        self
    }

    pub(crate) async fn try_log_in(&self, email: &str, password: &str, more: Value) -> Answer {
        let mut body = json!({"email": email, "password": password});
        if self.0.kind == Kind::Program {
            body["transport"] = "bearer".into();
        }
        for (name, value) in more.as_object().expect("members") {
            body[name] = value.clone();
        }
        let answer = self.api(Method::POST, "/session").json(&body).send().await;
        if self.0.kind == Kind::Program && answer.status == 201 {
            self.take(answer.json()["token"].as_str().expect("a token"));
        }
        answer
    }

    /// `countVisit`, with whatever comes of it.
    pub(crate) async fn try_visit(&self) -> Answer {
        self.keep(self.api(Method::POST, "/session/visits").send().await)
    }

    /// Keeps the token of an answer that has one in its body: a program's cookie jar.
    pub(crate) fn keep(&self, answer: Answer) -> Answer {
        if self.0.kind == Kind::Program && answer.status == 200 {
            self.take(answer.json()["token"].as_str().expect("a token"));
        }
        answer
    }

    /// [`keep`](Self::keep), when there is a token to keep.
    pub(crate) fn keep_if_any(&self, answer: Answer) -> Answer {
        let has_one = answer.header("content-type").starts_with("application/json")
            && answer.json().get("token").is_some();
        if has_one { self.keep(answer) } else { answer }
    }

    /// `reauthenticate`, with whatever comes of it.
    pub(crate) async fn reauthenticate(&self, password: &str) -> Answer {
        let body = json!({"password": password});
        self.keep(self.api(Method::POST, "/session/reauthentication").json(&body).send().await)
    }

    /// `changePassword`, with whatever comes of it.
    pub(crate) async fn change_password(&self, current: &str, new: &str) -> Answer {
        let body = json!({"current": current, "new": new});
        self.keep(self.api(Method::PUT, "/account/password").json(&body).send().await)
    }

    /// `changeEmail`, with whatever comes of it.
    pub(crate) async fn change_email(&self, email: &str) -> Answer {
        let body = json!({"email": email});
        self.keep(self.api(Method::PUT, "/account/email").json(&body).send().await)
    }

    /// `countVisit`; gives the number.
    #[track_caller]
    pub(crate) fn visit(&self) -> impl Future<Output = u64> + use<> {
        let user = self.clone();
        async move {
            let answer = user.try_visit().await.expect(200);
            answer.json()["visits"].as_u64().expect("a number")
        }
    }

    /// `getSession`, with whatever comes of it.
    pub(crate) async fn check(&self) -> Answer {
        self.api(Method::GET, "/session").send().await
    }

    /// `logOut`, with whatever comes of it.
    pub(crate) async fn log_out(&self) -> Answer {
        self.api(Method::DELETE, "/session").send().await
    }

    /// Opens `/admin`; gives the number.
    pub(crate) async fn open_admin(&self) -> u64 {
        self.get("/admin").await.expect_page(200).visit_number()
    }
}

/// A request that is being put together. A header that is set again replaces the one before.
#[must_use]
pub(crate) struct Draft {
    user: User,
    url: Url,
    method: Method,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    keeps_cookies: bool,
}

impl Draft {
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.without(name).and_header(name, value.as_bytes())
    }

    /// One more header of that name.
    pub(crate) fn and_header(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(had, _)| !had.eq_ignore_ascii_case(name));
        self
    }

    /// As from a browser that sends no Fetch Metadata: an old one, or a plain-http page on a LAN.
    pub(crate) fn without_fetch_metadata(mut self) -> Self {
        self.headers.retain(|(had, _)| !had.starts_with("sec-fetch"));
        self
    }

    /// The answer's cookies are lost on the way.
    pub(crate) fn losing_cookies(mut self) -> Self {
        self.keeps_cookies = false;
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().into_bytes())
    }

    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body("application/x-www-form-urlencoded", body.into_bytes())
    }

    pub(crate) fn body(self, content_type: &str, body: Vec<u8>) -> Self {
        let mut draft = self.header("content-type", content_type);
        draft.body = Some(body);
        draft
    }

    pub(crate) async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    /// Sends it; a connection that breaks is an error.
    pub(crate) async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let client = &self.user.0;
        capture::request(&self.headers, self.body.as_deref());
        let mut request = client.http.request(self.method, self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value.as_slice());
        }
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let answered = in_time("an answer", async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let headers = response.headers().clone();
            let body = response.bytes().await?.to_vec();
            Ok::<_, reqwest::Error>(Answer { status, headers, body })
        });
        let answer = answered.await?;
        capture::answer(&answer.set_cookies(), &answer.body);
        if self.keeps_cookies && client.kind != Kind::Program {
            let mut jar = client.jar.lock();
            for set_cookie in answer.set_cookies() {
                jar.set(&client.public, &set_cookie, client.clock.now());
            }
        }
        Ok(answer)
    }
}
