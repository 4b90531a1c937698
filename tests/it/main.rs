//! The one integration test binary: one link instead of many, and helpers shared as modules.
//!
//! | module | what it shows |
//! |---|---|
//! | `store_contract` | what every store must do, run on each |
//! | `store_durability` | what the embedded store does when disks fail and processes end |
//!
//! A new file of tests gets its `mod` here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_contract;
mod store_durability;
mod store_world;
