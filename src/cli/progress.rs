//! How far something long has got, on one line of a terminal; elsewhere nothing.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(100);

/// A line on standard error that is gone when this is dropped.
pub(super) struct Progress {
    what: &'static str,
    total: Option<u64>,
    bytes: u64,
    /// `None` when nobody looks.
    next: Option<Instant>,
}

impl Progress {
    /// Of `total` bytes, if it is known how many there will be.
    pub(super) fn of(what: &'static str, total: Option<u64>) -> Self {
        let next = io::stderr().is_terminal().then(Instant::now);
        Self { what, total, bytes: 0, next }
    }

    /// So many bytes more.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        let now = Instant::now();
        if self.next.is_some_and(|next| next <= now) {
            self.next = Some(now + EVERY);
            // It is for the eyes; what counts fails loudly elsewhere.
            drop(write!(io::stderr(), "\r\x1b[K{}", line(self.what, self.bytes, self.total)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.next.is_some() {
            drop(write!(io::stderr(), "\r\x1b[K"));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "one decimal of a megabyte")]
fn line(what: &str, bytes: u64, total: Option<u64>) -> String {
    const WIDTH: usize = 30;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{what}: {:.1} MB", megabytes(bytes));
    };
    let percent = usize::try_from(bytes.min(total) * 100 / total).unwrap_or(100);
    let done = WIDTH * percent / 100;
    format!(
        "{what} [{}{}] {percent:3} % of {:.1} MB",
        "=".repeat(done),
        " ".repeat(WIDTH - done),
        megabytes(total)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_a_bar_where_the_end_is_known() {
        assert_eq!(line("backup", 1_234_567, None), "backup: 1.2 MB");
        assert_eq!(line("backup", 5, Some(0)), "backup: 0.0 MB");
        assert_eq!(
            line("restore", 1_000_000, Some(2_000_000)),
            "restore [===============               ]  50 % of 2.0 MB"
        );
        assert!(line("restore", 3, Some(2)).contains("[==============================] 100 %"));
    }
}
