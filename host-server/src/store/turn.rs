//! How a storage takes its turns: what it does with the jobs that have come, and whom it tells.
//!
//! Batches that queue up behind the commit under way go out together in the next one, so the
//! number of fsyncs depends on the speed of the disk, not on the number of batches. Nothing
//! overtakes: a question is answered after every batch given out before it and before every
//! later one. The one exception: while it is not known whether something has happened
//! (`unclear.rs`), everything else is refused at once. There is no thread, clock or channel in here:
//! [`super::StorageThread`] brings them.

use std::ops::RangeBounds;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use waxwing_core::crypto::Digest;
use waxwing_core::id::UserId;
use waxwing_core::server::OwnAccounts;
use waxwing_core::server::storage::{Answer, Ask, Batch, Outcome, Ticket, Write};
use waxwing_core::time::{Instant, UnixTime};

use super::unclear::{self, Unclear, Waiting};
use super::{ApplyError, BanChange, FatePlace, Finding, Inspection, Storage, StorageError};
use crate::exit::Failure;
use crate::histogram::{Numbers, Times};
use crate::offer::Offer;

/// Something that the machine has asked of storage.
#[derive(Clone, Debug)]
pub enum Job {
    /// Changes that happen together or not at all.
    Batch(Arc<Batch>),
    /// A question, with its ticket.
    Ask(Ask),
    /// Something that an operator looks up, and where what is found goes. It changes nothing, and the
    /// server goes on even if it fails.
    Inspect(Inspection, Sender<Result<Finding, Failure>>),
    /// A change of the bans, and who hears how it ended.
    ChangeBans(BanChange, Sender<Result<(), Failure>>),
    /// Another key of the server from this moment on, and who hears how it ended.
    SetServerKey(Digest, UnixTime, Sender<Result<(), Failure>>),
    /// The first step of the end of what is left of a user who was removed, and who hears where it goes on; see
    /// [`super::Personal::erase`].
    ForgetFates(UserId, Option<FatePlace>, Sender<Result<Option<FatePlace>, Failure>>),
    /// The last step, and who hears how it ended.
    Erase(UserId, Sender<Result<(), Failure>>),
    /// One of these, unless whoever asked has taken it back.
    Offered(Offer, Box<Self>),
}

impl Job {
    /// What is to be done now.
    fn begun(self) -> Option<Self> {
        match self {
            Self::Offered(offer, job) => offer.claim().then_some(*job),
            job => Some(job),
        }
    }
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
    Fatal(Failure),
}

/// How a turn is taken.
#[derive(Clone, Debug)]
pub struct TurnOptions {
    /// Batches in one commit at most.
    pub max_group: usize,
    /// Bytes of new letters after which a commit takes no more batches.
    pub max_bytes: usize,
    /// How often free space is measured at most.
    pub disk_interval: Duration,
    /// Accounts of the server itself that storage has at the start: letters to them are not counted.
    pub own_accounts: OwnAccounts,
}

impl Default for TurnOptions {
    fn default() -> Self {
        Self {
            max_group: 1_024,
            max_bytes: 8 << 20,
            disk_interval: Duration::from_secs(1),
            own_accounts: OwnAccounts::default(),
        }
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
    /// Why the last commit was refused, so that the log has one line per change and not
    /// one per batch.
    trouble: Option<String>,
    /// That is over when storage takes what shows it that the server lives. It may take that and no letters.
    beat_heals: bool,
    /// Files may still hold what was deleted.
    untidy: bool,
    /// Something of which it is not known whether it has happened.
    unclear: Option<Unclear>,
    /// When storage was last given something to commit.
    shown_at: Option<Instant>,
    disk: Option<(Instant, u64)>,
    commits: CommitCounts,
}

/// The commits since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// How long they took.
    pub times: Times,
    /// How many new letters were in each, without those to accounts of the server itself.
    pub letters: Numbers,
    /// Why storage did not take the last one, also if that was to show it that the server lives.
    pub trouble: Option<String>,
    /// Why there are no more, so that the server stops.
    pub failed: Option<ApplyError>,
}

/// Where the commits are counted. Whoever reads it waits for no commit.
#[derive(Clone, Debug, Default)]
pub struct CommitCounts(Arc<Mutex<Commits>>);

impl CommitCounts {
    /// What was counted.
    #[must_use]
    pub fn get(&self) -> Commits {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, trouble: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).trouble = trouble;
    }

    fn end(&self, failed: ApplyError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed = Some(failed);
    }

    fn count(&self, took: Duration, letters: u64) {
        let mut commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        commits.times.count_span(took);
        commits.letters.count(letters);
    }
}

/// Batches of one commit, and whose they are.
#[derive(Default)]
pub(super) struct Group {
    pub(super) machines: Vec<usize>,
    batches: Vec<Arc<Batch>>,
}

impl Group {
    /// One of its batches, alone.
    fn only(&self, at: usize) -> Self {
        let machines = self.machines.iter().skip(at).take(1).copied().collect();
        Self { machines, batches: self.batches.iter().skip(at).take(1).cloned().collect() }
    }

    /// How many new letters of people are in it.
    fn letters(&self, own: &mut OwnAccounts) -> u64 {
        let writes = self.batches.iter().flat_map(|batch| &batch.writes);
        let counts = |write: &Write| {
            own.follow(write);
            matches!(write, Write::InsertLetter(letter) if !own.has(letter.recipient))
        };
        writes.map(counts).map(u64::from).sum()
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
        Self {
            storage,
            options,
            trouble: None,
            beat_heals: true,
            untidy: false,
            unclear: None,
            shown_at: None,
            disk: None,
            commits,
        }
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
        self.timeout(now(), reports)?;
        let jobs = jobs.filter_map(|(machine, job)| Some((machine, job.begun()?)));
        let mut jobs = jobs.peekable();
        while let Some((machine, job)) = jobs.next() {
            if self.unclear.is_some() {
                unclear::refuse(machine, job, reports);
                continue;
            }
            match job {
                Job::Batch(batch) => {
                    let mut bytes = bytes_of(&batch);
                    let mut group = Group { machines: vec![machine], batches: vec![batch] };
                    while group.batches.len() < self.options.max_group
                        && bytes < self.options.max_bytes
                        && let Some((machine, Job::Batch(batch))) =
                            jobs.next_if(|(_, job)| matches!(job, Job::Batch(_)))
                    {
                        bytes += bytes_of(&batch);
                        group.machines.push(machine);
                        group.batches.push(batch);
                    }
                    let letters = group.letters(&mut self.options.own_accounts);
                    let (begun, machines) = (now(), group.machines.clone());
                    self.commit(group, begun, reports)?;
                    self.commits.count(now().since(begun), letters);
                    wake(machines, reports);
                }
                Job::Ask(ask) => {
                    let mut machines = vec![machine];
                    self.answer(machine, &ask, now(), reports)?;
                    while self.unclear.is_none()
                        && let Some((machine, Job::Ask(ask))) =
                            jobs.next_if(|(_, job)| matches!(job, Job::Ask(_)))
                    {
                        self.answer(machine, &ask, now(), reports)?;
                        machines.push(machine);
                    }
                    wake(machines, reports);
                }
                Job::Inspect(what, answer) => {
                    let found = what.look(&mut *self.storage);
                    if let Err(damage @ StorageError::Damaged(_)) = &found {
                        tracing::error!(
                            name: "damage_read",
                            %damage,
                            "a command of an operator has read a damaged page of the database; the server goes on, and \
                             stops when it reads that page itself: see \"The database is damaged\" in OPERATING.md"
                        );
                    }
                    let found = found.map_err(Failure::of_storage);
                    // Whoever asked may wait no more.
                    let _ = answer.send(found);
                }
                Job::ChangeBans(change, answer) => {
                    let changed = self.storage.change_bans(&change);
                    self.end(changed, answer, now(), reports)?;
                }
                Job::SetServerKey(key, from, answer) => {
                    let set = self.storage.set_server_key(&key, from);
                    self.end(set, answer, now(), reports)?;
                }
                Job::ForgetFates(user, after, answer) => {
                    self.untidy = true;
                    let forgotten = match self.storage.forget_fates_from(user, after) {
                        Ok(next) => Ok(next),
                        Err(error) => {
                            let why = error.clone().into();
                            self.outcome(error, reports)?;
                            Err(why)
                        }
                    };
                    let _ = answer.send(forgotten);
                }
                Job::Erase(user, answer) => {
                    let erased = self.storage.erase_rest(user);
                    self.end(erased, answer, now(), reports)?;
                }
                // Whatever was begun is none.
                Job::Offered(..) => {}
            }
            self.measure_disk(now(), reports);
        }
        Ok(())
    }

    /// When [`StorageTurns::timeout`] is to be called, if nothing comes before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.unclear {
            Some(unclear) => Some(unclear.ask_at()),
            None => self.beat_at(),
        }
    }

    /// Does what the time has come for: asks whether something unclear has happened, or shows storage
    /// that the server lives.
    ///
    /// # Errors
    /// As [`StorageTurns::serve`].
    pub fn timeout(&mut self, now: Instant, reports: &mut dyn Reports) -> Result<(), Failed> {
        if self.unclear.is_some() {
            return self.resolve(now, reports);
        }
        if self.beat_at().is_some_and(|at| at <= now) {
            self.commit(Group::default(), now, reports)?;
        }
        Ok(())
    }

    fn beat_at(&self) -> Option<Instant> {
        let interval = self.storage.beat_interval()?;
        Some(self.shown_at.map_or_else(Instant::default, |at| at.after(interval)))
    }

    fn resolve(&mut self, now: Instant, reports: &mut dyn Reports) -> Result<(), Failed> {
        let Some(mut unclear) = self.unclear.take_if(|unclear| unclear.ask_at() <= now) else {
            return Ok(());
        };
        match self.storage.resolve() {
            Ok(Some(resolved)) => {
                self.note(None);
                unclear.end(resolved, reports);
            }
            Ok(None) => {
                unclear.go_on(now);
                self.unclear = Some(unclear);
            }
            Err(
                error @ (ApplyError::Unclear(_)
                | ApplyError::Unavailable(_)
                | ApplyError::Away(_)
                | ApplyError::AwaitsStandby
                | ApplyError::Refused(_)),
            ) => {
                self.note(Some(&error));
                unclear.ask_again(now);
                self.unclear = Some(unclear);
            }
            Err(error) => _ = self.outcome(error, reports)?,
        }
        Ok(())
    }

    /// It is not known whether something has happened: `waiting` hears later.
    fn keep(&mut self, waiting: Waiting, why: &ApplyError, now: Instant) {
        self.note(Some(why));
        self.unclear = Some(Unclear::new(waiting, now));
    }

    fn commit(
        &mut self,
        group: Group,
        now: Instant,
        reports: &mut dyn Reports,
    ) -> Result<(), Failed> {
        let is_beat = group.batches.is_empty();
        self.untidy |= !is_beat;
        let applied = self.storage.apply(&group.batches);
        // What storage does not take shows it nothing.
        if is_beat || applied.is_ok() {
            self.shown_at = Some(now);
        }
        match applied {
            Ok(()) => {
                // It may take that alone.
                if !is_beat || self.beat_heals {
                    self.note(None);
                }
                tell_outcome(&group, 0.., Outcome::Done, reports);
            }
            // One that cannot be done must not take down the others.
            Err(ApplyError::Refused(_)) if group.batches.len() > 1 => {
                self.commit_one_by_one(&group, now, reports)?;
            }
            Err(error @ ApplyError::Unclear(_)) => self.keep(Waiting::Group(group), &error, now),
            Err(error) => {
                let outcome = self.outcome(error, reports)?;
                self.beat_heals = is_beat;
                tell_outcome(&group, 0.., outcome, reports);
            }
        }
        Ok(())
    }

    fn commit_one_by_one(
        &mut self,
        group: &Group,
        now: Instant,
        reports: &mut dyn Reports,
    ) -> Result<(), Failed> {
        for (at, batch) in group.batches.iter().enumerate() {
            match self.storage.apply(std::slice::from_ref(batch)) {
                Ok(()) => {
                    self.note(None);
                    tell_outcome(group, at..=at, Outcome::Done, reports);
                }
                Err(error @ ApplyError::Unclear(_)) => {
                    self.keep(Waiting::Group(group.only(at)), &error, now);
                    tell_outcome(group, at + 1.., Outcome::Unavailable, reports);
                    return Ok(());
                }
                Err(error) => {
                    let hopeless = matches!(
                        error,
                        ApplyError::Unavailable(_)
                            | ApplyError::Away(_)
                            | ApplyError::AwaitsStandby
                    );
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
        now: Instant,
        reports: &mut dyn Reports,
    ) -> Result<(), Failed> {
        let answer = match self.storage.answer(&ask.question) {
            Ok(answer) => answer,
            Err(error @ ApplyError::Unclear(_)) => {
                self.keep(Waiting::Question(machine, ask.ticket), &error, now);
                return Ok(());
            }
            Err(error) => {
                self.outcome(error, reports)?;
                Answer::Unavailable
            }
        };
        reports.tell(machine, Done::Answer(ask.ticket, answer));
        Ok(())
    }

    /// Something has ended that an operator has asked for, who hears how.
    fn end(
        &mut self,
        ended: Result<(), ApplyError>,
        answer: Sender<Result<(), Failure>>,
        now: Instant,
        reports: &mut dyn Reports,
    ) -> Result<(), Failed> {
        self.untidy = true;
        let told = match ended {
            Ok(()) => {
                self.note(None);
                Ok(())
            }
            Err(error @ ApplyError::Unclear(_)) => {
                self.keep(Waiting::Operator(answer), &error, now);
                return Ok(());
            }
            Err(error) => {
                let why = error.clone().into();
                self.outcome(error, reports)?;
                Err(why)
            }
        };
        // Whoever asked may wait no more.
        let _ = answer.send(told);
        Ok(())
    }

    /// There has been no job for a while: storage tidies up, until that is done.
    ///
    /// # Errors
    /// As [`StorageTurns::serve`].
    pub fn idle(&mut self, now: Instant, reports: &mut dyn Reports) -> Result<(), Failed> {
        self.timeout(now, reports)?;
        if self.untidy && self.unclear.is_none() {
            match self.storage.tidy() {
                Ok(is_done) => self.untidy = !is_done,
                Err(error @ ApplyError::Unclear(_)) => self.keep(Waiting::Nobody, &error, now),
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
        let failure = error.examined(&mut *self.storage);
        if matches!(failure, ApplyError::Corrupt(_)) {
            tracing::error!(
                name: "database_damaged",
                "a damaged page of the database was read, so the server stops: what is written after that could \
                 spread the damage. A server that is started again serves people until it reads such a page again"
            );
        }
        tracing::error!(name: "storage_failed", reason = %failure, "storage has failed");
        // Whoever is told here ends, and who waits for that one asks why.
        self.commits.end(failure.clone());
        tell_all(&Done::Fatal(failure.into()), reports);
        Err(Failed)
    }

    fn note(&mut self, trouble: Option<&ApplyError>) {
        self.beat_heals = true;
        let why = trouble.map(ToString::to_string);
        if self.trouble == why {
            return;
        }
        match trouble {
            Some(error @ ApplyError::AwaitsStandby) => {
                tracing::warn!(name: "storage_awaits_standby", "{error}");
            }
            Some(error) => {
                tracing::warn!(name: "storage_unavailable", %error, "storage does not take it");
            }
            None => tracing::info!(name: "storage_works_again", "storage works again"),
        }
        self.commits.note(why.clone());
        self.trouble = why;
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

/// Bytes of the new letters in a batch.
fn bytes_of(batch: &Batch) -> usize {
    let bytes = |write: &Write| match write {
        Write::InsertLetter(letter) => letter.packet.len(),
        _ => 0,
    };
    batch.writes.iter().map(bytes).sum()
}

pub(super) fn tell_outcome(
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

pub(super) fn wake(mut machines: Vec<usize>, reports: &mut dyn Reports) {
    machines.sort_unstable();
    machines.dedup();
    machines.into_iter().for_each(|machine| reports.wake(machine));
}
