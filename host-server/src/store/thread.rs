//! A thread that carries out what a server machine asks of storage.
//!
//! Batches that queue up behind the commit under way go out together in the next one, so the
//! number of fsyncs depends on the speed of the disk, not on the number of batches. Nothing
//! overtakes: a question is answered after every batch given out before it and before every
//! later one. Several machines can share the thread, each by a [`StorageClient`] of its own.

use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use waxwing_core::server::storage::{Answer, Ask, Batch, Outcome, Ticket};

use super::{ApplyError, Storage, StorageError};

/// Something to do.
#[derive(Clone, Debug)]
pub enum Job {
    /// Changes.
    Batch(Arc<Batch>),
    /// A question.
    Ask(Ask),
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

/// How the thread behaves.
#[derive(Clone, Copy, Debug)]
pub struct ThreadOptions {
    /// Batches in one commit at most.
    pub max_group: usize,
    /// After this long without a job, storage tidies up.
    pub idle: Duration,
    /// How often free space is measured at most.
    pub disk_interval: Duration,
}

impl Default for ThreadOptions {
    fn default() -> Self {
        Self {
            max_group: 1_024,
            idle: Duration::from_secs(5),
            disk_interval: Duration::from_secs(1),
        }
    }
}

/// Where a machine hears of what is done.
pub struct Outlet {
    /// Takes what is done.
    pub done: Sender<Done>,
    /// Is called afterwards, once per commit or run of answers.
    pub wake: Box<dyn Fn() + Send>,
}

/// A machine's way to the thread.
#[derive(Debug)]
pub struct StorageClient {
    machine: usize,
    jobs: Sender<(usize, Job)>,
}

impl StorageClient {
    /// Queues a job. After [`Done::Fatal`] it goes nowhere. The queue has no bound of its own:
    /// the machine limits what it has under way.
    pub fn send(&self, job: Job) {
        // The receiver is gone only after a fatal failure, which has been told.
        let _ = self.jobs.send((self.machine, job));
    }
}

/// A handle on the thread.
#[derive(Debug)]
pub struct StorageThread {
    thread: JoinHandle<Result<(), StorageError>>,
}

impl StorageThread {
    /// Starts the thread, with a client for each outlet. It runs as long as one of them lives.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(
        storage: Box<dyn Storage>,
        options: ThreadOptions,
        outlets: Vec<Outlet>,
    ) -> io::Result<(Self, Vec<StorageClient>)> {
        let (jobs, queue) = channel();
        let clients =
            (0..outlets.len()).map(|machine| StorageClient { machine, jobs: jobs.clone() });
        let clients = clients.collect();
        let worker =
            Worker { storage, options, outlets, in_trouble: false, untidy: false, disk: None };
        let thread =
            Builder::new().name("waxwing-storage".into()).spawn(move || worker.run(&queue))?;
        Ok((Self { thread }, clients))
    }

    /// Waits, once all clients are dropped, until everything queued is done and storage is closed.
    ///
    /// # Errors
    /// When storage could not be closed in good order.
    pub fn shut_down(self) -> Result<(), StorageError> {
        match self.thread.join() {
            Ok(closed) => closed,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

struct Worker {
    storage: Box<dyn Storage>,
    options: ThreadOptions,
    outlets: Vec<Outlet>,
    /// Whether the last commit was refused, so that the log has one line per change and not
    /// one per batch.
    in_trouble: bool,
    untidy: bool,
    disk: Option<(Instant, u64)>,
}

/// Batches of one commit, and whose they are.
struct Group {
    machines: Vec<usize>,
    batches: Vec<Arc<Batch>>,
}

/// Storage has failed, and everyone has been told.
struct Failed;

impl Worker {
    fn run(mut self, queue: &Receiver<(usize, Job)>) -> Result<(), StorageError> {
        self.measure_disk();
        loop {
            let served = match queue.recv_timeout(self.options.idle) {
                Ok(job) => self.serve(job, queue),
                Err(RecvTimeoutError::Timeout) => self.idle(),
                // What was queued before the other end went away has been received by now.
                Err(RecvTimeoutError::Disconnected) => return self.storage.close(),
            };
            if let Err(Failed) = served {
                return Ok(());
            }
        }
    }

    /// Does `first` and everything that is queued behind it by now.
    fn serve(&mut self, first: (usize, Job), queue: &Receiver<(usize, Job)>) -> Result<(), Failed> {
        let mut jobs = std::iter::once(first).chain(queue.try_iter()).peekable();
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
                    self.commit(&group)?;
                    self.wake(group.machines);
                }
                Job::Ask(ask) => {
                    let mut machines = vec![machine];
                    self.answer(machine, &ask)?;
                    while let Some((machine, Job::Ask(ask))) =
                        jobs.next_if(|(_, job)| matches!(job, Job::Ask(_)))
                    {
                        self.answer(machine, &ask)?;
                        machines.push(machine);
                    }
                    self.wake(machines);
                }
            }
            self.measure_disk();
        }
        Ok(())
    }

    fn commit(&mut self, group: &Group) -> Result<(), Failed> {
        self.untidy = true;
        match self.storage.apply(&group.batches) {
            Ok(()) => {
                self.note(None);
                self.tell_outcome(group, 0.., Outcome::Done);
                Ok(())
            }
            // One that cannot be done must not take down the others.
            Err(ApplyError::Refused(_)) if group.batches.len() > 1 => self.commit_one_by_one(group),
            Err(error) => {
                let outcome = self.outcome(error)?;
                self.tell_outcome(group, 0.., outcome);
                Ok(())
            }
        }
    }

    fn commit_one_by_one(&mut self, group: &Group) -> Result<(), Failed> {
        for (at, batch) in group.batches.iter().enumerate() {
            match self.storage.apply(std::slice::from_ref(batch)) {
                Ok(()) => {
                    self.note(None);
                    self.tell_outcome(group, at..=at, Outcome::Done);
                }
                Err(error) => {
                    let hopeless = matches!(error, ApplyError::Unavailable(_));
                    let outcome = self.outcome(error)?;
                    if hopeless {
                        self.tell_outcome(group, at.., outcome);
                        return Ok(());
                    }
                    self.tell_outcome(group, at..=at, outcome);
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, machine: usize, ask: &Ask) -> Result<(), Failed> {
        let answer = match self.storage.answer(&ask.question) {
            Ok(answer) => answer,
            Err(error) => {
                self.outcome(error)?;
                Answer::Unavailable
            }
        };
        self.tell(machine, Done::Answer(ask.ticket, answer));
        Ok(())
    }

    fn idle(&mut self) -> Result<(), Failed> {
        if std::mem::take(&mut self.untidy)
            && let Err(error) = self.storage.tidy()
        {
            self.outcome(error)?;
        }
        self.measure_disk();
        Ok(())
    }

    fn outcome(&mut self, error: ApplyError) -> Result<Outcome, Failed> {
        if let Some(outcome) = error.outcome() {
            self.note(Some(&error));
            return Ok(outcome);
        }
        let mut reason = error.to_string();
        if matches!(error, ApplyError::Corrupt(_)) {
            if let Err(damage) = self.storage.check() {
                reason = format!("{reason}; a full check says: {damage}");
            }
            tracing::error!("to keep what can be read of the database, start once with --recover");
        }
        tracing::error!(reason, "storage has failed");
        self.tell_all(&Done::Fatal(reason));
        Err(Failed)
    }

    fn note(&mut self, trouble: Option<&ApplyError>) {
        match trouble {
            Some(error) if !self.in_trouble => tracing::warn!(%error, "storage does not take it"),
            None if self.in_trouble => tracing::info!("storage works again"),
            _ => {}
        }
        self.in_trouble = trouble.is_some();
    }

    fn measure_disk(&mut self) {
        let due = self.disk.is_none_or(|(at, _)| at.elapsed() >= self.options.disk_interval);
        if !due {
            return;
        }
        if let Some(free) = self.storage.free_disk() {
            let known = self.disk.replace((Instant::now(), free));
            if known.is_none_or(|(_, before)| before != free) {
                self.tell_all(&Done::FreeDisk(free));
            }
        }
    }

    fn tell_outcome(&self, group: &Group, which: impl RangeBounds<usize>, outcome: Outcome) {
        let told = group.machines.iter().zip(&group.batches).enumerate();
        for (_, (machine, batch)) in told.filter(|(at, _)| which.contains(at)) {
            self.tell(*machine, Done::Batch(batch.ticket, outcome));
        }
    }

    fn tell_all(&self, done: &Done) {
        for machine in 0..self.outlets.len() {
            self.tell(machine, done.clone());
        }
        self.wake((0..self.outlets.len()).collect());
    }

    fn tell(&self, machine: usize, done: Done) {
        if let Some(outlet) = self.outlets.get(machine) {
            // Whoever shuts down may have stopped listening.
            let _ = outlet.done.send(done);
        }
    }

    fn wake(&self, mut machines: Vec<usize>) {
        machines.sort_unstable();
        machines.dedup();
        for outlet in machines.into_iter().filter_map(|machine| self.outlets.get(machine)) {
            (outlet.wake)();
        }
    }
}

#[cfg(test)]
mod tests;
