//! The operator's dashboard, on the admin address: what happens, who is logged in, and the end of
//! that.
//!
//! | file | what |
//! |---|---|
//! | `door` | who may see it, and how a browser gets in |
//! | `enter` | the pages of that: in by a code, out by a button |
//! | `overview` | the first page: plots, refusals, events |
//! | `accounts` | looking for people, their sessions, and what can be done to them |
//! | `events` | audit events as both list them |
//! | `history` | the numbers of the last hour and day |
//! | `reading` | from the text of the metrics to those numbers |
//! | `plot`, `words` | from numbers to what is drawn and read |
//! | `assets` | style sheets and the script, which only refreshes what works without it |
//!
//! No rule of the service is written here a second time: what is done to accounts and sessions are
//! the command line's [commands](crate::session::operate::Command), carried out as by it. A new page
//! is a file here with its template, and its route in [`mount`]; it takes [`Entered`] or [`Posted`]
//! among its arguments, without which it cannot be asked for what a stranger must not see.

mod accounts;
mod assets;
mod door;
mod enter;
mod events;
mod history;
mod overview;
mod plot;
mod reading;
mod words;

use std::sync::Arc;

use askama::Template;
use poem::{
    FromRequest, Request, RequestBody, Response,
    http::{HeaderValue, Method, StatusCode, header},
};

pub use self::history::History;
use self::{
    door::{Door, Stay},
    words::At,
};
use super::{
    Code, HttpError, credential,
    methods::{get, post},
    pages::{self, form},
    routes::Routes,
};
use crate::{
    model::{By, Clock},
    session::{
        Sessions,
        operate::{Command, Reply},
    },
};

/// What the pages may do: as all pages, and run their own script, which asks for the same page again.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// Its cookie.
const COOKIE: &str = "countersign-dashboard";

/// What the pages can reach.
pub(super) struct Dashboard {
    sessions: Sessions,
    history: Arc<History>,
    door: Door,
}

impl Dashboard {
    pub(super) fn new(sessions: Sessions, history: Arc<History>, clock: Arc<dyn Clock>) -> Self {
        Self { sessions, history, door: Door::new(clock) }
    }

    /// A code that lets a browser in, for who has shown the operator's token.
    pub(super) fn code(&self) -> Result<String, HttpError> {
        Ok(self.door.code()?.expose().to_owned())
    }

    /// Carries a command out as the command line's: it is the same person, who can read the data
    /// directory.
    async fn operate(&self, command: Command) -> crate::session::Result<Reply> {
        self.sessions.operate(command, &By::COMMAND_LINE).await
    }

    fn frame(&self, stay: &Stay) -> Frame {
        Frame {
            base: base(stay),
            form: stay.form.expose().to_owned(),
            told: self.door.told(stay),
            read_at: At(self.history.now().read_at),
        }
    }
}

/// Adds its addresses.
pub(super) fn mount(routes: Routes) -> Routes {
    assets::mount(routes)
        .at("/dashboard", get(enter::closed))
        .at("/dashboard/open", get(enter::open).head(enter::closed))
        .at("/dashboard/:place", get(overview::show))
        .at("/dashboard/:place/leave", post(enter::leave))
        .at("/dashboard/:place/accounts", get(accounts::find))
        .at("/dashboard/:place/account", get(accounts::show))
        .at("/dashboard/:place/account/sessions", post(accounts::end_sessions))
        .at("/dashboard/:place/account/state", post(accounts::set_state))
}

/// Whether a request can be a form of these pages. Only these are allowed to come from a page, and
/// only from our own.
pub(super) fn is_form(request: &Request) -> bool {
    request.method() == Method::POST && request.uri().path().starts_with("/dashboard/")
}

/// The page of an error, for a browser that asks here; a program gets problem+json.
pub(super) fn page_of_errors(request: &Request) -> Option<fn(&HttpError) -> Response> {
    let is_here = request.uri().path().starts_with("/dashboard");
    (is_here && pages::wants_page(request)).then_some(failed)
}

/// What is around every page.
struct Frame {
    /// What the path of each page of this stay begins with.
    base: String,
    /// What each of its forms says.
    form: String,
    /// What was just done.
    told: Option<String>,
    /// When the numbers were read.
    read_at: At,
}

#[derive(Template)]
#[template(path = "dashboard_error.html")]
struct Failed<'a> {
    status: StatusCode,
    sentence: &'a str,
    outside: bool,
}

fn failed(error: &HttpError) -> Response {
    let status = error.code.status();
    let outside = error.code == Code::NotSignedIn;
    let sentence = if outside { "The dashboard is closed." } else { error.detail() };
    page(status, &Failed { status, sentence, outside })
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    let mut response = pages::page(status, template);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// Leads the browser on, to be asked with GET.
fn see_other(to: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, to).finish()
}

/// What the path of each page of a stay begins with.
fn base(stay: &Stay) -> String {
    format!("/dashboard/{}", stay.place.expose())
}

fn dashboard(request: &Request) -> Result<&Arc<Dashboard>, HttpError> {
    request.data::<Arc<Dashboard>>().ok_or_else(|| Code::Internal.into())
}

/// Proof that a request comes from a browser that was let in, to the place that is its own.
struct Entered(Stay);

impl Entered {
    fn of(request: &Request) -> Result<Self, HttpError> {
        let place = request.raw_path_param("place").unwrap_or_default();
        let cookie = credential::cookie(request.headers(), COOKIE)?.unwrap_or_default();
        let stay = dashboard(request)?.door.find(place, &cookie);
        Ok(Self(stay.ok_or(Code::NotSignedIn)?))
    }
}

impl<'a> FromRequest<'a> for Entered {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self::of(request)?)
    }
}

/// A form of one of these pages, by a browser that was let in. A field that did not come is empty.
struct Posted {
    stay: Stay,
    email: String,
    session: String,
    state: String,
}

impl<'a> FromRequest<'a> for Posted {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let Entered(stay) = Entered::of(request)?;
        let body = form::read(request, body).await?;
        let names: [&[&str]; 4] = [&["form"], &["email"], &["session"], &["state"]];
        let [shown, email, session, state] = form::fields(&body, names)?;
        if !stay.form.is(&shown) {
            return Err(HttpError::from(Code::CrossSite).into());
        }
        Ok(Self { stay, email, session, state })
    }
}
