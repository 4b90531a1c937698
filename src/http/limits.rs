//! How large a request may be, and the reading of bodies within it.
//!
//! poem limits nothing by itself, and its size middleware reads `Content-Length` alone; here a
//! body is also counted while it is read.

use poem::{
    Request, RequestBody,
    http::{HeaderValue, header},
};

use super::{Code, HttpError};

/// The largest body. The largest that is ever needed holds an e-mail and two passwords.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// All cookies together: other programs on the same host may have some, too.
const MAX_COOKIES_BYTES: usize = 16 * 1024;

/// All headers together.
const MAX_HEADERS_BYTES: usize = 32 * 1024;

/// Refuses what is too large by what it says of itself, before anything is done for it.
pub(super) fn check(request: &Request) -> Result<(), HttpError> {
    let headers = request.headers();
    let cookies: usize = headers.get_all(header::COOKIE).iter().map(HeaderValue::len).sum();
    let all: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if cookies > MAX_COOKIES_BYTES || all > MAX_HEADERS_BYTES {
        return Err(Code::HeadersTooLarge.into());
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match announced.map(str::parse::<usize>) {
        Some(Ok(bytes)) if bytes > MAX_BODY_BYTES => Err(Code::BodyTooLarge.into()),
        Some(Err(_)) => Err(Code::BadRequest.into()),
        _ => Ok(()),
    }
}

/// Reads a body of at most [`MAX_BODY_BYTES`].
pub(super) async fn read(body: &mut RequestBody) -> Result<Vec<u8>, HttpError> {
    let body = body.take().map_err(|_| Code::Internal)?;
    match body.into_bytes_limit(MAX_BODY_BYTES).await {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(poem::error::ReadBodyError::PayloadTooLarge) => Err(Code::BodyTooLarge.into()),
        Err(_) => Err(Code::BadRequest.into()),
    }
}

/// Whether the body says that it is of this media type, parameters aside.
pub(super) fn is_of_type(request: &Request, essence: &str) -> bool {
    let said = request.content_type().and_then(|text| text.split(';').next());
    said.is_some_and(|said| said.trim().eq_ignore_ascii_case(essence))
}
