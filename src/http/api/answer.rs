//! Writing JSON bodies.
//!
//! poem-openapi's own payload makes a tree of values first and writes that; for a session it took
//! longer than all else that a check does. Here the schema is poem-openapi's and the writing is
//! serde's, so what is answered derives both, and a test compares the two.

use poem::{
    Body, IntoResponse, Response,
    http::{HeaderValue, header},
};
use poem_openapi::{
    ApiResponse,
    payload::Payload,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::Type,
};
use serde::Serialize;

use crate::http::{Code, HttpError};

/// About what a session takes, so that the buffer is made once.
const TYPICAL_BYTES: usize = 1_024;

/// A JSON body of type `T`.
pub(super) struct Answer<T>(pub(super) T);

impl<T: Type> Payload for Answer<T> {
    const CONTENT_TYPE: &'static str = "application/json; charset=utf-8";

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type + Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut json = Vec::with_capacity(TYPICAL_BYTES);
        if let Err(error) = serde_json::to_writer(&mut json, &self.0) {
            tracing::error!(event = "request_failed", %error, "an answer could not be written");
            return poem::Error::from(HttpError::from(Code::Internal)).into_response();
        }
        let mut response = Response::from(Body::from(json));
        let media_type = HeaderValue::from_static(Self::CONTENT_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        response
    }
}

impl<T: Type + Serialize> ApiResponse for Answer<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Self::CONTENT_TYPE,
                    schema: Self::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
