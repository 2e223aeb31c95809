//! Pairs under load: several threads, one clock.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use waxwing_aws_lc::AwsLcPublicKey;
use waxwing_core::limits::MAX_WINDOW;

use crate::account::{Account, Spent, Yardstick};
use crate::letters::Stock;
use crate::pair::{Tally, Until};
use crate::population::Person;
use crate::process::Server;
use crate::progress::Progress;
use crate::worker::Worker;

const LONGEST_WARM_UP: Duration = Duration::from_millis(300);
/// How long everything may stand still before the rest is counted as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long everybody may take to connect, with all that is signed meanwhile.
const SET_UP_PATIENCE: Duration = Duration::from_mins(10);
/// How often threads look at the clock and at one another.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

pub(crate) const SETTING_UP: u8 = 0;
const WARMING_UP: u8 = 1;
pub(crate) const MEASURING: u8 = 2;
pub(crate) const ENDING: u8 = 3;

/// Who is there, and what they do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) senders: bool,
    pub(crate) recipients: bool,
    /// Letters of one sender without an answer.
    pub(crate) window: u8,
    /// Letters that a recipient acknowledges at once.
    pub(crate) together: usize,
    /// Letters a second of all pairs together; without one, as fast as it goes.
    pub(crate) rate: Option<f64>,
    pub(crate) until: Until,
    /// It lasts for so long before anything is measured.
    pub(crate) warm_up: Duration,
}

/// What a run has shown.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) spent: Spent,
    /// Letters that were there within its span.
    pub(crate) letters: usize,
    /// In ascending order.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) tally: Tally,
    /// Letters that each pair has sent.
    pub(crate) sent: Vec<usize>,
}

/// From starting a load to measuring it for `span`, where nobody wants another time.
pub(crate) fn warm_up(span: Duration) -> Duration {
    LONGEST_WARM_UP.min(span / 4)
}

/// What the threads share.
pub(crate) struct Shared {
    /// What is going on: one of the numbers above.
    pub(crate) phase: AtomicU8,
    /// Pairs that have their sessions.
    pub(crate) ready: AtomicUsize,
    /// Letters that are there.
    pub(crate) arrived: AtomicUsize,
    /// Whether a sender has nothing left to send, or a thread has failed.
    pub(crate) is_over: AtomicBool,
}

/// How far a load has come.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a>(&'a Shared);

impl Sight<'_> {
    /// Letters that are there.
    pub(crate) fn arrived(self) -> usize {
        self.0.arrived.load(Relaxed)
    }

    /// Whether a sender has nothing left to send, or something has failed.
    pub(crate) fn is_over(self) -> bool {
        self.0.is_over.load(Relaxed)
    }
}

/// The people, the letters, and the server.
pub(crate) struct Stage<'a> {
    pub(crate) people: &'a [Person],
    pub(crate) stock: &'a Stock,
    /// The server, if the bench has started it.
    pub(crate) server: Option<&'a Server>,
    pub(crate) address: SocketAddr,
    pub(crate) server_key: &'static AwsLcPublicKey,
    pub(crate) threads: usize,
    pub(crate) yardstick: Option<Yardstick>,
}

impl Stage<'_> {
    /// Letters are sent and received for `span`, or until a sender has no more. `meanwhile` runs
    /// within that time, and sees how far it has come; the time ends with it if it takes longer.
    pub(crate) fn relay(
        &self,
        load: Load,
        span: Duration,
        meanwhile: impl FnOnce(Sight<'_>) -> Result<()>,
    ) -> Result<Measured> {
        let warm_up = || {
            thread::sleep(load.warm_up);
            Ok(())
        };
        self.relay_after(warm_up, load, span, meanwhile)
    }

    /// The same, where nothing is measured before `begin` has returned.
    pub(crate) fn relay_after(
        &self,
        begin: impl FnOnce() -> Result<()>,
        load: Load,
        span: Duration,
        meanwhile: impl FnOnce(Sight<'_>) -> Result<()>,
    ) -> Result<Measured> {
        self.run(load, &[], |shared, count| {
            shared.phase.store(WARMING_UP, Relaxed);
            begin()?;
            let account = Account::open(self.server, self.yardstick)?;
            let arrived = shared.arrived.load(Relaxed);
            shared.phase.store(MEASURING, Relaxed);
            meanwhile(Sight(shared))?;
            let progress = Progress::new("relaying", count);
            while account.begun().elapsed() < span && !shared.is_over.load(Relaxed) {
                progress.set(shared.arrived.load(Relaxed));
                thread::sleep(LOOK);
            }
            let arrived = shared.arrived.load(Relaxed) - arrived;
            Ok((account.close()?, arrived))
        })
    }

    /// Recipients come back and take what waits: of each pair the number of letters in `sent`.
    pub(crate) fn drain(&self, sent: &[usize]) -> Result<Measured> {
        // Clients collect acknowledgments for as long as they take in a backlog.
        let together = usize::from(MAX_WINDOW / 2);
        let load = Load {
            senders: false,
            recipients: true,
            window: 0,
            together,
            rate: None,
            until: Until::Received,
            warm_up: Duration::ZERO,
        };
        let expected = sent.iter().sum();
        self.run(load, sent, |shared, _| {
            let account = Account::open(self.server, self.yardstick)?;
            shared.phase.store(MEASURING, Relaxed);
            let progress = Progress::new("draining", expected);
            let mut last = (Instant::now(), 0);
            while last.1 < expected && last.0.elapsed() < PATIENCE {
                let arrived = shared.arrived.load(Relaxed);
                if arrived > last.1 {
                    last = (Instant::now(), arrived);
                }
                progress.set(arrived);
                thread::sleep(LOOK);
                if shared.is_over.load(Relaxed) {
                    break;
                }
            }
            let span = last.0.duration_since(account.begun());
            // The last acknowledgments are work for the server, too.
            thread::sleep(20 * LOOK);
            Ok((Spent { span, ..account.close()? }, last.1))
        })
    }

    fn run(
        &self,
        load: Load,
        backlog: &[usize],
        conduct: impl FnOnce(&Shared, usize) -> Result<(Spent, usize)>,
    ) -> Result<Measured> {
        let shared = Shared {
            phase: AtomicU8::new(SETTING_UP),
            ready: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        };
        let pairs: Vec<_> = self.people.chunks_exact(2).zip(&self.stock.pairs).collect();
        let share = pairs.len().div_ceil(self.threads.min(pairs.len()));
        thread::scope(|scope| {
            let threads: Vec<_> = pairs
                .chunks(share)
                .enumerate()
                .map(|(at, pairs)| {
                    let backlog = backlog.get(at * share..).unwrap_or_default();
                    let worker = Worker { stage: self, load, shared: &shared, backlog };
                    scope.spawn(move || {
                        let done = worker.run(pairs);
                        if done.is_err() {
                            worker.shared.is_over.store(true, Relaxed);
                        }
                        done
                    })
                })
                .collect();
            let progress = Progress::new("connecting pairs", pairs.len());
            let begun = Instant::now();
            while shared.ready.load(Relaxed) < pairs.len() && !shared.is_over.load(Relaxed) {
                if begun.elapsed() > SET_UP_PATIENCE {
                    shared.is_over.store(true, Relaxed);
                }
                progress.set(shared.ready.load(Relaxed));
                thread::sleep(LOOK);
            }
            drop(progress);
            let letters = pairs.iter().map(|(_, letters)| letters.len()).sum();
            let measured = if shared.is_over.load(Relaxed) {
                Err(anyhow!("the pairs did not connect"))
            } else {
                conduct(&shared, letters)
            };
            shared.phase.store(ENDING, Relaxed);
            let mut all = (Vec::new(), Tally::default(), Vec::new());
            for thread in threads {
                let (latencies, tallies) = thread.join().map_err(|_| anyhow!("a panic"))??;
                all.0.extend(latencies);
                tallies.iter().for_each(|tally| all.1.add(tally));
                all.2.extend(tallies.iter().map(|tally| tally.sent));
            }
            let (spent, letters) = measured?;
            ensure!(letters > 0, "no letter came in the time that was measured");
            let (mut latencies, tally, sent) = all;
            latencies.sort_unstable();
            Ok(Measured { spent, letters, latencies, tally, sent })
        })
    }
}
