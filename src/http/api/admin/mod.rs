//! What administrators see and do: accounts and sessions of everybody.
//!
//! Every operation takes [`Administering`](crate::http::credential::Administering), which asks the
//! store for the role, and lists [`ADMIN`](super::failure::ADMIN) among what can go wrong; a test
//! asks each with a member's token. What changes something needs the password to be shown lately.
//! A new operation is a method in the file of its subject.

pub(in crate::http) mod accounts;
pub(in crate::http) mod events;
pub(in crate::http) mod sessions;
mod view;
