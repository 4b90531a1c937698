//! Countersign: a self-hosted session service.

pub mod config;
pub mod http;
pub mod model;
pub mod session;
pub mod store;
pub mod token;
