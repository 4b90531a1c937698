//! Audit events as they are asked for: whose, from where on, how many.

use std::{fmt, str::FromStr};

use jiff::SignedDuration;

use crate::model::{AccountId, AuditEvent, AuditTrail};

/// How many audit events there are at most, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditBounds {
    /// How long after it happened an event is over: not listed any more, and removed by the sweep.
    pub keep: SignedDuration,
    /// How many are kept in each [trail](AuditTrail). The oldest make room. A store of several
    /// shards keeps an equal part in each.
    pub most: u64,
}

impl Default for AuditBounds {
    fn default() -> Self {
        Self { keep: SignedDuration::from_hours(90 * 24), most: 1_000_000 }
    }
}

/// Which audit events are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those about this account, and those that were done by it; without, all.
    pub account: Option<AccountId>,
}

/// Some audit events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// The newest first. Perhaps fewer than were asked for, or none, although there are more.
    pub events: Vec<AuditEvent>,
    /// Where to go on; `None` when there are no more.
    pub next: Option<AuditPlace>,
}

/// A place among the audit events: before it are all that were not handed out yet. Opaque to its
/// caller, who may write it as text. It stays where it is, whatever is added later.
///
/// In a store of another number of shards it is a place before which there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPlace {
    /// The number of the first that is not before it, in each trail; of several shards, those of the
    /// first, then those of the second, and so on.
    pub(super) before: Vec<u64>,
}

/// The most numbers that a place has: more shards than any store.
const MOST_NUMBERS: usize = 64 * AuditTrail::ALL.len();

/// Why a text is no [`AuditPlace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no place among the audit events")]
pub struct InvalidAuditPlace;

impl fmt::Display for AuditPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, number) in self.before.iter().enumerate() {
            write!(f, "{}{number}", if at == 0 { "" } else { "-" })?;
        }
        Ok(())
    }
}

impl FromStr for AuditPlace {
    type Err = InvalidAuditPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split('-').take(MOST_NUMBERS + 1);
        let before = numbers.map(str::parse).collect::<Result<Vec<u64>, _>>();
        let place = Self { before: before.map_err(|_| InvalidAuditPlace)? };
        let count = place.before.len();
        let fits = count.is_multiple_of(AuditTrail::ALL.len()) && count <= MOST_NUMBERS;
        // One spelling: no sign, no zero in front.
        if fits && place.to_string() == text { Ok(place) } else { Err(InvalidAuditPlace) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_spelling() {
        let places = [&[0, 0][..], &[7, 4_711], &[u64::MAX, 0], &[1, 0, 2, 3], &[5; MOST_NUMBERS]];
        for before in places {
            let place = AuditPlace { before: before.to_vec() };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in
            ["", "-", "1", "1-", "-1", "01-2", "1-+2", "1-2-3", "1 -2", "99999999999999999999-1"]
        {
            assert_eq!(text.parse::<AuditPlace>(), Err(InvalidAuditPlace), "{text}");
        }
        let more = AuditPlace { before: vec![5; MOST_NUMBERS + 2] }.to_string();
        assert_eq!(more.parse::<AuditPlace>(), Err(InvalidAuditPlace), "more than any store has");
    }
}
