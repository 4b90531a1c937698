//! JSON objects, read without mercy: no member comes twice, and nothing follows.

use std::{collections::BTreeMap, fmt};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// An object's members by their names.
pub type Members = BTreeMap<String, Value>;

/// The object that the bytes are, if they are one.
pub fn object(json: &[u8]) -> Option<Members> {
    serde_json::from_slice::<Object>(json).ok().map(|object| object.0)
}

struct Object(Members);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = Members::new();
        while let Some((name, value)) = map.next_entry()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member that comes twice"));
            }
        }
        Ok(Object(members))
    }
}
