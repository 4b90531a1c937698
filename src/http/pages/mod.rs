//! What people see: HTML made on the server, which works without JavaScript.
//!
//! One file per page, with its handlers and what its template is given; the templates are in
//! `templates/`, all of them inside `layout.html`, and share one style sheet. Askama checks them
//! at compile time and escapes every value: nothing here writes HTML by hand.
//!
//! | file | what |
//! |---|---|
//! | `home`, `log_in`, `sign_up`, `admin`, `account`, `log_out` | the pages |
//! | `failed` | the page of an error, and who gets it instead of problem+json |
//! | `form` | what a browser posts |
//! | `sessions`, `device` | the list of sessions, and what a device is called in it |
//! | `chart` | the visits of the last days, drawn |
//! | `assets` | the style sheet and the script, under paths that change with them |
//!
//! The account page alone has a script, and a policy of its own that lets that in: with JavaScript a
//! session is ended without leaving the page.
//!
//! Pages read the session cookie alone, never a bearer token, and take every decision from
//! `session/`. A new page is a file here, a template, and a route in [`super`].

pub(super) mod account;
pub(super) mod admin;
pub(super) mod assets;
mod chart;
pub(super) mod device;
mod failed;
pub(super) mod form;
pub(super) mod home;
pub(super) mod log_in;
pub(super) mod log_out;
mod sessions;
pub(super) mod sign_up;
#[cfg(test)]
mod testing;

use askama::Template;
use poem::{
    Request, Response,
    http::{StatusCode, header},
};

pub(super) use self::failed::error;
pub(crate) use self::failed::wants_page;
use super::{Code, HttpError, Site};
use crate::session::{Error, SignedIn};

/// A page.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            Response::builder().status(status).content_type("text/html; charset=utf-8").body(html)
        }
        // Not the error page: it is a template, too.
        Err(error) => {
            tracing::error!(event = "request_failed", %error, "a template was not filled in");
            text(Code::Internal.status(), Code::Internal.detail())
        }
    }
}

/// A sentence for a script or a program.
fn text(status: StatusCode, sentence: &str) -> Response {
    Response::builder()
        .status(status)
        .content_type("text/plain; charset=utf-8")
        .body(sentence.to_owned())
}

/// Sends the browser on to another page, which it gets with GET whatever was posted here
/// (RFC 9110 section 15.4.4). The address is relative: no header of the request decides it.
fn see_other(location: &'static str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, location).finish()
}

/// Who is signed in with the session cookie. Counts nothing and renews nothing.
///
/// A token that is no good is nobody. A store that cannot tell is an error: a person who is signed
/// in must not be told that they are not.
async fn signed_in(site: &Site, request: &Request) -> Result<Option<SignedIn>, HttpError> {
    let Some(credential) = site.shown_cookie(request)? else {
        return Ok(None);
    };
    match site.sessions.authenticate(&credential).await {
        Ok(who) => Ok(Some(who)),
        Err(Error::NotSignedIn(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
