//! What the metrics said over the last hour and the last day: a bounded number of sums, fed every few
//! seconds from the text that Prometheus reads. Nothing here is on the way of a request.
//!
//! Time is cut into slots, a minute each for the hour and ten for the day. What the counters have
//! moved by since they were last read goes into the slot of the moment. A slot in which nothing was
//! read has no numbers: before the process started, or while the machine slept.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

use super::reading::{Commits, Refusal, Totals};
use crate::model::{Timestamp, clock::from_millis};

const MINUTE: i64 = 60_000;

/// How far back to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Range {
    #[default]
    Hour,
    Day,
}

impl Range {
    /// Minutes of a slot.
    pub(super) const fn minutes(self) -> u32 {
        match self {
            Self::Hour => 1,
            Self::Day => 10,
        }
    }

    /// Slots in all, that of the moment included.
    pub(super) const fn slots(self) -> usize {
        match self {
            Self::Hour => 60,
            Self::Day => 144,
        }
    }

    fn slot(self, at: Timestamp) -> i64 {
        at.as_millisecond().div_euclid(MINUTE * i64::from(self.minutes()))
    }

    fn start(self, slot: i64) -> Timestamp {
        from_millis(slot.saturating_mul(MINUTE * i64::from(self.minutes())))
    }
}

/// What happened in a slot, or in many.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) visits: u64,
    pub(super) log_ins: u64,
    pub(super) refused: BTreeMap<Refusal, u64>,
    pub(super) commits: Commits,
    /// How many sessions were living when this was last read.
    pub(super) living: Option<u64>,
}

impl Counts {
    /// What has happened between two readings. A counter never goes down while the process lives.
    fn between(before: &Totals, after: &Totals) -> Self {
        let refused = after.refused.iter().map(|(refusal, count)| {
            let before = before.refused.get(refusal).copied().unwrap_or_default();
            (refusal.clone(), count.saturating_sub(before))
        });
        Self {
            visits: after.visits.saturating_sub(before.visits),
            log_ins: after.log_ins.saturating_sub(before.log_ins),
            refused: refused.filter(|(_, count)| *count > 0).collect(),
            commits: after.commits.since(&before.commits),
            living: after.living,
        }
    }

    fn add(&mut self, more: &Self) {
        self.visits += more.visits;
        self.log_ins += more.log_ins;
        for (refusal, count) in &more.refused {
            *self.refused.entry(refusal.clone()).or_default() += count;
        }
        self.commits.add(&more.commits);
        self.living = more.living.or(self.living);
    }
}

/// What the metrics said, for the dashboard.
pub struct History {
    since: Timestamp,
    kept: Mutex<Kept>,
}

struct Kept {
    read_at: Timestamp,
    last: Option<Totals>,
    hour: Slots,
    day: Slots,
}

/// The slots of a range that have numbers, oldest first.
struct Slots {
    range: Range,
    filled: VecDeque<(i64, Counts)>,
}

impl Slots {
    const fn new(range: Range) -> Self {
        Self { range, filled: VecDeque::new() }
    }

    fn add(&mut self, now: Timestamp, counts: &Counts) {
        let slot = self.range.slot(now);
        match self.filled.back_mut() {
            // Also when the clock was set back.
            Some((last, sum)) if *last >= slot => sum.add(counts),
            _ => self.filled.push_back((slot, counts.clone())),
        }
        while self.filled.len() > self.range.slots() {
            self.filled.pop_front();
        }
    }
}

/// A range, as of the last reading.
pub(super) struct View {
    pub(super) range: Range,
    /// When the first slot begins.
    pub(super) start: Timestamp,
    /// Oldest first; `None` where there are no numbers.
    pub(super) slots: Vec<Option<Counts>>,
    /// Of all slots together.
    pub(super) total: Counts,
}

/// What holds now.
pub(super) struct Now {
    /// Since when the process runs: there are no numbers from before.
    pub(super) since: Timestamp,
    /// When the metrics were last read.
    pub(super) read_at: Timestamp,
    pub(super) totals: Totals,
}

impl History {
    /// An empty one, from `now` on.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let kept = Kept {
            read_at: now,
            last: None,
            hour: Slots::new(Range::Hour),
            day: Slots::new(Range::Day),
        };
        Self { since: now, kept: Mutex::new(kept) }
    }

    /// Takes in what the metrics say `now`, as Prometheus reads them. To be called every few
    /// seconds. What they say the first time is where counting begins.
    pub fn record(&self, now: Timestamp, metrics: &str) {
        let totals = Totals::read(metrics);
        let mut kept = self.kept.lock();
        let counts = Counts::between(kept.last.as_ref().unwrap_or(&totals), &totals);
        kept.hour.add(now, &counts);
        kept.day.add(now, &counts);
        kept.read_at = now;
        kept.last = Some(totals);
    }

    pub(super) fn now(&self) -> Now {
        let kept = self.kept.lock();
        let totals = kept.last.clone().unwrap_or_default();
        Now { since: self.since, read_at: kept.read_at, totals }
    }

    pub(super) fn view(&self, range: Range) -> View {
        let kept = self.kept.lock();
        let filled = match range {
            Range::Hour => &kept.hour.filled,
            Range::Day => &kept.day.filled,
        };
        let last = range.slot(kept.read_at).max(filled.back().map_or(i64::MIN, |(slot, _)| *slot));
        let mut slots = vec![None; range.slots()];
        let mut total = Counts::default();
        for (slot, counts) in filled {
            let ago = usize::try_from(last - slot).unwrap_or(usize::MAX);
            if let Some(place) = slots.iter_mut().rev().nth(ago) {
                *place = Some(counts.clone());
                total.add(counts);
            }
        }
        let first = i64::try_from(slots.len()).map_or(last, |slots| last - slots + 1);
        View { range, start: range.start(first), slots, total }
    }
}

impl View {
    /// When a slot begins.
    pub(super) fn begins(&self, slot: usize) -> Timestamp {
        let slot = i64::try_from(slot).unwrap_or_default();
        self.range.start(self.range.slot(self.start).saturating_add(slot))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::model::{Clock as _, clock::ManualClock};

    fn metrics(visits: u64, absent: u64) -> String {
        format!(
            "countersign_visits_total {visits}\n\
             countersign_refusals_total{{reason=\"absent\"}} {absent}\n\
             countersign_sessions_living {}\n",
            visits / 2
        )
    }

    fn visits(view: &View) -> Vec<Option<u64>> {
        view.slots.iter().map(|slot| slot.as_ref().map(|counts| counts.visits)).collect()
    }

    fn start() -> (History, ManualClock) {
        // Half past a minute: 2026-09-21T14:13:50Z.
        let clock = ManualClock::new(from_millis(1_790_000_030_000));
        (History::new(clock.now()), clock)
    }

    #[test]
    fn what_happens_is_counted_in_its_slot_from_the_first_reading_on() {
        let (history, clock) = start();
        let read = |seconds, visits, absent| {
            clock.advance(SignedDuration::from_secs(seconds));
            history.record(clock.now(), &metrics(visits, absent));
        };
        read(0, 100, 1);
        read(5, 103, 1);
        read(30, 110, 3);
        read(10, 111, 3);
        let view = history.view(Range::Hour);
        let mut expected = vec![None; 58];
        expected.extend([Some(3), Some(8)]);
        assert_eq!(visits(&view), expected);
        assert_eq!(view.total.visits, 11);
        assert_eq!(view.total.refused.values().copied().collect::<Vec<_>>(), [2]);
        assert_eq!(view.slots[59].as_ref().unwrap().living, Some(55));
        assert_eq!(view.begins(59).as_millisecond() % MINUTE, 0);
        assert_eq!(
            view.begins(59).as_millisecond(),
            clock.now().as_millisecond() / MINUTE * MINUTE
        );
        assert_eq!(history.now().totals.visits, 111);
        // Of a day these are one slot or two neighbours.
        assert_eq!(history.view(Range::Day).total.visits, 11);
    }

    #[test]
    fn a_while_without_a_reading_has_no_numbers() {
        let (history, clock) = start();
        history.record(clock.now(), &metrics(0, 0));
        clock.advance(SignedDuration::from_mins(5));
        history.record(clock.now(), &metrics(7, 0));
        let seen = visits(&history.view(Range::Hour));
        assert_eq!(seen[53..], [None, Some(0), None, None, None, None, Some(7)]);
    }

    #[test]
    fn only_so_much_is_kept_and_the_oldest_goes() {
        let (history, clock) = start();
        for minute in 0..3_000 {
            history.record(clock.now(), &metrics(minute * 2, minute));
            clock.advance(SignedDuration::from_mins(1));
        }
        assert_eq!(history.kept.lock().hour.filled.len(), 60);
        assert_eq!(history.kept.lock().day.filled.len(), 144);
        assert_eq!(visits(&history.view(Range::Hour)), vec![Some(2); 60]);
        let day = history.view(Range::Day);
        assert_eq!(visits(&day)[1..143], vec![Some(20); 142]);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing() {
        let (history, clock) = start();
        history.record(clock.now(), &metrics(0, 0));
        clock.advance(SignedDuration::from_mins(-90));
        history.record(clock.now(), &metrics(4, 0));
        assert_eq!(history.view(Range::Hour).total.visits, 4);
        assert_eq!(history.view(Range::Day).total.visits, 4);
    }

    #[test]
    fn before_the_first_reading_there_is_nothing() {
        let (history, _clock) = start();
        let view = history.view(Range::Day);
        assert!(view.slots.iter().all(Option::is_none));
        assert_eq!(view.total, Counts::default());
    }
}
