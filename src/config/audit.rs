//! `[audit]`

use serde::{Deserialize, Serialize};

use super::Period;
use crate::store::AuditBounds;

/// What is written down of what happens, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSection {
    /// How long audit events are kept: who did what, when, and from where. From 1h to 3650d.
    pub keep: Period,
    /// How many are kept at most: so many of what changed something, and so many of what did not
    /// (refused, exported). The oldest make room. Not below 1000.
    pub max_events: u64,
}

impl Default for AuditSection {
    fn default() -> Self {
        let AuditBounds { keep, most } = AuditBounds::default();
        Self { keep: Period(keep), max_events: most }
    }
}

impl AuditSection {
    /// The bounds, as the store takes them.
    #[must_use]
    pub fn bounds(&self) -> AuditBounds {
        AuditBounds { keep: self.keep.0, most: self.max_events }
    }
}
