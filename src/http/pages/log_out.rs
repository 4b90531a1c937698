//! `/logout`: end the session and go home.
//!
//! A form of ours posts here. A link may lead here too, but one from another site, and a browser
//! that asks ahead of its user, end nothing: they get a button to press.

use std::sync::Arc;

use askama::Template;
use poem::{Request, Response, handler, http::StatusCode, web::Data};

use super::{page, see_other};
use crate::{
    http::{HttpError, Site, csrf, session_cookie::CookieSlot},
    session::{Credential, Error},
};

#[derive(Template)]
#[template(path = "log_out.html")]
struct Confirm;

/// `GET /logout`.
#[handler]
pub(in crate::http) async fn follow(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
    Data(slot): Data<&CookieSlot>,
) -> Result<Response, HttpError> {
    let credential = site.shown_cookie(request)?;
    if csrf::is_deliberate(request, &site.public_url) {
        end(site, slot, credential).await
    } else {
        Ok(ask(credential.as_ref()))
    }
}

/// `HEAD /logout`: a link checker. Without a handler of its own, poem would run that of GET.
#[handler]
pub(in crate::http) fn head(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
) -> Result<Response, HttpError> {
    Ok(ask(site.shown_cookie(request)?.as_ref()))
}

/// `POST /logout`. From another site it does not come this far (`csrf`).
#[handler]
pub(in crate::http) async fn submit(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
    Data(slot): Data<&CookieSlot>,
) -> Result<Response, HttpError> {
    end(site, slot, site.shown_cookie(request)?).await
}

/// Ends the session and clears the cookie, that of a dead session too: whoever logs out wants it
/// gone. When the end could not be recorded the session lives, and the cookie must stay.
async fn end(
    site: &Site,
    slot: &CookieSlot,
    credential: Option<Credential>,
) -> Result<Response, HttpError> {
    if let Some(credential) = credential {
        match site.sessions.log_out(&credential).await {
            Ok(()) | Err(Error::NotSignedIn(_)) => slot.clear(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(see_other("/"))
}

fn ask(credential: Option<&Credential>) -> Response {
    match credential {
        Some(_) => page(StatusCode::OK, &Confirm),
        None => see_other("/"),
    }
}

#[cfg(test)]
mod tests {
    use poem::http::Method;

    use super::{super::testing::Service, *};
    use crate::session::Registration;

    #[tokio::test]
    async fn a_link_checker_logs_nobody_out() {
        let service = Service::new(Registration::Open);
        let cookie = service.cookie().await;
        let answer = service.ask(Method::HEAD, "/logout", &cookie, "").await;
        assert_eq!((answer.status(), answer.header("set-cookie")), (StatusCode::OK, None));
        let admin = service.ask(Method::GET, "/admin", &cookie, "").await;
        assert_eq!(admin.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn the_cookie_of_a_dead_session_is_cleared_too() {
        let service = Service::new(Registration::Open);
        let cookie = service.cookie().await;
        for _ in 0..2 {
            let answer = service.ask(Method::POST, "/logout", &cookie, "").await;
            assert_eq!(answer.header("location"), Some("/"));
            let cleared = answer.header("set-cookie").unwrap();
            assert!(cleared.starts_with("session=; "), "{cleared}");
        }
        let without = service.ask(Method::POST, "/logout", "", "").await;
        assert_eq!(without.header("location"), Some("/"));
        assert_eq!(without.header("set-cookie"), None);
    }
}
