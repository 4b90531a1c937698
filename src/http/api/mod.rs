//! The JSON API under `/api/v1`, and the OpenAPI document that describes it.
//!
//! One file per thing that is managed: `accounts`, `session` (the one of the request), `sessions`
//! (all of the account), `account`; what an export looks like is in `export`; what administrators do
//! with those of others, under `/api/v1/admin`, is in `admin/`. A new operation is a
//! method there, with the [`failure`] list of what can go wrong; then run `just openapi` and commit
//! the changed document. What poem-openapi cannot say of an operation is mended in [`document`](mod@document).

mod account;
mod accounts;
mod admin;
mod answer;
mod body;
mod document;
mod export;
mod failure;
mod query;
mod session;
mod sessions;
mod text;
mod view;

use std::{collections::HashMap, sync::LazyLock};

use poem_openapi::{
    ContactObject, LicenseObject, OpenApi as _, OpenApiService, ServerObject, Tags,
};
use serde_yaml::Value;

use super::{methods::Methods, routes::Routes};

/// Where the API is mounted.
pub(super) const PREFIX: &str = "/api/v1";

/// The groups of operations.
#[derive(Tags)]
#[oai(rename_all = "snake_case")]
enum ApiTags {
    /// Accounts: make one; see, change, export and close one's own.
    Accounts,
    /// Sessions: log in, be counted, show the password again, log out.
    Sessions,
    /// Accounts and sessions of everybody, for administrators: find them, end them, lock them.
    Administration,
}

type Apis = (
    accounts::Api,
    session::Api,
    sessions::Api,
    account::Api,
    admin::accounts::Api,
    admin::sessions::Api,
    admin::events::Api,
);

const APIS: Apis = (
    accounts::Api,
    session::Api,
    sessions::Api,
    account::Api,
    admin::accounts::Api,
    admin::sessions::Api,
    admin::events::Api,
);

/// The API. Needs no store to be built: the command line prints its document.
fn service() -> OpenApiService<Apis, ()> {
    OpenApiService::new(APIS, "Countersign", env!("CARGO_PKG_VERSION"))
        .description(
            "Log people in, count their visits, and take any of it back at once.\n\n\
         A session travels as a signed token: in a cookie (for browsers) or, after a log-in with \
         `transport: bearer`, in the `Authorization` header (for programs without a cookie jar). \
         Send one of the two. Errors are `application/problem+json` (RFC 9457) with a stable \
         `code`. Times are RFC 3339, in UTC.",
        )
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/"))
        // The document is the same wherever it is served.
        .contact(ContactObject::new().name("Whoever runs this service"))
        .server(ServerObject::new("/").description("The service that has this document."))
        .url_prefix(PREFIX)
}

/// Adds every operation to `routes`, at its whole path.
///
/// Not the service as an endpoint, nested at [`PREFIX`]: for every request that would cut the
/// prefix off its address, parse what is left as an address, and parse the query for operations
/// that take one as a map; all of which costs as much as the rest of a check of a session.
pub(super) fn mount(routes: Routes) -> Routes {
    let mut operations = HashMap::new();
    APIS.add_routes(&mut operations);
    operations.into_iter().fold(routes, |routes, (path, methods)| {
        let methods = methods
            .into_iter()
            .fold(Methods::default(), |methods, (method, operation)| methods.on(method, operation));
        routes.at(format!("{PREFIX}{path}"), methods)
    })
}

/// The OpenAPI document.
fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document::complete(&service().spec()));
    &DOCUMENT
}

/// The OpenAPI document as JSON: what is served, printed and committed.
#[must_use]
pub fn openapi_json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| {
        serde_json::to_string_pretty(document()).expect("it was read from JSON") + "\n"
    });
    &JSON
}

/// The OpenAPI document as YAML.
#[must_use]
pub fn openapi_yaml() -> &'static str {
    static YAML: LazyLock<String> =
        LazyLock::new(|| serde_yaml::to_string(document()).expect("it was read from JSON"));
    &YAML
}

/// The page of the Swagger UI, with the document in it.
pub(super) fn swagger_ui() -> String {
    let service = service();
    service.swagger_ui_html().replace(&service.spec(), openapi_json())
}
