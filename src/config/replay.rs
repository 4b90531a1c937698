//! `[replay]`

use serde::{Deserialize, Serialize};

use super::Period;
use crate::model::session::{Replay, ReplayPolicy};

/// What happens when a session cookie turns out to have two holders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplaySection {
    /// What to do about a copied cookie: `revoke` (end the session), `refuse` (refuse this token
    /// alone) or `ignore`.
    pub policy: ReplayPolicy,
    /// How long requests of one browser may be under way at the same time. Two holders who take
    /// turns faster than this are not noticed.
    pub grace: Period,
}

impl Default for ReplaySection {
    fn default() -> Self {
        Self { policy: ReplayPolicy::default(), grace: Period::seconds(60) }
    }
}

impl ReplaySection {
    /// The rule, as the service takes it.
    #[must_use]
    pub fn replay(&self) -> Replay {
        Replay { grace: self.grace.0, policy: self.policy }
    }
}
