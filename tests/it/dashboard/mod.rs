//! The operator's dashboard on the admin address: who may see it (here), and what can be done there
//! (`people`).

mod people;

use std::sync::Arc;

use countersign::model::Clock as _;
use jiff::SignedDuration;
use parking_lot::Mutex;
use reqwest::Method;
use scraper::{Html, Selector};
use serde_json::Value;
use url::Url;

use crate::support::{
    Answer, TestApp, User,
    capture::{self, Kind},
    user,
};

const COOKIE: &str = "countersign-dashboard";

/// The admin address of a server and how it lets browsers in.
struct Admin {
    url: Url,
    token: String,
}

impl Admin {
    fn of(app: &TestApp) -> Self {
        let file = std::fs::read(app.data_dir().join("admin.json")).unwrap();
        let file: Value = serde_json::from_slice(&file).unwrap();
        let text = |name: &str| file[name].as_str().unwrap().to_owned();
        Self { url: Url::parse(&text("url")).unwrap(), token: text("token") }
    }

    /// Somebody with a browser at the admin address.
    fn browser(&self, app: &TestApp) -> User {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        let address = Arc::new(Mutex::new(self.url.clone()));
        let clock = Arc::new(app.clock.clone());
        User::new(http, address, self.url.clone(), user::Kind::Browser, clock)
    }

    /// A code, as the command line asks for it.
    async fn code(&self, app: &TestApp) -> String {
        let operator = self.operator(app, Method::POST, "/codes").send().await.expect(200);
        let code = operator.json()["code"].as_str().unwrap().to_owned();
        capture::secret(Kind::Dashboard, &code);
        code
    }

    /// A request of the command line.
    fn operator(&self, app: &TestApp, method: Method, path: &str) -> crate::support::user::Draft {
        let bearer = format!("Bearer {}", self.token);
        self.browser(app)
            .request(method, path)
            .without_fetch_metadata()
            .without("origin")
            .header("accept", "*/*")
            .header("authorization", &bearer)
    }
}

/// An operator who was let in.
struct Operator {
    browser: User,
    /// What the path of each page begins with.
    base: String,
}

impl Operator {
    async fn enter(app: &TestApp) -> Self {
        let admin = Admin::of(app);
        let browser = admin.browser(app);
        let code = admin.code(app).await;
        let entered = browser.get(&format!("/dashboard/open?code={code}")).await.expect(303);
        Self { browser, base: entered.header("location").to_owned() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.browser.get(&format!("{}{path}", self.base)).await
    }

    /// What the forms of its pages say.
    async fn form(&self) -> String {
        let page = self.get("").await.expect_page(200);
        let inputs = attributes(page.text(), "input[name=form]", "value");
        inputs.first().expect("a form").clone()
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = self.form().await;
        let fields = [&[("form", form.as_str())], fields].concat();
        self.browser.post(&format!("{}{path}", self.base), &fields).await
    }
}

/// An attribute of all that a selector finds.
fn attributes(page: &str, selector: &str, name: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    let html = Html::parse_document(page);
    html.select(&selector).filter_map(|it| it.attr(name)).map(str::to_owned).collect()
}

/// What can be asked for below a place: method, path, fields.
type Asked = (Method, String, Vec<(&'static str, String)>);

/// Every page, and every form with its fields.
fn pages_and_forms(email: &str) -> Vec<Asked> {
    let email = || ("email", email.to_owned());
    vec![
        (Method::GET, String::new(), vec![]),
        (Method::GET, "?range=day".into(), vec![]),
        (Method::GET, "/accounts".into(), vec![]),
        (Method::GET, "/accounts?search=ann".into(), vec![]),
        (Method::GET, format!("/account?email={}", email().1), vec![]),
        (Method::POST, "/account/sessions".into(), vec![email(), ("session", "all".into())]),
        (Method::POST, "/account/state".into(), vec![email(), ("state", "disabled".into())]),
        (Method::POST, "/leave".into(), vec![]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_opens_it_once_for_a_browser_that_then_stays() {
    let app = TestApp::start().await;
    let admin = Admin::of(&app);
    let browser = admin.browser(&app);
    let code = admin.code(&app).await;
    let open = format!("/dashboard/open?code={code}");
    // A browser that only asks ahead uses nothing up.
    let ahead = browser.request(Method::GET, &open).header("sec-purpose", "prefetch");
    ahead.send().await.expect_page(401).expect_no_cookie();
    browser.request(Method::HEAD, &open).send().await.expect(401).expect_no_cookie();

    let entered = browser.get(&open).await.expect(303);
    let base = entered.header("location").to_owned();
    let place = base.strip_prefix("/dashboard/").expect("a place of its own");
    assert!(place.len() >= 43 && !entered.mentions(&code));
    let cookie = browser.jar(|jar| jar.get(COOKIE, app.clock.now()).unwrap().value.clone());
    assert_eq!(
        entered.set_cookies(),
        [format!("{COOKIE}={cookie}; HttpOnly; SameSite=Strict; Path={base}")]
    );
    browser.get(&base).await.expect_page(200);
    assert!(cookie.len() >= 43 && ![&code, place].contains(&cookie.as_str()));

    let again = admin.browser(&app).get(&open).await.expect_page(401).expect_no_cookie();
    assert!(again.visible().contains("Run countersign dashboard on the server's machine"));
    for code in ["", "x", &cookie, place, &admin.token] {
        let open = format!("/dashboard/open?code={code}");
        admin.browser(&app).get(&open).await.expect_page(401).expect_no_cookie();
    }
    browser.get("/dashboard").await.expect_page(401);
    browser.get("/dashboard/open").await.expect_page(401);

    // Neither waits for ever.
    let late = admin.code(&app).await;
    app.pass(SignedDuration::from_mins(2));
    browser.get(&format!("/dashboard/open?code={late}")).await.expect_page(401);
    app.pass(SignedDuration::from_hours(8) - SignedDuration::from_mins(3));
    browser.get(&base).await.expect_page(200);
    app.pass(SignedDuration::from_mins(1));
    browser.get(&base).await.expect_page(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stay_ends_by_its_button_and_with_the_server() {
    let mut app = TestApp::start().await;
    let (one, other) = (Operator::enter(&app).await, Operator::enter(&app).await);
    let copy = one.browser.copy();
    let left = one.post("/leave", &[]).await.expect_redirect("/dashboard");
    assert!(left.set_cookies()[0].contains("; Max-Age=0"), "{:?}", left.set_cookies());
    assert!(one.browser.jar(|jar| jar.get(COOKIE, app.clock.now()).is_none()));
    copy.get(&one.base).await.expect_page(401);
    other.get("").await.expect_page(200);

    app.restart().await;
    let browser = Admin::of(&app).browser(&app);
    let cookie = other.browser.jar(|jar| jar.get(COOKIE, app.clock.now()).unwrap().value.clone());
    let shown = browser.request(Method::GET, &other.base);
    shown.header("cookie", &format!("{COOKIE}={cookie}")).send().await.expect_page(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_sees_or_does_anything() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    let admin = Admin::of(&app);
    let (operator, other) = (Operator::enter(&app).await, Operator::enter(&app).await);
    let cookie = |it: &Operator| {
        let value = it.browser.jar(|jar| jar.get(COOKIE, app.clock.now()).unwrap().value.clone());
        format!("{COOKIE}={value}")
    };
    let (own, others, form) = (cookie(&operator), cookie(&other), operator.form().await);
    let before = app.snapshot().await;
    for (method, path, fields) in pages_and_forms("ann@example.com") {
        let ask = |base: &str, cookie: Option<&str>| {
            let request = admin.browser(&app).request(method.clone(), &format!("{base}{path}"));
            let request = match cookie {
                Some(cookie) => request.header("cookie", cookie),
                None => request,
            };
            let mut fields: Vec<_> = fields.iter().map(|(name, it)| (*name, it.as_str())).collect();
            fields.push(("form", &form));
            if method == Method::POST { request.form(&fields) } else { request }
        };
        let wrong = own.replace(COOKIE, "session");
        let nowhere = operator.base.to_lowercase();
        for (base, cookie) in [
            (operator.base.as_str(), None),
            (&operator.base, Some(others.as_str())),
            (&operator.base, Some("countersign-dashboard=")),
            (&operator.base, Some(&wrong)),
            (&nowhere, Some(&own)),
        ] {
            let answer = ask(base, cookie).send().await.expect_page(401).expect_no_cookie();
            assert!(!answer.mentions("ann@"), "{path}");
            // A program is told as a program.
            let answer = ask(base, cookie).header("accept", "*/*").send().await;
            answer.expect_problem(401, "not_signed_in");
        }
        // The operator's token opens none of these: it is for the command line.
        let bearer = format!("Bearer {}", admin.token);
        let answer = ask(&operator.base, None).header("authorization", &bearer).send().await;
        answer.expect_page(401);
        // And there is nothing of it on the public address.
        let public = app.browser().request(method.clone(), &format!("{}{path}", operator.base));
        public.header("cookie", &own).send().await.expect(404);
    }
    assert_eq!(app.snapshot().await, before);
    ann.check().await.expect(200);
    operator.get("").await.expect_page(200);

    for request in [
        admin.operator(&app, Method::POST, "/codes").without("authorization"),
        admin.operator(&app, Method::POST, "/codes").header("authorization", "Bearer x"),
        admin
            .browser(&app)
            .request(Method::POST, "/codes")
            .without("origin")
            .header("cookie", &own),
    ] {
        request.send().await.expect_problem(401, "not_signed_in");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_not_its_own_changes_nothing() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    let (operator, other) = (Operator::enter(&app).await, Operator::enter(&app).await);
    let (form, others) = (operator.form().await, other.form().await);
    assert_ne!(form, others);
    let draft = |form: &str| {
        let fields = [("form", form), ("email", "ann@example.com"), ("session", "all")];
        let path = format!("{}/account/sessions", operator.base);
        operator.browser.request(Method::POST, &path).form(&fields)
    };
    for foreign in [
        draft(&form).header("sec-fetch-site", "cross-site"),
        // Another port of this machine is of the same site, and is another program.
        draft(&form).header("sec-fetch-site", "same-site"),
        draft(&form).without_fetch_metadata().header("origin", "http://evil.example"),
        draft(&form).without_fetch_metadata().header("origin", "http://127.0.0.1:9"),
        draft(&form).without_fetch_metadata().header("origin", "null"),
        draft(&form).header("host", "evil.example"),
        draft(""),
        draft(&others),
        draft(&form[1..]),
        draft(&form).header("accept", "*/*").header("host", "127.0.0.1.evil.example"),
    ] {
        foreign.send().await.expect(403).expect_no_cookie();
    }
    // What is read comes with no `Origin` from our own pages.
    let read = operator.browser.request(Method::GET, &operator.base);
    read.header("origin", "http://evil.example").send().await.expect(403);
    let read = operator.browser.request(Method::GET, &operator.base);
    read.header("host", "evil.example").send().await.expect(403);
    let twice = format!("form={form}&form={form}&email=ann%40example.com&session=all");
    let media_type = "application/x-www-form-urlencoded";
    draft(&form).body(media_type, twice.into_bytes()).send().await.expect(400);
    draft(&form).body("text/plain", b"x".to_vec()).send().await.expect(415);
    ann.check().await.expect(200);

    let back = format!("{}/account?email=ann%40example.com", operator.base);
    draft(&form).without_fetch_metadata().send().await.expect_redirect(&back);
    ann.check().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_kept_to_itself() {
    let app = TestApp::start().await;
    let operator = Operator::enter(&app).await;
    for path in ["", "/accounts", "/account?email=nobody%40example.com", "/nowhere"] {
        let page = operator.get(path).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), value, "{name} of {path}");
        }
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert!(policy.contains("script-src 'self'; connect-src 'self'"), "{policy}");
        // All that it is made of is here, and nothing is asked for elsewhere.
        for (selector, name) in [("link", "href"), ("script", "src"), ("img", "src")] {
            for part in attributes(page.text(), selector, name) {
                assert!(part.starts_with('/') && !part.starts_with("//"), "{part}");
                operator.browser.get(&part).await.expect(200);
            }
        }
        assert_eq!(attributes(page.text(), "[style]", "style"), Vec::<String>::new());
    }
}
