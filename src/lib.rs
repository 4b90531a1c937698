//! Countersign: a self-hosted session service.

pub mod cli;
pub mod config;
pub mod http;
pub mod model;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod token;
