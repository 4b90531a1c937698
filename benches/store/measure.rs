//! Times: of the process and its threads, and of the disk.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

/// How many hundredths of a second of CPU time: what Linux counts the times of a process in.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time of this process, user and system, and how it divides among threads by name.
pub(crate) struct Cpu {
    all: Duration,
    threads: BTreeMap<String, Duration>,
}

impl Cpu {
    /// Up to now.
    pub(crate) fn now() -> Self {
        // `proc_pid_stat(5)`: utime and stime are the 14th and 15th field, the second is a name in
        // parentheses that may hold spaces.
        let stat = fs::read_to_string("/proc/self/stat").expect("this is Linux");
        let after_name = stat.rsplit(')').next().expect("there is a name");
        let fields: Vec<_> = after_name.split_whitespace().collect();
        let ticks = |n: usize| fields[n - 3].parse::<u32>().expect("a number");
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir("/proc/self/task").expect("this is Linux").flatten() {
            let read = |file| fs::read_to_string(thread.path().join(file));
            // It may have ended just now.
            if let (Ok(name), Ok(times)) = (read("comm"), read("schedstat")) {
                let nanos = times.split(' ').next().and_then(|nanos| nanos.parse().ok());
                let kind = name.trim_end().trim_end_matches(|c: char| c.is_ascii_digit());
                *threads.entry(kind.trim_end_matches('-').to_owned()).or_default() +=
                    Duration::from_nanos(nanos.unwrap_or_default());
            }
        }
        Self { all: TICK * (ticks(14) + ticks(15)), threads }
    }

    /// What was spent since.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        self.all = self.all.saturating_sub(before.all);
        for (kind, spent) in &mut self.threads {
            *spent = spent.saturating_sub(before.threads.get(kind).copied().unwrap_or_default());
        }
        self
    }

    /// In words, for each of so many.
    pub(crate) fn each(&self, count: usize) -> String {
        let each = |spent: &Duration| spent.as_secs_f64() * 1e6 / number(count);
        let mut words = format!("{:.2} (", each(&self.all));
        let mut threads: Vec<_> = self.threads.iter().collect();
        threads.sort_by_key(|(_, spent)| std::cmp::Reverse(**spent));
        for (kind, spent) in threads.into_iter().filter(|(_, spent)| each(spent) >= 0.01) {
            write!(words, "{kind} {:.2}, ", each(spent)).expect("strings take all");
        }
        words.truncate(words.len() - 2);
        words + ")"
    }
}

/// A count, to be divided.
pub(crate) fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// How long `fdatasync` takes after a small append to a file of its own.
pub(crate) fn appends(dir: &Path) -> Vec<Duration> {
    let mut file = File::create(dir.join("append")).expect("a file can be made");
    let append = || {
        file.write_all(&[b'x'; 512]).expect("there is room");
        let started = Instant::now();
        file.sync_data().expect("the disk works");
        started.elapsed()
    };
    std::iter::repeat_with(append).take(200).collect()
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    percentile(&times, 50)
}

/// Of times that are sorted.
pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}
