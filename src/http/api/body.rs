//! Reading JSON bodies, strictly.
//!
//! poem-openapi's own payload answers 400 to everything and repeats the value that does not fit,
//! which may be a password. Here: 415 for another media type, 413 for too much, 400 for what is
//! not JSON, 422 for what does not fit, and no value is ever repeated.

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::Type,
};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::http::{Code, HttpError, limits};

const MEDIA_TYPE: &str = "application/json";

/// A JSON body of type `T`: its schema is poem-openapi's, its reading is serde's. `T` must deny
/// unknown fields.
pub(super) struct Body<T>(pub(super) T);

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType { content_type: MEDIA_TYPE, schema: T::schema_ref() }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        if !limits::is_of_type(request, MEDIA_TYPE) {
            return Err(HttpError::from(Code::UnsupportedMediaType).into());
        }
        let bytes = limits::read(body).await?;
        Ok(Self(parse(&bytes)?))
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HttpError> {
    // Read to its end first: the second reading stops where the schema is broken, and what follows
    // decides whether it was JSON at all.
    let text = std::str::from_utf8(bytes).map_err(|_| Code::MalformedJson)?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| Code::MalformedJson)?;
    // serde takes an array for a struct, its elements for the fields in their order.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Code::InvalidBody.into());
    }
    serde_json::from_str(text).map_err(|_| Code::InvalidBody.into())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        email: String,
        #[serde(default)]
        remember: bool,
    }

    #[test]
    fn not_json_is_400_and_not_fitting_is_422() {
        let code = |text: &str| parse::<Sample>(text.as_bytes()).map_err(|error| error.code);
        assert!(code(r#"{"email":"a"}"#).is_ok());
        for text in
            ["", "{", "[", "{\"x\":1,", "{'a':1}", "email=a", "{\"email\":\"a\"} x", "\u{feff}{}"]
        {
            assert_eq!(code(text), Err(Code::MalformedJson), "{text}");
        }
        for text in [
            "[]",
            r#"["a",true]"#,
            "null",
            "{}",
            r#"{"email":1}"#,
            r#"{"email":["a"]}"#,
            r#"{"email":"a","admin":true}"#,
            r#"{"email":"a","email":"b"}"#,
            r#"{"email":"a","remember":"yes"}"#,
        ] {
            assert_eq!(code(text), Err(Code::InvalidBody), "{text}");
        }
        assert_eq!(parse::<Sample>(b"\xff\xfe{").map_err(|e| e.code), Err(Code::MalformedJson));
        let deep = "[".repeat(100_000);
        assert_eq!(code(&deep), Err(Code::MalformedJson), "no stack is blown");
    }
}
