//! The one integration test binary: one link instead of many, and helpers shared as modules.
//!
//! A new file of tests gets its `mod` here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_contract;
mod store_durability;
mod store_world;
mod vectors;
