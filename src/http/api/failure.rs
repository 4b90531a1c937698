//! What can go wrong with an operation, as a type: the OpenAPI document lists exactly these codes,
//! and in debug builds an operation that answers another one panics.

use std::{collections::BTreeMap, marker::PhantomData};

use poem::error::ResponseError as _;
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaResponse, MetaResponses, Registry},
    types::Type,
};

use super::document;
use crate::{
    http::{Code, HttpError, problem::Problem},
    session::Error,
};

/// The codes that an operation can answer.
pub(super) trait Failures: Send + Sync + 'static {
    /// In groups, so that operations share them.
    const CODES: &'static [&'static [Code]];
}

/// Declares a list of failures: `failures!(Name: GROUP, [Code::One, Code::Two]);`
macro_rules! failures {
    ($name:ident: $($group:expr),+ $(,)?) => {
        #[derive(Debug)]
        pub(super) struct $name;

        impl $crate::http::api::failure::Failures for $name {
            const CODES: &'static [&'static [$crate::http::Code]] = &[$(&$group),+];
        }
    };
}
pub(super) use failures;

/// What every operation can answer.
pub(super) const ANY: [Code; 4] =
    [Code::BadRequest, Code::HeadersTooLarge, Code::Internal, Code::StoreUnavailable];

/// What every operation that changes something can answer beside.
pub(super) const WRITE: [Code; 2] = [Code::CrossSite, Code::BodyTooLarge];

/// What every operation with a body can answer beside.
pub(super) const BODY: [Code; 3] =
    [Code::MalformedJson, Code::UnsupportedMediaType, Code::InvalidBody];

/// What every operation that needs a session can answer beside.
pub(super) const SIGNED_IN: [Code; 3] =
    [Code::NotSignedIn, Code::AmbiguousCredentials, Code::DuplicateCookie];

/// What every operation that checks or makes a password can answer beside.
pub(super) const HASHING: [Code; 2] = [Code::Busy, Code::TooManyAttempts];

/// What every operation that needs a recent authentication can answer beside.
pub(super) const RECENT: [Code; 1] = [Code::ReauthRequired];

/// What a new password can be refused for.
pub(super) const NEW_PASSWORD: [Code; 5] = [
    Code::PasswordTooShort,
    Code::PasswordTooLong,
    Code::PasswordTooCommon,
    Code::PasswordContainsContext,
    Code::PasswordTooPredictable,
];

/// An error of an operation whose failures are `F`.
#[derive(Debug)]
pub(super) struct Failed<F>(HttpError, PhantomData<F>);

impl<F: Failures> From<HttpError> for Failed<F> {
    fn from(error: HttpError) -> Self {
        debug_assert!(
            F::CODES.iter().any(|group| group.contains(&error.code)),
            "undocumented failure {}",
            error.code
        );
        Self(error, PhantomData)
    }
}

impl<F: Failures> From<Error> for Failed<F> {
    fn from(error: Error) -> Self {
        HttpError::from(error).into()
    }
}

impl<F: Failures> From<Failed<F>> for poem::Error {
    fn from(failed: Failed<F>) -> Self {
        failed.0.into()
    }
}

impl<F: Failures> ApiResponse for Failed<F> {
    fn meta() -> MetaResponses {
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in F::CODES.iter().copied().flatten() {
            by_status.entry(HttpError::from(*code).status().as_u16()).or_default().push(*code);
        }
        let response = |(status, codes): (u16, Vec<Code>)| {
            let words = |code: &Code| format!("- `{code}`: {}", code.detail());
            let description: Vec<String> = codes.iter().map(words).collect();
            MetaResponse {
                // The document is built a few times in the life of a process, and its text is asked
                // for as `&'static str`.
                description: Box::leak(description.join("\n").into_boxed_str()),
                status: Some(status),
                status_range: None,
                content: vec![document::problem(&codes)],
                headers: headers(status),
            }
        };
        MetaResponses { responses: by_status.into_iter().map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

/// What an error says in headers; see [`HttpError`].
fn headers(status: u16) -> Vec<MetaHeader> {
    let (name, description, schema) = match status {
        401 => {
            ("WWW-Authenticate", "The scheme that a program logs in with.", String::schema_ref())
        }
        429 | 503 => ("Retry-After", "In how many seconds to come back.", u32::schema_ref()),
        _ => return vec![],
    };
    let description = Some(description.to_owned());
    vec![MetaHeader { name: name.into(), description, required: true, deprecated: false, schema }]
}
