//! What is told of every request: its id in the log and in its answer, two numbers; and the last
//! line of defence: a handler that panics answers 500 and the process lives (ASVS 16.5.4).
//!
//! Most requests log nothing, so nothing is written down for the log in advance: the request is
//! kept where its task can find it, and [`describe_request`] tells of it when a line is written.

use std::{fmt, net::IpAddr, panic::AssertUnwindSafe, sync::OnceLock, time::Instant};

use futures_util::FutureExt as _;
use metrics::{Counter, Histogram, counter, histogram};
use poem::{
    Request, Response,
    http::{HeaderName, HeaderValue, Method, Uri},
};
use uuid::Uuid;

use super::{Code, HttpError, problem};

tokio::task_local! {
    static REQUEST: Seen;
}

/// A request on its way.
pub(super) struct Seen {
    id: Uuid,
    method: Method,
    uri: Uri,
    peer: Option<IpAddr>,
}

/// Tells of the request that the calling task works on, field by field; of nothing outside of one.
pub fn describe_request(tell: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
    // An error means that there is none.
    let _ = REQUEST.try_with(|seen| {
        tell("id", &seen.id.simple());
        tell("method", &seen.method);
        tell("path", &seen.uri.path());
        if let Some(peer) = &seen.peer {
            tell("peer", peer);
        }
    });
}

impl Seen {
    /// A request that comes from `peer`.
    pub(super) fn of(request: &Request, peer: Option<IpAddr>) -> Self {
        Self {
            id: Uuid::new_v4(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            peer,
        }
    }

    /// Waits for the answer, names it, counts and times it.
    pub(super) async fn through(
        self,
        meters: &Meters,
        wants_page: bool,
        answer: impl Future<Output = Response>,
    ) -> Response {
        let (id, method) = (self.id, kind(&self.method));
        let started = Instant::now();
        let work = async {
            let answered = AssertUnwindSafe(answer).catch_unwind().await;
            let response = answered.unwrap_or_else(|_panic| {
                // The panic's own text is on stderr by the hook; it may hold anything.
                tracing::error!(event = "panic", "a handler panicked");
                problem::answer(&HttpError::from(Code::Internal), wants_page)
            });
            let (status, seconds) = (response.status().as_u16(), started.elapsed().as_secs_f64());
            meters.count(method, status, seconds);
            tracing::debug!(event = "request", status, seconds, "answered");
            response
        };
        let mut response = REQUEST.scope(self, work).await;
        let mut text = Uuid::encode_buffer();
        if let Ok(id) = HeaderValue::from_str(id.simple().encode_lower(&mut text)) {
            response.headers_mut().insert(ID, id);
        }
        response
    }
}

/// The numbers, looked up once: to find one by its name and labels takes longer than to raise it.
pub(super) struct Meters {
    seconds: Histogram,
    requests: [[OnceLock<Counter>; CLASSES.len()]; METHODS.len()],
}

impl Meters {
    /// Of the recorder that is installed now.
    pub(super) fn new() -> Self {
        Self {
            seconds: histogram!("countersign_http_request_seconds"),
            requests: Default::default(),
        }
    }

    fn count(&self, method: usize, status: u16, seconds: f64) {
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        let requests = self.requests[method][class].get_or_init(|| {
            counter!(
                "countersign_http_requests_total",
                "method" => METHODS[method], "status" => CLASSES[class]
            )
        });
        requests.increment(1);
        self.seconds.record(seconds);
    }
}

const ID: HeaderName = HeaderName::from_static("x-request-id");

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The methods that are told apart: a client's invention must not make a new time series.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "other"];

fn kind(method: &Method) -> usize {
    METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1)
}
