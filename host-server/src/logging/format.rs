//! What lines look like, and which of them are left out because they have just been said.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;

/// Writes an event as a line.
pub(super) struct Format {
    format: LogFormat,
    text: format::Format<Full, SystemTime>,
    /// What was said last of each kind of warning.
    warnings: Mutex<HashMap<Identifier, Vec<Said>>>,
}

/// A warning that was said.
struct Said {
    /// Its reason, as a number.
    reason: u64,
    at: Instant,
    /// How often it was left out since.
    left_out: u64,
}

/// One object of JSON.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'a str,
    /// What has happened, in a word that stays the same when the message is put in other words.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    fields: Map<String, Value>,
    target: &'a str,
}

impl Format {
    /// A warning that comes again within this time is counted, and not said.
    const PAUSE: Duration = Duration::from_secs(10);

    pub(super) fn new(format: LogFormat) -> Self {
        Self { format, text: format::format(), warnings: Mutex::default() }
    }

    /// So many reasons of one kind of warning are told from one another in that time: others can bring reasons about.
    const REASONS: usize = 4;

    /// How often this was left out before; nothing if it is to be left out, too.
    fn left_out(&self, metadata: &Metadata<'_>, reason: u64, now: Instant) -> Option<u64> {
        // Some count by themselves.
        let is_counted =
            ["times", "lines"].iter().any(|name| metadata.fields().field(name).is_some());
        if *metadata.level() != Level::WARN || is_counted {
            return Some(0);
        }
        // The kinds are the places in the program: there is a bound.
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let said = warnings.entry(metadata.callsite()).or_default();
        let is_fresh = |said: &Said| now.duration_since(said.at) < Self::PAUSE;
        if let Some(same) = said.iter_mut().find(|said| said.reason == reason) {
            if is_fresh(same) {
                same.left_out += 1;
                return None;
            }
            let left_out = mem::take(&mut same.left_out);
            same.at = now;
            return Some(left_out);
        }
        if said.len() < Self::REASONS {
            said.push(Said { reason, at: now, left_out: 0 });
            return Some(0);
        }
        let oldest = said.iter_mut().min_by_key(|said| said.at)?;
        if is_fresh(oldest) {
            oldest.left_out += 1;
            return None;
        }
        let left_out = mem::replace(oldest, Said { reason, at: now, left_out: 0 }).left_out;
        Some(left_out)
    }
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(left_out) = self.left_out(event.metadata(), reason(event), Instant::now()) else {
            return Ok(());
        };
        match self.format {
            LogFormat::Json => writeln!(writer, "{}", json(event, left_out)?),
            LogFormat::Text if left_out == 0 => self.text.format_event(context, writer, event),
            LogFormat::Text => {
                let mut line = String::new();
                self.text.format_event(context, Writer::new(&mut line), event)?;
                writeln!(writer, "{} {LEFT_OUT}={left_out}", line.trim_end_matches('\n'))
            }
        }
    }
}

/// Fields that say why, or of which of several.
const REASONS: [&str; 3] = ["why", "error", "way"];

/// What an event says of its reason, as a number.
fn reason(event: &Event<'_>) -> u64 {
    let mut reason = Reason(DefaultHasher::new());
    event.record(&mut reason);
    reason.0.finish()
}

struct Reason(DefaultHasher);

impl Visit for Reason {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if REASONS.contains(&field.name()) {
            format!("{value:?}").hash(&mut self.0);
        }
    }
}

/// The field that says how often a warning was left out before this line.
const LEFT_OUT: &str = "left_out";

fn json(event: &Event<'_>, left_out: u64) -> Result<String, fmt::Error> {
    let metadata = event.metadata();
    let mut timestamp = String::new();
    SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
    let mut fields = Fields(Map::new());
    event.record(&mut fields);
    if left_out > 0 {
        fields.0.insert(LEFT_OUT.into(), left_out.into());
    }
    let line = Line {
        timestamp: &timestamp,
        level: metadata.level().as_str(),
        event: name(metadata),
        fields: fields.0,
        target: metadata.target(),
    };
    serde_json::to_string(&line).map_err(|_| fmt::Error)
}

/// The name that somebody has given an event; without one, it has that of its place in the program.
fn name(metadata: &Metadata<'static>) -> Option<&'static str> {
    Some(metadata.name()).filter(|name| !name.starts_with("event "))
}

/// What an event says, as JSON.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().into(), value.into());
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use tracing_subscriber::fmt::layer;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    use super::*;

    /// Where the lines go.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(format: LogFormat, say: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(Format::new(format));
        tracing::subscriber::with_default(registry().with(layer), say);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_warning_that_comes_again_at_once_is_said_once_and_others_are_not_left_out() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = said(format, || {
                for _ in 0..5 {
                    tracing::warn!(name: "one", "again");
                    tracing::error!(name: "two", "an error");
                    tracing::warn!(name: "three", times = 7, "counted already");
                }
            });
            let count = |of: &str| lines.iter().filter(|line| line.contains(of)).count();
            assert_eq!((count("again"), count("an error"), count("counted already")), (1, 5, 5));
        }
    }

    #[test]
    fn what_was_left_out_is_counted_in_the_next_line() {
        let format = Format::new(LogFormat::Text);
        let now = Instant::now();
        let metadata = {
            static FOUND: std::sync::OnceLock<&'static Metadata<'static>> =
                std::sync::OnceLock::new();
            struct Find;
            impl<S: Subscriber> tracing_subscriber::Layer<S> for Find {
                fn on_event(
                    &self,
                    event: &Event<'_>,
                    _: tracing_subscriber::layer::Context<'_, S>,
                ) {
                    let _ = FOUND.set(event.metadata());
                }
            }
            tracing::subscriber::with_default(registry().with(Find), || {
                tracing::warn!(name: "one", "again");
            });
            FOUND.get().unwrap()
        };
        let of =
            |reason, seconds| format.left_out(metadata, reason, now + Duration::from_secs(seconds));
        let heard = [0, 1, 9, 10, 11, 25].map(|seconds| of(7, seconds));
        assert_eq!(heard, [Some(0), None, None, Some(2), None, Some(1)]);
        // Other reasons are told, but not as many as somebody likes.
        let heard = [1, 2, 3, 4, 5, 1].map(|reason| of(reason, 26));
        assert_eq!(heard, [Some(0), Some(0), Some(0), None, None, None]);
        assert_eq!(of(7, 27), None);
        assert_eq!([of(4, 40), of(4, 41)], [Some(3), None]);
    }
}
