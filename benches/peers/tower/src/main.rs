//! The visit counter with tower-sessions in axum: in memory, or in Redis.
//!
//! `tower-peer ADDRESS:PORT [REDIS_URL]`

use axum::{
    Json, Router,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer, SessionStore};
use tower_sessions_redis_store::{
    RedisStore,
    fred::prelude::{ClientLike as _, Config, Pool},
};

type Answer = Result<Json<Value>, StatusCode>;

async fn log_in(session: Session) -> Answer {
    session.insert("visits", 0_u64).await.map_err(failed)?;
    Ok(answer(0))
}

async fn check(session: Session) -> Answer {
    Ok(answer(visits(&session).await?))
}

async fn visit(session: Session) -> Answer {
    let visits = visits(&session).await? + 1;
    session.insert("visits", visits).await.map_err(failed)?;
    Ok(answer(visits))
}

async fn visits(session: &Session) -> Result<u64, StatusCode> {
    session.get("visits").await.map_err(failed)?.ok_or(StatusCode::UNAUTHORIZED)
}

fn answer(visits: u64) -> Json<Value> {
    Json(json!({ "visits": visits }))
}

fn failed(_: tower_sessions::session::Error) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

async fn serve(
    address: &str,
    store: impl SessionStore + Clone,
) -> Result<(), Box<dyn std::error::Error>> {
    let app = Router::new()
        .route("/login", post(log_in))
        .route("/check", get(check))
        .route("/visit", post(visit))
        .layer(SessionManagerLayer::new(store).with_secure(false));
    Ok(axum::serve(TcpListener::bind(address).await?, app).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: tower-peer ADDRESS:PORT [REDIS_URL]")?;
    let Some(redis) = arguments.next() else {
        return serve(&address, MemoryStore::default()).await;
    };
    let pool = Pool::new(Config::from_url(&redis)?, None, None, None, 6)?;
    pool.connect();
    pool.wait_for_connect().await?;
    serve(&address, RedisStore::new(pool)).await
}
