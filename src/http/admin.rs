//! What the operator's command line and Prometheus call, on an address of its own.
//!
//! | where | what |
//! |---|---|
//! | `POST /operate` | carries out a [`Command`]; the bearer token is in `admin.json` of the data directory |
//! | `GET /backup` | streams a backup of the store; the same token. What breaks off is no backup |
//! | `POST /keys` | announces a new signing key, where keys are files; the same token |
//! | `GET /metrics` | Prometheus; needs no token, says nothing of persons |
//! | `POST /codes` | a code that lets a browser into the dashboard, once; the same token |
//! | `/dashboard` | the operator's dashboard; who may see it is `dashboard::door`'s to say |
//!
//! No page calls this interface but the dashboard's own forms, which are told by their `Origin` and by
//! what is in them. Whatever else a browser sends is refused, whoever made it send that: every
//! request with an `Origin`, and on a loopback address every request for another host's name (a
//! DNS name that an attacker points at 127.0.0.1).

use std::{fmt, io, net::IpAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{future::BoxFuture, stream};
use poem::{
    Addr, Body, Endpoint, EndpointExt, IntoResponse, Request, Response, handler,
    http::{header, uri::Authority},
    web::{Data, Json},
};
use serde::Serialize;
use subtle::ConstantTimeEq as _;
use url::Url;
use zeroize::Zeroizing;

use super::{
    Code, HttpError, client, csrf,
    dashboard::{self, Dashboard, History},
    headers::SecurityHeaders,
    limits,
    methods::{get, post},
    problem,
    routes::Routes,
    trace::{Meters, Seen},
};
use crate::{
    model::{By, Clock},
    session::{Sessions, operate::Command},
    token::{KeyError, KeyInfo},
};

/// Announces a new signing key: what came of it is all keys.
pub type RotateKeys =
    Box<dyn Fn() -> BoxFuture<'static, Result<Vec<KeyInfo>, KeyError>> + Send + Sync>;

/// What the operator's command line shows for a proof that it can read the data directory; and what
/// a browser shows that was let in by it.
#[derive(Clone)]
pub struct OperatorToken(Zeroizing<String>);

impl OperatorToken {
    /// Takes over the text of a token.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// A new one, of 32 random bytes of the system.
    ///
    /// # Errors
    /// When the system has none.
    pub fn random() -> io::Result<Self> {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *random).map_err(io::Error::other)?;
        Ok(Self::new(URL_SAFE_NO_PAD.encode(random.as_slice())))
    }

    /// The text, for the file it is handed over in and the request it is shown in.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `shown` is this token, in a time that does not depend on where they differ.
    pub(super) fn is(&self, shown: &str) -> bool {
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
    rotate_keys: RotateKeys,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
    meters: Meters,
    headers: SecurityHeaders,
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

/// The admin interface. Whoever starts it [feeds](History::record) the `history`.
pub fn app(
    sessions: Sessions,
    token: OperatorToken,
    rotate_keys: RotateKeys,
    metrics: impl Fn() -> String + Send + Sync + 'static,
    history: Arc<History>,
    clock: Arc<dyn Clock>,
) -> impl Endpoint<Output = Response> + 'static {
    let dashboard = Arc::new(Dashboard::new(sessions.clone(), history, clock));
    let admin = Arc::new(Admin {
        sessions,
        token,
        rotate_keys,
        metrics: Box::new(metrics),
        meters: Meters::new(),
        headers: SecurityHeaders::new(false),
    });
    let routes = Routes::default()
        .at("/operate", post(operate))
        .at("/backup", get(back_up))
        .at("/keys", post(announce_key))
        .at("/metrics", get(show_metrics))
        .at("/codes", post(issue_code));
    dashboard::mount(routes)
        .data(Arc::clone(&admin))
        .data(dashboard)
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
async fn announce_key(request: &Request, Data(admin): Data<&Arc<Admin>>) -> poem::Result<Response> {
    admin.check(request)?;
    // Whoever has the token has the files, too: they are told in full what is wrong with them.
    let told = |error: KeyError| {
        let is_ours = matches!(error, KeyError::Io { .. });
        HttpError::explained(if is_ours { Code::Internal } else { Code::BadRequest }, &error)
    };
    Ok(Json((admin.rotate_keys)().await.map_err(told)?).into_response())
}

/// What lets a browser into the dashboard.
#[derive(Serialize)]
struct Issued {
    code: String,
}

#[handler]
fn issue_code(
    request: &Request,
    Data(admin): Data<&Arc<Admin>>,
    Data(dashboard): Data<&Arc<Dashboard>>,
) -> poem::Result<Response> {
    admin.check(request)?;
    Ok(Json(Issued { code: dashboard.code()? }).into_response())
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
    let page = dashboard::page_of_errors(&request);
    let answer = async {
        let answered = match admit(&request) {
            Ok(()) => next.call(request).await,
            Err(refused) => Err(refused.into()),
        };
        problem::render_with(answered, page)
    };
    let mut response = seen.through(&admin.meters, false, answer).await;
    admin.headers.add_to(&mut response);
    Ok(response)
}

/// Refuses what pages of others make a browser send, and what is too large.
fn admit(request: &Request) -> Result<(), HttpError> {
    let own = own_address(request).ok_or(Code::CrossSite)?;
    if request.headers().contains_key(header::ORIGIN) && !dashboard::is_form(request) {
        return Err(Code::CrossSite.into());
    }
    csrf::check(request, &own)?;
    limits::check(request)
}

/// The address by which the request asks for this interface; `None` if it asks for a name that was
/// pointed at it.
fn own_address(request: &Request) -> Option<Url> {
    let asked = match request.header(header::HOST) {
        Some(host) => host.parse::<Authority>().ok(),
        None => request.uri().authority().cloned(),
    };
    let local = match &request.local_addr().0 {
        Addr::SocketAddr(address) => Some(address.ip()),
        _ => None,
    };
    let asked = asked.filter(|asked| is_ours(asked.host(), local))?;
    Url::parse(&format!("http://{asked}")).ok()
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
