//! What is shown: tables for people, JSON for programs.

use std::io::{self, Write as _};

use serde::Serialize;

use super::Failure;
use crate::{model::Timestamp, telemetry::printable};

/// Shows a line.
pub(super) fn say(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{line}")?;
    Ok(())
}

/// Shows a list: as JSON, or as a table with a line for each row.
pub(super) fn list<T: Serialize, const N: usize>(
    rows: &[T],
    json: bool,
    head: [&str; N],
    columns: impl Fn(&T) -> [String; N],
) -> Result<(), Failure> {
    let mut text = if json {
        serde_json::to_string_pretty(rows)
            .map_err(|error| Failure::System("write JSON", error.to_string()))?
    } else {
        table(head, rows.iter().map(columns))
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// Shows one thing: as JSON, or with a line for each of its parts.
pub(super) fn one<T: Serialize, const N: usize>(
    thing: &T,
    json: bool,
    parts: &[(&str, String); N],
) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(thing);
        return say(&text.map_err(|error| Failure::System("write JSON", error.to_string()))?);
    }
    let width = parts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("{name:width$}  {}", printable(value));
    say(&parts.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// A time to the second, in UTC.
pub(super) fn time(at: Timestamp) -> String {
    format!("{at:.0}")
}

fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows.map(|row| row.map(|cell| printable(&cell).into_owned())));
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<_> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::from_millis;

    #[test]
    fn columns_are_aligned_and_nothing_in_them_is_obeyed() {
        let rows = [
            ["jürgen@example.com".to_owned(), "active".to_owned()],
            ["a@b".to_owned(), "\u{1b}[2Jx\n".to_owned()],
        ];
        assert_eq!(
            table(["E-MAIL", "STATE"], rows.into_iter()),
            "E-MAIL              STATE\n\
             jürgen@example.com  active\n\
             a@b                 \\u{1b}[2Jx\\n\n"
        );
    }

    #[test]
    fn times_are_utc_to_the_second() {
        assert_eq!(time(from_millis(1_700_000_000_999)), "2023-11-14T22:13:20Z");
    }
}
