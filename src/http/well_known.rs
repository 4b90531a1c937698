//! `/.well-known/jwks.json`: the public keys, for services that verify tokens by themselves
//! (RFC 7517). An HMAC key is never among them.

use std::sync::Arc;

use poem::{
    IntoResponse as _, Response, handler,
    web::{Data, Json},
};

use super::Site;

/// How long a verifier may keep the keys, in seconds.
const MAX_AGE: &str = "public, max-age=300";

/// The key set.
#[handler]
pub(super) fn jwks(Data(site): Data<&Arc<Site>>) -> Response {
    Json(site.sessions.tokens().jwks())
        .with_header("cache-control", MAX_AGE)
        .with_content_type("application/jwk-set+json")
        .into_response()
}
