//! What a device is called in the list of sessions: enough for its owner to know it again.
//!
//! A user agent says what it likes, and nothing is decided by it.

/// Word in the user agent, name of the browser. Most name others for compatibility, so the order
/// matters. A new one goes above those that it names.
const BROWSERS: [(&str, &str); 8] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// Word in the user agent, name of the system, in the same way.
const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// "Firefox on Linux" for a browser, the user agent itself for anything else.
pub(in crate::http) fn name(user_agent: &str) -> String {
    let find = |names: &[(&str, &'static str)]| {
        let mut names = names.iter();
        names.find(|(word, _)| user_agent.contains(word)).map(|(_, name)| *name)
    };
    if user_agent.is_empty() {
        return "Unknown device".into();
    }
    if !user_agent.starts_with("Mozilla/") {
        return user_agent.into();
    }
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.into(),
        (None, _) => user_agent.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_named_as_its_owner_would() {
        for (user_agent, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/141.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("Mozilla/5.0 Chrome/1", "Chrome"),
            ("Mozilla/5.0 (something else)", "Mozilla/5.0 (something else)"),
            ("curl/8.14.1", "curl/8.14.1"),
            ("", "Unknown device"),
        ] {
            assert_eq!(name(user_agent), expected);
        }
    }
}
