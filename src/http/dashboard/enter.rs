//! In by a code, once; out by a button.

use std::sync::Arc;

use cookie::{Cookie, SameSite, time::Duration};
use poem::{
    Request, Response, handler,
    http::{HeaderValue, header},
    web::Data,
};
use url::form_urlencoded;

use super::{COOKIE, Dashboard, Posted, base, door::Stay, see_other};
use crate::http::{Code, HttpError, csrf};

/// `GET /dashboard`: nobody is let in here; the answer says how.
#[handler]
pub(super) fn closed() -> Result<Response, HttpError> {
    Err(Code::NotSignedIn.into())
}

/// `GET /dashboard/open?code=…`: takes the code, which is good once, and leads on at once, so that
/// it does not stay in the address bar. A browser that only asks ahead uses up nothing.
#[handler]
pub(super) fn open(
    request: &Request,
    Data(dashboard): Data<&Arc<Dashboard>>,
) -> Result<Response, HttpError> {
    if csrf::is_prefetch(request) {
        return Err(Code::NotSignedIn.into());
    }
    let query = request.uri().query().unwrap_or_default();
    let code = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code");
    let code = code.map(|(_, code)| code).unwrap_or_default();
    let stay = dashboard.door.enter(&code)?.ok_or(Code::NotSignedIn)?;
    tracing::info!(event = "dashboard_opened", "the dashboard was opened");
    with_cookie(see_other(&base(&stay)), &cookie(&stay))
}

/// `POST /dashboard/PLACE/leave`.
#[handler]
pub(super) fn leave(
    Posted { stay, .. }: Posted,
    Data(dashboard): Data<&Arc<Dashboard>>,
) -> Result<Response, HttpError> {
    dashboard.door.leave(&stay);
    let mut removal = cookie(&stay);
    removal.set_value("");
    removal.set_max_age(Duration::ZERO);
    with_cookie(see_other("/dashboard"), &removal)
}

/// The cookie of a stay: for its place alone, gone with the browser.
fn cookie(stay: &Stay) -> Cookie<'static> {
    Cookie::build((COOKIE, stay.cookie.expose().to_owned()))
        .path(base(stay))
        .http_only(true)
        .same_site(SameSite::Strict)
        .build()
}

fn with_cookie(mut response: Response, cookie: &Cookie<'_>) -> Result<Response, HttpError> {
    let value = HeaderValue::try_from(cookie.to_string())
        .map_err(|error| HttpError::caused_by(Code::Internal, &error))?;
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(response)
}
