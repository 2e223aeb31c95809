//! What is kept while it is not known whether it has happened: who waits for it, and when to ask again.

use std::sync::mpsc::Sender;
use std::time::Duration;

use waxwing_core::server::storage::{Answer, Outcome, Ticket};
use waxwing_core::time::Instant;

use super::Resolved;
use super::turn::{Done, Group, Job, Reports, tell_outcome, wake};
use crate::exit::{Exit, Failure};

/// What an operator hears who wants something of a storage that has something unclear.
const UNKNOWN: &str = "storage is not available: it is not known yet whether the last changes have happened; \
                       try again later";
/// What an operator hears whose own change was unclear.
const NOT_DONE: &str = "storage was not available: nothing has changed; try again";

/// Who waits to hear whether something has happened.
pub(super) enum Waiting {
    /// The machines of these batches.
    Group(Group),
    /// The machine with this number, for the answer to this question.
    Question(usize, Ticket),
    /// An operator.
    Operator(Sender<Result<(), Failure>>),
    /// Nobody.
    Nobody,
}

/// Something of which it is not known whether it has happened.
pub(super) struct Unclear {
    waiting: Waiting,
    ask_at: Instant,
}

impl Unclear {
    /// Between two attempts to find out.
    const PAUSE: Duration = Duration::from_millis(500);
    /// Between two steps of an attempt, so that whoever asks for something else hears meanwhile that
    /// nothing can be done.
    const STEP: Duration = Duration::from_millis(1);

    /// The first attempt can be made at once.
    pub(super) const fn new(waiting: Waiting, now: Instant) -> Self {
        Self { waiting, ask_at: now }
    }

    /// When storage is asked.
    pub(super) const fn ask_at(&self) -> Instant {
        self.ask_at
    }

    /// The answer is under way: storage goes on with the attempt.
    pub(super) fn go_on(&mut self, now: Instant) {
        self.ask_at = now.after(Self::STEP);
    }

    /// It could not be said: storage is asked again after a pause.
    pub(super) fn ask_again(&mut self, now: Instant) {
        self.ask_at = now.after(Self::PAUSE);
    }

    /// Whoever waits hears what has become of it.
    pub(super) fn end(self, resolved: Resolved, reports: &mut dyn Reports) {
        match (self.waiting, resolved) {
            (Waiting::Group(group), resolved) => {
                let outcome = match resolved {
                    Resolved::Done(_) => Outcome::Done,
                    Resolved::NotDone => Outcome::Unavailable,
                };
                tell_outcome(&group, 0.., outcome, reports);
                wake(group.machines, reports);
            }
            (Waiting::Question(machine, ticket), resolved) => {
                let answer = match resolved {
                    Resolved::Done(answer) => answer.unwrap_or(Answer::Unavailable),
                    Resolved::NotDone => Answer::Unavailable,
                };
                reports.tell(machine, Done::Answer(ticket, answer));
                reports.wake(machine);
            }
            (Waiting::Operator(answer), resolved) => {
                let told = match resolved {
                    Resolved::Done(_) => Ok(()),
                    Resolved::NotDone => Err(away(NOT_DONE)),
                };
                // Whoever asked may wait no more.
                let _ = answer.send(told);
            }
            (Waiting::Nobody, _) => {}
        }
    }
}

/// Only a database server leaves something unclear.
fn away(why: &str) -> Failure {
    Failure::new(Exit::Network, why)
}

/// Says at once that a job cannot be done now.
pub(super) fn refuse(machine: usize, job: Job, reports: &mut dyn Reports) {
    match job {
        Job::Batch(batch) => {
            reports.tell(machine, Done::Batch(batch.ticket, Outcome::Unavailable));
            reports.wake(machine);
        }
        Job::Ask(ask) => {
            reports.tell(machine, Done::Answer(ask.ticket, Answer::Unavailable));
            reports.wake(machine);
        }
        // Whoever asked may wait no more.
        Job::Inspect(_, answer) => drop(answer.send(Err(away(UNKNOWN)))),
        Job::ChangeBans(_, answer) | Job::SetServerKey(_, _, answer) | Job::Erase(_, answer) => {
            drop(answer.send(Err(away(UNKNOWN))));
        }
        Job::ForgetFates(_, _, answer) => drop(answer.send(Err(away(UNKNOWN)))),
        Job::Offered(_, job) => refuse(machine, *job, reports),
    }
}
