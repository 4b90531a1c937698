//! Reading what stands behind the `?`.
//!
//! poem-openapi's own extractor wants the query to be parsed for every operation beforehand, which
//! [`mount`](super::mount) spares, and takes the first of two values. Here two are refused, as they
//! are everywhere (ASVS 15.3.7).

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchemaRef, Registry},
    types::ParseFromParameter,
};
use url::form_urlencoded;

use crate::http::{Code, HttpError};

/// A parameter of the query.
pub(super) struct Query<T>(pub(super) T);

impl<'a, T: ParseFromParameter> ApiExtractor<'a> for Query<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = T::IS_REQUIRED;

    type ParamType = T;
    type ParamRawType = T::RawValueType;

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(T::schema_ref())
    }

    fn param_raw_type(&self) -> Option<&Self::ParamRawType> {
        self.0.as_raw_value()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let query = request.uri().query().unwrap_or_default();
        let value = only(query, options.name)?;
        if let (None, Some(default)) = (&value, options.default_value) {
            return Ok(Self(default()));
        }
        // Without the value, which poem-openapi would repeat.
        let parsed = T::parse_from_parameters(value);
        parsed.map(Self).map_err(|_| HttpError::from(Code::BadRequest).into())
    }
}

/// The one value of that name.
fn only(query: &str, name: &str) -> Result<Option<String>, HttpError> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(found, _)| found == name);
    let value = values.next().map(|(_, value)| value.into_owned());
    if values.next().is_some() {
        return Err(Code::BadRequest.into());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_decoded_and_two_are_refused() {
        let only = |query: &str| only(query, "search").map_err(|error| error.code);
        assert_eq!(only(""), Ok(None));
        assert_eq!(only("Search=a&searching=b"), Ok(None));
        assert_eq!(only("a=b&search=ann%40x+y"), Ok(Some("ann@x y".into())));
        assert_eq!(only("search"), Ok(Some(String::new())));
        assert_eq!(only("search=a&search=a"), Err(Code::BadRequest));
    }
}
