//! What came back.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Says where it came from when it is not the expected one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, self.beginning());
        self
    }

    /// One of our errors: its status, its media type, its exact members, and this code.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        let mut members: Vec<_> = problem.as_object().unwrap().keys().cloned().collect();
        members.sort();
        assert_eq!(members, ["code", "detail", "status", "title", "type"]);
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status);
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(problem["detail"].as_str().unwrap().ends_with('.'));
        answer
    }

    /// A 303 to that place.
    #[track_caller]
    pub(crate) fn expect_redirect(self, to: &str) -> Self {
        let answer = self.expect(303);
        assert_eq!(answer.header("location"), to);
        answer
    }

    /// A page, whatever its status.
    #[track_caller]
    pub(crate) fn expect_page(self, status: u16) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert!(answer.text().starts_with("<!"), "{}", answer.text());
        answer
    }

    /// An answer that leaves the cookie as it is.
    #[track_caller]
    pub(crate) fn expect_no_cookie(self) -> Self {
        assert_eq!(self.set_cookies(), Vec::<String>::new());
        self
    }

    /// The header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// Every `Set-Cookie`.
    pub(crate) fn set_cookies(&self) -> Vec<String> {
        let values = self.headers.get_all("set-cookie").iter();
        values.map(|value| value.to_str().expect("ASCII").to_owned()).collect()
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// As much of the body as a failure should show.
    pub(crate) fn beginning(&self) -> String {
        self.text_lossy().chars().take(2_000).collect()
    }

    pub(crate) fn text_lossy(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// What a person reads of a page: its text, with white space as one space.
    #[track_caller]
    pub(crate) fn visible(&self) -> String {
        let page = scraper::Html::parse_document(self.text());
        let body = scraper::Selector::parse("body").unwrap();
        let body = page.select(&body).next().expect("a body");
        let words: String = body.text().collect::<Vec<_>>().join(" ");
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The number N of `This is visit number N` on a page.
    #[track_caller]
    pub(crate) fn visit_number(&self) -> u64 {
        let text = self.visible();
        let after = text
            .split("his is visit number ")
            .nth(1)
            .unwrap_or_else(|| panic!("no visit number in: {text}"));
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    }

    /// Whether a text occurs in the body or a header.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.text_lossy().contains(text)
            || self.headers.iter().any(|(name, value)| {
                name.as_str().contains(text)
                    || String::from_utf8_lossy(value.as_bytes()).contains(text)
            })
    }
}
