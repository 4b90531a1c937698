//! Numbers and moments as people read them.

use jiff::Timestamp;

/// `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One, or many, of something: `1 session`, `2,000 sessions`.
pub(super) fn many(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(number))
}

/// A number with as many decimals as say something: `0.25`, `3.4`, `120`.
pub(super) fn short(number: f64) -> String {
    let decimals = match number {
        n if n >= 100.0 => 0,
        n if n >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{number:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A time in the unit that fits: `4.1 ms`, `2.5 s`.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{} ms", short(seconds * 1_000.0))
    } else {
        format!("{} s", short(seconds))
    }
}

/// `3.2 MiB`.
#[expect(clippy::cast_precision_loss, reason = "it is rounded in any case")]
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64 / 1_024.0;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if size < 1_024.0 {
            break;
        }
        (size, unit) = (size / 1_024.0, larger);
    }
    format!("{} {unit}", short(size))
}

/// A moment: how a page writes it, and how a program reads it.
#[derive(Clone, Copy)]
pub(super) struct At(pub(super) Timestamp);

impl At {
    /// RFC 3339.
    pub(super) fn exact(&self) -> String {
        format!("{:.0}", self.0)
    }

    /// Day and time, to the second.
    pub(super) fn readable(&self) -> String {
        self.0.strftime("%-d %b %Y, %H:%M:%S").to_string()
    }

    /// The time of a day, to the minute.
    pub(super) fn hour(&self) -> String {
        self.0.strftime("%H:%M").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::from_millis;

    #[test]
    fn numbers_are_short_and_clear() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (u64::MAX, "18,446,744,073,709,551,615")]
        {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(many(1, "session"), "1 session");
        assert_eq!(many(2_000, "session"), "2,000 sessions");
        for (number, text) in
            [(0.0, "0"), (0.254, "0.25"), (3.4, "3.4"), (10.06, "10.1"), (100.0, "100")]
        {
            assert_eq!(short(number), text);
        }
        for (seconds, text) in [(0.0041, "4.1 ms"), (0.0005, "0.5 ms"), (2.5, "2.5 s")] {
            assert_eq!(duration(seconds), text);
        }
        for (bytes, text) in [
            (0, "0 KiB"),
            (1_536, "1.5 KiB"),
            (3 << 20, "3 MiB"),
            (5 << 40, "5 TiB"),
            (5 << 50, "5120 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn moments_are_to_the_second() {
        let at = At(from_millis(1_700_000_000_999));
        assert_eq!(at.exact(), "2023-11-14T22:13:20Z");
        assert_eq!(at.readable(), "14 Nov 2023, 22:13:20");
        assert_eq!(at.hour(), "22:13");
    }
}
