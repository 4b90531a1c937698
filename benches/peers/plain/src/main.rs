//! The yardstick of `just bench`: a Poem handler that looks at nothing and keeps nothing, and
//! answers with JSON of the shape and size of Countersign's session.
//!
//! `plain ADDRESS:PORT`

use poem::{EndpointExt as _, Route, Server, get, handler, listener::TcpListener, web::Json};
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("usage: plain ADDRESS:PORT")?;
    let app = Route::new().at("/check", get(session)).boxed();
    Ok(Server::new(TcpListener::bind(address)).run(app).await?)
}
