//! Signed tokens: what they say, how they are signed, and what it takes to believe one.
//!
//! [`Tokens`] is the whole of it for the layers above: it [issues](Tokens::issue) a token for a
//! [`Grant`] and [verifies](Tokens::verify) a text that claims to be one. It knows nothing of
//! sessions being alive: that is the store's.
//!
//! | file | what it holds |
//! |---|---|
//! | `jwt` | [`Tokens`]: the header, the claims and the times of a session token |
//! | `claims` | [`Claims`], and reading them without mercy |
//! | `device` | tokens that open nothing: a device that was logged in before |
//! | `jws` | the compact serialisation: from text to a payload whose signature was checked |
//! | `signing` | keys ready for use, as `aws-lc-rs` prepares them |
//! | `jwk` | keys as JSON, and all that must agree in one before it is used |
//! | `key_file` | one key, one file |
//! | `key_copy` | copies of key files, for a backup |
//! | `keys` | [`KeySet`]: which key signs, and which verify |
//! | `ring` | [`KeyRing`]: all keys with their dates, and how one takes over from another |
//! | `ring/rotate` | a new key because an operator wants one |
//! | `seal` | [`Seal`]: keys as a store may keep them |
//! | `jwks` | what the world may know of them |
//! | `self_test` | every key is tried out before the service listens |
//!
//! To add an algorithm: a variant of [`Algorithm`], and the compiler names every place that has to
//! know it. To add a claim: a field of [`Claims`], of the payloads in `claims`, and of [`Grant`].

pub mod algorithm;
#[cfg(test)]
mod attacks;
pub mod cache;
mod claims;
mod device;
pub mod error;
pub mod jwk;
mod jwks;
pub mod jws;
pub mod jwt;
mod key_copy;
mod key_file;
pub mod keys;
pub mod ring;
pub mod seal;
mod self_test;
pub mod signing;
#[cfg(test)]
mod testing;

pub use algorithm::Algorithm;
pub use claims::{ClaimSet, Claims};
pub use device::{Device, REMEMBERED};
pub use error::{Defect, KeyDefect, KeyError, SigningFailed};
pub use jwks::PUBLISHED_FOR;
pub use jwt::{Grant, Tokens};
pub use key_copy::{KeyCopy, copy_keys, has_keys, place_keys, put_aside};
pub use keys::{KeyInfo, KeySet, KeyStatus, list_keys};
pub use ring::{KeyRing, Rule};
pub use seal::{Seal, ShortSecret, random_secret};
