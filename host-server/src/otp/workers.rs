//! Threads that deliver codes, a few at a time: what the ways that have to wait have in common.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use waxwing_core::phone::{Otp, Phone};

use super::{DeliveryError, DeliveryTicket, Report};

/// Threads that wait for codes, and the codes that wait for a thread. When they are dropped, what waits is
/// not begun any more.
pub(super) struct Workers {
    jobs: Option<SyncSender<Job>>,
    report: Report,
    ending: Arc<Ending>,
    threads: Vec<JoinHandle<()>>,
}

/// A code, and where it is to go.
pub(super) struct Job {
    ticket: DeliveryTicket,
    pub(super) phone: Phone,
    pub(super) code: Otp,
}

/// Whether the server ends. A server that ends forgets its codes.
#[derive(Default)]
pub(super) struct Ending(AtomicBool);

impl Ending {
    pub(super) fn has_begun(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// How a way delivers one code, in a thread that has nothing else to do.
pub(super) type Deliver = dyn Fn(&Job, &Ending) -> Result<(), DeliveryError> + Send + Sync;

impl Workers {
    /// Starts so many threads, for which at most `queue` codes wait.
    pub(super) fn start(
        threads: usize,
        queue: usize,
        report: &Report,
        deliver: Arc<Deliver>,
    ) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(queue);
        let waiting = Arc::new(Mutex::new(waiting));
        let ending = Arc::new(Ending::default());
        let mut workers =
            Self { jobs: Some(jobs), report: report.clone(), ending, threads: Vec::new() };
        for _ in 0..threads {
            let (waiting, report) = (waiting.clone(), report.clone());
            let (ending, deliver) = (workers.ending.clone(), deliver.clone());
            let work = move || {
                while let Some(job) = next(&waiting) {
                    let result = match ending.has_begun() {
                        true => Err(DeliveryError::Ending),
                        false => deliver(&job, &ending),
                    };
                    report(job.ticket, result);
                }
            };
            workers.threads.push(thread::Builder::new().name("waxwing-otp".into()).spawn(work)?);
        }
        Ok(workers)
    }

    /// Has a thread deliver the code; if too many wait, it is reported at once.
    pub(super) fn deliver(&self, ticket: DeliveryTicket, phone: &Phone, code: &Otp) {
        let job = Job { ticket, phone: *phone, code: code.clone() };
        let Some(jobs) = &self.jobs else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = jobs.try_send(job) {
            (self.report)(ticket, Err(DeliveryError::Busy));
        }
    }

    /// Takes no more codes. Those that it has are still delivered.
    pub(super) fn retire(&mut self) {
        self.jobs = None;
    }

    /// Whether there is nothing more to do, once it has retired.
    pub(super) fn are_done(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Begins nothing any more, and waits until all that was begun has ended.
    pub(super) fn finish(&mut self) {
        self.end();
        for thread in self.threads.drain(..) {
            // One that has panicked has taken the process down.
            let _ = thread.join();
        }
    }

    fn end(&mut self) {
        self.ending.0.store(true, Relaxed);
        self.jobs = None;
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.end();
    }
}

fn next(waiting: &Mutex<Receiver<Job>>) -> Option<Job> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
