//! The visits of the last days, drawn: what `admin.html` makes an SVG of.
//!
//! Places are in percent of the drawing, and nothing is scaled: it is as wide as the page, and its
//! letters are as large as all others, on a phone as on a desktop.

use std::fmt;

use jiff::{civil::Date, tz::Offset};

use crate::model::{Timestamp, VisitDays};

/// Where the highest bar ends and where all begin, from the top. Above is room for its number, below for
/// the days.
const TOP: u64 = 140;
const GROUND: u64 = 840;

/// How wide a bar is; the template says the same.
const WIDTH: u64 = 50;

/// From the end of a bar up to the foot of its number.
const GAP: u64 = 40;

/// So many visits fill the height at least: one alone is no mountain.
const LEAST_SCALE: u32 = 4;

/// What can be seen of few beside many.
const LEAST_HEIGHT: u64 = 10;

/// The last days.
pub(super) struct Chart {
    /// All visits of them.
    pub(super) total: u64,
    /// Those of the last.
    pub(super) today: u64,
    pub(super) days: Vec<Day>,
}

/// One day, and its bar.
pub(super) struct Day {
    date: Date,
    pub(super) visits: u32,
    pub(super) is_today: bool,
    /// From the left; it is [`WIDTH`] wide.
    pub(super) x: Percent,
    /// From the top.
    pub(super) y: Percent,
    pub(super) height: Percent,
}

/// A part of the drawing's width or height, in tenths of a percent: whole numbers are written faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Percent(u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}%", self.0 / 10, self.0 % 10)
    }
}

impl Chart {
    /// That of the days until `now`.
    pub(super) fn of(visits: &VisitDays, now: Timestamp) -> Self {
        let shown = visits.until(now);
        let most = shown.iter().map(|(_, visits)| *visits).fold(LEAST_SCALE, u32::max);
        let count = shown.len() as u64;
        let days = (0..).zip(&shown).map(|(number, &(begin, visits))| {
            let height = (GROUND - TOP) * u64::from(visits) / u64::from(most);
            let height = if visits > 0 { height.max(LEAST_HEIGHT) } else { 0 };
            Day {
                date: Offset::UTC.to_datetime(begin).date(),
                visits,
                is_today: number + 1 == count,
                // The day's bar stands in the middle of its part.
                x: Percent(number * 1_000 / count + (1_000 / count).saturating_sub(WIDTH) / 2),
                y: Percent(GROUND - height),
                height: Percent(height),
            }
        });
        Self {
            total: shown.iter().map(|(_, visits)| u64::from(*visits)).sum(),
            today: shown.last().map_or(0, |(_, visits)| u64::from(*visits)),
            days: days.collect(),
        }
    }

    /// What the first day is called.
    pub(super) fn since(&self) -> String {
        self.days.first().map_or_else(String::new, Day::name)
    }
}

impl Day {
    /// What it is called.
    pub(super) fn name(&self) -> String {
        self.date.strftime("%-d %B %Y").to_string()
    }

    /// What it is called under its bar.
    pub(super) fn label(&self) -> i8 {
        self.date.day()
    }

    /// Where its number and its name stand, from the left.
    pub(super) fn middle(&self) -> Percent {
        Percent(self.x.0 + WIDTH / 2)
    }

    /// Where its number stands, from the top.
    pub(super) fn over(&self) -> Percent {
        Percent(self.y.0 - GAP)
    }

    /// Its visits as they are written over its bar, where there is room for four letters.
    pub(super) fn short(&self) -> String {
        match self.visits {
            visits @ ..1_000 => visits.to_string(),
            visits @ ..10_000 => format!("{}.{}k", visits / 1_000, visits % 1_000 / 100),
            visits @ ..1_000_000 => format!("{}k", visits / 1_000),
            visits => format!("{}M", visits / 1_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{clock::from_millis, days::KEPT_DAYS};

    /// In the afternoon of 21 September 2026, the 20,717th day.
    const NOW: i64 = 1_790_000_000_000;

    fn chart(latest: i32, visits: &[u32]) -> Chart {
        Chart::of(&VisitDays::from_parts(latest, visits).unwrap(), from_millis(NOW))
    }

    #[test]
    fn bars_stand_side_by_side_on_one_ground_as_high_as_their_visits() {
        let chart = chart(20_717, &[10, 5, 0, 20]);
        assert_eq!((chart.total, chart.today, chart.days.len()), (35, 10, KEPT_DAYS));
        assert_eq!((chart.since().as_str(), chart.days[13].label()), ("8 September 2026", 21));
        let heights: Vec<_> = chart.days[9..].iter().map(|day| day.height.0).collect();
        assert_eq!(heights, [0, 700, 0, 175, 350]);
        for (day, next) in chart.days.iter().zip(&chart.days[1..]) {
            let gap = next.x.0 - (day.x.0 + WIDTH);
            assert!((21..=22).contains(&gap), "{gap} between them");
        }
        assert!(chart.days.iter().all(|day| day.y.0 + day.height.0 == GROUND));
        let (first, last) = (chart.days[0].x.0, chart.days[13].x.0);
        assert_eq!((first, last + WIDTH), (10, 988), "as far from the one end as from the other");
        let today: Vec<_> = chart.days.iter().map(|day| day.is_today).collect();
        assert!(today[13] && !today[..13].contains(&true));
        assert_eq!(chart.days[1].x.to_string(), "8.1%");
        assert_eq!(chart.days[1].middle().to_string(), "10.6%");
        assert_eq!(chart.days[10].over().to_string(), "10.0%");
    }

    #[test]
    fn what_is_few_or_of_another_time_is_small() {
        assert_eq!(chart(20_717, &[1]).days[13].height, Percent(175));
        for other in [chart(0, &[]), chart(20_717 - 14, &[9]), chart(20_718, &[9])] {
            assert_eq!((other.total, other.today), (0, 0));
            assert!(other.days.iter().all(|day| day.height == Percent(0)));
        }
        let beside_many = chart(20_717, &[1, 1_000]);
        assert_eq!(beside_many.days[13].height, Percent(LEAST_HEIGHT));
        let most = chart(20_717, &[u32::MAX; 14]);
        assert_eq!(most.total, 14 * u64::from(u32::MAX));
        assert_eq!(most.days[0].height, Percent(GROUND - TOP));
    }

    #[test]
    fn numbers_fit_over_their_bars() {
        for (visits, short) in [
            (7, "7"),
            (999, "999"),
            (1_000, "1.0k"),
            (9_999, "9.9k"),
            (10_000, "10k"),
            (999_999, "999k"),
            (1_000_000, "1M"),
            (u32::MAX, "4294M"),
        ] {
            assert_eq!(chart(20_717, &[visits]).days[13].short(), short);
        }
    }
}
