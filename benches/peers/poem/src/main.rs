//! The visit counter with poem's own sessions on the server's side, in Redis.
//!
//! `poem-peer ADDRESS:PORT REDIS_URL`

use poem::{
    EndpointExt as _, Route, Server, get, handler,
    listener::TcpListener,
    post,
    session::{CookieConfig, RedisStorage, ServerSession, Session},
    web::Json,
};
use redis::{Client, aio::ConnectionManager};
use serde_json::{Value, json};

#[handler]
fn log_in(session: &Session) -> Json<Value> {
    session.set("visits", 0_u64);
    answer(0)
}

#[handler]
fn check(session: &Session) -> poem::Result<Json<Value>> {
    Ok(answer(session.get("visits").ok_or(unauthorized())?))
}

#[handler]
fn visit(session: &Session) -> poem::Result<Json<Value>> {
    let visits = session.get::<u64>("visits").ok_or(unauthorized())? + 1;
    session.set("visits", visits);
    Ok(answer(visits))
}

fn answer(visits: u64) -> Json<Value> {
    Json(json!({ "visits": visits }))
}

fn unauthorized() -> poem::Error {
    poem::Error::from_status(poem::http::StatusCode::UNAUTHORIZED)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(redis)) = (arguments.next(), arguments.next()) else {
        return Err("usage: poem-peer ADDRESS:PORT REDIS_URL".into());
    };
    let storage = RedisStorage::new(ConnectionManager::new(Client::open(redis)?).await?);
    let app = Route::new()
        .at("/login", post(log_in))
        .at("/check", get(check))
        .at("/visit", post(visit))
        .with(ServerSession::new(CookieConfig::new().secure(false), storage));
    Ok(Server::new(TcpListener::bind(address)).run(app).await?)
}
