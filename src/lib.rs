//! Countersign: a self-hosted session service. It logs people in, hands each a signed token in a
//! cookie, counts their visits, and can take any of it back at once.
//!
//! # The layers
//! Arrows only point down, and a test keeps them so:
//!
//! ```text
//! cli, library  →  http  →  session  →  token, store  →  model
//!  ├→ service  →  config, session
//!  └→ telemetry (cli alone)
//! ```
//!
//! - [`model`]: the words. What an e-mail, an account and a session are, and the rules about one
//!   value alone. Time is a value, too.
//! - [`token`]: signing and verifying. The only place that knows keys and JSON Web Tokens.
//! - [`store`]: what is kept, as a trait of whole business steps, and who keeps it.
//! - [`session`]: the operations, one file each, over tokens and store. Knows nothing of HTTP.
//! - [`http`]: pages for people, a JSON API for programs, and the rules for every request.
//! - [`service`]: where a configuration becomes a service on its data directory.
//! - [`library`]: the service inside an app of one's own; begin there to embed it.
//! - [`config`] and [`telemetry`]: leaves; only `service`, `cli` and `library` know the one, `cli` the other.
//! - [`cli`]: the command line; `cli::serve` puts the service behind its addresses.
//!
//! # Where is …?
//! - A token is signed and verified in `token::jwt`.
//! - Revocation is checked in `session::authenticate` (a look-up) and in the store's `visit` step.
//! - A visit is counted in `store::steps`, called by `session::visit`.
//! - What a store must do stands in [`store::Store`].
//! - Every route stands in [`http::app`].

pub mod cli;
pub mod config;
pub mod http;
pub mod library;
pub mod model;
pub mod service;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod token;

pub use library::{Countersign, Session, Visitor};
