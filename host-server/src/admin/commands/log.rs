//! `log level` and `log reopen`.

use std::io::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::audit::{Arguments, Outcome};
use super::super::control::{Answer, Caller, Connection};
use super::super::protocol::{Problem, Request, item};
use super::super::running::{Interrupted, Running};
use super::Paper;
use crate::cli::LogCommand;
use crate::clock;
use crate::config::LogLevel;
use crate::exit::{Exit, Failure};
use crate::logging::{self, Asked};

/// How much goes to the log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Level {
    level: LogLevel,
    /// Of this part of the program alone.
    target: Option<String>,
    /// Until then, in UTC; nothing for until the configuration is read again.
    until: Option<String>,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Changed {
    #[serde(flatten)]
    now: Level,
    /// What somebody had asked for before, and counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<Level>,
}

/// The log was opened again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Reopened {
    reopened: String,
}

impl Level {
    pub(super) fn of(asked: &Asked) -> Self {
        let Asked { level, target, time } = asked;
        let until = time.map(|(_, until)| clock::written(until));
        Self { level: *level, target: target.clone(), until }
    }

    /// What is so, and until when.
    pub(super) fn words(&self) -> String {
        let Self { level, target, until } = self;
        let level = name(*level);
        let of = target.as_ref().map(|target| format!(" of {target}")).unwrap_or_default();
        let until = until.as_deref().unwrap_or("the configuration is read again");
        format!("{level}{of} until {until}")
    }
}

impl Changed {
    fn page(out: &mut dyn Write, Self { now, replaced }: &Self) -> io::Result<()> {
        writeln!(out, "the level of the log is {}", now.words())?;
        let before = |level: &Level| writeln!(out, "before, it was {}", level.words());
        replaced.as_ref().map_or(Ok(()), before)
    }
}

fn name(level: LogLevel) -> String {
    format!("{level:?}").to_lowercase()
}

// ---- In the server ----

pub(super) fn set_level(
    running: &Running,
    caller: Caller,
    (level, target, for_ms): (LogLevel, Option<String>, Option<u64>),
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let span = for_ms.map(Duration::from_millis);
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let time = span.map(|span| (span, clock::unix_now().shifted(seconds(span))));
    let asked = Asked { level, target, time };
    let now = Level::of(&asked);
    let replaced = logging::standing().asked.as_ref().map(Level::of);
    let mut arguments = Arguments::new().with("level", name(level));
    if let Some(target) = &asked.target {
        arguments = arguments.with("target", target);
    }
    if let Some(span) = span {
        arguments = arguments.with("seconds", span.as_secs());
    }
    running.act((caller, answer), "log level", arguments, |_| {
        logging::set_level(asked)?;
        Ok(((), Outcome::done("")))
    })?;
    item(answer, Changed { now, replaced })
}

pub(super) fn reopen(
    running: &Running,
    caller: Caller,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let path = running.act((caller, answer), "log reopen", Arguments::new(), |_| {
        let path = logging::reopen().map_err(|failure| Problem::new(Exit::Storage, failure))?;
        let path = path.ok_or_else(|| {
            let message = "log.file is empty, so the log goes to standard error, and there is nothing to open again";
            Problem::new(Exit::Failure, message)
        })?;
        Ok((path, Outcome::done("")))
    })?;
    item(answer, Reopened { reopened: path.display().to_string() })
}

// ---- For the operator ----

pub(super) fn run(
    connection: Connection,
    command: &LogCommand,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    match command {
        LogCommand::Level { level, time, target } => {
            let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            let (level, target, for_ms) = (*level, target.clone(), time.map(millis));
            let request = Request::LogLevel { level, target, for_ms };
            paper.act(connection, request, Changed::page)
        }
        LogCommand::Reopen => {
            paper.act(connection, Request::ReopenLog, |out, Reopened { reopened }: &Reopened| {
                writeln!(out, "the log goes to {reopened}, which was opened again")
            })
        }
    }
}
