//! The page of an error, and who gets it instead of problem+json.

use askama::Template;
use poem::{
    Request, Response,
    http::{HeaderMap, StatusCode, header},
};

use super::page;
use crate::http::{Code, HttpError};

#[derive(Template)]
#[template(path = "error.html")]
struct Failed<'a> {
    status: StatusCode,
    sentence: &'a str,
    signed_out: bool,
}

/// The page that tells a person of an error.
pub(in crate::http) fn error(error: &HttpError) -> Response {
    let status = error.code.status();
    let signed_out = error.code == Code::NotSignedIn;
    let sentence = if signed_out {
        "You need to log in before you can see this page."
    } else {
        error.detail()
    };
    page(status, &Failed { status, sentence, signed_out })
}

/// What a page answers to who is not signed in.
pub(super) fn signed_out(request: &Request) -> Result<Response, HttpError> {
    let signed_out = Code::NotSignedIn.into();
    if accepts_page(request.headers()) { Ok(error(&signed_out)) } else { Err(signed_out) }
}

/// Addresses of programs: whatever asks there, problem+json is the answer.
const FOR_PROGRAMS: [&str; 5] = ["/api/", "/.well-known", "/openapi.", "/healthz", "/readyz"];

/// Whether an error is to be a page: a browser says that it takes HTML, a program says nothing or
/// something else.
pub(crate) fn wants_page(request: &Request) -> bool {
    let path = request.uri().path();
    !FOR_PROGRAMS.iter().any(|prefix| path.starts_with(prefix))
        && takes(request.headers(), &["text/html"]) == Some(true)
}

/// Whether HTML would do: for an address that is a page, and answers with one unless the client
/// says that it cannot use it.
pub(super) fn accepts_page(headers: &HeaderMap) -> bool {
    takes(headers, &["text/html", "text/*", "*/*"]).unwrap_or(true)
}

/// Whether one of the media ranges is among those that the client takes (RFC 9110 section
/// 12.5.1); one of weight 0 is not. `None` when the client does not say what it takes.
fn takes(headers: &HeaderMap, ranges: &[&str]) -> Option<bool> {
    let mut said = headers.get_all(header::ACCEPT).iter().peekable();
    said.peek()?;
    Some(said.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(
        |range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            ranges.iter().any(|wanted| name.eq_ignore_ascii_case(wanted))
                && !parts.any(is_weight_zero)
        },
    ))
}

fn is_weight_zero(parameter: &str) -> bool {
    let weight = parameter.split_once('=').and_then(|(name, weight)| {
        let weight = weight.trim().parse::<f32>().ok();
        weight.filter(|_| name.trim().eq_ignore_ascii_case("q"))
    });
    weight.is_some_and(|weight| weight <= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem;

    fn asked(path: &'static str, accept: Option<&'static str>) -> Request {
        let mut builder = Request::builder().uri_str(path);
        if let Some(accept) = accept {
            builder = builder.header(header::ACCEPT, accept);
        }
        builder.finish()
    }

    const CHROME: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    #[test]
    fn a_browser_gets_a_page_and_a_program_does_not() {
        let wants = |path, accept| wants_page(&asked(path, accept));
        for accept in
            [CHROME, "text/html", "application/json, Text/HTML; q=0.1", "text/html;charset=utf-8"]
        {
            assert!(wants("/admin", Some(accept)), "{accept}");
        }
        for accept in
            ["*/*", "application/json", "text/htmlx", "text/html;q=0", "text/html; Q=0.000", ""]
        {
            assert!(!wants("/admin", Some(accept)), "{accept}");
        }
        assert!(!wants("/admin", None));
    }

    #[test]
    fn addresses_of_programs_have_no_pages() {
        for path in
            ["/api/v1/session", "/.well-known/jwks.json", "/openapi.yaml", "/healthz", "/readyz"]
        {
            assert!(!wants_page(&asked(path, Some(CHROME))), "{path}");
        }
        for path in ["/", "/nowhere", "/docs", "/apiary"] {
            assert!(wants_page(&asked(path, Some(CHROME))), "{path}");
        }
    }

    #[test]
    fn a_page_will_do_unless_the_client_says_otherwise() {
        let accepts = |accept| accepts_page(asked("/admin", accept).headers());
        assert!(accepts(None));
        assert!(accepts(Some("*/*")));
        assert!(accepts(Some("text/*")));
        assert!(!accepts(Some("application/json")));
        assert!(!accepts(Some("application/json, text/html;q=0")));
    }

    #[tokio::test]
    async fn an_error_page_says_when_to_come_back() {
        let busy = problem::answer(&Code::Busy.into(), true);
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(busy.header("retry-after"), Some("1"));
        let html = busy.into_body().into_string().await.unwrap();
        assert!(html.contains("503 Service Unavailable"), "{html}");
        assert!(html.contains("href=\"/\""), "{html}");

        let gone = problem::answer(&Code::NotFound.into(), true);
        assert_eq!(gone.header("retry-after"), None);
    }
}
