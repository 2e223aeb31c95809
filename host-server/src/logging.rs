//! The log, on standard error. Standard output is for what programs read.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::exit::{Exit, Failure};
use crate::stderr;

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// The log of this process, once it has started.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    lines: reload::Handle<Lines, Registry>,
    levels: reload::Handle<Targets, Registry>,
}

/// Starts logging for the whole process.
///
/// # Errors
/// When it has been started before.
pub fn start(config: &LogConfig) -> Result<(), Failure> {
    let (lines, to_lines) = reload::Layer::new(lines(config.format));
    let (levels, to_levels) = reload::Layer::new(levels(config.level));
    tracing_subscriber::registry()
        .with(lines.and_then(levels))
        .try_init()
        .map_err(|error| Failure::new(Exit::Failure, format!("logging: {error}")))?;
    let _ = LOG.set(Log { lines: to_lines, levels: to_levels });
    Ok(())
}

/// Goes on with another configuration.
pub fn configure(config: &LogConfig) {
    if let Some(Log { lines: to_lines, levels: to_levels }) = LOG.get() {
        // They fail only when the log is gone, with the process.
        let _ = to_lines.reload(lines(config.format));
        let _ = to_levels.reload(levels(config.level));
    }
}

fn levels(level: LogLevel) -> Targets {
    Targets::new().with_default(match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    })
}

fn lines(format: LogFormat) -> Lines {
    let lines = tracing_subscriber::fmt::layer()
        // What cannot be written cannot be complained about in the same place.
        .log_internal_errors(false)
        .with_writer(|| Queued)
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
}

/// Says that a thread has panicked, and where.
pub fn panicked(info: &PanicHookInfo<'_>) {
    let mut text = format!("waxwing-server: {info}; please report this\n");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        text.push_str(&format!("{backtrace}\n"));
    }
    stderr::write(text.as_bytes());
}

/// A line at a time: so the log hands them over.
struct Queued;

impl Write for Queued {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        stderr::write(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
