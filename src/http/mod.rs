//! HTTP: the whole URL map, on one screen.
//!
//! | where | what |
//! |---|---|
//! | `pages/` | what people see: server-made HTML that works without JavaScript |
//! | `api/` | what programs call: JSON under `/api/v1`, described by OpenAPI |
//! | `admin` | what the operator's command line and Prometheus call, on an address of its own |
//! | `dashboard/` | what the operator sees there in a browser |
//! | `well_known`, `health` | keys for verifiers, probes for whoever watches the process |
//! | `frame` | what happens to every request, in which order |
//! | `client` | where a request comes from, also behind a proxy |
//! | `credential` | where a request's token is found, and who it is |
//! | `routes`, `methods` | from an address and a method to its handler |
//! | `session_cookie` | the one place that sets and clears the cookie |
//! | `csrf`, `headers`, `limits`, `trace` | the rules that hold for every route |
//! | `problem` | every error a client can see |
//!
//! A new page goes into `pages/`, a new operation into `api/`, and its route below.

pub mod admin;
mod api;
mod client;
pub(crate) mod credential;
pub(crate) mod csrf;
mod dashboard;
mod docs;
mod frame;
pub(crate) mod headers;
mod health;
mod limits;
mod methods;
mod pages;
pub mod problem;
mod routes;
pub(crate) mod session_cookie;
mod trace;
mod well_known;

use std::{net::IpAddr, sync::Arc};

pub use api::{openapi_json, openapi_yaml};
pub use credential::CookieRules;
pub use dashboard::History;
use ipnet::IpNet;
pub(crate) use pages::wants_page;
use poem::{Endpoint, Request, Response};
pub use problem::{Code, HttpError};
pub use trace::describe_request;
use url::Url;

use self::{
    frame::Frame,
    methods::{get, post},
    routes::Routes,
};
use crate::session::Sessions;

/// What the HTTP layer is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address people use: scheme, host and port. The cookie's name and flags, the accepted
    /// origins and HSTS follow from it, never from a header of the request.
    pub public_url: Url,
    /// Who may say in `X-Forwarded-For` where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
}

/// What every handler can reach.
pub(crate) struct Site {
    pub(crate) sessions: Sessions,
    pub(crate) cookie: CookieRules,
    pub(crate) public_url: Url,
    pub(crate) trusted_proxies: Vec<IpNet>,
}

impl Site {
    /// What handlers of `sessions` can reach.
    pub(crate) fn new(sessions: Sessions, settings: Settings) -> Self {
        Self {
            sessions,
            cookie: CookieRules::of(&settings.public_url),
            public_url: settings.public_url,
            trusted_proxies: settings.trusted_proxies,
        }
    }

    /// Where a request comes from.
    pub(crate) fn client(&self, request: &Request) -> Option<IpAddr> {
        client::address(request, &self.trusted_proxies)
    }
}

/// The public service.
pub fn app(sessions: Sessions, settings: Settings) -> impl Endpoint<Output = Response> + 'static {
    let site = Arc::new(Site::new(sessions, settings));
    let routes = Routes::default()
        // Pages
        .at("/", get(pages::home::show))
        .at("/login", get(pages::log_in::show).post(pages::log_in::submit))
        .at("/signup", get(pages::sign_up::show).post(pages::sign_up::submit))
        .at("/admin", get(pages::admin::show).head(pages::admin::head))
        .at("/account", get(pages::account::show))
        .at("/account/sessions", post(pages::account::end_sessions))
        .at("/account/password", post(pages::account::change_password))
        .at("/account/email", post(pages::account::change_email))
        .at("/account/close", post(pages::account::close))
        .at(
            "/logout",
            get(pages::log_out::follow).head(pages::log_out::head).post(pages::log_out::submit),
        )
        .at(pages::assets::STYLE.path(), pages::assets::STYLE.show())
        .at(pages::assets::SCRIPT.path(), pages::assets::SCRIPT.show())
        .at("/favicon.ico", get(pages::assets::icon))
        // The description of the JSON API
        .at("/openapi.json", get(docs::json))
        .at("/openapi.yaml", get(docs::yaml))
        .at("/docs", docs::swagger_ui())
        // For machines
        .at("/.well-known/jwks.json", get(well_known::jwks))
        .at("/healthz", get(health::alive))
        .at("/readyz", get(health::ready));
    // And every operation of the JSON API.
    Frame::new(site, api::mount(routes))
}

/// The JSON API alone, with all that holds for every route of ours, to stand beside routes of
/// somebody else.
pub(crate) fn api(site: Arc<Site>) -> impl Endpoint<Output = Response> + 'static {
    Frame::new(site, api::mount(Routes::default()))
}
