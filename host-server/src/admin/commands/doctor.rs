//! `doctor`: what may be wrong with a server and its machine. `doctor --live`: whether a letter gets all the
//! way.

use std::io::{self, Write};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::control::{Answer, Connection};

use super::super::protocol::{self, Asked, Request, item};
use super::super::running::{Interrupted, Running};
use super::Paper;
use crate::canary::{Outcome, Stage};
use crate::doctor::{CHECKS, Check, Finding, Place, Verdict};
use crate::exit::{Exit, Failure};
use crate::figures;

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Round {
    /// `done`, `failed` or `skipped`.
    result: String,
    /// How long each stage took.
    stages: Vec<Taken>,
    /// Where it failed.
    failed_at: Option<String>,
    /// Why it failed, or was left out.
    why: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Taken {
    stage: String,
    microseconds: u64,
}

impl Round {
    const DONE: &str = "done";
    const FAILED: &str = "failed";
    const SKIPPED: &str = "skipped";

    pub(super) fn of(outcome: Outcome) -> Self {
        let none = |result: &str| Self {
            result: result.into(),
            stages: Vec::new(),
            failed_at: None,
            why: None,
        };
        match outcome {
            Outcome::Done(times) => {
                let taken = |(stage, time): (&Stage, Duration)| Taken {
                    stage: stage.name().into(),
                    microseconds: u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
                };
                let stages = Stage::ALL.iter().zip(times).map(taken).collect();
                Self { stages, ..none(Self::DONE) }
            }
            Outcome::Failed { stage, why } => {
                Self { failed_at: Some(stage.name().into()), why: Some(why), ..none(Self::FAILED) }
            }
            Outcome::Skipped(why) => Self { why: Some(why.into()), ..none(Self::SKIPPED) },
        }
    }

    /// Whether the letter went all the way.
    pub(super) fn is_done(&self) -> bool {
        self.result == Self::DONE
    }

    /// Why it did not.
    pub(super) fn reason(&self) -> String {
        self.why.clone().unwrap_or_default()
    }

    pub(super) fn page(out: &mut dyn Write, round: &Self) -> io::Result<()> {
        for Taken { stage, microseconds } in &round.stages {
            let (ms, hundredths) = (microseconds / 1_000, microseconds % 1_000 / 10);
            writeln!(out, "{stage:<12} {ms:>5}.{hundredths:02} ms")?;
        }
        let why = round.why.as_deref().unwrap_or_default();
        match (&*round.result, &round.failed_at) {
            (Self::DONE, _) => writeln!(out, "a letter went all the way"),
            (Self::SKIPPED, _) => writeln!(out, "no letter was sent: {why}"),
            (_, stage) => {
                let stage = stage.as_deref().unwrap_or_default();
                writeln!(out, "A LETTER DID NOT ARRIVE, at the stage {stage}: {why}")
            }
        }
    }
}

// ---- In the server ----

pub(super) fn live(running: &Running, answer: &mut Answer<'_>) -> Result<(), Interrupted> {
    let (sender, ended) = channel();
    // Whoever waits is told so.
    let round = thread::scope(|scope| {
        scope.spawn(|| sender.send(running.canary_round()));
        running.wait(answer, &ended)
    })?;
    item(answer, Round::of(round))
}

// ---- For the operator ----

/// A check, as the operator reads of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Looked {
    check: &'static str,
    verdict: &'static str,
    found: String,
    /// What to do; nothing if all is well.
    help: Option<String>,
}

impl Looked {
    fn row(out: &mut dyn Write, looked: &Self) -> io::Result<()> {
        let Self { check, verdict, found, help } = looked;
        writeln!(out, "{verdict:<8} {check:<14} {found}")?;
        help.as_ref().map_or(Ok(()), |help| writeln!(out, "{:<23} {help}", ""))
    }
}

/// Looks at everything. It needs no server, and changes nothing.
pub(super) fn run(paper: &mut Paper<'_>) -> Result<(), Failure> {
    let place = Place::new(paper.config);
    let (mut failed, mut unseen) = (0, 0);
    for Check { name, look, .. } in CHECKS {
        let Finding { verdict, found, help, is_for_another } = look(&place);
        failed += u64::from(verdict == Verdict::Fail);
        unseen += u64::from(is_for_another);
        let looked = Looked { check: name, verdict: verdict.name(), found, help };
        paper.write(&looked, Looked::row)?;
    }
    judge(failed, unseen)
}

/// Whoever has looked as another user does not know how the server is.
fn judge(failed: u64, unseen: u64) -> Result<(), Failure> {
    let failed = match failed {
        0 => None,
        failed => Some(format!("{} failed", figures::count(failed, "check has", "checks have"))),
    };
    let unseen = match unseen {
        0 => None,
        unseen => Some(format!(
            "{} not made, since only the user of the server can see that: do this as that user",
            figures::count(unseen, "check was", "checks were")
        )),
    };
    let why: Vec<_> = failed.into_iter().chain(unseen).collect();
    match why.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failure, why.join("; "))),
    }
}

pub(super) fn run_live(connection: Connection, paper: &mut Paper<'_>) -> Result<(), Failure> {
    let round: Round = protocol::ask_one(connection, &Asked::new(paper.config, Request::Canary))?;
    paper.write(&round, Round::page)?;
    match &*round.result {
        Round::DONE => Ok(()),
        Round::SKIPPED => {
            let message = "no letter was sent, so nobody knows whether letters arrive";
            Err(Failure::new(Exit::Failure, message))
        }
        _ => Err(Failure::new(Exit::Failure, "a letter of the canary did not arrive")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_was_not_made_for_want_of_rights_is_no_success() {
        assert!(judge(0, 0).is_ok());
        for (failed, unseen, said) in [
            (1, 0, "1 check has failed"),
            (2, 1, "2 checks have failed; 1 check was not made"),
            (0, 7, "7 checks were not made, since only the user of the server can see that"),
        ] {
            let failure = judge(failed, unseen).unwrap_err();
            assert_eq!(failure.exit(), Exit::Failure);
            assert!(failure.to_string().starts_with(said), "{failure}");
        }
    }
}
