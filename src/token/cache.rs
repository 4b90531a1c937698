//! Tokens that this process signed or verified lately: shown again, they need no second check of
//! their signature. It saves most of what a request with a token costs.
//!
//! Only the signature is spared. Whether its key is still good, whether the token is still within
//! its time, and above all whether its session is alive is asked every time. A token is looked up
//! by its whole text, so no other spelling of it is found, and only what passed every check is put
//! in, so nobody can fill it with tokens of their own making.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::Claims;

/// How many tokens are kept, of about a kilobyte each. The least used go first.
const CAPACITY: usize = 2_048;

/// Verified tokens by their text.
pub(super) struct Known(Cache<String, Arc<Token>>);

/// What a token says, and which key signed it.
pub(super) struct Token {
    pub(super) claims: Arc<Claims>,
    pub(super) kid: String,
}

impl Known {
    pub(super) fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }

    pub(super) fn find(&self, text: &str) -> Option<Arc<Token>> {
        self.0.get(text)
    }

    pub(super) fn keep(&self, text: &str, token: Token) {
        self.0.insert(text.to_owned(), Arc::new(token));
    }
}
