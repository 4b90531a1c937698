//! The visit counter with actix-session, in Redis.
//!
//! `actix-peer ADDRESS:PORT REDIS_URL`

use actix_session::{Session, SessionMiddleware, storage::RedisSessionStore};
use actix_web::{
    App, HttpResponse, HttpServer, Result, cookie::Key, error::ErrorUnauthorized, get, post,
};
use serde_json::json;

#[post("/login")]
async fn log_in(session: Session) -> Result<HttpResponse> {
    session.insert("visits", 0_u64)?;
    Ok(answer(0))
}

#[get("/check")]
async fn check(session: Session) -> Result<HttpResponse> {
    Ok(answer(visits(&session)?))
}

#[post("/visit")]
async fn visit(session: Session) -> Result<HttpResponse> {
    let visits = visits(&session)? + 1;
    session.insert("visits", visits)?;
    Ok(answer(visits))
}

fn visits(session: &Session) -> Result<u64> {
    session.get("visits")?.ok_or_else(|| ErrorUnauthorized("no session"))
}

fn answer(visits: u64) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "visits": visits }))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(redis)) = (arguments.next(), arguments.next()) else {
        return Err("usage: actix-peer ADDRESS:PORT REDIS_URL".into());
    };
    let store = RedisSessionStore::new(redis).await?;
    let key = Key::generate();
    HttpServer::new(move || {
        let sessions =
            SessionMiddleware::builder(store.clone(), key.clone()).cookie_secure(false).build();
        App::new().wrap(sessions).service(log_in).service(check).service(visit)
    })
    .bind(address)?
    .run()
    .await?;
    Ok(())
}
