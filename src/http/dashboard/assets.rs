//! What the dashboard's pages are made of beside themselves: the look of all pages and the few rules
//! more that plots need, the icon, and the script. Nothing of it is asked for elsewhere.

use poem::{Response, handler};

use crate::http::{
    methods::get,
    pages::style::{self, PATH},
    routes::Routes,
};

/// Where they are.
pub(super) fn mount(routes: Routes) -> Routes {
    routes
        .at(look(), get(style::show))
        .at("/favicon.ico", get(style::icon))
        .at("/dashboard.css", get(sheet))
        .at("/dashboard.js", get(script))
}

/// The path of the style sheet of all pages.
pub(super) fn look() -> &'static str {
    PATH.as_str()
}

#[handler]
fn sheet() -> Response {
    Response::builder().content_type("text/css; charset=utf-8").body(include_str!("dashboard.css"))
}

#[handler]
fn script() -> Response {
    Response::builder()
        .content_type("text/javascript; charset=utf-8")
        .body(include_str!("dashboard.js"))
}
