//! Cookies as a browser keeps them: RFC 6265bis sections 5.5 to 5.8, written from the RFC and
//! independently of the code under test.
//!
//! The jar belongs to one host, so `Domain` makes a cookie of no use to anybody here and is
//! treated as a mistake. What a browser ignores is ignored here too, so that a removal that a
//! browser would not obey leaves the cookie in the jar, and the test fails.

use jiff::{SignedDuration, Timestamp};
use url::Url;

/// The cookies of one browser.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar {
    cookies: Vec<Kept>,
}

/// A cookie as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) path: String,
    pub(crate) secure: bool,
    pub(crate) http_only: bool,
    pub(crate) same_site: Option<String>,
    /// `None`: gone with the browser.
    pub(crate) expires: Option<Timestamp>,
}

impl Jar {
    /// Takes a `Set-Cookie` of an answer from `from`. Returns whether it was obeyed.
    pub(crate) fn set(&mut self, from: &Url, set_cookie: &str, now: Timestamp) -> bool {
        let Some(cookie) = parse(from, set_cookie, now) else {
            return false;
        };
        let is_secure_origin = from.scheme() == "https";
        if cookie.secure && !is_secure_origin {
            return false;
        }
        // Section 5.7 steps 21 and 22: the prefixes, compared without case.
        let lower = cookie.name.to_ascii_lowercase();
        if lower.starts_with("__secure-") && !cookie.secure {
            return false;
        }
        if lower.starts_with("__host-") && !(cookie.secure && cookie.path == "/") {
            return false;
        }
        let same = |kept: &Kept| kept.name == cookie.name && kept.path == cookie.path;
        // "Leave Secure Cookies Alone": plain http does not overwrite them.
        if !is_secure_origin && self.cookies.iter().any(|kept| same(kept) && kept.secure) {
            return false;
        }
        self.cookies.retain(|kept| !same(kept));
        if cookie.expires.is_none_or(|at| at > now) {
            self.cookies.push(cookie);
        }
        true
    }

    /// The `Cookie` header for a request, if there is anything to send.
    pub(crate) fn header(&self, to: &Url, now: Timestamp) -> Option<String> {
        let mut sent: Vec<&Kept> = self
            .cookies
            .iter()
            .filter(|kept| kept.expires.is_none_or(|at| at > now))
            .filter(|kept| !kept.secure || to.scheme() == "https")
            .filter(|kept| path_matches(to.path(), &kept.path))
            .collect();
        // Longer paths first (section 5.8.3).
        sent.sort_by_key(|kept| std::cmp::Reverse(kept.path.len()));
        let pairs: Vec<_> =
            sent.iter().map(|kept| format!("{}={}", kept.name, kept.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// The cookie of that name that is still good.
    pub(crate) fn get(&self, name: &str, now: Timestamp) -> Option<&Kept> {
        let mut cookies = self.cookies.iter();
        cookies.find(|kept| kept.name == name && kept.expires.is_none_or(|at| at > now))
    }

    /// The browser is closed: session cookies go.
    pub(crate) fn close_browser(&mut self) {
        self.cookies.retain(|kept| kept.expires.is_some());
    }
}

fn parse(from: &Url, set_cookie: &str, now: Timestamp) -> Option<Kept> {
    if set_cookie.bytes().any(|byte| byte < 0x20 && byte != b'\t' || byte == 0x7f) {
        return None;
    }
    let (pair, attributes) = set_cookie.split_once(';').unwrap_or((set_cookie, ""));
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.len() + value.len() > 4096 {
        return None;
    }
    let mut kept = Kept {
        name: name.to_owned(),
        value: value.to_owned(),
        path: default_path(from.path()),
        secure: false,
        http_only: false,
        same_site: None,
        expires: None,
    };
    for attribute in attributes.split(';') {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => value.clone_into(&mut kept.path),
            "path" => kept.path = default_path(from.path()),
            "secure" => kept.secure = true,
            "httponly" => kept.http_only = true,
            "samesite" => kept.same_site = Some(value.to_owned()),
            "max-age" => {
                let seconds: i64 = value.parse().ok()?;
                // Section 5.6.2: 400 days at most.
                let seconds = seconds.min(400 * 24 * 3600);
                kept.expires = Some(if seconds <= 0 {
                    Timestamp::MIN
                } else {
                    now.saturating_add(SignedDuration::from_secs(seconds))
                        .expect("within the calendar")
                });
            }
            "domain" => panic!("the session cookie is for one host, no Domain: {set_cookie}"),
            "expires" => panic!("Max-Age does it, Expires is for no browser of today"),
            _ => {}
        }
    }
    Some(kept)
}

fn default_path(path: &str) -> String {
    match path.rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(end) => path[..end].to_owned(),
    }
}

fn path_matches(request: &str, cookie: &str) -> bool {
    request == cookie
        || request
            .strip_prefix(cookie)
            .is_some_and(|rest| cookie.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn jar(from: &str, set_cookies: &[&str]) -> Jar {
        let mut jar = Jar::default();
        for set_cookie in set_cookies {
            jar.set(&url(from), set_cookie, NOW);
        }
        jar
    }

    #[test]
    fn a_removal_without_the_flags_of_its_prefix_is_ignored() {
        const LOGIN: &str = "__Host-s=a; Path=/; Secure; HttpOnly";
        for ignored in [
            "__Host-s=; Max-Age=0",
            "__Host-s=; Path=/; Max-Age=0",
            "__Host-s=; Secure; Path=/login; Max-Age=0",
            "__hOST-s=; Path=/; Max-Age=0",
        ] {
            let jar = jar("https://a.example/logout", &[LOGIN, ignored]);
            assert!(jar.get("__Host-s", NOW).is_some(), "{ignored}");
        }
        let jar = jar("https://a.example/logout", &[LOGIN, "__Host-s=; Path=/; Secure; Max-Age=0"]);
        assert!(jar.get("__Host-s", NOW).is_none());
    }

    #[test]
    fn secure_cookies_are_kept_from_plain_http() {
        assert!(jar("http://a.example/", &["s=a; Secure; Path=/"]).get("s", NOW).is_none());
        let jar = jar("https://a.example/", &["s=a; Secure; Path=/"]);
        assert_eq!(jar.header(&url("http://a.example/"), NOW), None);
        assert_eq!(jar.header(&url("https://a.example/"), NOW), Some("s=a".into()));
    }

    #[test]
    fn paths_and_ages_are_kept() {
        let jar = jar("http://a.example/x/login", &["s=a", "t=b; Path=/; Max-Age=10"]);
        let header = |to: &str, at: i64| jar.header(&url(to), Timestamp::from_second(at).unwrap());
        assert_eq!(header("http://a.example/x/y", 9), Some("s=a; t=b".into()));
        assert_eq!(header("http://a.example/xy", 9), Some("t=b".into()));
        assert_eq!(header("http://a.example/xy", 10), None);
        let mut closed = jar.clone();
        closed.close_browser();
        assert!(closed.get("s", NOW).is_none() && closed.get("t", NOW).is_some());
    }
}
