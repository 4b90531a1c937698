//! What the process says of itself: its log, its metrics, and text made safe to show.
//!
//! | file | what it holds |
//! |---|---|
//! | `log` | lines on standard error, for people or for programs |
//! | `metrics` | numbers for Prometheus, and what each of them means |
//! | `printable` | text of strangers, with nothing in it that a terminal would obey |
//!
//! Nothing here decides what is logged: events are recorded where they happen. A new metric gets
//! its line in `metrics`; a test there finds those that have none.

mod log;
pub mod metrics;
mod printable;

pub use self::{
    log::{Describe, Format, install},
    metrics::MetricsHandle,
    printable::printable,
};
