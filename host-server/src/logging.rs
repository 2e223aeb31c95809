//! The log, on standard error. Standard output is for what programs read.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;

use tracing::Level;

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::exit::{Exit, Failure};
use crate::stderr;

/// Starts logging for the whole process.
///
/// # Errors
/// When it has been started before.
pub fn start(config: &LogConfig) -> Result<(), Failure> {
    let level = match config.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let log = tracing_subscriber::fmt()
        // What cannot be written cannot be complained about in the same place.
        .log_internal_errors(false)
        .with_writer(|| Queued)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(level);
    let started = match config.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|error| Failure::new(Exit::Failure, format!("logging: {error}")))
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
