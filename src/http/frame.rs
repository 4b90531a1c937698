//! What happens to every request, whatever it asks for: the order of it all, on one screen.
//!
//! One endpoint around all routes rather than a layer for each step: a layer is a future in a
//! future, and making and moving those cost more than the steps themselves (seen in a profile).

use std::{pin::pin, sync::Arc};

use poem::{Endpoint, Request, Response};

use super::{
    HttpError, Site, csrf,
    headers::SecurityHeaders,
    limits, pages, problem,
    session_cookie::{self, CookieSlot},
    trace::{Meters, Seen},
};

/// The routes, and around them the rules that hold for all.
pub(super) struct Frame<E> {
    site: Arc<Site>,
    headers: SecurityHeaders,
    meters: Meters,
    routes: E,
}

impl<E: Endpoint<Output = Response>> Frame<E> {
    pub(super) fn new(site: Arc<Site>, routes: E) -> Self {
        let headers = SecurityHeaders::new(site.cookie.secure);
        Self { site, headers, meters: Meters::new(), routes }
    }

    /// What is decided before anybody looks at what the request asks for, or who asks.
    fn admit(&self, request: &Request) -> Result<(), HttpError> {
        limits::check(request)?;
        csrf::check(request, &self.site.public_url)
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Frame<E> {
    type Output = Response;

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn keeps its half kilobyte of request twice"
    )]
    fn call(&self, mut request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        async move {
            let wants_page = pages::wants_page(&request);
            let seen = Seen::of(&request, self.site.client(&request));
            let cookie = CookieSlot::default();
            request.set_data(Arc::clone(&self.site));
            request.set_data(cookie.clone());
            // Pinned here: what is handed on is a pointer, not the whole future.
            let answer = pin!(async {
                let answered = match self.admit(&request) {
                    Ok(()) => self.routes.call(request).await,
                    Err(refused) => Err(refused.into()),
                };
                let response = problem::render(answered, wants_page);
                let response = session_cookie::apply(&self.site, &cookie, response).await;
                response.unwrap_or_else(|error| problem::answer(&error, wants_page))
            });
            let mut response = seen.through(&self.meters, wants_page, answer).await;
            self.headers.add_to(&mut response);
            Ok(response)
        }
    }
}
