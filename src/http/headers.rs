//! The security headers of every answer (ASVS V3.4; OWASP Secure Headers).
//!
//! What says how a document may behave is said of documents; the rest is data for programs, which
//! no browser is to show at all (OWASP REST Security).

use poem::{
    Response,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};

/// What a page may do: show its own style sheet and images, and post to its own forms. No script.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
                           form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the page at `/account` may do besides: run our own script, which speaks to this service alone.
pub(crate) const SCRIPTED_PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' \
     data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// What anything else may do, should a browser take it for a page (ASVS 3.2.1).
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// One year (ASVS 3.4.1).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// On every answer, whatever a handler says.
const ALWAYS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Our own pages must send it to ourselves: without Fetch Metadata it decides about logout links.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// On every page besides.
const PAGES: [(HeaderName, HeaderValue); 3] = [
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// Unless a handler says something else: the style sheet may be kept. Everything that is not public
/// and the same for all is never kept (ASVS 14.3.2).
const CACHING: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// The headers, put together once: to copy a whole map costs a fifth of adding one by one.
pub(crate) struct SecurityHeaders {
    pages: HeaderMap,
    data: HeaderMap,
}

impl SecurityHeaders {
    /// For a service that is reached by https, or not.
    pub(crate) fn new(https: bool) -> Self {
        let hsts = https.then_some((header::STRICT_TRANSPORT_SECURITY, HSTS));
        let all = || ALWAYS.into_iter().chain(hsts.clone()).chain([CACHING]);
        // Of the policy too a handler may say something else: `/docs` and `/account` have their own.
        let policy = |policy| [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))];
        Self {
            pages: all().chain(PAGES).chain(policy(PAGE_POLICY)).collect(),
            data: all().chain(policy(DATA_POLICY)).collect(),
        }
    }

    /// Adds them.
    pub(crate) fn add_to(&self, response: &mut Response) {
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let is_page = media_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
        let secure = if is_page { &self.pages } else { &self.data };
        let own = std::mem::replace(response.headers_mut(), secure.clone());
        // A header with several values has its name at the first of them.
        response.headers_mut().extend(own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secured(https: bool, own: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut response = Response::default();
        for (name, value) in own {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        SecurityHeaders::new(https).add_to(&mut response);
        response.headers().clone()
    }

    #[test]
    fn a_handler_keeps_what_it_set_and_may_choose_its_policy_and_its_caching() {
        let own = [
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("cache-control", "public"),
            ("content-type", "text/html; charset=utf-8"),
        ];
        let headers = secured(false, &own);
        let all = |name| headers.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
        assert_eq!(all("cache-control"), ["public"]);
        assert_eq!(all("content-type"), ["text/html; charset=utf-8"]);
        assert_eq!(all("content-security-policy"), [PAGE_POLICY]);
        assert_eq!(headers.len(), ALWAYS.len() + PAGES.len() + 5);
    }

    #[test]
    fn what_is_no_page_may_do_nothing() {
        for own in [[("content-type", "application/json")].as_slice(), &[]] {
            let headers = secured(false, own);
            assert_eq!(headers[header::CONTENT_SECURITY_POLICY], DATA_POLICY);
            assert_eq!(headers.len(), ALWAYS.len() + 2 + own.len());
        }
    }

    #[test]
    fn hsts_is_for_https_alone() {
        assert!(secured(true, &[]).contains_key(header::STRICT_TRANSPORT_SECURITY));
        assert!(!secured(false, &[]).contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
