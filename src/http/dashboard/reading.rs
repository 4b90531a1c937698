//! The metrics that the dashboard shows, read from the text that Prometheus reads (format 0.0.4):
//! there is one set of numbers, and one way to them.
//!
//! It is our own text: no label of these metrics has a quote, a comma or a brace in it.

use std::collections::BTreeMap;

/// Why something was refused: what it was, and the label of its metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Refusal {
    pub(super) what: &'static str,
    pub(super) reason: String,
}

/// The counters of refusals: name, label, and what is refused there. A label of `ok` is none.
const REFUSALS: [(&str, &str, &str); 6] = [
    ("countersign_refusals_total", "reason", "Token"),
    ("countersign_log_ins_total", "result", "Log-in"),
    ("countersign_throttled_total", "operation", "Too many attempts"),
    ("countersign_reauthentications_total", "result", "Password shown again"),
    ("countersign_cross_site_refused_total", "", "From another site"),
    ("countersign_administration_refused_total", "", "Not an administrator"),
];

/// What the metrics say: counters since the process started, and gauges as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) visits: u64,
    pub(super) log_ins: u64,
    pub(super) refused: BTreeMap<Refusal, u64>,
    pub(super) commits: Commits,
    pub(super) living: Option<u64>,
    pub(super) store_bytes: Option<u64>,
    /// `None` from a store that does not say.
    pub(super) store_healthy: Option<bool>,
}

/// How long commits took.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Commits {
    pub(super) count: u64,
    /// All together.
    pub(super) seconds: f64,
    /// How many took at most so many seconds, by those.
    within: Vec<(f64, u64)>,
}

impl Commits {
    /// How long one took on the average, in seconds.
    pub(super) fn mean(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        (self.count > 0).then(|| self.seconds / self.count as f64)
    }

    /// Within how many seconds 99 of 100 were done: the next bound of the histogram. `None` when it
    /// was longer than the last.
    pub(super) fn nearly_all_within(&self) -> Option<f64> {
        let is_enough = |count: u64| count.saturating_mul(100) >= self.count.saturating_mul(99);
        self.within.iter().find(|(_, count)| is_enough(*count)).map(|(bound, _)| *bound)
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        // A histogram has no bounds before its first value.
        let counts = before.within.iter().map(|(_, count)| *count).chain(std::iter::repeat(0));
        let within = self.within.iter().zip(counts);
        Self {
            count: self.count.saturating_sub(before.count),
            seconds: (self.seconds - before.seconds).max(0.0),
            within: within
                .map(|((bound, count), before)| (*bound, count.saturating_sub(before)))
                .collect(),
        }
    }

    pub(super) fn add(&mut self, more: &Self) {
        self.count += more.count;
        self.seconds += more.seconds;
        if self.within.is_empty() {
            self.within.clone_from(&more.within);
        } else {
            for ((_, sum), (_, count)) in self.within.iter_mut().zip(&more.within) {
                *sum += count;
            }
        }
    }
}

impl Totals {
    pub(super) fn read(text: &str) -> Self {
        let mut refused = BTreeMap::new();
        for (name, label_name, what) in REFUSALS {
            for (labels, value) in series(text, name) {
                let reason = label(labels, label_name).unwrap_or_default();
                if reason != "ok" {
                    let refusal = Refusal { what, reason: reason.replace('_', " ") };
                    *refused.entry(refusal).or_default() += number(value);
                }
            }
        }
        let log_ins = series(text, "countersign_log_ins_total");
        let log_ins = log_ins.filter(|(labels, _)| label(labels, "result") == Some("ok"));
        Self {
            visits: one(text, "countersign_visits_total").map_or(0, number),
            log_ins: log_ins.map(|(_, value)| number(value)).sum(),
            refused,
            commits: commits(text),
            living: one(text, "countersign_sessions_living").map(number),
            store_bytes: one(text, "countersign_store_bytes").map(number),
            store_healthy: one(text, "countersign_store_healthy").map(|value| value == "1"),
        }
    }
}

fn commits(text: &str) -> Commits {
    let buckets = series(text, "countersign_store_commit_seconds_bucket");
    let bound = |labels| label(labels, "le")?.parse::<f64>().ok().filter(|bound| bound.is_finite());
    Commits {
        count: one(text, "countersign_store_commit_seconds_count").map_or(0, number),
        seconds: one(text, "countersign_store_commit_seconds_sum")
            .and_then(|value| value.parse().ok())
            .unwrap_or_default(),
        within: buckets
            .filter_map(|(labels, value)| Some((bound(labels)?, number(value))))
            .collect(),
    }
}

/// The lines of one name: their labels and values.
fn series<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        match rest.strip_prefix('{') {
            Some(rest) => rest.split_once("} "),
            None => Some(("", rest.strip_prefix(' ')?)),
        }
    })
}

/// The value of a name that has no labels.
fn one<'a>(text: &'a str, name: &'a str) -> Option<&'a str> {
    series(text, name).next().map(|(_, value)| value)
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels
        .split(',')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}

/// A whole number. What is none (a gauge below zero) is shown as zero.
fn number(value: &str) -> u64 {
    value.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP countersign_visits_total Visits counted
# TYPE countersign_visits_total counter
countersign_visits_total 12
countersign_visits_total_more 99
countersign_log_ins_total{result=\"ok\"} 5
countersign_log_ins_total{result=\"wrong_password\"} 2
countersign_refusals_total{reason=\"absent\"} 3
countersign_cross_site_refused_total 1
countersign_sessions_living 40
countersign_store_healthy 1
countersign_store_commit_seconds_bucket{le=\"0.001\"} 10
countersign_store_commit_seconds_bucket{le=\"0.005\"} 99
countersign_store_commit_seconds_bucket{le=\"+Inf\"} 100
countersign_store_commit_seconds_sum 0.25
countersign_store_commit_seconds_count 100
";

    #[test]
    fn the_text_of_the_metrics_is_understood() {
        let totals = Totals::read(TEXT);
        assert_eq!((totals.visits, totals.log_ins), (12, 5));
        assert_eq!((totals.living, totals.store_bytes), (Some(40), None));
        assert_eq!(totals.store_healthy, Some(true));
        let refused: Vec<_> =
            totals.refused.iter().map(|(it, n)| (it.what, it.reason.as_str(), *n)).collect();
        assert_eq!(
            refused,
            [("From another site", "", 1), ("Log-in", "wrong password", 2), ("Token", "absent", 3)]
        );
        let mean = totals.commits.mean().unwrap();
        assert!((mean - 0.0025).abs() < 1e-9, "{mean}");
        assert_eq!(totals.commits.nearly_all_within(), Some(0.005));
        assert_eq!(Totals::read("").commits.mean(), None);
    }

    /// Written by the crate itself, not by hand.
    #[test]
    fn what_the_recorder_writes_is_understood() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new()
            .set_buckets(&[0.001, 1.0])
            .unwrap()
            .build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("countersign_visits_total").increment(3);
            metrics::counter!("countersign_refusals_total", "reason" => "absent").increment(2);
            metrics::gauge!("countersign_sessions_living").set(7.0);
            metrics::gauge!("countersign_store_bytes").set(5e9);
            metrics::histogram!("countersign_store_commit_seconds").record(0.5);
        });
        let totals = Totals::read(&handle.render());
        assert_eq!((totals.visits, totals.living), (3, Some(7)));
        assert_eq!(totals.store_bytes, Some(5_000_000_000));
        assert_eq!(totals.refused.values().copied().collect::<Vec<_>>(), [2]);
        assert_eq!(totals.commits.mean(), Some(0.5));
        assert_eq!(totals.commits.nearly_all_within(), Some(1.0));
    }

    #[test]
    fn commits_are_added_and_subtracted_bound_by_bound() {
        let all = Totals::read(TEXT).commits;
        assert_eq!(all.since(&Commits::default()), all);
        let none = all.since(&all);
        assert_eq!((none.count, none.mean()), (0, None));
        let mut sum = Commits::default();
        sum.add(&all);
        sum.add(&all);
        assert_eq!((sum.count, sum.nearly_all_within()), (200, Some(0.005)));
        assert_eq!(sum.since(&all), all);
        let slow = Commits { count: 10, seconds: 99.0, within: vec![(1.0, 2)] };
        assert_eq!(slow.nearly_all_within(), None);
    }
}
