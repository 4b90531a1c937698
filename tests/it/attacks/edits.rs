//! Random edits of a living token, thousands of them, over HTTP: a token has one spelling.

use std::{cell::RefCell, collections::BTreeSet};

use proptest::{prelude::*, test_runner::TestRunner};
use reqwest::Method;
use tokio::{runtime::Handle, task::block_in_place};

use crate::support::{TestApp, User};

const EDITS: u32 = 3_000;

/// A change to a text.
#[derive(Clone, Debug)]
enum Edit {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Copy(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index),
    Encode(prop::sample::Index),
}

impl Edit {
    fn apply(&self, text: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let length = text.len();
        match self {
            Self::Replace(at, byte) => text[at.index(length)] = *byte,
            Self::Insert(at, byte) => text.insert(at.index(length + 1), *byte),
            Self::Remove(at) => {
                text.remove(at.index(length));
            }
            Self::Swap(one, other) => text.swap(one.index(length), other.index(length)),
            Self::Copy(from, to) => text[to.index(length)] = text[from.index(length)],
            Self::Cut(at) => text.truncate(at.index(length)),
            Self::Encode(at) => {
                let at = at.index(length);
                let encoded = format!("%{:02X}", text[at]);
                text.splice(at..=at, encoded.into_bytes());
            }
        }
    }
}

/// The letters of tokens, what is special in headers, and whatever else a header may hold.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        6 => prop::sample::select(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.".to_vec()),
        3 => prop::sample::select(b" \t;,=\"\\%+/{}".to_vec()),
        1 => 0x80..=0xff_u8,
        1 => 0x21..=0x7e_u8,
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        6 => (at(), byte()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        4 => (at(), byte()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        2 => at().prop_map(Edit::Remove),
        2 => (at(), at()).prop_map(|(one, other)| Edit::Swap(one, other)),
        1 => (at(), at()).prop_map(|(from, to)| Edit::Copy(from, to)),
        1 => at().prop_map(Edit::Cut),
        1 => at().prop_map(Edit::Encode),
    ]
}

/// What is left of a value when HTTP has been read: blanks after it are no part of it (RFC 9110
/// section 5.5), and a cookie ends at its semicolon (RFC 6265 section 4.2.1).
fn read(bytes: &[u8], by_cookie: bool) -> &[u8] {
    let end = bytes.iter().position(|byte| by_cookie && *byte == b';').unwrap_or(bytes.len());
    let (bytes, blank) = (&bytes[..end], |byte: &u8| matches!(byte, b' ' | b'\t'));
    let to = bytes.iter().rposition(|byte| !blank(byte)).map_or(0, |at| at + 1);
    &bytes[..to]
}

async fn status(app: &TestApp, text: &[u8], by_cookie: bool) -> u16 {
    let draft = app.anonymous().request(Method::GET, "/api/v1/session");
    let draft = if by_cookie {
        draft.and_header("cookie", &[b"session=", text].concat())
    } else {
        draft.and_header("authorization", &[b"Bearer ", text].concat())
    };
    draft.send().await.status
}

async fn edited(app: &TestApp, ann: &User) {
    let (good, by_cookie) = (ann.token().into_bytes(), ann.is_browser());
    let before = app.snapshot().await;
    let tried = RefCell::new(BTreeSet::new());
    let mut runner = TestRunner::new(ProptestConfig { cases: EDITS, ..ProptestConfig::default() });
    let outcome = block_in_place(|| {
        runner.run(&prop::collection::vec(edit(), 1..4), |edits| {
            let mut text = good.clone();
            for edit in &edits {
                edit.apply(&mut text);
            }
            let status = Handle::current().block_on(status(app, &text, by_cookie));
            let same = read(&text, by_cookie) == good;
            prop_assert_eq!(status, if same { 200 } else { 401 }, "{}", text.escape_ascii());
            tried.borrow_mut().insert(text);
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let tried = tried.into_inner();
    assert!(tried.len() > 2_000, "only {} different ones", tried.len());
    assert_eq!(app.snapshot().await, before);
    assert_eq!(status(app, &good, by_cookie).await, 200);

    ann.log_out().await.expect(204);
    for text in tried {
        assert_eq!(status(app, &text, by_cookie).await, 401, "{}", text.escape_ascii());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_edit_of_a_live_token_opens_anything() {
    let app = TestApp::start().await;
    for ann in [app.browser(), app.program()] {
        ann.sign_up("ann@example.com").await;
        ann.log_in("ann@example.com").await;
        edited(&app, &ann).await;
    }
}
