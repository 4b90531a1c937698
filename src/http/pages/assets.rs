//! The style sheet, the script and the icon, inside the binary.
//!
//! The paths of sheet and script name their content, so browsers may keep them for ever and never
//! show a new page in old clothes. One more file is an [`Asset`] here and a route in
//! [`http`](super::super).

use std::{fmt::Write as _, sync::OnceLock};

use poem::{Response, endpoint::make_sync, handler, http::header};
use sha2::{Digest as _, Sha256};

use crate::http::methods::{Methods, get};

/// The look of all pages.
pub(in crate::http) static STYLE: Asset =
    Asset::new("style", "css", "text/css; charset=utf-8", include_str!("style.css"));

/// What the account page does besides when there is JavaScript.
pub(in crate::http) static SCRIPT: Asset =
    Asset::new("script", "js", "text/javascript; charset=utf-8", include_str!("script.js"));

/// A file that pages ask for.
pub(in crate::http) struct Asset {
    name: &'static str,
    extension: &'static str,
    media_type: &'static str,
    content: &'static str,
    path: OnceLock<String>,
}

impl Asset {
    pub(in crate::http) const fn new(
        name: &'static str,
        extension: &'static str,
        media_type: &'static str,
        content: &'static str,
    ) -> Self {
        Self { name, extension, media_type, content, path: OnceLock::new() }
    }

    /// Where it is.
    pub(in crate::http) fn path(&self) -> &str {
        self.path.get_or_init(|| {
            let mut path = format!("/{}-", self.name);
            for byte in &Sha256::digest(self.content)[..8] {
                // Writing to a string cannot fail.
                let _ = write!(path, "{byte:02x}");
            }
            path + "." + self.extension
        })
    }

    /// What is there.
    pub(in crate::http) fn show(&'static self) -> Methods {
        get(make_sync(|_| {
            Response::builder()
                .content_type(self.media_type)
                .header(header::CACHE_CONTROL, "public, max-age=31536000, immutable")
                .body(self.content)
        }))
    }
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
    fn another_content_has_another_path() {
        let path_of = |content| Asset::new("style", "css", "text/css", content).path().to_owned();
        assert_ne!(path_of("a"), path_of("b"));
        assert_eq!(STYLE.path(), path_of(STYLE.content));
        assert_eq!(STYLE.path().len(), "/style-0123456789abcdef.css".len());
        assert_eq!(SCRIPT.path().len(), "/script-0123456789abcdef.js".len());
    }

    #[test]
    fn they_ask_for_nothing_outside() {
        for asset in [&STYLE, &SCRIPT] {
            for outside in ["url(", "@import", "import(", "http"] {
                assert!(!asset.content.contains(outside), "{}: {outside}", asset.name);
            }
        }
    }
}
