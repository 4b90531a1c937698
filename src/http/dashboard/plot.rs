//! A plot of one number over time: bars in an SVG that is as wide as there is room. What it says is
//! beside it in words, and in the title of each bar.

use super::{
    history::{Counts, View},
    words::{At, short},
};

/// The height of the drawing, in its own units.
const HEIGHT: f64 = 100.0;

/// The least height of a bar that is not of zero: it must be seen.
const LEAST: f64 = 1.5;

/// The width of a bar, in slots.
const WIDTH: f64 = 0.8;

/// How many times are written below.
const TICKS: usize = 5;

/// What a template draws.
pub(super) struct Plot {
    /// Its heading, and the name of it.
    pub(super) title: &'static str,
    /// The one number that counts most.
    pub(super) figure: String,
    /// What there is to say beside it.
    pub(super) note: String,
    /// What the bars show: the alternative for who does not see them.
    pub(super) label: String,
    /// What the top of it stands for.
    pub(super) top: String,
    pub(super) slots: usize,
    pub(super) bars: Vec<Bar>,
    /// Stretches without numbers.
    pub(super) gaps: Vec<Gap>,
    pub(super) ticks: Vec<At>,
}

pub(super) struct Bar {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) height: String,
    pub(super) tip: String,
}

pub(super) struct Gap {
    pub(super) start: usize,
    pub(super) slots: usize,
}

impl Plot {
    /// Draws what `value` finds in each slot; `unit` stands behind each number.
    pub(super) fn of(
        title: &'static str,
        unit: &str,
        view: &View,
        value: impl Fn(&Counts) -> Option<f64>,
    ) -> Self {
        let values: Vec<_> = view.slots.iter().map(|slot| slot.as_ref().and_then(&value)).collect();
        let highest = values.iter().copied().flatten().fold(0.0, f64::max);
        let top = ceiling(highest);
        let bar = |(slot, value): (usize, f64)| {
            let height = (value / top * HEIGHT).max(LEAST);
            Bar {
                x: format!("{slot}.1"),
                y: format!("{:.1}", HEIGHT - height),
                height: format!("{height:.1}"),
                tip: format!("{} UTC: {}{unit}", At(view.begins(slot)).hour(), short(value)),
            }
        };
        let seen = values.iter().enumerate().filter_map(|(slot, value)| Some((slot, (*value)?)));
        let last = values.iter().rev().copied().flatten().next();
        let label = last.map_or_else(
            || format!("{title}: no numbers yet"),
            |last| format!("{title}: {}{unit} at most, {}{unit} now", short(highest), short(last)),
        );
        Self {
            title,
            figure: last.map_or_else(|| "–".to_owned(), |last| format!("{}{unit}", short(last))),
            note: String::new(),
            label,
            top: format!("{}{unit}", short(top)),
            slots: view.slots.len(),
            bars: seen.filter(|(_, value)| *value > 0.0).map(bar).collect(),
            gaps: gaps(&view.slots),
            ticks: (0..TICKS)
                .map(|tick| At(view.begins(view.slots.len() * tick / (TICKS - 1))))
                .collect(),
        }
    }

    /// The same, with another number and a sentence beside it.
    pub(super) fn saying(mut self, figure: String, note: String) -> Self {
        (self.figure, self.note) = (figure, note);
        self
    }

    /// How wide a bar is.
    #[expect(clippy::unused_self, reason = "templates ask it of a plot")]
    pub(super) fn width(&self) -> f64 {
        WIDTH
    }
}

fn gaps(slots: &[Option<Counts>]) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = Vec::new();
    for (slot, _) in slots.iter().enumerate().filter(|(_, counts)| counts.is_none()) {
        match gaps.last_mut() {
            Some(gap) if gap.start + gap.slots == slot => gap.slots += 1,
            _ => gaps.push(Gap { start: slot, slots: 1 }),
        }
    }
    gaps
}

/// The next number that is easy to read: 1, 2 or 5 and zeros.
fn ceiling(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http::dashboard::history::{History, Range},
        model::clock::from_millis,
    };

    fn plot(visits: &[u64]) -> Plot {
        let minute = 1_790_000_040_000;
        let history = History::new(from_millis(minute));
        let mut all = 0;
        history.record(from_millis(minute - 1), "countersign_visits_total 0\n");
        for (at, more) in (0..).zip(visits) {
            all += more;
            let text = format!("countersign_visits_total {all}\n");
            history.record(from_millis(minute + at * 60_000), &text);
        }
        let view = history.view(Range::Hour);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        Plot::of("Visits", " a minute", &view, |counts| Some(counts.visits as f64))
    }

    #[test]
    fn a_plot_says_in_words_what_it_shows() {
        let plot = plot(&[3, 0, 7]);
        assert_eq!(plot.label, "Visits: 7 a minute at most, 7 a minute now");
        assert_eq!((plot.top.as_str(), plot.slots), ("10 a minute", 60));
        // Nothing is drawn of what is zero.
        let bars: Vec<_> = plot
            .bars
            .iter()
            .map(|bar| (bar.x.as_str(), bar.y.as_str(), bar.height.as_str()))
            .collect();
        assert_eq!(bars, [("57.1", "70.0", "30.0"), ("59.1", "30.0", "70.0")]);
        assert_eq!(plot.bars[1].tip, "14:16 UTC: 7 a minute");
        let gaps: Vec<_> = plot.gaps.iter().map(|gap| (gap.start, gap.slots)).collect();
        assert_eq!(gaps, [(0, 56)]);
        let ticks: Vec<_> = plot.ticks.iter().map(At::hour).collect();
        assert_eq!(ticks, ["13:17", "13:32", "13:47", "14:02", "14:17"]);
    }

    #[test]
    fn without_numbers_it_says_so() {
        let empty = History::new(from_millis(0)).view(Range::Day);
        let plot = Plot::of("Visits", "", &empty, |counts| counts.living.map(|_| 1.0));
        assert_eq!((plot.label.as_str(), plot.figure.as_str()), ("Visits: no numbers yet", "–"));
        assert_eq!((plot.bars.len(), plot.gaps[0].slots), (0, 144));
    }

    #[test]
    fn the_top_is_easy_to_read() {
        for (value, top) in [
            (0.0, 1.0),
            (0.3, 0.5),
            (1.0, 1.0),
            (1.1, 2.0),
            (4.9, 5.0),
            (7.0, 10.0),
            (230.0, 500.0),
        ] {
            assert!((ceiling(value) - top).abs() < 1e-9, "{value}: {}", ceiling(value));
        }
    }
}
