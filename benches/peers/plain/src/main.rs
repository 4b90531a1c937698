//! The yardstick of `just bench`: a Poem handler that looks at nothing and keeps nothing, and
//! answers with JSON of the shape and size of Countersign's session. `/secured` is the same with
//! the headers of every answer of Countersign: what they cost is the client's time too.
//!
//! `plain ADDRESS:PORT`

use poem::{
    EndpointExt as _, IntoResponse as _, Response, Route, Server, get, handler, http::HeaderValue,
    listener::TcpListener, web::Json,
};
use serde::Serialize;

#[derive(Serialize)]
struct Session {
    sid: String,
    email: String,
    visits: u64,
    created_at: String,
    last_seen_at: String,
    expires_at: String,
    idle_expires_at: String,
    current: bool,
    user_agent: String,
}

#[handler]
fn session() -> Json<Session> {
    plain()
}

fn plain() -> Json<Session> {
    Json(Session {
        sid: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        email: "bench-00@example.com".to_owned(),
        visits: 1_000,
        created_at: "2026-01-01T00:00:00.000Z".to_owned(),
        last_seen_at: "2026-01-01T00:00:00.000Z".to_owned(),
        expires_at: "2026-01-01T12:00:00.000Z".to_owned(),
        idle_expires_at: "2026-01-01T00:30:00.000Z".to_owned(),
        current: true,
        user_agent: String::new(),
    })
}

const HEADERS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("x-request-id", "a247a01db4ff41179679f509feed58a9"),
];

#[handler]
fn secured() -> Response {
    let mut response = plain().into_response();
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("usage: plain ADDRESS:PORT")?;
    let app = Route::new().at("/check", get(session)).at("/secured", get(secured)).boxed();
    Ok(Server::new(TcpListener::bind(address)).run(app).await?)
}
