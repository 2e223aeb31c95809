//! How a storage takes its turns: what it does with the jobs that have come, and whom it tells.
//!
//! Batches that queue up behind the commit under way go out together in the next one, so the
//! number of fsyncs depends on the speed of the disk, not on the number of batches. Nothing
//! overtakes: a question is answered after every batch given out before it and before every
//! later one. There is no thread, clock or channel in here: [`super::StorageThread`] brings them.

use std::ops::RangeBounds;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use waxwing_core::crypto::Digest;
use waxwing_core::id::UserId;
use waxwing_core::server::storage::{Answer, Ask, Batch, Outcome, Ticket, Write};
use waxwing_core::time::{Instant, UnixTime};

use super::{ApplyError, BanChange, Finding, Inspection, Storage, StorageError};
use crate::histogram::{Numbers, Times};

/// Something that the machine has asked of storage.
#[derive(Clone, Debug)]
pub enum Job {
    /// Changes that happen together or not at all.
    Batch(Arc<Batch>),
    /// A question, with its ticket.
    Ask(Ask),
    /// Something that an operator looks up, and where what is found goes. It changes nothing, and the
    /// server goes on even if it fails.
    Inspect(Inspection, Sender<Result<Finding, String>>),
    /// A change of the bans, and who hears how it ended.
    ChangeBans(BanChange, Sender<Result<(), String>>),
    /// Another key of the server from this moment on, and who hears how it ended.
    SetServerKey(Digest, UnixTime, Sender<Result<(), String>>),
    /// The end of what is left of a user who was removed, and who hears how it ended.
    Erase(UserId, Sender<Result<(), String>>),
}

/// Something that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// How a batch ended.
    Batch(Ticket, Outcome),
    /// The answer to a question.
    Answer(Ticket, Answer),
    /// Bytes that new letters may still take up; said at the start and when it has changed.
    FreeDisk(u64),
    /// Storage has failed and the thread has ended. The process has to stop.
    Fatal(String),
}

/// How a turn is taken.
#[derive(Clone, Copy, Debug)]
pub struct TurnOptions {
    /// Batches in one commit at most.
    pub max_group: usize,
    /// How often free space is measured at most.
    pub disk_interval: Duration,
}

impl Default for TurnOptions {
    fn default() -> Self {
        Self { max_group: 1_024, disk_interval: Duration::from_secs(1) }
    }
}

/// Who hears of what is done. Machines have the numbers from 0 on.
pub trait Reports {
    /// How many machines there are.
    fn machines(&self) -> usize;

    /// Something is done for a machine.
    fn tell(&mut self, machine: usize, done: Done);

    /// A machine was told all that one commit, or a run of answers, had for it.
    fn wake(&mut self, machine: usize);
}

/// A storage, and what it has to remember between its turns.
pub struct StorageTurns {
    storage: Box<dyn Storage>,
    options: TurnOptions,
    /// Whether the last commit was refused, so that the log has one line per change and not
    /// one per batch.
    in_trouble: bool,
    /// Files may still hold what was deleted.
    untidy: bool,
    disk: Option<(Instant, u64)>,
    commits: CommitCounts,
}

/// The commits since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// How long they took.
    pub times: Times,
    /// How many new letters were in each.
    pub letters: Numbers,
}

/// Where the commits are counted. Whoever reads it waits for no commit.
#[derive(Clone, Debug, Default)]
pub struct CommitCounts(Arc<Mutex<Commits>>);

impl CommitCounts {
    /// What was counted.
    #[must_use]
    pub fn get(&self) -> Commits {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, took: Duration, letters: u64) {
        let mut commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        commits.times.count_span(took);
        commits.letters.count(letters);
    }
}

/// Batches of one commit, and whose they are.
struct Group {
    machines: Vec<usize>,
    batches: Vec<Arc<Batch>>,
}

impl Group {
    /// How many new letters are in it.
    fn letters(&self) -> u64 {
        let writes = self.batches.iter().flat_map(|batch| &batch.writes);
        writes.filter(|write| matches!(write, Write::InsertLetter(_))).count() as u64
    }
}

/// Storage has failed for good, and everybody has been told ([`Done::Fatal`]).
#[derive(Debug)]
pub struct Failed;

impl StorageTurns {
    /// A storage that has had no turn yet.
    #[must_use]
    pub fn new(storage: Box<dyn Storage>, options: TurnOptions) -> Self {
        let commits = CommitCounts::default();
        Self { storage, options, in_trouble: false, untidy: false, disk: None, commits }
    }

    /// Where its commits are counted.
    #[must_use]
    pub fn commits(&self) -> CommitCounts {
        self.commits.clone()
    }

    /// Puts everything in order and lets go.
    ///
    /// # Errors
    /// When that fails. What was confirmed is safe all the same.
    pub fn close(self) -> Result<(), StorageError> {
        self.storage.close()
    }

    /// Does all these jobs, each with the number of the machine that it is for. Free space is
    /// measured after each commit and each run of answers.
    ///
    /// # Errors
    /// [`Failed`]: this was the last turn.
    pub fn serve(
        &mut self,
        jobs: impl Iterator<Item = (usize, Job)>,
        now: &dyn Fn() -> Instant,
        reports: &mut dyn Reports,
    ) -> Result<(), Failed> {
        let mut jobs = jobs.peekable();
        while let Some((machine, job)) = jobs.next() {
            match job {
                Job::Batch(batch) => {
                    let mut group = Group { machines: vec![machine], batches: vec![batch] };
                    while group.batches.len() < self.options.max_group
                        && let Some((machine, Job::Batch(batch))) =
                            jobs.next_if(|(_, job)| matches!(job, Job::Batch(_)))
                    {
                        group.machines.push(machine);
                        group.batches.push(batch);
                    }
                    let begun = now();
                    self.commit(&group, reports)?;
                    self.commits.count(now().since(begun), group.letters());
                    wake(group.machines, reports);
                }
                Job::Ask(ask) => {
                    let mut machines = vec![machine];
                    self.answer(machine, &ask, reports)?;
                    while let Some((machine, Job::Ask(ask))) =
                        jobs.next_if(|(_, job)| matches!(job, Job::Ask(_)))
                    {
                        self.answer(machine, &ask, reports)?;
                        machines.push(machine);
                    }
                    wake(machines, reports);
                }
                Job::Inspect(what, answer) => {
                    let found = what.look(&mut *self.storage).map_err(|error| error.to_string());
                    // Whoever asked may wait no more.
                    let _ = answer.send(found);
                }
                Job::ChangeBans(change, answer) => {
                    let changed = self.storage.change_bans(&change);
                    let _ = answer.send(self.ended(changed, reports)?);
                }
                Job::SetServerKey(key, now, answer) => {
                    let set = self.storage.set_server_key(&key, now);
                    let _ = answer.send(self.ended(set, reports)?);
                }
                Job::Erase(user, answer) => {
                    let erased = self.storage.erase(user);
                    let _ = answer.send(self.ended(erased, reports)?);
                }
            }
            self.measure_disk(now(), reports);
        }
        Ok(())
    }

    fn commit(&mut self, group: &Group, reports: &mut dyn Reports) -> Result<(), Failed> {
        self.untidy = true;
        match self.storage.apply(&group.batches) {
            Ok(()) => {
                self.note(None);
                tell_outcome(group, 0.., Outcome::Done, reports);
                Ok(())
            }
            // One that cannot be done must not take down the others.
            Err(ApplyError::Refused(_)) if group.batches.len() > 1 => {
                self.commit_one_by_one(group, reports)
            }
            Err(error) => {
                let outcome = self.outcome(error, reports)?;
                tell_outcome(group, 0.., outcome, reports);
                Ok(())
            }
        }
    }

    fn commit_one_by_one(
        &mut self,
        group: &Group,
        reports: &mut dyn Reports,
    ) -> Result<(), Failed> {
        for (at, batch) in group.batches.iter().enumerate() {
            match self.storage.apply(std::slice::from_ref(batch)) {
                Ok(()) => {
                    self.note(None);
                    tell_outcome(group, at..=at, Outcome::Done, reports);
                }
                Err(error) => {
                    let hopeless = matches!(error, ApplyError::Unavailable(_));
                    let outcome = self.outcome(error, reports)?;
                    if hopeless {
                        tell_outcome(group, at.., outcome, reports);
                        return Ok(());
                    }
                    tell_outcome(group, at..=at, outcome, reports);
                }
            }
        }
        Ok(())
    }

    fn answer(
        &mut self,
        machine: usize,
        ask: &Ask,
        reports: &mut dyn Reports,
    ) -> Result<(), Failed> {
        let answer = match self.storage.answer(&ask.question) {
            Ok(answer) => answer,
            Err(error) => {
                self.outcome(error, reports)?;
                Answer::Unavailable
            }
        };
        reports.tell(machine, Done::Answer(ask.ticket, answer));
        Ok(())
    }

    /// How something has ended that an operator has asked for.
    fn ended(
        &mut self,
        ended: Result<(), ApplyError>,
        reports: &mut dyn Reports,
    ) -> Result<Result<(), String>, Failed> {
        self.untidy = true;
        let Err(error) = ended else {
            self.note(None);
            return Ok(Ok(()));
        };
        let why = error.to_string();
        self.outcome(error, reports)?;
        Ok(Err(why))
    }

    /// There has been no job for a while: storage tidies up, until that is done.
    ///
    /// # Errors
    /// As [`StorageTurns::serve`].
    pub fn idle(&mut self, now: Instant, reports: &mut dyn Reports) -> Result<(), Failed> {
        if self.untidy {
            match self.storage.tidy() {
                Ok(is_done) => self.untidy = !is_done,
                Err(error) => _ = self.outcome(error, reports)?,
            }
        }
        self.measure_disk(now, reports);
        Ok(())
    }

    fn outcome(&mut self, error: ApplyError, reports: &mut dyn Reports) -> Result<Outcome, Failed> {
        if let Some(outcome) = error.outcome() {
            self.note(Some(&error));
            return Ok(outcome);
        }
        let mut reason = error.to_string();
        if matches!(error, ApplyError::Corrupt(_)) {
            if let Err(damage) = self.storage.check() {
                reason = format!("{reason}; a full check says: {damage}");
            }
            tracing::error!(name: "database_damaged", "to keep what can be read of the database, start once with --recover");
        }
        tracing::error!(name: "storage_failed", reason, "storage has failed");
        tell_all(&Done::Fatal(reason), reports);
        Err(Failed)
    }

    fn note(&mut self, trouble: Option<&ApplyError>) {
        match trouble {
            Some(error) if !self.in_trouble => {
                tracing::warn!(name: "storage_unavailable", %error, "storage does not take it");
            }
            None if self.in_trouble => {
                tracing::info!(name: "storage_works_again", "storage works again");
            }
            _ => {}
        }
        self.in_trouble = trouble.is_some();
    }

    /// Measures free space if it is time, and tells everybody when it has changed.
    pub fn measure_disk(&mut self, now: Instant, reports: &mut dyn Reports) {
        let interval = self.options.disk_interval;
        if self.disk.is_some_and(|(at, _)| now < at.after(interval)) {
            return;
        }
        if let Some(free) = self.storage.free_disk() {
            let known = self.disk.replace((now, free));
            if known.is_none_or(|(_, before)| before != free) {
                tell_all(&Done::FreeDisk(free), reports);
            }
        }
    }
}

fn tell_outcome(
    group: &Group,
    which: impl RangeBounds<usize>,
    outcome: Outcome,
    reports: &mut dyn Reports,
) {
    let told = group.machines.iter().zip(&group.batches).enumerate();
    for (_, (machine, batch)) in told.filter(|(at, _)| which.contains(at)) {
        reports.tell(*machine, Done::Batch(batch.ticket, outcome));
    }
}

fn tell_all(done: &Done, reports: &mut dyn Reports) {
    for machine in 0..reports.machines() {
        reports.tell(machine, done.clone());
        reports.wake(machine);
    }
}

fn wake(mut machines: Vec<usize>, reports: &mut dyn Reports) {
    machines.sort_unstable();
    machines.dedup();
    machines.into_iter().for_each(|machine| reports.wake(machine));
}
