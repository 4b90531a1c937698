//! The OpenAPI document and the Swagger UI over it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::{IntoResponse, Response, endpoint::make_sync, handler, http::HeaderValue, web::Html};
use sha2::{Digest, Sha256};

use super::{
    api::{self, openapi_json, openapi_yaml},
    methods::{Methods, get},
};

/// `/openapi.json`.
#[handler]
pub(super) fn json() -> Response {
    Response::builder().content_type("application/json").body(openapi_json())
}

/// `/openapi.yaml`.
#[handler]
pub(super) fn yaml() -> Response {
    Response::builder().content_type("application/yaml").body(openapi_yaml())
}

/// `/docs`. Its page has its scripts and styles inside, so its policy allows exactly those, by
/// their hashes, and calls to this service; nothing else is relaxed. Of what poem-openapi would
/// serve, this page alone, and to GET alone: nobody logs in here by OAuth.
pub(super) fn swagger_ui() -> Methods {
    let html = api::swagger_ui();
    let policy =
        HeaderValue::try_from(policy(&html)).expect("base64 and ASCII words make a header value");
    get(make_sync(move |_| {
        Html(html.clone()).with_header("content-security-policy", policy.clone())
    }))
}

fn policy(html: &str) -> String {
    let sources = |element| {
        let hash = |text| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
        inline(html, element).map(hash).collect::<Vec<_>>().join(" ")
    };
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        sources("script"),
        sources("style"),
    )
}

/// The texts inside all elements of that name.
fn inline<'a>(html: &'a str, element: &'a str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{element}"), format!("</{element}>"));
    let mut rest = html;
    std::iter::from_fn(move || {
        let start = rest.find(&open)?;
        let text = &rest[start..];
        let text = &text[text.find('>')? + 1..];
        let end = text.find(&close)?;
        rest = &text[end + close.len()..];
        Some(&text[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_inline_script_is_found() {
        let html = "<script a=\"b\">one</script><p>x</p><script>two</script><style>s</style>";
        assert_eq!(inline(html, "script").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(inline(html, "style").collect::<Vec<_>>(), ["s"]);
        assert!(policy(html).contains("script-src 'sha256-"));
    }
}
