//! The log, on standard error or in a file. Standard output is for what programs read.

mod file;
mod format;
mod journal;
mod level;
mod line;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::access;
use crate::config::{LogConfig, LogFormat, check_place_of_log};
use crate::exit::{Exit, Failure};
use crate::stderr;
use format::Format;
pub use level::Asked;
use level::Levels;

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// The log of this process, once it has started.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    lines: reload::Handle<Lines, Registry>,
    levels: Levels,
}

/// A log that goes on with another configuration, when everything else does.
pub struct Prepared {
    config: LogConfig,
    place: Place,
}

/// Where lines go.
enum Place {
    /// To this file; without one, to standard error.
    New(Option<(PathBuf, File)>),
    /// Where they go already, since the file cannot be opened again.
    Same(Failure),
}

/// What an operator can see of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What somebody has asked for, until the configuration counts again.
    pub asked: Option<Asked>,
    /// The file that it goes to; nothing for standard error.
    pub file: Option<PathBuf>,
    /// Lines that could not be written since the start.
    pub lost: u64,
    /// Why the last line could not be written to the file.
    pub trouble: Option<String>,
    /// Why the file could not be opened again. The log goes on in the one that was open before.
    pub not_reopened: Option<String>,
    /// How long ago one of the two was seen last; it may be otherwise by now.
    pub seen: Option<Duration>,
}

/// Starts logging for the whole process, on standard error.
///
/// # Errors
/// When it has been started before.
pub fn start(config: &LogConfig) -> Result<(), Failure> {
    let (lines, to_lines) = reload::Layer::new(lines(config.format));
    let (levels, to_levels) = reload::Layer::new(Targets::new());
    tracing_subscriber::registry()
        .with(lines.and_then(levels))
        .try_init()
        .map_err(|error| Failure::new(Exit::Failure, format!("logging: {error}")))?;
    let levels = Levels::new(to_levels);
    levels.configure(config.level);
    let _ = LOG.set(Log { lines: to_lines, levels });
    Ok(())
}

/// Makes what another configuration of the log needs, and changes nothing yet. A file that was in the configuration
/// `before` may have been lost since then: that is no reason to refuse what is changed elsewhere.
///
/// # Errors
/// When its file is another one, and cannot be opened.
pub fn prepare(config: &LogConfig, before: &LogConfig) -> Result<Prepared, Failure> {
    let place = match open_if_any(config) {
        Ok(file) => Place::New(file),
        Err(failure) if config.file == before.file => Place::Same(failure),
        Err(failure) => return Err(failure),
    };
    Ok(Prepared { config: config.clone(), place })
}

fn open_if_any(config: &LogConfig) -> Result<Option<(PathBuf, File)>, Failure> {
    let path = Some(&config.file).filter(|path| !path.as_os_str().is_empty());
    path.map(|path| open(path).map(|file| (path.clone(), file))).transpose()
}

/// Goes on with another configuration. What somebody had asked for at run time has an end. Why the log goes on where it
/// went before, if its file cannot be opened again.
pub fn configure(next: Prepared) -> Option<Failure> {
    let Prepared { config, place } = next;
    let not_reopened = match place {
        Place::New(file) => {
            file::go_to(file);
            None
        }
        Place::Same(failure) => {
            let _ = file::could_not_reopen(&failure.to_string());
            Some(failure)
        }
    };
    if let Some(Log { lines: to_lines, levels }) = LOG.get() {
        // It fails only when the log is gone, with the process.
        let _ = to_lines.reload(lines(config.format));
        levels.configure(config.level);
    }
    not_reopened
}

/// Has the log of a server that starts go to its file. One that cannot be opened stops no server: the
/// log goes to standard error, and `status` says so.
pub fn serve(config: &LogConfig) {
    match open_if_any(config) {
        Ok(file) => _ = configure(Prepared { config: config.clone(), place: Place::New(file) }),
        Err(failure) => {
            tracing::error!(name: "log_file_unusable", %failure, "the log goes to standard error");
            file::could_not_open(config.file.clone(), failure.to_string());
        }
    }
}

/// Has as much go to the log as somebody asks for. It ends when its time is over, when another one asks,
/// or when the configuration is read again.
///
/// # Errors
/// When the system gives no thread.
pub fn set_level(asked: Asked) -> Result<(), Failure> {
    let Some(log) = LOG.get() else { return Ok(()) };
    log.levels.ask(asked).map_err(|error| Failure::new(Exit::Failure, error))
}

/// Opens the file of the log again, because somebody has moved it, or it is there by now. The path that was opened, if
/// the log is to go to a file.
///
/// # Errors
/// When it cannot be opened; says where the log goes on.
pub fn reopen() -> Result<Option<PathBuf>, Failure> {
    let Some(path) = file::wanted() else { return Ok(None) };
    let reopened = open(&path).map_err(|failure| {
        let place = file::could_not_reopen(&failure.to_string());
        let how = "put it right, and run `waxwing-server log reopen`";
        Failure::new(failure.exit(), format!("{failure}; {place}: {how}"))
    })?;
    file::go_to(Some((path.clone(), reopened)));
    Ok(Some(path))
}

/// Says that the file could not be opened again where nobody waits for an answer. The one that is open may have been
/// moved or deleted, so that nobody looks into it: standard error hears of it, too.
pub fn tell_not_reopened(why: &str) {
    tracing::error!(name: "log_file_unusable", failure = why, "the log goes on where it went before");
    if file::path().is_some() {
        stderr::write(format!("waxwing-server: {why}\n").as_bytes());
    }
}

/// Somebody may have changed the directory since the start.
fn open(path: &Path) -> Result<File, Failure> {
    check_place_of_log(path)?;
    file::open(path).map_err(|error| {
        let (why, path) = (access::cannot_open(path, &error), path.display());
        Failure::new(Exit::Config, format!("log.file: {path} cannot be opened: {why}"))
    })
}

/// What an operator can see of it.
#[must_use]
pub fn standing() -> Standing {
    Standing {
        asked: LOG.get().and_then(|log| log.levels.asked()),
        file: file::path(),
        lost: lost(),
        trouble: file::trouble(),
        not_reopened: file::not_reopened(),
        seen: file::seen(),
    }
}

/// Lines that could not be written since the start.
#[must_use]
pub fn lost() -> u64 {
    stderr::lost() + file::lost()
}

/// Waits until everything is written, a second at most for each place.
pub fn flush() {
    file::flush();
    stderr::flush();
}

fn lines(format: LogFormat) -> Lines {
    let is_terminal = io::stderr().is_terminal();
    let prefixed = journal::is_standard_error();
    tracing_subscriber::fmt::layer()
        // What cannot be written cannot be complained about in the same place.
        .log_internal_errors(false)
        .with_writer(line::Writers { colored: is_terminal, prefixed })
        .with_ansi(is_terminal)
        .event_format(Format::new(format))
        .boxed()
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
