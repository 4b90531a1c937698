//! Cross-site requests change nothing (ASVS 3.5.1; OWASP CSRF sheet: Fetch Metadata first, Origin
//! otherwise).
//!
//! Decided before authentication, so that a refusal tells nothing. A request with none of the
//! headers comes from no browser (curl, a generated client), carries no cookie it was not given,
//! and passes. Nothing here reads the scheme from a header.

use poem::{
    Request,
    http::{Method, header},
};
use url::Url;

use super::{Code, HttpError};

/// Refuses a write from another site.
pub(crate) fn check(request: &Request, public_url: &Url) -> Result<(), HttpError> {
    if is_safe(request.method()) || !is_foreign(request, public_url) {
        return Ok(());
    }
    tracing::warn!(event = "cross_site_refused", "cross-site request refused");
    metrics::counter!("countersign_cross_site_refused_total").increment(1);
    Err(Code::CrossSite.into())
}

/// Whether following a link here may have an effect: it may when the link is our own, or typed,
/// and not when another site or a prefetch leads here.
///
/// A plain-http page that is not on this machine sends no Fetch Metadata; there `Referer` decides.
pub(crate) fn is_deliberate(request: &Request, public_url: &Url) -> bool {
    if is_prefetch(request) || is_foreign(request, public_url) {
        return false;
    }
    let has_metadata = request.headers().contains_key("sec-fetch-site");
    match request.header(header::REFERER) {
        Some(referer) if !has_metadata => {
            Url::parse(referer).is_ok_and(|from| is_own(&from, request, public_url))
        }
        _ => true,
    }
}

/// Whether a browser asks ahead of its user.
pub(crate) fn is_prefetch(request: &Request) -> bool {
    let mentions_prefetch = |name| {
        let mut values = request.headers().get_all(name).iter();
        values.any(|value| value.as_bytes().windows(8).any(|word| word == b"prefetch"))
    };
    mentions_prefetch("sec-purpose") || mentions_prefetch("purpose")
}

/// Whether the method changes nothing (RFC 9110 section 9.2.1).
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn is_foreign(request: &Request, public_url: &Url) -> bool {
    let mut sites = request.headers().get_all("sec-fetch-site").iter();
    if let Some(site) = sites.next() {
        return sites.next().is_some() || !(site == "same-origin" || site == "none");
    }
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return false;
    };
    if origins.next().is_some() {
        return true;
    }
    let origin = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
    !origin.is_some_and(|origin| is_own(&origin, request, public_url))
}

/// Whether `from` is of our origin: that of the public URL, or the host that was asked for, with
/// the public URL's scheme.
fn is_own(from: &Url, request: &Request, public_url: &Url) -> bool {
    if from.origin() == public_url.origin() {
        return from.origin().is_tuple();
    }
    let Some(host) = request.header(header::HOST) else {
        return false;
    };
    Url::parse(&format!("{}://{host}", public_url.scheme()))
        .is_ok_and(|asked| asked.origin().is_tuple() && asked.origin() == from.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut builder = Request::builder().method(Method::POST);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.finish()
    }

    fn foreign(headers: &[(&str, &str)]) -> bool {
        is_foreign(&request(headers), &Url::parse("https://app.example").unwrap())
    }

    #[test]
    fn fetch_metadata_decides_first() {
        for own in ["same-origin", "none"] {
            assert!(!foreign(&[("sec-fetch-site", own), ("origin", "https://evil.example")]));
        }
        for other in ["same-site", "cross-site", "Same-Origin", ""] {
            assert!(foreign(&[("sec-fetch-site", other), ("origin", "https://app.example")]));
        }
        assert!(foreign(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn without_it_the_origin_decides() {
        assert!(!foreign(&[("origin", "https://app.example")]));
        assert!(!foreign(&[("origin", "https://10.0.0.7:8443"), ("host", "10.0.0.7:8443")]));
        for other in [
            "null",
            "https://evil.example",
            "http://app.example",
            "https://app.example:444",
            "https://app.example.evil.example",
            "",
        ] {
            assert!(foreign(&[("origin", other), ("host", "app.example")]), "{other}");
        }
        assert!(foreign(&[("origin", "http://app.example"), ("host", "app.example")]), "scheme");
        assert!(foreign(&[("origin", "https://app.example"), ("origin", "https://app.example")]));
    }

    #[test]
    fn a_program_sends_neither() {
        assert!(!foreign(&[]));
    }

    #[test]
    fn a_link_is_followed_on_purpose_or_not() {
        let public_url = Url::parse("http://192.168.0.7:3000").unwrap();
        let deliberate = |headers: &[(&str, &str)]| is_deliberate(&request(headers), &public_url);
        assert!(deliberate(&[]), "a program");
        assert!(deliberate(&[("sec-fetch-site", "none")]), "typed");
        assert!(deliberate(&[("sec-fetch-site", "same-origin")]));
        assert!(!deliberate(&[("sec-fetch-site", "cross-site")]));
        assert!(!deliberate(&[("sec-fetch-site", "none"), ("sec-purpose", "prefetch;prerender")]));
        assert!(deliberate(&[("referer", "http://192.168.0.7:3000/admin")]));
        assert!(!deliberate(&[("referer", "http://evil.example/")]));
        assert!(!deliberate(&[("referer", "not a url")]));
    }
}
