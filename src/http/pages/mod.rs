//! What people see.
use super::HttpError;
use poem::{IntoResponse, Request, Response, handler};
pub(super) const STYLE_PATH: &str = "/style.css";
pub(super) fn wants_page(request: &Request) -> bool {
    request.header("accept").is_some_and(|a| a.contains("text/html"))
        && !request.uri().path().starts_with("/api/")
}
pub(super) fn error(error: &HttpError) -> Response {
    error.detail().to_owned().into_response()
}
#[handler]
pub(super) fn style() -> &'static str {
    ""
}
macro_rules! stub { ($m:ident: $($f:ident),*) => { pub(super) mod $m { $( #[poem::handler] pub(crate) fn $f() -> &'static str { "" } )* } } }
stub!(home: show);
stub!(log_in: submit);
stub!(sign_up: show, submit);
stub!(admin: show, head);
stub!(log_out: follow, submit);
