//! Visits by the day, in a few bytes: how many there were on each of the latest days.

use super::{Timestamp, clock::from_millis};

/// How many days are kept: the latest that has a visit, and those before it.
pub const KEPT_DAYS: usize = 14;

const MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// How many visits were counted on each of the latest days, which begin at midnight UTC.
///
/// What is older than the latest visit by [`KEPT_DAYS`] or more is forgotten, and nothing else: in
/// whatever order visits are counted and added up, it comes to the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VisitDays {
    /// The latest day with a visit, in days after 1970-01-01; 0 where there is none.
    latest: i32,
    /// Visits of that day, of the day before, and so on.
    counts: [u32; KEPT_DAYS],
}

impl VisitDays {
    /// The visits of the day that is so many days after 1970-01-01, of the day before, and so on.
    /// `None` for what [`parts`](Self::parts) cannot give.
    #[must_use]
    pub fn from_parts(latest: i32, counts: &[u32]) -> Option<Self> {
        let is_possible = match counts {
            [] => latest == 0,
            [0, ..] | [.., 0] => false,
            _ => (day_of(Timestamp::MIN)..=day_of(Timestamp::MAX)).contains(&latest),
        };
        let mut days = Self { latest, ..Self::default() };
        let kept = days.counts.get_mut(..counts.len()).filter(|_| is_possible)?;
        kept.copy_from_slice(counts);
        Some(days)
    }

    /// The latest day with a visit, in days after 1970-01-01, and the visits of it, of the day before,
    /// and so on: neither the first nor the last is zero. Without visits, day 0 and none.
    #[must_use]
    pub fn parts(&self) -> (i32, &[u32]) {
        let kept = self.counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        (self.latest, &self.counts[..kept])
    }

    /// Counts one visit.
    pub fn count(&mut self, at: Timestamp) {
        self.add(day_of(at), 1);
    }

    /// Adds the visits of `other`.
    pub fn add_all(&mut self, other: &Self) {
        for (before, count) in (0..).zip(other.parts().1) {
            self.add(other.latest - before, *count);
        }
    }

    fn add(&mut self, day: i32, count: u32) {
        let is_empty = self.counts[0] == 0;
        if is_empty {
            self.latest = day;
        }
        if let Ok(later) = usize::try_from(day - self.latest) {
            let gone = later.min(KEPT_DAYS);
            self.counts.copy_within(..KEPT_DAYS - gone, gone);
            self.counts[..gone].fill(0);
            self.latest = day;
        }
        let before = usize::try_from(self.latest - day).ok();
        if let Some(counted) = before.and_then(|before| self.counts.get_mut(before)) {
            *counted = counted.saturating_add(count);
        }
    }

    /// The [`KEPT_DAYS`] days that end with that of `now`, the earliest first: when each begins, and
    /// its visits.
    #[must_use]
    pub fn until(&self, now: Timestamp) -> [(Timestamp, u32); KEPT_DAYS] {
        self.ending(day_of(now))
    }

    /// The same of all days that are kept: those that end with the latest that has a visit.
    #[must_use]
    pub fn all(&self) -> [(Timestamp, u32); KEPT_DAYS] {
        self.ending(self.latest)
    }

    fn ending(&self, last: i32) -> [(Timestamp, u32); KEPT_DAYS] {
        let mut days = [(Timestamp::MIN, 0); KEPT_DAYS];
        for (before, shown) in (0..).zip(days.iter_mut().rev()) {
            let day = last - before;
            let place = usize::try_from(self.latest - day).ok();
            let count = place.and_then(|place| self.counts.get(place)).copied();
            *shown = (from_millis(i64::from(day) * MILLIS), count.unwrap_or(0));
        }
        days
    }
}

/// The day of a moment, in days after 1970-01-01 (UTC).
pub(crate) fn day_of(moment: Timestamp) -> i32 {
    let day = moment.as_millisecond().div_euclid(MILLIS);
    i32::try_from(day).expect("a moment is within the years -9999 to 9999")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn noon(day: i32) -> Timestamp {
        from_millis(i64::from(day) * MILLIS + MILLIS / 2)
    }

    /// Days that are near each other, and some far away.
    fn any_day() -> impl Strategy<Value = i32> {
        prop_oneof![9 => 20_700..20_740, 1 => -4_000_000..2_900_000]
    }

    /// Whatever may be in a record.
    pub(crate) fn any_days() -> impl Strategy<Value = VisitDays> {
        let visits = prop::collection::vec((any_day(), 1..=u32::MAX), 0..20);
        visits.prop_map(|visits| {
            let mut days = VisitDays::default();
            for (day, count) in visits {
                days.add(day, count);
            }
            days
        })
    }

    proptest! {
        /// The plain sum of each day, of those that are near the latest.
        #[test]
        fn visits_come_to_the_same_in_whatever_order(
            visits in prop::collection::vec((any_day(), 0..3_usize), 0..60),
        ) {
            let mut sums = BTreeMap::<i32, u32>::new();
            let mut groups = [VisitDays::default(); 3];
            for (day, group) in &visits {
                *sums.entry(*day).or_default() += 1;
                groups[*group].count(noon(*day));
            }
            let latest = sums.last_key_value().map_or(0, |(day, _)| *day);
            sums.retain(|day, _| latest - day < 14);
            for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
                let mut all = VisitDays::default();
                for group in order {
                    all.add_all(&groups[group]);
                }
                prop_assert_eq!(all.parts().0, latest);
                let shown = all.until(noon(latest));
                for (before, (begin, count)) in (0..14).zip(shown.iter().rev()) {
                    prop_assert_eq!(day_of(*begin), latest - before);
                    prop_assert_eq!(*count, sums.get(&(latest - before)).copied().unwrap_or(0));
                }
            }
        }

        #[test]
        fn what_was_taken_apart_is_put_together(days in any_days()) {
            let (latest, counts) = days.parts();
            prop_assert_eq!(VisitDays::from_parts(latest, counts), Some(days));
        }
    }

    #[test]
    fn a_day_begins_at_midnight_utc() {
        let midnight = 1_790_035_200_000;
        assert_eq!(midnight % MILLIS, 0);
        let mut days = VisitDays::default();
        for millis in [midnight - 1, midnight, midnight + 1] {
            days.count(from_millis(millis));
        }
        let shown = days.until(from_millis(midnight + 5));
        assert_eq!(shown[12..], [(from_millis(midnight - MILLIS), 1), (from_millis(midnight), 2)]);
        assert!(shown[..12].iter().all(|(_, count)| *count == 0));
        let next = days.until(from_millis(midnight + 13 * MILLIS));
        assert_eq!(next[0], (from_millis(midnight), 2));
        assert_eq!(day_of(from_millis(-1)), -1);
    }

    #[test]
    fn what_is_no_count_of_days_is_refused() {
        assert_eq!(VisitDays::from_parts(0, &[]), Some(VisitDays::default()));
        for (latest, counts) in
            [(1, &[][..]), (1, &[0]), (1, &[0, 1]), (1, &[1, 0]), (1, &[1; 15]), (i32::MAX, &[1])]
        {
            assert_eq!(VisitDays::from_parts(latest, counts), None, "{latest} {counts:?}");
        }
        assert!(VisitDays::from_parts(1, &[1; 14]).is_some());
    }

    #[test]
    fn nothing_overflows() {
        let mut days = VisitDays::from_parts(7, &[u32::MAX]).unwrap();
        days.count(noon(7));
        assert_eq!(days.parts(), (7, &[u32::MAX][..]));
        days.count(Timestamp::MIN);
        days.count(Timestamp::MAX);
        assert_eq!(days.parts(), (day_of(Timestamp::MAX), &[1][..]));
        assert_eq!(days.until(Timestamp::MIN)[0].1, 0);
    }
}
