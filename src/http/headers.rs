//! The security headers of every answer (ASVS V3.4; OWASP Secure Headers).

use poem::{
    Response,
    http::{HeaderName, HeaderValue, header},
};

/// What a page may do: show its own style sheet and images, and post to its own forms. No script.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
                           form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// One year (ASVS 3.4.1).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

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

const UNLESS_SET: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY)),
    // Everything that is not public and the same for all: never kept (ASVS 14.3.2).
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Adds them. What a handler set itself (the style sheet's caching, the policy of `/docs`) stays.
pub(super) fn secure(response: &mut Response, https: bool) {
    let headers = response.headers_mut();
    headers.reserve(ALWAYS.len() + UNLESS_SET.len() + 1);
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    for (name, value) in UNLESS_SET {
        headers.entry(name).or_insert(value);
    }
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
