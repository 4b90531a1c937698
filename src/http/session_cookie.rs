//! The one place that sets and clears the session cookie; and beside it, at a log-in, the cookie that
//! a device is known by, which opens nothing and which a logout leaves.
//!
//! Handlers say what they want in the request's [`CookieSlot`]; [`apply`] does it when the answer
//! leaves, and looks the session up once more before: an answer that leaves after the session's
//! end sets no cookie (invariant 3). Only a logout clears the cookie: a 401 or 503 never does,
//! because it could delete the cookie of a newer login.

use std::sync::Arc;

use cookie::{Cookie, SameSite, time::Duration};
use parking_lot::Mutex;
use poem::{
    Request, Response,
    http::{HeaderValue, header},
};

use super::{Code, CookieRules, HttpError, Site};
use crate::session::{Issued, device::REMEMBERED};

/// The largest name and value that a browser keeps (RFC 6265bis section 5.5).
const MAX_COOKIE_BYTES: usize = 4096;

/// What is to become of the session cookie with this answer.
#[derive(Clone, Default)]
pub(crate) struct CookieSlot(Arc<Mutex<Option<Change>>>);

enum Change {
    Set(Box<Issued>),
    Clear,
}

impl CookieSlot {
    /// The slot of a request.
    pub(crate) fn of(request: &Request) -> Result<&Self, HttpError> {
        request.data::<Self>().ok_or_else(|| Code::Internal.into())
    }

    /// Wants the cookie set to a new token.
    pub(crate) fn set(&self, mut issued: Issued) {
        let mut change = self.0.lock();
        // A log-in whose session is used at once: its device is to be known all the same.
        if let Some(Change::Set(before)) = &mut *change {
            issued.device = issued.device.or(before.device.take());
        }
        *change = Some(Change::Set(Box::new(issued)));
    }

    /// Wants the cookie cleared: the session has ended.
    pub(crate) fn clear(&self) {
        *self.0.lock() = Some(Change::Clear);
    }

    /// Whether anything is wanted.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.lock().is_some()
    }
}

/// Does what the slot says. An error takes the place of the answer.
pub(crate) async fn apply(
    site: &Site,
    slot: &CookieSlot,
    mut response: Response,
) -> Result<Response, HttpError> {
    let change = slot.0.lock().take();
    let (cookie, device) = match change {
        None => return Ok(response),
        Some(Change::Clear) => (removal(site.cookie), None),
        Some(Change::Set(issued)) => match site.sessions.is_alive(&issued).await {
            Ok(true) => {
                let cookie = session_cookie(site.cookie, &issued);
                (cookie, issued.device.map(|token| device_cookie(site.cookie, token)))
            }
            Ok(false) => return Ok(response),
            // It cannot be told: what the handler did stands, but no cookie leaves for it.
            Err(error) => return Err(error.into()),
        },
    };
    let fits = cookie.name().len() + cookie.value().len() <= MAX_COOKIE_BYTES;
    match HeaderValue::try_from(cookie.to_string()) {
        Ok(value) if fits => {
            response.headers_mut().append(header::SET_COOKIE, value);
            let device = device.and_then(|cookie| HeaderValue::try_from(cookie.to_string()).ok());
            if let Some(value) = device {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
            Ok(response)
        }
        // Browsers would drop it without a word.
        _ => Err(Code::Internal.into()),
    }
}

/// The cookie that hands out a token: gone with the browser, or after the session's idle time for
/// those who asked to be remembered.
fn session_cookie(rules: CookieRules, issued: &Issued) -> Cookie<'static> {
    let mut cookie = plain(rules, issued.token.clone());
    if issued.session.remember {
        let left = issued.token_expires_at.duration_since(issued.session.last_seen_at);
        cookie.set_max_age(Duration::seconds(left.as_secs()));
    }
    cookie
}

/// The cookie that a device is known by at its next log-in. It outlives the session.
fn device_cookie(rules: CookieRules, token: String) -> Cookie<'static> {
    let mut cookie = plain(rules, token);
    cookie.set_name(rules.device_name());
    cookie.set_max_age(Duration::seconds(REMEMBERED.as_secs()));
    cookie
}

/// The cookie that removes it. It repeats every attribute: browsers ignore a removal of a
/// `__Host-` cookie that does not (RFC 6265bis section 4.1.3.2).
fn removal(rules: CookieRules) -> Cookie<'static> {
    let mut cookie = plain(rules, String::new());
    cookie.set_max_age(Duration::ZERO);
    cookie
}

fn plain(rules: CookieRules, value: String) -> Cookie<'static> {
    Cookie::build((rules.name, value))
        .path("/")
        .secure(rules.secure)
        .http_only(true)
        .same_site(SameSite::Lax)
        .build()
}
