//! Where a request's token is found, and who it says the request is.
//!
//! A token travels in the session cookie or in `Authorization: Bearer`; in the query, the body or
//! any other header it is not looked for. Pages read the cookie alone.

use std::{borrow::Cow, sync::Arc};

use poem::{
    Request, RequestBody,
    http::{HeaderMap, HeaderValue, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};
use url::Url;

use super::{Code, HttpError, Site, session_cookie::CookieSlot};
use crate::{
    model::Transport,
    session::{Administrator, Credential, SignedIn},
};

/// The name and flags of the session cookie, which follow from the public URL (RFC 6265bis
/// section 4.1.3; ASVS 3.3.1, 3.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieRules {
    /// `__Host-session` under https, `session` without.
    pub name: &'static str,
    /// Whether it travels over https alone.
    pub secure: bool,
}

impl CookieRules {
    const SECURE: Self = Self { name: "__Host-session", secure: true };
    const PLAIN: Self = Self { name: "session", secure: false };

    /// The rules for a service at that address.
    #[must_use]
    pub fn of(public_url: &Url) -> Self {
        if public_url.scheme() == "https" { Self::SECURE } else { Self::PLAIN }
    }

    /// The token in the session cookie, if there is one.
    ///
    /// The value is taken as it stands: nothing is percent-decoded or unquoted, so that a token
    /// has one spelling. The name is compared to the letter. Two cookies of the name are refused:
    /// whichever were taken, somebody else could have planted it.
    pub(crate) fn find(self, headers: &HeaderMap) -> Result<Option<String>, HttpError> {
        cookie(headers, self.name)
    }

    /// The name of the cookie that a device is known by.
    pub(crate) fn device_name(self) -> &'static str {
        if self.secure { "__Host-device" } else { "device" }
    }

    /// The token in the device cookie. Two of them are none: nothing depends on it.
    pub(crate) fn find_device(self, headers: &HeaderMap) -> Option<String> {
        cookie(headers, self.device_name()).unwrap_or_default()
    }
}

/// The value of the one cookie of that name.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Result<Option<String>, HttpError> {
    let mut found = None;
    for value in headers.get_all(header::COOKIE) {
        for pair in text(value).split(';') {
            let value =
                pair.trim_ascii().strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
            let Some(value) = value else {
                continue;
            };
            if found.replace(value.to_owned()).is_some() {
                return Err(Code::DuplicateCookie.into());
            }
        }
    }
    Ok(found)
}

/// A header's value. What is not text is no token; it must still be seen as one that came.
fn text(value: &HeaderValue) -> Cow<'_, str> {
    // The lossy way looks at byte after byte, this one at many together.
    let text = std::str::from_utf8(value.as_bytes());
    text.map_or_else(|_| String::from_utf8_lossy(value.as_bytes()), Cow::Borrowed)
}

/// The bearer token of a request (RFC 6750 section 2.1), if there is one.
fn bearer(headers: &HeaderMap) -> Result<Option<String>, HttpError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Code::AmbiguousCredentials.into());
    }
    let value = text(value);
    Ok(Some(match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.to_owned(),
        // Another scheme is a credential too, and none that signs anybody in.
        _ => String::new(),
    }))
}

impl Site {
    /// The credential in the session cookie of a request: the only one that pages look for.
    pub(crate) fn shown_cookie(&self, request: &Request) -> Result<Option<Credential>, HttpError> {
        let token = self.cookie.find(request.headers())?;
        Ok(token.map(|token| self.shown(request, token, Transport::Cookie)))
    }

    /// The one credential of an API request.
    fn credential(&self, request: &Request) -> Result<Option<Credential>, HttpError> {
        match (self.cookie.find(request.headers())?, bearer(request.headers())?) {
            (Some(_), Some(_)) => Err(Code::AmbiguousCredentials.into()),
            (Some(token), None) => Ok(Some(self.shown(request, token, Transport::Cookie))),
            (None, Some(token)) => Ok(Some(self.shown(request, token, Transport::Bearer))),
            (None, None) => Ok(None),
        }
    }

    fn shown(&self, request: &Request, token: String, transport: Transport) -> Credential {
        Credential { token, transport, from: self.client(request) }
    }
}

/// What the device that asks calls itself.
pub(crate) fn user_agent(request: &Request) -> String {
    request.header(header::USER_AGENT).unwrap_or_default().to_owned()
}

/// The site that a handler belongs to.
pub(super) fn site(request: &Request) -> Result<&Arc<Site>, HttpError> {
    request.data::<Arc<Site>>().ok_or_else(|| Code::Internal.into())
}

/// An operation's argument: the token that was shown, unchecked. For the operations that check it
/// in the same step as what they do with it.
pub(super) struct Shown(pub(super) Credential);

/// An operation's argument: the living session behind the request. Renews it when it is due.
pub(super) struct Authenticated(pub(super) SignedIn);

impl Shown {
    fn of(request: &Request) -> Result<Self, HttpError> {
        match site(request)?.credential(request)? {
            Some(credential) => Ok(Self(credential)),
            None => Err(Code::NotSignedIn.into()),
        }
    }
}

impl Authenticated {
    async fn of(request: &Request) -> Result<Self, HttpError> {
        let sessions = &site(request)?.sessions;
        let who = sessions.authenticate(&Shown::of(request)?.0).await?;
        renew(request, &who).await?;
        Ok(Self(who))
    }
}

/// An operation's argument: the administrator behind the request.
pub(super) struct Administering(pub(super) Administrator);

impl Administering {
    async fn of(request: &Request) -> Result<Self, HttpError> {
        let Authenticated(who) = Authenticated::of(request).await?;
        let site = site(request)?;
        Ok(Self(site.sessions.administrator(who).await?))
    }
}

/// Hands out a new cookie when more than half of the shown one's time is gone. That it cannot be
/// recorded is no reason to refuse a request whose token is good: it is tried again at the next.
pub(crate) async fn renew(request: &Request, who: &SignedIn) -> Result<(), HttpError> {
    if who.session.transport != Transport::Cookie {
        return Ok(());
    }
    match site(request)?.sessions.renew_if_due(who).await {
        Ok(None) => {}
        Ok(Some(issued)) => CookieSlot::of(request)?.set(issued),
        Err(error) => tracing::warn!(event = "renewal_failed", %error, "session not renewed"),
    }
    Ok(())
}

/// What an API client may send with a login: a token whose session is to end.
pub(super) struct Optional(pub(super) Option<Credential>);

macro_rules! extractor {
    ($name:ident, $schemes:expr, $register:expr, |$request:ident| $extract:expr) => {
        impl<'a> ApiExtractor<'a> for $name {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                if $register {
                    register_schemes(registry);
                }
            }

            fn security_schemes() -> Vec<&'static str> {
                $schemes
            }

            async fn from_request(
                $request: &'a Request,
                _body: &mut RequestBody,
                _options: ExtractParamOptions<Self::ParamType>,
            ) -> poem::Result<Self> {
                Ok($extract)
            }
        }
    };
}

extractor!(Shown, SCHEMES.to_vec(), true, |request| Self::of(request)?);
extractor!(Authenticated, SCHEMES.to_vec(), true, |request| Self::of(request).await?);
extractor!(Administering, SCHEMES.to_vec(), true, |request| Self::of(request).await?);
extractor!(Optional, Vec::new(), false, |request| Self(site(request)?.credential(request)?));

/// The names of the ways to authenticate in the OpenAPI document: any one of them will do. The
/// cookie has two names because the document is the same for every deployment.
const SCHEMES: [&str; 3] = ["bearer", "cookie", "cookie_without_https"];

fn register_schemes(registry: &mut Registry) {
    let scheme = |ty, description| MetaSecurityScheme {
        ty,
        description: Some(description),
        name: None,
        key_in: None,
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    let cookie = |rules: CookieRules, description| MetaSecurityScheme {
        name: Some(rules.name),
        key_in: Some("cookie"),
        ..scheme("apiKey", description)
    };
    registry.create_security_scheme(
        SCHEMES[0],
        MetaSecurityScheme {
            scheme: Some("bearer"),
            bearer_format: Some("JWT"),
            ..scheme("http", "The token of a log-in with `transport: bearer`.")
        },
    );
    registry.create_security_scheme(
        SCHEMES[1],
        cookie(CookieRules::SECURE, "The session cookie, set by a log-in."),
    );
    registry.create_security_scheme(
        SCHEMES[2],
        cookie(CookieRules::PLAIN, "The session cookie of a service whose public URL is http://."),
    );
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn found(cookies: &[&'static str]) -> Result<Option<String>, Code> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::COOKIE, HeaderValue::from_static(cookie));
        }
        CookieRules::SECURE.find(&headers).map_err(|error| error.code)
    }

    #[test]
    fn the_cookie_is_taken_to_the_letter() {
        assert_eq!(found(&[]), Ok(None));
        assert_eq!(found(&["a=b; __Host-session=x.y.z; c=d"]), Ok(Some("x.y.z".into())));
        assert_eq!(found(&["a=b", "__Host-session=x"]), Ok(Some("x".into())));
        assert_eq!(found(&["__Host-session=%2E"]), Ok(Some("%2E".into())), "not decoded");
        assert_eq!(found(&["__Host-session=\"x\""]), Ok(Some("\"x\"".into())), "not unquoted");
        assert_eq!(found(&["__host-session=x"]), Ok(None), "another case is another cookie");
        assert_eq!(found(&["session=x"]), Ok(None));
        assert_eq!(found(&["__Host-session="]), Ok(Some(String::new())));
    }

    #[test]
    fn two_session_cookies_are_one_too_many() {
        assert_eq!(found(&["__Host-session=a; __Host-session=a"]), Err(Code::DuplicateCookie));
        assert_eq!(found(&["__Host-session=a", "__Host-session=b"]), Err(Code::DuplicateCookie));
    }

    #[test]
    fn the_cookie_follows_the_public_url() {
        let of = |url: &str| CookieRules::of(&Url::parse(url).unwrap());
        assert_eq!(of("https://example.com"), CookieRules::SECURE);
        assert_eq!(of("http://localhost:3000"), CookieRules::PLAIN);
    }
}
