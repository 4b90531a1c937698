//! Lines on standard error: text with colours for people, JSON for programs. One event is one
//! line, whatever is in it (ASVS 16.4.1), with its time in UTC (ASVS 16.2.2).

use std::{io, panic};

use tracing::{Subscriber, error};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    field::MakeExt as _,
    fmt::{self, MakeWriter, format::debug_fn, time::SystemTime},
    layer::SubscriberExt as _,
};

use super::printable;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text {
        /// With colours: for a terminal.
        colours: bool,
    },
    /// One JSON object.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter does not parse.
    #[error("the log filter is not understood: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// It was set up before.
    #[error("logging is already set up: {0}")]
    Twice(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Sends this process's log, panics included, to standard error. Once per process.
///
/// # Errors
/// [`LogError`] when the filter is not understood, or it was set up before.
pub fn install(format: Format, filter: &str) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(filter)?;
    tracing::subscriber::set_global_default(subscriber(format, filter, io::stderr))?;
    // The default hook writes several lines, which no reader of JSON lines could follow.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let payload = panic.payload();
        let reason = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        error!(event = "panic", place, reason, "a bug: please report it");
    }));
    Ok(())
}

fn subscriber<W>(format: Format, filter: EnvFilter, to: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(to).with_timer(SystemTime);
    let layer = match format {
        // serde_json escapes what would break a line.
        Format::Json => {
            layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
        Format::Text { colours } => layer
            .with_ansi(colours)
            .fmt_fields(
                debug_fn(|line, field, value| {
                    let value = format!("{value:?}");
                    let value = printable(&value);
                    match field.name() {
                        "message" => write!(line, "{value}"),
                        name => write!(line, "{name}={value}"),
                    }
                })
                .delimited(" "),
            )
            .boxed(),
    };
    Registry::default().with(layer).with(filter)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{info, info_span};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: &str, work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = EnvFilter::builder().parse(filter).unwrap();
        let subscriber = subscriber(format, filter, move || writer.clone());
        tracing::subscriber::with_default(subscriber, work);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    fn attack() {
        let forged = "x\r\n2030-01-01T00:00:00Z  INFO logged in\u{1b}[2J\u{9b}31m\u{202e}";
        let span = info_span!("request", path = forged, agent = %forged);
        span.in_scope(|| info!(event = "test", text = forged, shown = %forged, "see {forged}"));
    }

    #[test]
    fn one_event_is_one_line_of_text_with_nothing_to_obey() {
        let text = logged(Format::Text { colours: false }, "info", attack);
        assert_eq!(text.matches('\n').count(), 1, "{text:?}");
        assert!(text.ends_with('\n'));
        assert!(
            !text.trim_end_matches('\n').contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{text:?}"
        );
        for part in ["INFO", "event=\"test\"", "text=\"x\\r\\n2030", "see x\\r\\n2030", "agent=x"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn one_event_is_one_json_object_with_a_time_in_utc() {
        let text = logged(Format::Json, "info", attack);
        assert_eq!(text.matches('\n').count(), 1, "{text:?}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z'), "{time}");
        time.parse::<jiff::Timestamp>().unwrap();
        assert_eq!(line["event"], "test");
        assert_eq!(line["level"], "INFO");
        assert!(line["span"]["path"].as_str().unwrap().starts_with("x\r\n"));
    }

    #[test]
    fn the_filter_holds() {
        let both = || {
            info!("quiet");
            error!("loud");
        };
        let text = logged(Format::Text { colours: false }, "warn", both);
        assert!(text.contains("loud") && !text.contains("quiet"), "{text}");
    }

    #[test]
    fn colours_are_for_terminals() {
        let said = || info!("hello");
        assert!(logged(Format::Text { colours: true }, "info", said).contains("\u{1b}["));
        assert!(!logged(Format::Text { colours: false }, "info", said).contains("\u{1b}["));
    }
}
