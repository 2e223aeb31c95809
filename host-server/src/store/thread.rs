//! A thread that takes a storage's turns ([`StorageTurns`]) off the event loops. Several machines can
//! share it, each by a [`StorageClient`] of its own.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use waxwing_core::crypto::Digest;
use waxwing_core::id::UserId;
use waxwing_core::time::UnixTime;

use super::turn::{CommitCounts, Commits, Done, Failed, Job, Reports, StorageTurns, TurnOptions};
use super::{BanChange, FatePlace, Finding, Inspection, Storage, StorageError};
use crate::clock::{Clock, SystemClock};
use crate::exit::Failure;
use crate::offer::{Offer, Offered};
use crate::wake::Wake;

/// How the thread behaves.
#[derive(Clone, Debug)]
pub struct ThreadOptions {
    /// How a turn is taken.
    pub turns: TurnOptions,
    /// After this long without a job, storage tidies up.
    pub idle: Duration,
}

impl Default for ThreadOptions {
    fn default() -> Self {
        Self { turns: TurnOptions::default(), idle: Duration::from_secs(5) }
    }
}

/// Where a machine hears of what is done.
pub struct Outlet {
    /// Takes what is done.
    pub done: Sender<Done>,
    /// Wakes its reader afterwards, once per commit or run of answers.
    pub waker: Box<dyn Wake>,
}

/// A machine's way to the thread.
#[derive(Debug)]
pub struct StorageClient {
    machine: usize,
    jobs: Sender<(usize, Job)>,
}

impl StorageClient {
    /// One for the machine with this number. Its jobs go there, with the number.
    #[must_use]
    pub const fn new(machine: usize, jobs: Sender<(usize, Job)>) -> Self {
        Self { machine, jobs }
    }

    /// Queues a job. After [`Done::Fatal`] it goes nowhere. The queue has no bound of its own:
    /// the machine limits what it has under way.
    pub fn send(&self, job: Job) {
        // The receiver is gone only after a fatal failure, which has been told.
        let _ = self.jobs.send((self.machine, job));
    }
}

/// An operator's way to the thread. It does not keep the thread alive.
#[derive(Clone, Debug)]
pub struct Inspector {
    jobs: Weak<Sender<(usize, Job)>>,
    commits: CommitCounts,
    idle: Idle,
}

/// After how many milliseconds without a job storage tidies up.
#[derive(Clone, Debug)]
struct Idle(Arc<AtomicU64>);

impl Idle {
    fn new(idle: Duration) -> Self {
        let new = Self(Arc::default());
        new.set(idle);
        new
    }

    fn set(&self, idle: Duration) {
        self.0.store(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Relaxed))
    }
}

impl Inspector {
    /// Has something looked up. The receiver hears what was found, or the reason why not; it is
    /// disconnected when the thread has ended.
    #[must_use]
    pub fn inspect(&self, what: Inspection) -> Receiver<Result<Finding, Failure>> {
        let (answer, found) = channel();
        if let Some(jobs) = self.jobs.upgrade() {
            // No machine hears of it.
            let _ = jobs.send((usize::MAX, Job::Inspect(what, answer)));
        }
        found
    }

    /// Has storage tidy up after another time without a job; the pause that has begun stays as it is.
    pub fn tidy_after(&self, idle: Duration) {
        self.idle.set(idle);
    }

    /// Has the bans changed. Whoever waits hears how it ended, and nothing when the thread has ended.
    #[must_use]
    pub fn change_bans(&self, change: BanChange) -> Offered<Result<(), Failure>> {
        self.offer(|answer| Job::ChangeBans(change, answer))
    }

    fn offer<T>(&self, job: impl FnOnce(Sender<T>) -> Job) -> Offered<T> {
        let ((sender, answer), offer) = (channel(), Offer::default());
        if let Some(jobs) = self.jobs.upgrade() {
            // No machine hears of it.
            let _ = jobs.send((usize::MAX, Job::Offered(offer.clone(), Box::new(job(sender)))));
        }
        Offered { offer, answer }
    }

    /// Tells storage that it belongs to another key of the server's from this moment on. The receiver hears
    /// how it ended; it is disconnected when the thread has ended.
    #[must_use]
    pub fn set_server_key(&self, key: Digest, now: UnixTime) -> Receiver<Result<(), Failure>> {
        let (answer, ended) = channel();
        if let Some(jobs) = self.jobs.upgrade() {
            // No machine hears of it.
            let _ = jobs.send((usize::MAX, Job::SetServerKey(key, now, answer)));
        }
        ended
    }

    /// Has storage forget some of what is left of a user who was removed. Whoever waits hears where it goes on, and
    /// nothing when the thread has ended.
    #[must_use]
    pub fn forget_fates(
        &self,
        user: UserId,
        after: Option<FatePlace>,
    ) -> Offered<Result<Option<FatePlace>, Failure>> {
        self.offer(|answer| Job::ForgetFates(user, after, answer))
    }

    /// Has storage forget the rest of it. Whoever waits hears how it ended, and nothing when the thread has ended.
    #[must_use]
    pub fn erase(&self, user: UserId) -> Offered<Result<(), Failure>> {
        self.offer(|answer| Job::Erase(user, answer))
    }

    /// The commits since the start. It does not wait for the thread.
    #[must_use]
    pub fn commits(&self) -> Commits {
        self.commits.get()
    }
}

/// A handle on the thread.
#[derive(Debug)]
pub struct StorageThread {
    thread: JoinHandle<Result<(), StorageError>>,
    jobs: Arc<Sender<(usize, Job)>>,
    commits: CommitCounts,
    idle: Idle,
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
        let clients = (0..outlets.len()).map(|machine| StorageClient::new(machine, jobs.clone()));
        let clients = clients.collect();
        let turns = StorageTurns::new(storage, options.turns);
        let commits = turns.commits();
        let idle = Idle::new(options.idle);
        let pause = idle.clone();
        let thread = Builder::new()
            .name("waxwing-storage".into())
            .spawn(move || run(turns, &pause, Outlets(outlets), &queue))?;
        Ok((Self { thread, jobs: Arc::new(jobs), commits, idle }, clients))
    }

    /// A way for an operator to look things up.
    #[must_use]
    pub fn inspector(&self) -> Inspector {
        let Self { jobs, commits, idle, .. } = self;
        Inspector { jobs: Arc::downgrade(jobs), commits: commits.clone(), idle: idle.clone() }
    }

    /// Waits, once all clients are dropped, until everything queued is done and storage is closed.
    ///
    /// # Errors
    /// When storage could not be closed in good order.
    pub fn shut_down(self) -> Result<(), StorageError> {
        let Self { thread, jobs, .. } = self;
        drop(jobs);
        match thread.join() {
            Ok(closed) => closed,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Where the machines hear, in order.
struct Outlets(Vec<Outlet>);

impl Reports for Outlets {
    fn machines(&self) -> usize {
        self.0.len()
    }

    fn tell(&mut self, machine: usize, done: Done) {
        if let Some(outlet) = self.0.get(machine) {
            // Whoever shuts down may have stopped listening.
            let _ = outlet.done.send(done);
        }
    }

    fn wake(&mut self, machine: usize) {
        if let Some(outlet) = self.0.get(machine) {
            outlet.waker.wake();
        }
    }
}

fn run(
    mut turns: StorageTurns,
    idle: &Idle,
    mut outlets: Outlets,
    queue: &Receiver<(usize, Job)>,
) -> Result<(), StorageError> {
    let clock = SystemClock::start();
    let now = || clock.now().instant;
    turns.measure_disk(now(), &mut outlets);
    let mut idle_at = now().after(idle.get());
    loop {
        let until = turns.poll_timeout().map_or(idle_at, |at| at.min(idle_at));
        let served = match queue.recv_timeout(until.since(now())) {
            Ok(job) => {
                let jobs = std::iter::once(job).chain(queue.try_iter());
                let served = turns.serve(jobs, &now, &mut outlets);
                idle_at = now().after(idle.get());
                served
            }
            Err(RecvTimeoutError::Timeout) if now() < idle_at => turns.timeout(now(), &mut outlets),
            Err(RecvTimeoutError::Timeout) => {
                let tidied = turns.idle(now(), &mut outlets);
                idle_at = now().after(idle.get());
                tidied
            }
            // What was queued before the other end went away has been received by now.
            Err(RecvTimeoutError::Disconnected) => return turns.close(),
        };
        if let Err(Failed) = served {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
