//! The one integration test binary: one link instead of many, and helpers shared as modules.
//!
<<<<<<< HEAD
=======
//! | module | what it shows |
//! |---|---|
//! | `cli` | the real binary: its command line, its start and its end |
//! | `store_contract` | what every store must do, run on each |
//! | `store_durability` | what the embedded store does when disks fail and processes end |
//! | `vectors` | published attacks on signatures and tokens |
//!
>>>>>>> pages
//! A new file of tests gets its `mod` here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli;
mod store_contract;
mod store_durability;
mod store_world;
mod vectors;
