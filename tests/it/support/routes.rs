//! Every route there is: the API's from the OpenAPI document, so that none is forgotten, and the
//! pages and machine routes by hand.

use reqwest::Method;
use serde_json::Value;

use super::{PASSWORD, User, user::Draft};

/// A route and how to ask for it.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The operation's id; of a page, the same as its path.
    pub(crate) id: String,
    /// Whether it needs a session.
    pub(crate) protected: bool,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    None,
    Json(Value),
    Form(Vec<(&'static str, &'static str)>),
}

/// No session has this id.
pub(crate) const NO_SESSION: &str = "019ab2f0-5c1e-7d3a-9b7e-2f6c1a4d8e90";

impl Route {
    /// A well-formed request for it.
    pub(crate) fn ask(&self, user: &User) -> Draft {
        let draft = user.request(self.method.clone(), &self.path);
        match &self.body {
            Body::None => draft,
            Body::Json(body) => draft.json(body),
            Body::Form(fields) => draft.form(fields),
        }
    }

    /// Whether it may change something, by its method.
    pub(crate) fn is_unsafe(&self) -> bool {
        ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&self.method)
    }
}

/// The OpenAPI document.
pub(crate) fn document() -> Value {
    serde_json::from_str(countersign::http::openapi_json()).expect("JSON")
}

/// The operations of the API.
pub(crate) fn operations() -> Vec<Route> {
    let document = document();
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let body = schema.as_str().map(|reference| {
                let name = reference.rsplit('/').next().expect("a name");
                let example = &document["components"]["schemas"][name]["example"];
                assert!(example.is_object(), "{name} has an example");
                example.clone()
            });
            routes.push(Route {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.replace("{sid}", NO_SESSION),
                id: operation["operationId"].as_str().expect("an id").into(),
                protected: !operation["security"].as_array().expect("who may ask").is_empty(),
                body: body.map_or(Body::None, Body::Json),
            });
        }
    }
    assert!(routes.len() >= 10, "all operations are found");
    routes
}

/// The pages.
pub(crate) fn pages() -> Vec<Route> {
    const CREDENTIALS: [(&str, &str); 2] =
        [("email", "nobody@example.com"), ("password", PASSWORD)];
    // Nobody's password, for all of the forms.
    const ACCOUNT: [(&str, &str); 4] = [
        ("current", "not the password"),
        ("new", "staple after staple"),
        ("email", "anna@example.com"),
        ("session", "others"),
    ];
    let page = |method: Method, path: &str, protected, body| Route {
        id: format!("{method} {path}"),
        method,
        path: path.into(),
        protected,
        body,
    };
    vec![
        page(Method::GET, "/", false, Body::None),
        page(Method::POST, "/login", false, Body::Form(CREDENTIALS.into())),
        page(Method::GET, "/login", false, Body::None),
        page(Method::GET, "/signup", false, Body::None),
        page(Method::POST, "/signup", false, Body::Form(CREDENTIALS.into())),
        page(Method::GET, "/admin", true, Body::None),
        page(Method::GET, "/account", true, Body::None),
        page(Method::POST, "/account/sessions", true, Body::Form(ACCOUNT.into())),
        page(Method::POST, "/account/password", true, Body::Form(ACCOUNT.into())),
        page(Method::POST, "/account/email", true, Body::Form(ACCOUNT.into())),
        page(Method::POST, "/account/close", true, Body::Form(ACCOUNT.into())),
        page(Method::GET, "/logout", false, Body::None),
        page(Method::POST, "/logout", false, Body::Form(vec![])),
    ]
}

/// What machines ask for, and the documents.
pub(crate) fn others() -> Vec<Route> {
    [
        "/openapi.json",
        "/openapi.yaml",
        "/docs",
        "/favicon.ico",
        "/.well-known/jwks.json",
        "/healthz",
        "/readyz",
    ]
    .map(|path| Route {
        method: Method::GET,
        path: path.into(),
        id: path.into(),
        protected: false,
        body: Body::None,
    })
    .into()
}

/// All of them.
pub(crate) fn all() -> Vec<Route> {
    let mut routes = operations();
    routes.extend(pages());
    routes.extend(others());
    routes
}
