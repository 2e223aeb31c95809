//! `drain` and `undrain`: a stop that people hardly notice.

use std::io::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waxwing_core::server::ShardId;

use super::super::audit::Arguments;
use super::super::control::{Answer, Caller, Connection};
use super::super::protocol::{Problem, Request, item};
use super::super::running::{Interrupted, Running, done, expect_all};
use super::Paper;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::runtime::{self, Busy, Drain, Heard};

/// A drain takes so long at most.
pub(crate) const LONGEST: Duration = Duration::from_hours(24);

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Draining {
    /// When the server stops at the latest, in UTC; nothing if it goes on.
    stops: Option<String>,
    sessions: u64,
    /// When it was to stop until now, if it was to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<String>,
}

impl Draining {
    fn line(out: &mut dyn Write, draining: &Self) -> io::Result<()> {
        let Self { stops, sessions: count, replaced } = draining;
        let sessions = figures::count(*count, "session", "sessions");
        match stops {
            Some(_) if *count == 0 => {
                writeln!(out, "nobody has a session, so the server stops now")
            }
            Some(stops) => writeln!(
                out,
                "{sessions} will end one after the other, and nobody is let in. The server stops when the last \
                 one has ended, at {stops} at the latest. `waxwing-server undrain` before that takes it back"
            ),
            None => writeln!(out, "the server goes on, with {sessions}, and lets people in"),
        }?;
        let before = |stops| writeln!(out, "before, it was to stop at {stops} at the latest");
        replaced.as_ref().map_or(Ok(()), before)
    }
}

// ---- In the server ----

pub(super) fn begin(
    running: &Running,
    caller: Caller,
    over_s: u64,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    if Duration::from_secs(over_s) > LONGEST {
        return Err(Problem::new(Exit::Usage, "a drain takes a day at most").into());
    }
    // A server that stands by listens only afterwards: until then, whoever is sent away has nowhere to go.
    let over_s = if running.configuration.runs().storage.is_shared() { 0 } else { over_s };
    let over = Duration::from_secs(over_s);
    let arguments = Arguments::new().with("over", format_args!("{over_s}s"));
    let sessions = sessions(running);
    let replaced = running.drained_by().map(clock::written);
    // The server stops no sooner than this is answered.
    let (busy, unanswered) = Busy::new(running.shards.ids().count());
    answer.hold(unanswered);
    let (stops, late) = running.act((caller, answer), "drain", arguments, |_| {
        let moment = clock::unix_now().shifted(i64::try_from(over_s).unwrap_or(i64::MAX));
        // Before the first session ends nobody is sent here any more.
        running.set_drained_by(Some(moment));
        let Heard { late, .. } = running.ask_all(|shard, sender| {
            let drain = Drain { over, stops: shard == ShardId::REGISTRAR, busy: busy.clone() };
            runtime::Request::Drain(drain, sender)
        })?;
        let outcome = done("", &late);
        Ok(((clock::written(moment), late), outcome))
    })?;
    item(answer, Draining { stops: Some(stops), sessions, replaced })?;
    expect_all(&late, "nobody is sent away there")
}

pub(super) fn end(
    running: &Running,
    caller: Caller,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    if running.drained_by().is_none() {
        return Err(Problem::new(
            Exit::Failure,
            "the server is not being drained, so there is nothing to take back",
        )
        .into());
    }
    let late = running.act((caller, answer), "undrain", Arguments::new(), |_| {
        (running.listen_again)().map_err(|failure| {
            let message = format!("{failure}; the server goes on to send its sessions away");
            Problem::new(failure.exit(), message)
        })?;
        let Heard { late, .. } = running.ask_all(|_, sender| runtime::Request::Undrain(sender))?;
        running.set_drained_by(None);
        let outcome = done("", &late);
        Ok((late, outcome))
    })?;
    item(answer, Draining { stops: None, sessions: sessions(running), replaced: None })?;
    expect_all(&late, "sessions are still sent away there")
}

fn sessions(running: &Running) -> u64 {
    let loops = running.loops();
    let reports = loops.iter().filter_map(|one| one.last);
    reports.map(|report| report.machine.sessions as u64).sum()
}

// ---- For the operator ----

pub(super) fn run(
    connection: Connection,
    over: Duration,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    paper.act(connection, Request::Drain { over_s: over.as_secs() }, Draining::line)
}

pub(super) fn run_back(connection: Connection, paper: &mut Paper<'_>) -> Result<(), Failure> {
    paper.act(connection, Request::Undrain, Draining::line)
}
