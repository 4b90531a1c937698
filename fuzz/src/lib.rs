//! What must come of inputs that nobody thought of: one file for each kind of input, and in it one
//! function that panics when something else comes of it.
//!
//! | file | inputs |
//! |---|---|
//! | `cookie` | the `Cookie` header |
//! | `token` | what claims to be a token, and tokens of our own key that say anything |
//! | `json` | the bodies of the API |
//! | `service` | what they are tried on |
//!
//! `just fuzz` looks for such inputs; `tests/it/fuzzed.rs` includes this file and tries those of
//! `seeds/` in every run of the tests. An input that ever broke something belongs there. A new kind
//! of input is a file here, a target in `targets/`, a folder in `seeds/`, and its name in `ALL`.

pub mod cookie;
pub mod json;
mod service;
pub mod token;

pub use service::Service;

/// What an input is tried with.
pub type Check = fn(&mut Service, &[u8]);

/// Every kind of input, by the name of its target.
pub const ALL: [(&str, Check); 3] =
    [("cookie", cookie::check), ("token", token::check), ("json", json::check)];
