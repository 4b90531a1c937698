//! JSON bodies: whatever they are, each operation that takes one answers as the OpenAPI document
//! says, in status and code, and repeats nothing of what it refuses.
//!
//! Every body is sent to every operation that takes one: the list is the document's.

use std::sync::LazyLock;

use countersign::http::{Code, openapi_json};
use poem::http::{HeaderMap, Method};
use serde_json::Value;

use super::{
    Service,
    service::{Answer, PASSWORD},
};

/// From this length on, a text of the request is not in the answer by chance.
const TELLING: usize = 8;

/// An operation that takes a body.
struct Operation {
    method: Method,
    path: String,
    needs_session: bool,
    /// The statuses that it can answer, each with what is said of it.
    answers: Value,
}

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(openapi_json()).expect("JSON");
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("operations") {
            if operation.get("requestBody").is_some() {
                operations.push(Operation {
                    method: method.to_uppercase().parse().expect("a method"),
                    path: path.clone(),
                    needs_session: operation.get("security").is_some(),
                    answers: operation["responses"].clone(),
                });
            }
        }
    }
    assert!(operations.len() >= 5, "all are found");
    operations
});

/// Every sentence that an answer may hold whatever was sent.
static SENTENCES: LazyLock<String> = LazyLock::new(|| {
    let of = |code: &Code| format!("{code} {} {}\n", code.status(), code.detail());
    Code::ALL.iter().map(of).collect()
});

/// All that an answer to nobody says: what stands in it is repeated from no request.
fn own_words(service: &Service) -> String {
    let answer = service.ask(Method::GET, "/api/v1/session", &[], b"").expect("it can be sent");
    format!("{}{}", *SENTENCES, said(&answer))
}

/// An answer's headers and body.
fn said(answer: &Answer) -> String {
    let headers = answer.headers.iter().filter(|(name, _)| *name != "x-request-id");
    let values = headers.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()));
    values.chain([String::from_utf8_lossy(&answer.body)]).fold(String::new(), |mut said, part| {
        said.push_str(&part);
        said.push('\n');
        said
    })
}

/// Each operation answers as it says.
///
/// # Panics
/// When one does not.
pub fn check(service: &mut Service, data: &[u8]) {
    let own = own_words(service);
    let texts: Vec<String> = texts(data).into_iter().filter(|text| !own.contains(text)).collect();
    for operation in &*OPERATIONS {
        let bearer = format!("Bearer {}", service.bearer);
        let mut headers: Vec<(&str, &[u8])> = vec![("content-type", b"application/json")];
        if operation.needs_session {
            headers.push(("authorization", bearer.as_bytes()));
        }
        let (method, path) = (operation.method.clone(), operation.path.as_str());
        let answer = service.ask(method, path, &headers, data).expect("it can be sent");
        let says = || {
            let body = String::from_utf8_lossy(&answer.body);
            format!(
                "{} {path}: {} {body}\n{}",
                operation.method,
                answer.status,
                data.escape_ascii()
            )
        };
        let documented = &operation.answers[answer.status.as_str()]["description"];
        assert!(documented.is_string(), "{}", says());
        if answer.status.is_success() {
            let body = String::from_utf8_lossy(&answer.body);
            assert!(!body.contains(PASSWORD), "{}", says());
            service.begin_anew();
        } else {
            assert!(is_problem(&answer, documented.as_str().unwrap_or_default()), "{}", says());
            let said = said(&answer);
            let repeated = texts.iter().find(|text| said.contains(*text));
            assert_eq!(repeated, None, "{}", says());
        }
    }
}

/// Whether it is one of the problems that are documented, and nothing more.
fn is_problem(answer: &Answer, documented: &str) -> bool {
    let problem = answer.json();
    let Some(code) = Code::ALL.iter().find(|code| problem["code"] == code.to_string()) else {
        return false;
    };
    let members = problem.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>());
    let expected = ["code", "detail", "status", "title", "type"].map(String::from);
    header(&answer.headers, "content-type") == "application/problem+json"
        && !answer.headers.contains_key("set-cookie")
        && members.as_deref() == Some(&expected[..])
        && code.status() == answer.status
        && problem["status"] == answer.status.as_u16()
        && problem["type"] == "about:blank"
        && problem["detail"].as_str().is_some_and(|detail| detail.ends_with('.'))
        && documented.contains(&format!("`{code}`"))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The telling texts of a body: the names and the texts in it if it is JSON, and otherwise what
/// stands between the marks of JSON.
fn texts(body: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        collect(&json, &mut texts);
    } else {
        let body = String::from_utf8_lossy(body);
        let marks = |c: char| "\"{}[],:\\\u{fffd}".contains(c) || c.is_control();
        texts.extend(body.split(marks).map(|text| text.trim().to_owned()));
    }
    texts.retain(|text| text.len() >= TELLING);
    texts
}

fn collect(json: &Value, texts: &mut Vec<String>) {
    match json {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(members) => {
            for (name, value) in members {
                texts.push(name.clone());
                collect(value, texts);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
