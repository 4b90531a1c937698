//! Durations in words.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text;

const EXPECTED: &str = "a duration such as 90s, 30m, 12h, 14d or 1h30m";

/// A duration as it is configured: `30m`, `12h`, `14d`, `1h30m`. A day is 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub SignedDuration);

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {EXPECTED}")]
pub struct InvalidPeriod;

impl Period {
    /// A number of seconds.
    #[must_use]
    pub const fn seconds(n: i64) -> Self {
        Self(SignedDuration::from_secs(n))
    }

    /// A number of minutes.
    #[must_use]
    pub const fn minutes(n: i64) -> Self {
        Self(SignedDuration::from_mins(n))
    }

    /// A number of hours.
    #[must_use]
    pub const fn hours(n: i64) -> Self {
        Self(SignedDuration::from_hours(n))
    }

    /// A number of days of 24 hours.
    #[must_use]
    pub const fn days(n: i64) -> Self {
        Self::hours(24 * n)
    }

    /// As the runtime's timers take it. Zero for a negative one, which [`super::Config::check`]
    /// does not let pass.
    #[must_use]
    pub fn unsigned(self) -> std::time::Duration {
        self.0.try_into().unwrap_or_default()
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The ISO 8601 form (`PT30M`) would be taken too: two spellings of one key help nobody.
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(InvalidPeriod);
        }
        let span: Span = text.parse().map_err(|_| InvalidPeriod)?;
        // A month or a year has no fixed length: refused here.
        match span.to_duration(SpanRelativeTo::days_are_24_hours()) {
            Ok(duration) if !duration.is_negative() => Ok(Self(duration)),
            _ => Err(InvalidPeriod),
        }
    }
}

/// The shortest form: `14d`, `1h30m`, `500ms`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("0s");
        }
        let mut rest = self.0.as_nanos();
        if rest < 0 {
            f.write_str("-")?;
            rest = -rest;
        }
        for (unit, nanos) in [
            ("d", 86_400_000_000_000),
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("us", 1_000),
            ("ns", 1),
        ] {
            if rest >= nanos {
                write!(f, "{}{unit}", rest / nanos)?;
                rest %= nanos;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text::parse(from, EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_written_as_people_say_them() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1_800),
            ("12h", 43_200),
            ("14d", 1_209_600),
            ("2w", 1_209_600),
            ("1h30m", 5_400),
            ("1h 30m", 5_400),
            ("1 hour 30 minutes", 5_400),
            ("0s", 0),
        ] {
            assert_eq!(text.parse(), Ok(Period::seconds(seconds)), "{text}");
        }
        assert_eq!("500ms".parse(), Ok(Period(SignedDuration::from_millis(500))));
    }

    #[test]
    fn what_has_no_fixed_length_or_no_unit_is_refused() {
        for text in [
            "",
            "30",
            "m",
            "thirty minutes",
            "1mo",
            "1y",
            "-5m",
            "PT30M",
            "5m ago",
            "30 m m",
            "9223372036854775807d",
            "\u{1b}[31m",
        ] {
            assert_eq!(text.parse::<Period>(), Err(InvalidPeriod), "{text:?}");
        }
    }

    #[test]
    fn durations_are_shown_in_their_largest_units() {
        for (period, text) in [
            (Period::minutes(30), "30m"),
            (Period::hours(12), "12h"),
            (Period::hours(336), "14d"),
            (Period::minutes(90), "1h30m"),
            (Period::seconds(0), "0s"),
        ] {
            assert_eq!(period.to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(nanos in 0..i64::MAX) {
            let period = Period(SignedDuration::from_nanos(nanos));
            prop_assert_eq!(period.to_string().parse::<Period>(), Ok(period));
        }
    }
}
