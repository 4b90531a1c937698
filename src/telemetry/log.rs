//! Lines on standard error: text with colours for people, JSON for programs. One event is one
//! line, whatever is in it (ASVS 16.4.1), with its time in UTC (ASVS 16.2.2).

use std::{fmt, io, panic};

use tracing::{Event, Subscriber, error};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    field::MakeExt as _,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{self, JsonFields, Writer, debug_fn},
        time::SystemTime,
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
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

/// Tells of the request that the calling task works on, field by field.
pub type Describe = fn(&mut dyn FnMut(&'static str, &dyn fmt::Display));

/// Sends this process's log, panics included, to standard error. Once per process. Each line says
/// which request it is about: that is asked of `request` when a line is written, so that a request
/// that logs nothing costs nothing.
///
/// # Errors
/// [`LogError`] when the filter is not understood, or it was set up before.
pub fn install(format: Format, filter: &str, request: Describe) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(filter)?;
    tracing::subscriber::set_global_default(subscriber(format, filter, request, io::stderr))?;
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

fn subscriber<W>(
    format: Format,
    filter: EnvFilter,
    request: Describe,
    to: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(to);
    let line = format::format().with_timer(SystemTime);
    let layer = match format {
        // serde_json escapes what would break a line.
        Format::Json => layer
            .fmt_fields(JsonFields::new())
            .event_format(OfRequest {
                line: line
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false),
                request,
                add: add_as_json,
            })
            .boxed(),
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
            .event_format(OfRequest { line: line.with_ansi(colours), request, add: add_as_text })
            .boxed(),
    };
    Registry::default().with(layer).with(filter)
}

/// A line, and at its end the request that it is about.
struct OfRequest<F> {
    line: F,
    request: Describe,
    /// Adds the fields of a request to a line.
    add: fn(&mut String, Describe),
}

impl<S, N, F> FormatEvent<S, N> for OfRequest<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.line.format_event(context, Writer::new(&mut line), event)?;
        line.truncate(line.trim_end().len());
        (self.add)(&mut line, self.request);
        writeln!(to, "{line}")
    }
}

fn add_as_text(line: &mut String, request: Describe) {
    request(&mut |name, value| {
        let value = value.to_string();
        line.extend([" ", name, "=", &printable(&value)]);
    });
}

/// As the member `request` of the object that the line is.
fn add_as_json(line: &mut String, request: Describe) {
    let mut fields = serde_json::Map::new();
    request(&mut |name, value| {
        fields.insert(name.to_owned(), value.to_string().into());
    });
    if !fields.is_empty() && line.pop() == Some('}') {
        line.extend([",\"request\":", &serde_json::Value::from(fields).to_string(), "}"]);
    }
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

    const FORGED: &str = "x\r\n2030-01-01T00:00:00Z  INFO logged in\u{1b}[2J\u{9b}31m\u{202e}";

    fn forged(tell: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        tell("path", &FORGED);
    }

    fn logged(format: Format, filter: &str, work: impl FnOnce()) -> String {
        logged_for(forged, format, filter, work)
    }

    fn logged_for(request: Describe, format: Format, filter: &str, work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = EnvFilter::builder().parse(filter).unwrap();
        let subscriber = subscriber(format, filter, request, move || writer.clone());
        tracing::subscriber::with_default(subscriber, work);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    fn attack() {
        let span = info_span!("work", agent = %FORGED);
        span.in_scope(|| info!(event = "test", text = FORGED, shown = %FORGED, "see {FORGED}"));
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
        for part in ["INFO", "event=\"test\"", "text=\"x\\r\\n2030", "see x\\r\\n2030", "path=x"] {
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
        assert_eq!(line["request"], serde_json::json!({ "path": FORGED }));
    }

    #[test]
    fn a_line_outside_of_a_request_says_nothing_of_one() {
        for format in [Format::Json, Format::Text { colours: false }] {
            let text = logged_for(|_| {}, format, "info", || info!(event = "test", "hello"));
            assert!(text.contains("hello") && !text.contains("request"), "{text}");
            if format == Format::Json {
                let line: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(line["event"], "test");
            }
        }
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
