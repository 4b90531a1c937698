//! One span and two numbers for every request, and the last line of defence: a handler that
//! panics answers 500 and the process lives (ASVS 16.5.4).

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::FutureExt as _;
use metrics::{counter, histogram};
use poem::{Endpoint, IntoResponse, Request, Response, http::HeaderValue};
use tracing::Instrument as _;

use super::{Code, HttpError, pages, problem};

/// Names the request in the log and in its answer, counts and times it.
pub(super) async fn observe<E: Endpoint>(next: Arc<E>, request: Request) -> poem::Result<Response> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let method = request.method().clone();
    let wants_page = pages::wants_page(&request);
    let span = tracing::info_span!(
        "request", %id, %method, path = request.uri().path(), peer = %request.remote_addr()
    );
    let started = Instant::now();
    let answered = AssertUnwindSafe(next.call(request)).catch_unwind().instrument(span.clone());
    let mut response = match answered.await {
        Ok(Ok(answer)) => answer.into_response(),
        Ok(Err(error)) => {
            // `problem::render` stands inside and leaves no error: a route got around it.
            span.in_scope(|| tracing::error!(event = "request_failed", %error, "unrendered"));
            problem::answer(&HttpError::from(Code::Internal), wants_page)
        }
        Err(_panic) => {
            // The panic's own text is on stderr by the hook; it may hold anything.
            span.in_scope(|| tracing::error!(event = "panic", "a handler panicked"));
            problem::answer(&HttpError::from(Code::Internal), wants_page)
        }
    };
    let status = response.status().as_u16();
    let seconds = started.elapsed().as_secs_f64();
    counter!("countersign_http_requests_total", "method" => label(&method), "status" => status_class(status))
        .increment(1);
    histogram!("countersign_http_request_seconds").record(seconds);
    span.in_scope(|| tracing::debug!(event = "request", status, seconds, "answered"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    Ok(response)
}

/// The method as a label: a client's invention must not make a new time series.
fn label(method: &poem::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn status_class(status: u16) -> &'static str {
    match status / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
