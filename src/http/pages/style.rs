//! The style sheet and the icon, inside the binary.
//!
//! The path of the style sheet names its content, so browsers may keep it for ever and never show
//! a new page in old clothes.

use std::{fmt::Write as _, sync::LazyLock};

use poem::{Response, handler, http::header};
use sha2::{Digest as _, Sha256};

const SHEET: &str = include_str!("style.css");

/// The path of the style sheet.
pub(in crate::http) static PATH: LazyLock<String> = LazyLock::new(|| path_of(SHEET));

fn path_of(sheet: &str) -> String {
    let mut path = String::from("/style-");
    for byte in &Sha256::digest(sheet)[..8] {
        // Writing to a string cannot fail.
        let _ = write!(path, "{byte:02x}");
    }
    path + ".css"
}

/// The style sheet.
#[handler]
pub(in crate::http) fn show() -> Response {
    Response::builder()
        .content_type("text/css; charset=utf-8")
        .header(header::CACHE_CONTROL, "public, max-age=31536000, immutable")
        .body(SHEET)
}

/// `/favicon.ico`, which browsers ask for by themselves, also under `/docs`. An SVG: what its
/// media type says counts, not its path.
#[handler]
pub(in crate::http) fn icon() -> Response {
    Response::builder()
        .content_type("image/svg+xml")
        .header(header::CACHE_CONTROL, "public, max-age=86400")
        .body(include_str!("icon.svg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_sheet_has_another_path() {
        assert_ne!(path_of("a"), path_of("b"));
        assert_eq!(*PATH, path_of(SHEET));
        assert_eq!(PATH.len(), "/style-0123456789abcdef.css".len());
    }

    #[test]
    fn it_asks_for_nothing_outside() {
        for outside in ["url(", "@import", "http"] {
            assert!(!SHEET.contains(outside), "{outside}");
        }
    }
}
