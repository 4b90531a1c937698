//! What the operator's command line and Prometheus call, on an address of its own.
//!
//! | where | what |
//! |---|---|
//! | `POST /operate` | carries out a [`Command`]; the bearer token is in `admin.json` of the data directory |
//! | `GET /backup` | streams a backup of the store; the same token. What breaks off is no backup |
//! | `GET /metrics` | Prometheus; needs no token, says nothing of persons |
//!
//! No page calls this interface. What a browser sends is refused, whoever made it send that: every
//! request with an `Origin`, and on a loopback address every request for another host's name (a
//! DNS name that an attacker points at 127.0.0.1).

use std::{fmt, io, net::IpAddr, sync::Arc};

use futures_util::stream;
use poem::{
    Addr, Body, Endpoint, EndpointExt, IntoResponse, Request, Response, handler,
    http::{header, uri::Authority},
    web::{Data, Json},
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Code, HttpError, client, limits,
    methods::{get, post},
    problem,
    routes::Routes,
    trace::{Meters, Seen},
};
use crate::{
    model::By,
    session::{Sessions, operate::Command},
};

/// What the operator's command line shows for a proof that it can read the data directory.
#[derive(Clone)]
pub struct OperatorToken(Zeroizing<String>);

impl OperatorToken {
    /// Takes over the text of a token.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the file it is handed over in and the request it is shown in.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `shown` is this token, in a time that does not depend on where they differ.
    fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(..)")
    }
}

struct Admin {
    sessions: Sessions,
    token: OperatorToken,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
    meters: Meters,
}

impl Admin {
    /// Refuses who does not show the operator's token.
    fn check(&self, request: &Request) -> Result<(), HttpError> {
        let shown =
            request.header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        if shown.is_some_and(|shown| self.token.is(shown)) {
            Ok(())
        } else {
            Err(Code::NotSignedIn.into())
        }
    }
}

/// The admin interface.
pub fn app(
    sessions: Sessions,
    token: OperatorToken,
    metrics: impl Fn() -> String + Send + Sync + 'static,
) -> impl Endpoint<Output = Response> + 'static {
    let admin =
        Arc::new(Admin { sessions, token, metrics: Box::new(metrics), meters: Meters::new() });
    Routes::default()
        .at("/operate", post(operate))
        .at("/backup", get(back_up))
        .at("/metrics", get(show_metrics))
        .data(Arc::clone(&admin))
        .around(move |next, request| guard(Arc::clone(&admin), next, request))
}

#[handler]
async fn operate(
    request: &Request,
    body: Body,
    Data(admin): Data<&Arc<Admin>>,
) -> poem::Result<Response> {
    admin.check(request)?;
    if !limits::is_of_type(request, "application/json") {
        return Err(HttpError::from(Code::UnsupportedMediaType).into());
    }
    let bytes = Zeroizing::new(limits::read(&mut poem::RequestBody::new(body)).await?);
    let command: Command =
        serde_json::from_slice(&bytes).map_err(|_| HttpError::from(Code::InvalidBody))?;
    let reply =
        admin.sessions.operate(command, &By::COMMAND_LINE).await.map_err(HttpError::from)?;
    Ok(Json(reply).into_response())
}

/// Each page is read when the one before it has been sent: a client that reads slowly costs no
/// memory here but for what changes meanwhile.
#[handler]
async fn back_up(request: &Request, Data(admin): Data<&Arc<Admin>>) -> poem::Result<Response> {
    admin.check(request)?;
    let backup = admin.sessions.backup(&By::COMMAND_LINE).await.map_err(HttpError::from)?;
    let chunks = stream::try_unfold(backup, |mut backup| async move {
        match backup.chunk().await {
            Ok(chunk) => Ok(chunk.map(|chunk| (chunk, backup))),
            Err(error) => {
                // The status is sent already. All that can be done is to break off, without the
                // end that makes it a backup.
                tracing::error!(event = "backup_failed", %error, "a backup was broken off");
                Err(io::Error::other("the backup was broken off"))
            }
        }
    });
    Ok(Response::builder()
        .content_type("application/octet-stream")
        .body(Body::from_bytes_stream(chunks)))
}

#[handler]
fn show_metrics(Data(admin): Data<&Arc<Admin>>) -> Response {
    Response::builder()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body((admin.metrics)())
}

/// What happens to every request here.
async fn guard<E: Endpoint<Output = Response>>(
    admin: Arc<Admin>,
    next: Arc<E>,
    request: Request,
) -> poem::Result<Response> {
    // No proxy stands before it.
    let seen = Seen::of(&request, client::address(&request, &[]));
    let answer = async {
        let answered = match admit(&request) {
            Ok(()) => next.call(request).await,
            Err(refused) => Err(refused.into()),
        };
        problem::render(answered, false)
    };
    Ok(seen.through(&admin.meters, false, answer).await)
}

/// Refuses what a browser sends, and what is too large.
fn admit(request: &Request) -> Result<(), HttpError> {
    if request.headers().contains_key(header::ORIGIN) || !asks_for_us(request) {
        return Err(Code::CrossSite.into());
    }
    limits::check(request)
}

/// Whether the request asks for this interface and not for a name that was pointed at it.
fn asks_for_us(request: &Request) -> bool {
    let asked = match request.header(header::HOST) {
        Some(host) => host.parse::<Authority>().ok(),
        None => request.uri().authority().cloned(),
    };
    let local = match &request.local_addr().0 {
        Addr::SocketAddr(address) => Some(address.ip()),
        _ => None,
    };
    asked.is_some_and(|asked| is_ours(asked.host(), local))
}

fn is_ours(host: &str, local: Option<IpAddr>) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match literal {
        Ok(ip) => ip.is_loopback() || Some(ip) == local,
        // Beyond the loopback the operator put it on a network, by names that only they know;
        // whoever is there needs no rebinding to reach it.
        Err(_) => {
            host.eq_ignore_ascii_case("localhost") || local.is_some_and(|ip| !ip.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_pointed_here_is_not_ours() {
        let loopback = Some("127.0.0.1".parse().unwrap());
        for host in ["127.0.0.1", "localhost", "LocalHost", "[::1]", "127.0.0.2"] {
            assert!(is_ours(host, loopback), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "localhost."] {
            assert!(!is_ours(host, loopback), "{host}");
            assert!(!is_ours(host, None), "{host}");
        }
        let network = Some("10.0.0.1".parse().unwrap());
        assert!(is_ours("10.0.0.1", network));
        assert!(is_ours("countersign.internal", network));
        assert!(!is_ours("10.0.0.2", network));
    }

    #[test]
    fn a_token_is_compared_whole_and_does_not_show_itself() {
        let token = OperatorToken::new("abcdef".into());
        assert!(token.is("abcdef"));
        for shown in ["", "abcde", "abcdefg", "abcdeg", "ABCDEF"] {
            assert!(!token.is(shown), "{shown}");
        }
        assert!(!format!("{token:?}").contains("abc"));
    }
}
