//! What the dashboard's pages are made of beside themselves: the look of all pages and the few rules
//! more that plots need, the icon, and the script. Nothing of it is asked for elsewhere.

use crate::http::{
    methods::get,
    pages::assets::{Asset, STYLE, icon},
    routes::Routes,
};

/// What plots and tables need beside the look of all pages.
pub(super) static SHEET: Asset =
    Asset::new("dashboard", "css", "text/css; charset=utf-8", include_str!("dashboard.css"));

/// What shows the numbers anew by itself.
pub(super) static SCRIPT: Asset =
    Asset::new("dashboard", "js", "text/javascript; charset=utf-8", include_str!("dashboard.js"));

/// Where they are.
pub(super) fn mount(routes: Routes) -> Routes {
    routes
        .at(STYLE.path(), STYLE.show())
        .at(SHEET.path(), SHEET.show())
        .at(SCRIPT.path(), SCRIPT.show())
        .at("/favicon.ico", get(icon))
}
