//! `/.well-known/jwks.json`: the public keys, for services that verify tokens by themselves
//! (RFC 7517). An HMAC key is never among them.

use std::sync::Arc;

use poem::{Response, handler, web::Data};

use super::{Code, HttpError, Site};
use crate::token::PUBLISHED_FOR;

/// The key set.
#[handler]
pub(super) fn jwks(Data(site): Data<&Arc<Site>>) -> poem::Result<Response> {
    let keys = serde_json::to_string(&site.sessions.jwks())
        .map_err(|_| HttpError::from(Code::Internal))?;
    Ok(Response::builder()
        .content_type("application/jwk-set+json")
        .header("cache-control", format!("public, max-age={}", PUBLISHED_FOR.as_secs()))
        .body(keys))
}
