//! Strings whose format the OpenAPI document names, so that generated clients make dates, UUIDs
//! and password fields of them. The formats document; the model's types check.

use std::{borrow::Cow, fmt, marker::PhantomData, str::FromStr};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A string of the format `F`. Does not show itself: it may be a password.
///
/// What is only answered can be kept as what it is, a `T`, and becomes a string when it is written.
#[derive(Clone)]
pub(super) struct Text<F, T = String>(T, PhantomData<F>);

/// A format of the OpenAPI registry.
pub(super) trait Format: Send + Sync + 'static {
    const NAME: &'static str;
}

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident = $format:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone)]
            pub(super) struct $name;

            impl Format for $name {
                const NAME: &'static str = $format;
            }
        )+
    };
}

formats! {
    /// RFC 3339.
    DateTime = "date-time";
    /// RFC 3339, a day.
    Date = "date";
    /// RFC 9562.
    Uuid = "uuid";
    /// RFC 5321.
    EmailAddress = "email";
    /// Not to be shown.
    Secret = "password";
}

impl<F, T> Text<F, T> {
    pub(super) fn of(value: impl Into<T>) -> Self {
        Self(value.into(), PhantomData)
    }
}

impl<F, T: FromStr<Err: fmt::Debug>> Text<F, T> {
    /// For the examples of the document.
    pub(super) fn example(text: &str) -> Self {
        Self(text.parse().expect("examples are right"), PhantomData)
    }
}

impl<F> Text<F> {
    pub(super) fn into_string(self) -> String {
        self.0
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<F, T> fmt::Debug for Text<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(..)")
    }
}

impl<F: Format, T: Send + Sync> Type for Text<F, T> {
    const IS_REQUIRED: bool = true;

    type RawValueType = T;
    type RawElementValueType = T;

    fn name() -> Cow<'static, str> {
        format!("string_{}", F::NAME).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", F::NAME)))
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(&self.0)
    }

    fn raw_element_iter<'a>(
        &'a self,
    ) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl<F: Format, T: fmt::Display + Send + Sync> ToJSON for Text<F, T> {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_string()))
    }
}

impl<F: Format, T: FromStr + Send + Sync> ParseFromJSON for Text<F, T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.as_ref().and_then(Value::as_str).map(T::from_str) {
            Some(Ok(value)) => Ok(Self(value, PhantomData)),
            // Without the value: it may be a password.
            _ => Err(ParseError::expected_input()),
        }
    }
}

impl<F: Format> ParseFromParameter for Text<F> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(Self(value.to_owned(), PhantomData))
    }
}

impl<F, T: fmt::Display> Serialize for Text<F, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de, F> Deserialize<'de> for Text<F> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(from)?, PhantomData))
    }
}
