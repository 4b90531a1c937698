//! The security headers of every answer (ASVS V3.4; OWASP Secure Headers).

use poem::{
    Response,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};

/// What a page may do: show its own style sheet and images, and post to its own forms. No script.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
                           form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// One year (ASVS 3.4.1).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// On every answer, whatever a handler says.
const ALWAYS: [(HeaderName, HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // Our own pages must send it to ourselves: without Fetch Metadata it decides about logout links.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// Unless a handler says something else: the style sheet may be kept, `/docs` has a policy of its
/// own.
const UNLESS_SET: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY)),
    // Everything that is not public and the same for all: never kept (ASVS 14.3.2).
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The headers, put together once: to copy the whole map costs a fifth of adding one by one.
pub(super) struct SecurityHeaders(HeaderMap);

impl SecurityHeaders {
    /// For a service that is reached by https, or not.
    pub(super) fn new(https: bool) -> Self {
        let hsts = https.then_some((header::STRICT_TRANSPORT_SECURITY, HSTS));
        Self(ALWAYS.into_iter().chain(hsts).chain(UNLESS_SET).collect())
    }

    /// Adds them.
    pub(super) fn add_to(&self, response: &mut Response) {
        let own = std::mem::replace(response.headers_mut(), self.0.clone());
        let headers = response.headers_mut();
        // A header with several values has its name at the first of them.
        headers.extend(own);
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
            ("content-type", "text/css"),
        ];
        let headers = secured(false, &own);
        let all = |name| headers.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
        assert_eq!(all("cache-control"), ["public"]);
        assert_eq!(all("content-type"), ["text/css"]);
        assert_eq!(all("content-security-policy"), [PAGE_POLICY]);
        assert_eq!(headers.len(), ALWAYS.len() + 5);
    }

    #[test]
    fn hsts_is_for_https_alone() {
        assert!(secured(true, &[]).contains_key(header::STRICT_TRANSPORT_SECURITY));
        assert!(!secured(false, &[]).contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
