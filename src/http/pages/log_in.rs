//! `/login`: what the form of the home page posts to.

use std::sync::Arc;

use poem::{Request, Response, handler, http::StatusCode, web::Data};

use super::{
    form::{Form, Posted},
    home, see_other, text,
};
use crate::{
    http::{Code, HttpError, Site, problem, session_cookie::CookieSlot},
    session::Issued,
};

/// `GET /login`: after a refusal the address bar says so, and people press Enter in it.
#[handler]
pub(in crate::http) fn show() -> Response {
    see_other("/")
}

/// `POST /login`. A script (`X-Requested-With`, as the tutorial's front end sends it) is answered
/// in plain text, a browser with a page.
#[handler]
pub(in crate::http) async fn submit(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
    Data(slot): Data<&CookieSlot>,
    Posted(form): Posted,
) -> Result<Response, HttpError> {
    let outcome = match &form {
        Ok(form) => log_in(site, request, form).await,
        Err(error) => Err(error.clone()),
    };
    let scripted = request
        .header("x-requested-with")
        .is_some_and(|by| by.eq_ignore_ascii_case("XMLHttpRequest"));
    match (outcome, form) {
        (Ok(issued), _) => {
            slot.set(issued);
            Ok(if scripted { text(StatusCode::OK, "done") } else { see_other("/admin") })
        }
        (Err(error), _) if scripted => Ok(in_plain_text(&error)),
        (Err(error), Ok(form)) if error.code == Code::WrongCredentials => {
            let registration = site.sessions.policy().registration;
            Ok(home::form(registration, Some(form.echoed_email())))
        }
        (Err(error), _) => Err(error),
    }
}

async fn log_in(site: &Site, request: &Request, form: &Form) -> Result<Issued, HttpError> {
    let how = form.log_in(site, request, site.shown_cookie(request)?);
    Ok(site.sessions.log_in(&form.email, form.password.clone(), how).await?)
}

/// The error as problem+json would tell it, but as its sentence alone.
fn in_plain_text(error: &HttpError) -> Response {
    let mut response = problem::answer(error, false).set_content_type("text/plain; charset=utf-8");
    response.set_body(error.detail().to_owned());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_script_is_told_in_one_sentence() {
        let response = in_plain_text(&Code::Busy.into());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.header("retry-after"), Some("1"));
        assert_eq!(response.content_type(), Some("text/plain; charset=utf-8"));
        let body = response.into_body().into_string().await.unwrap();
        assert_eq!(body, Code::Busy.detail());
    }
}
