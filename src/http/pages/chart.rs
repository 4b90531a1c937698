//! The visits of the last days, drawn: what `admin.html` makes an SVG of.
//!
//! Places are in percent of the drawing, and nothing is scaled: it is as wide as the page, and its
//! letters are as large as all others, on a phone as on a desktop.

use crate::model::{Timestamp, VisitDays};

/// Where the highest bar ends and where all begin, from the top. Above is room for its number, below for
/// the days.
const TOP: f64 = 14.0;
const GROUND: f64 = 84.0;

/// So many visits fill the height at least: one alone is no mountain.
const LEAST_SCALE: u32 = 4;

/// What can be seen of few beside many, in percent.
const LEAST_HEIGHT: f64 = 1.0;

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
    begin: Timestamp,
    pub(super) visits: u32,
    pub(super) is_today: bool,
    /// From the left, in percent.
    pub(super) x: f64,
    /// From the top, in percent.
    pub(super) y: f64,
    pub(super) height: f64,
}

impl Chart {
    /// That of the days until `now`.
    pub(super) fn of(visits: &VisitDays, now: Timestamp) -> Self {
        let shown = visits.until(now);
        let most = shown.iter().map(|(_, visits)| *visits).fold(LEAST_SCALE, u32::max);
        let width = width(shown.len());
        let bars = shown.iter().scan(0.0, |left, (begin, visits)| {
            let height = (GROUND - TOP) * f64::from(*visits) / f64::from(most);
            let height = if *visits > 0 { height.max(LEAST_HEIGHT) } else { 0.0 };
            let x = *left;
            *left += width;
            let y = GROUND - height;
            Some(Day { begin: *begin, visits: *visits, is_today: false, x, y, height })
        });
        let mut days: Vec<_> = bars.collect();
        if let Some(last) = days.last_mut() {
            last.is_today = true;
        }
        Self {
            total: shown.iter().map(|(_, visits)| u64::from(*visits)).sum(),
            today: days.last().map_or(0, |today| today.visits.into()),
            days,
        }
    }

    /// How wide a day is, in percent.
    pub(super) fn width(&self) -> f64 {
        width(self.days.len())
    }

    /// What the first day is called.
    pub(super) fn since(&self) -> String {
        self.days.first().map_or_else(String::new, Day::name)
    }
}

fn width(days: usize) -> f64 {
    100.0 / u32::try_from(days).map_or(1.0, f64::from)
}

impl Day {
    /// What it is called.
    pub(super) fn name(&self) -> String {
        self.begin.strftime("%-d %B %Y").to_string()
    }

    /// What it is called under its bar.
    pub(super) fn label(&self) -> String {
        self.begin.strftime("%-d").to_string()
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
        assert_eq!(
            (chart.since().as_str(), chart.days[13].label().as_str()),
            ("8 September 2026", "21")
        );
        let heights: Vec<_> = chart.days[9..].iter().map(|day| day.height).collect();
        assert_eq!(heights, [0.0, 70.0, 0.0, 17.5, 35.0]);
        let near = |one: f64, other: f64| (one - other).abs() < 1e-9;
        for (day, next) in chart.days.iter().zip(&chart.days[1..]) {
            assert!(near(day.x + chart.width(), next.x), "{}", day.x);
        }
        assert!(chart.days.iter().all(|day| near(day.y + day.height, GROUND)));
        assert!(near(chart.days[13].x + chart.width(), 100.0));
        let today: Vec<_> = chart.days.iter().map(|day| day.is_today).collect();
        assert!(today[13] && !today[..13].contains(&true));
    }

    #[test]
    fn what_is_few_or_of_another_time_is_small() {
        assert!(chart(20_717, &[1]).days[13].height < 20.0);
        for other in [chart(0, &[]), chart(20_717 - 14, &[9]), chart(20_718, &[9])] {
            assert_eq!((other.total, other.today), (0, 0));
            assert!(other.days.iter().all(|day| day.height == 0.0));
        }
        let beside_many = chart(20_717, &[1, 1_000]);
        assert_eq!((beside_many.days[13].height, beside_many.days[13].y), (1.0, 83.0));
        let most = chart(20_717, &[u32::MAX; 14]);
        assert_eq!(most.total, 14 * u64::from(u32::MAX));
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
