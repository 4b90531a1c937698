//! Numbers for Prometheus, and what each of them means.

use std::sync::OnceLock;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The bounds of all histograms of seconds: from a check of a token to a disk that hangs.
const SECONDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The bounds of all other histograms, which count things: how many changes one commit took.
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0, 4096.0];

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

/// Every metric there is. The text is its `HELP`.
const ALL: &[(Kind, &str, &str)] = &[
    (Counter, "countersign_sign_ups_total", "Accounts made, by people or by the operator"),
    (Counter, "countersign_log_ins_total", "Log-ins, by what came of them (ok, or why refused)"),
    (
        Counter,
        "countersign_reauthentications_total",
        "Passwords of those who are logged in, shown again or missed, by what came of them",
    ),
    (
        Counter,
        "countersign_throttled_total",
        "Attempts that were not tried because there were too many, by operation",
    ),
    (Counter, "countersign_visits_total", "Visits counted"),
    (Counter, "countersign_renewals_total", "Sessions renewed by a check that counted no visit"),
    (Counter, "countersign_refusals_total", "Requests refused as not signed in, by reason"),
    (Counter, "countersign_sessions_ended_total", "Sessions ended before their time, by reason"),
    (
        Counter,
        "countersign_administration_refused_total",
        "Requests for administrators that came from somebody else who is signed in",
    ),
    (Counter, "countersign_copies_total", "Tokens found in the hands of two holders"),
    (
        Counter,
        "countersign_cross_site_refused_total",
        "Requests refused because they came from another site",
    ),
    (
        Counter,
        "countersign_http_requests_total",
        "Requests answered, by method and class of status",
    ),
    (Histogram, "countersign_http_request_seconds", "Time from a request to its answer"),
    (Gauge, "countersign_password_hashes_running", "Password hashes running now"),
    (Counter, "countersign_sessions_swept_total", "Dead sessions removed from the store"),
    (
        Gauge,
        "countersign_sessions_living",
        "Living sessions, as the last round of the sweep met them",
    ),
    (Gauge, "countersign_store_bytes", "Bytes of the store on the disk, as of that round"),
    (
        Histogram,
        "countersign_store_commit_seconds",
        "Time of one commit of the store: batch, flush and sync",
    ),
    (
        Histogram,
        "countersign_store_commit_changes",
        "Changes that one commit of the store recorded",
    ),
    (
        Counter,
        "countersign_redis_checks_total",
        "Checks with store.redis.checks = local, by how they were answered (from_memory, by_redis)",
    ),
    (
        Gauge,
        "countersign_redis_lag_seconds",
        "Time since which sessions end was last heard, with store.redis.checks = local, by shard",
    ),
    (Gauge, "countersign_store_healthy", "1, or 0 from a failed commit until the store has healed"),
];

/// The metrics of this process. Clones are the same.
#[derive(Clone, Debug)]
pub struct MetricsHandle(PrometheusHandle);

impl MetricsHandle {
    /// All metrics as Prometheus reads them (text format 0.0.4).
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Moves what histograms have buffered to where it takes no more memory. To be called every
    /// few seconds.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

/// Starts counting, once per process: further calls give the same metrics, so that several servers
/// can run in one process.
///
/// # Panics
/// When another library has installed a recorder of its own: a bug that would silence all metrics.
pub fn install() -> MetricsHandle {
    static INSTALLED: OnceLock<MetricsHandle> = OnceLock::new();
    INSTALLED
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
                .and_then(|builder| builder.set_buckets(&SIZES))
                .expect("the bounds are not empty")
                .build_recorder();
            let handle = MetricsHandle(recorder.handle());
            metrics::set_global_recorder(recorder).expect("nothing else installs a recorder");
            describe();
            handle
        })
        .clone()
}

fn describe() {
    for (kind, name, help) in ALL {
        match kind {
            Counter => describe_counter!(*name, *help),
            Gauge => describe_gauge!(*name, *help),
            Histogram if name.ends_with("_seconds") => {
                describe_histogram!(*name, Unit::Seconds, *help);
            }
            Histogram => describe_histogram!(*name, *help),
        }
    }
    // Shown from the start, so that an alert on them can tell "none yet" from "no such metric".
    for name in [
        "countersign_sign_ups_total",
        "countersign_visits_total",
        "countersign_renewals_total",
        "countersign_administration_refused_total",
        "countersign_copies_total",
        "countersign_cross_site_refused_total",
        "countersign_sessions_swept_total",
    ] {
        counter!(name).increment(0);
    }
    gauge!("countersign_password_hashes_running").increment(0);
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// The names that the macros of the `metrics` crate are called with, anywhere in the source.
    fn recorded(dir: &Path, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                recorded(&path, names);
            } else if !path.ends_with("telemetry/metrics.rs") {
                let source = fs::read_to_string(&path).unwrap();
                for macro_name in ["counter!(", "gauge!(", "histogram!("] {
                    for call in source.split(macro_name).skip(1) {
                        let name = call.trim_start().strip_prefix('"');
                        names.extend(name.and_then(|name| name.split('"').next()).map(Into::into));
                    }
                }
            }
        }
    }

    #[test]
    fn every_metric_is_described_and_every_description_has_its_metric() {
        let mut found = BTreeSet::new();
        recorded(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let described: BTreeSet<String> =
            ALL.iter().map(|(_, name, _)| (*name).to_owned()).collect();
        assert_eq!(found, described);
    }

    #[test]
    fn installing_twice_gives_the_same_metrics() {
        let first = install();
        let second = install();
        metrics::histogram!("countersign_http_request_seconds").record(0.003);
        first.upkeep();
        for text in [first.render(), second.render()] {
            for part in [
                "# HELP countersign_visits_total Visits counted\n",
                "# TYPE countersign_visits_total counter\n",
                "# TYPE countersign_password_hashes_running gauge\n",
                "countersign_http_request_seconds_bucket{le=\"0.005\"} ",
            ] {
                assert!(text.contains(part), "{part} is missing in\n{text}");
            }
        }
    }
}
