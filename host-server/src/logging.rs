//! The log, on standard error. Standard output is for what programs read.

use std::io::{self, IsTerminal};

use tracing::Level;

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::exit::{Exit, Failure};

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
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(level);
    let started = match config.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|error| Failure::new(Exit::Failure, format!("logging: {error}")))
}
