//! The OpenAPI document: committed, served and generated are one; and it says what design says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::{Map, Value, json};

use crate::support::{TestApp, routes};

fn committed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi").join(name);
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `just openapi`", path.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_committed_document_is_the_one_that_is_served() {
    let app = TestApp::start().await;
    for (name, generated, media_type) in [
        ("countersign.json", countersign::http::openapi_json(), "application/json"),
        ("countersign.yaml", countersign::http::openapi_yaml(), "application/yaml"),
    ] {
        let path = name.replace("countersign", "/openapi");
        let served = app.anonymous().get(&path).await.expect(200);
        assert_eq!(served.text(), generated, "{path}");
        assert!(served.header("content-type").starts_with(media_type));
        assert_eq!(committed(name), generated, "run `just openapi` and commit openapi/{name}");
    }
}

#[test]
fn every_operation_of_the_design_is_there_under_its_name() {
    let found: BTreeMap<String, String> = routes::operations()
        .into_iter()
        .map(|route| (route.id, format!("{} {}", route.method, route.path)))
        .collect();
    let one = format!("DELETE /api/v1/sessions/{}", routes::NO_SESSION);
    let expected: BTreeMap<String, String> = [
        ("createAccount", "POST /api/v1/accounts"),
        ("logIn", "POST /api/v1/session"),
        ("getSession", "GET /api/v1/session"),
        ("countVisit", "POST /api/v1/session/visits"),
        ("logOut", "DELETE /api/v1/session"),
        ("listSessions", "GET /api/v1/sessions"),
        ("endSession", one.as_str()),
        ("endOtherSessions", "DELETE /api/v1/sessions"),
        ("changePassword", "PUT /api/v1/account/password"),
        ("getAccount", "GET /api/v1/account"),
        ("reauthenticate", "POST /api/v1/session/reauthentication"),
        ("changeEmail", "PUT /api/v1/account/email"),
        ("exportAccount", "GET /api/v1/account/export"),
        ("closeAccount", "DELETE /api/v1/account"),
    ]
    .map(|(id, route)| (id.to_owned(), route.to_owned()))
    .into();
    assert_eq!(found, expected);
}

#[test]
fn every_operation_is_explained_and_says_what_it_needs() {
    let document = routes::document();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let mut looked_at = 0;
    for operations in document["paths"].as_object().unwrap().values() {
        for operation in operations.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().expect("an operationId");
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(summary.len() > 5 && summary.ends_with('.'), "{id}: {summary}");
            assert!(!operation["tags"].as_array().unwrap().is_empty(), "{id}");
            let open = ["createAccount", "logIn"].contains(&id);
            let description = operation["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.'), "{id}: {description}");
            match operation["security"].as_array().expect("it says who may ask") {
                nobody if nobody.is_empty() => assert!(open, "{id} declares no security"),
                security => {
                    assert!(!open, "{id} needs no session");
                    let named: Vec<&String> = security
                        .iter()
                        .flat_map(|option| option.as_object().unwrap().keys())
                        .collect();
                    assert!(named.iter().all(|name| schemes.contains_key(*name)), "{id}");
                    assert!(named.len() >= 2, "{id}: cookie or bearer");
                    assert!(operation["responses"].get("401").is_some(), "{id}");
                }
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].as_str().is_some(), "{id}: {parameter}");
                let is_id = parameter["schema"]["format"] == "uuid";
                assert!(!is_id || parameter["example"].is_string(), "{id}: {parameter}");
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                let description = response["description"].as_str().unwrap_or_default();
                assert!(description.ends_with('.'), "{id} {status}: {description}");
                if status.as_str() >= "400" {
                    let content = response["content"].as_object().unwrap();
                    let media_types: Vec<_> = content.keys().collect();
                    assert_eq!(media_types, ["application/problem+json"], "{id} {status}");
                }
            }
            looked_at += 1;
        }
    }
    assert_eq!(looked_at, 14);
    let names = [("cookie", "__Host-session"), ("cookie_without_https", "session")];
    for (scheme, name) in names {
        assert_eq!(schemes[scheme]["in"], "cookie");
        assert_eq!(schemes[scheme]["name"], name, "as cookies.rs sees it set");
    }
    assert_eq!(schemes["bearer"]["scheme"], "bearer");
}

#[test]
fn a_value_of_the_document_is_an_openapi_3_0_document() {
    let document: Value = routes::document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.0."));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let code = &document["components"]["schemas"]["Code"]["enum"];
    let codes = code.as_array().expect("the codes are listed");
    assert_eq!(codes.len(), countersign::http::Code::ALL.len());
}

/// How a program learns which codes an operation can answer, and with which status.
#[test]
fn every_problem_is_shown_by_its_code() {
    let document = routes::document();
    let examples = document["components"]["examples"].as_object().unwrap();
    let mut shown = BTreeSet::new();
    let operations = document["paths"].as_object().unwrap().values();
    for operation in operations.flat_map(|path| path.as_object().unwrap().values()) {
        let id = &operation["operationId"];
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.as_str() < "400" {
                continue;
            }
            let content = &response["content"]["application/problem+json"];
            assert_eq!(
                content["schema"],
                json!({ "$ref": "#/components/schemas/Problem" }),
                "{id}"
            );
            let codes = content["examples"].as_object().expect("examples");
            assert!(!codes.is_empty(), "{id} {status}");
            for (code, example) in codes {
                assert_eq!(*example, json!({ "$ref": format!("#/components/examples/{code}") }));
                let problem = &examples[code]["value"];
                assert_eq!(
                    (&problem["code"], problem["status"].to_string()),
                    (&json!(code), status.clone())
                );
                let words = format!("- `{code}`: {}", problem["detail"].as_str().unwrap());
                assert!(
                    response["description"].as_str().unwrap().contains(&words),
                    "{id} {status}"
                );
                shown.insert(code);
            }
            let asks_for_headers = ["401", "429", "503"].contains(&status.as_str());
            assert_eq!(response.get("headers").is_some(), asks_for_headers, "{id} {status}");
        }
    }
    assert!(shown.len() > 20, "{shown:?}");
    assert!(examples.keys().all(|code| shown.contains(code)), "an example of nothing");
}

/// What generators of clients cannot read, and poem-openapi writes by itself.
#[test]
fn the_document_has_nothing_that_generators_trip_over() {
    let document = routes::document();
    let (mut numbers, mut references) = (0, 0);
    each_object(&document, &mut |object| {
        if object.get("type").is_some_and(|ty| ty == "integer") {
            assert!(["int32", "int64"].contains(&object["format"].as_str().unwrap()), "{object:?}");
            numbers += 1;
        }
        if let Some(parts) = object.get("allOf") {
            assert_eq!(parts.as_array().unwrap().len(), 1, "{object:?}");
            references += 1;
        }
    });
    assert!(numbers > 5 && references > 2, "{numbers} {references}");
    let schemas = &document["components"]["schemas"];
    for name in schemas.as_object().unwrap().keys() {
        // In Go, `NewSession` makes a `Session`.
        assert!(schemas.get(format!("New{name}")).is_none(), "{name}");
    }
    assert_eq!(schemas["Session"]["properties"]["visits"]["minimum"], 0);
    assert_eq!(
        schemas["Credentials"]["additionalProperties"], false,
        "unknown members are refused"
    );
    assert!(schemas["Session"].get("additionalProperties").is_none(), "there may be more one day");
}

fn each_object(value: &Value, look: &mut impl FnMut(&Map<String, Value>)) {
    if let Value::Object(object) = value {
        look(object);
        for value in object.values() {
            each_object(value, look);
        }
    } else if let Value::Array(items) = value {
        for item in items {
            each_object(item, look);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_to_try_it_has_the_same_document() {
    let app = TestApp::start().await;
    let page = app.anonymous().get("/docs").await.expect(200);
    assert!(page.text().contains(countersign::http::openapi_json().trim_end()));
    assert_eq!(page.text().matches("\"openapi\": \"3.0.0\"").count(), 1);
}
