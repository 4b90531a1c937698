//! The OpenAPI document: what poem-openapi writes, mended where it has no word for a thing.
//!
//! Here alone, and for all operations alike: what is served, printed, committed and shown at
//! `/docs` are then one document. What one operation has to say is said at the operation. Programs
//! that generate clients are the readers: `openapi/redocly.yaml`, `openapi/spectral.yaml` and
//! `tests/clients` tell what they trip over.

use std::{collections::BTreeSet, mem};

use poem_openapi::{
    registry::{MetaMediaType, MetaSchema, MetaSchemaRef},
    types::{ToJSON, Type},
};
use serde_yaml::{Mapping, Value};

use crate::http::{Code, HttpError, problem::Problem};

/// The media type of problems (RFC 9457).
const PROBLEM: &str = "application/problem+json";

/// The session of the examples.
const SID: &str = "019ab2f0-5c1e-7d3a-9b7e-2f6c1a4d8e90";

/// A problem that has one of the codes, for [`complete`] to write out: poem-openapi has schemas and
/// no examples, and a schema for every list of codes would be a type in every generated client.
pub(super) fn problem(codes: &[Code]) -> MetaMediaType {
    let one_of_the_codes = MetaSchema {
        all_of: vec![Problem::schema_ref()],
        enum_items: codes.iter().filter_map(ToJSON::to_json).collect(),
        ..MetaSchema::ANY
    };
    MetaMediaType {
        content_type: PROBLEM,
        schema: MetaSchemaRef::Inline(Box::new(one_of_the_codes)),
    }
}

/// The whole document, in the order in which it is written.
pub(super) fn complete(written: &str) -> Value {
    let mut document: Value =
        serde_json::from_str(written).expect("poem-openapi writes JSON, and no key twice");
    each_mapping(&mut document, references);
    each_mapping(&mut document, whole_numbers);
    let mut paths = mem::take(&mut document["paths"]);
    let (mut requests, mut problems) = (BTreeSet::new(), BTreeSet::new());
    for operation in values(&mut paths).flat_map(values) {
        security(operation);
        parameters(operation);
        requests.extend(request(operation));
        for answer in values(&mut operation["responses"]) {
            description(answer, &document);
            problems.extend(examples(answer));
        }
    }
    document["paths"] = paths;
    for name in requests {
        // As the bodies are read: see `Body`.
        document["components"]["schemas"][name.as_str()]["additionalProperties"] = false.into();
    }
    document["components"]["examples"] = Code::ALL
        .iter()
        .filter(|code| problems.contains(&code.to_string()))
        .map(|code| (code.to_string().into(), example(*code)))
        .collect::<Mapping>()
        .into();
    document
}

/// The values of a mapping; of anything else, none.
fn values(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_mapping_mut().into_iter().flat_map(Mapping::values_mut)
}

fn each_mapping(value: &mut Value, mend: fn(&mut Mapping)) {
    match value {
        Value::Mapping(mapping) => {
            mend(mapping);
            for (key, value) in mapping {
                // An example is data.
                if key != "example" {
                    each_mapping(value, mend);
                }
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(|item| each_mapping(item, mend)),
        _ => {}
    }
}

/// The words beside a reference are written twice, beside `allOf` and in it. Those in it are a
/// second schema to generators, which they cannot make one of with the first.
fn references(schema: &mut Mapping) {
    let outside = schema.clone();
    let says_the_same = |part: &Value| {
        part.as_mapping()
            .is_some_and(|part| part.iter().all(|(key, value)| outside.get(key) == Some(value)))
    };
    if let Some(Value::Sequence(parts)) = schema.get_mut("allOf") {
        parts.retain(|part| !says_the_same(part));
    }
}

/// OpenAPI knows `int32` and `int64` alone; to generators, `uint64` is a number of 32 bits.
fn whole_numbers(schema: &mut Mapping) {
    let format = match schema.get("format").and_then(Value::as_str) {
        Some("uint8" | "uint16") => "int32",
        Some("uint32" | "uint64") => "int64",
        _ => return,
    };
    schema.insert("format".into(), format.into());
    schema.entry("minimum".into()).or_insert_with(|| 0.into());
}

/// Who needs no session says so.
fn security(operation: &mut Value) {
    if operation.get("security").is_none() {
        operation["security"] = Value::Sequence(vec![]);
    }
}

/// An id as it looks like.
fn parameters(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_sequence_mut);
    for parameter in parameters.into_iter().flatten() {
        if parameter["schema"]["format"] == "uuid" {
            parameter["example"] = SID.into();
        }
    }
}

/// The name of the schema of the body.
fn request(operation: &Value) -> Option<String> {
    let body = operation.get("requestBody")?.get("content")?.get("application/json")?;
    Some(name_of(body.get("schema")?)?.to_owned())
}

/// The name of the schema that is referred to.
fn name_of(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/components/schemas/")
}

/// An answer that says nothing of itself is what its body is.
fn description(answer: &mut Value, document: &Value) {
    if answer["description"] != "" {
        return;
    }
    let content = answer.get("content").and_then(Value::as_mapping);
    let body = content.and_then(|content| content.values().next()?.get("schema"));
    let (items, list) = match body.and_then(|schema| schema.get("items")) {
        Some(items) => (Some(items), "A list. Of each: "),
        None => (body, ""),
    };
    if let Some(name) = items.and_then(name_of) {
        let schema = &document["components"]["schemas"][name];
        let words = schema["description"].as_str().unwrap_or(name);
        answer["description"] = format!("{list}{words}").into();
    }
}

/// Names the codes of a [`problem`] as its examples, and gives them back.
fn examples(answer: &mut Value) -> Vec<String> {
    let Some(content) = answer.get_mut("content").and_then(|content| content.get_mut(PROBLEM))
    else {
        return vec![];
    };
    let schema = mem::take(&mut content["schema"]);
    content["schema"] = schema["allOf"][0].clone();
    let codes = schema["enum"].as_sequence().into_iter().flatten();
    let codes: Vec<String> = codes.filter_map(|code| code.as_str().map(str::to_owned)).collect();
    let reference = |code: &String| {
        let reference = Value::from(format!("#/components/examples/{code}"));
        (code.clone().into(), Mapping::from_iter([("$ref".into(), reference)]).into())
    };
    content["examples"] = codes.iter().map(reference).collect::<Mapping>().into();
    codes
}

/// What a program is answered when nothing more can be said than the code.
fn example(code: Code) -> Value {
    let problem = HttpError::from(code).problem().to_json_string();
    let value = serde_json::from_str(&problem).expect("poem-openapi writes JSON");
    Mapping::from_iter([("summary".into(), code.detail().into()), ("value".into(), value)]).into()
}
