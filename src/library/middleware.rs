//! What happens to every request of the app, in its order; the [module](super) says it in words.

use std::sync::Arc;

use askama::Template;
use poem::{
    Endpoint, IntoResponse as _, Middleware, Request, Response,
    http::{HeaderValue, StatusCode, header},
};

use super::request::Arrived;
use crate::http::{
    Code, HttpError, Site,
    headers::SecurityHeaders,
    problem,
    session_cookie::{self, CookieSlot},
    wants_page,
};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Stands around routes that have to do with sessions: see
/// [`Countersign::middleware`](super::Countersign::middleware).
#[derive(Clone)]
pub struct SessionMiddleware {
    site: Arc<Site>,
    log_in_at: Option<Arc<str>>,
}

impl SessionMiddleware {
    pub(super) fn new(site: Arc<Site>, log_in_at: Option<Arc<str>>) -> Self {
        Self { site, log_in_at }
    }
}

impl<E: Endpoint> Middleware<E> for SessionMiddleware {
    type Output = Guarded<E>;

    fn transform(&self, inner: E) -> Guarded<E> {
        let headers = SecurityHeaders::new(self.site.cookie.secure);
        Guarded { rules: self.clone(), headers, inner }
    }
}

/// Routes with the [`SessionMiddleware`] around them.
pub struct Guarded<E> {
    rules: SessionMiddleware,
    headers: SecurityHeaders,
    inner: E,
}

impl<E: Endpoint> Endpoint for Guarded<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let site = &self.rules.site;
        let wants_page = wants_page(&request);
        let slot = CookieSlot::default();
        let arrived = match Arrived::of(&request, site, &slot).await {
            Ok(arrived) => arrived,
            Err(refused) => return Ok(self.answer(&refused, wants_page)),
        };
        request.set_data(Arc::clone(site));
        request.set_data(slot.clone());
        request.set_data(Arc::clone(&arrived));
        let response = match self.inner.call(request).await {
            Ok(output) => output.into_response(),
            Err(error) => match error.downcast::<HttpError>() {
                Ok(ours) => self.answer(&ours, wants_page),
                Err(of_the_app) => of_the_app.into_response(),
            },
        };
        let has_cookie = slot.is_wanted();
        let response = session_cookie::apply(site, &slot, response).await;
        let mut response = response.unwrap_or_else(|error| self.answer(&error, wants_page));
        let headers = response.headers_mut();
        if has_cookie || arrived.was_asked() && !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, NO_STORE);
        }
        Ok(response)
    }
}

impl<E> Guarded<E> {
    /// The answer to an error of ours.
    fn answer(&self, error: &HttpError, wants_page: bool) -> Response {
        let log_in_at = self.rules.log_in_at.as_deref();
        let mut response = match log_in_at.filter(|_| wants_page && is_signed_out(error)) {
            Some(address) => Response::builder()
                .status(StatusCode::SEE_OTHER)
                .header(header::LOCATION, address)
                .finish(),
            None => problem::answer_with(error, wants_page.then_some(page)),
        };
        self.headers.add_to(&mut response);
        response
    }
}

fn is_signed_out(error: &HttpError) -> bool {
    error.code == Code::NotSignedIn
}

/// An error in an app that is not ours: no name, no style, no link.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ status }}</title>
</head>
<body>
<h1>{{ status }}</h1>
<p>{{ sentence }}</p>
</body>
</html>
"#
)]
struct Page<'a> {
    status: StatusCode,
    sentence: &'a str,
}

fn page(error: &HttpError) -> Response {
    let (status, sentence) = (error.code.status(), error.detail());
    let html = Page { status, sentence }.render();
    // It can only fail in writing to memory; then the sentence alone has to do.
    let html = html.unwrap_or_else(|_| sentence.to_owned());
    Response::builder().status(status).content_type("text/html; charset=utf-8").body(html)
}
