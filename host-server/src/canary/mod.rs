//! The canary: two accounts of the server itself, of which one writes a letter to the other as people do,
//! over the network, so that an operator hears of trouble before people do.
//!
//! A round connects as the sender, hands in a letter, waits until it is stored, connects as the recipient,
//! takes the letter, acknowledges it, and waits until the sender hears of it (`round.rs`). The recipient is
//! not there before, so that the letter takes the whole way over the disk. The keys of both are files in
//! the data directory (`accounts.rs`).

mod accounts;
mod line;
mod round;
mod talk;
#[cfg(test)]
mod tests;
mod trouble;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use waxwing_core::crypto::Spki;
use waxwing_core::server::ShardId;
use waxwing_core::time::UnixTime;

use crate::admin::audit::AuditLog;
use crate::admin::reports::Reports;
use crate::clock;
use crate::config::Config;
use crate::runtime::{Request, ShardLines};
pub use accounts::strangers;
use accounts::{Accounts, Known};
use round::Round;
pub use trouble::Trouble;

/// A part of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Both accounts are there.
    Account,
    /// The sender has a session.
    Connect,
    /// The letter is sealed, signed, and on its way.
    Send,
    /// The server says that it is stored.
    Store,
    /// The recipient has a session and the letter, and can read it.
    Fetch,
    /// The sender hears that the recipient has acknowledged it.
    Acknowledge,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::Account, Self::Connect, Self::Send, Self::Store, Self::Fetch, Self::Acknowledge];

    /// What metrics and JSON call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Store => "store",
            Self::Fetch => "fetch",
            Self::Acknowledge => "acknowledge",
        }
    }
}

/// How long each stage took.
pub type Times = [Duration; Stage::ALL.len()];

/// How a round has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The letter went all the way.
    Done(Times),
    /// It did not.
    Failed {
        /// How far it came.
        stage: Stage,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The server is in a state in which nobody is served, because the operator wants it so; or all
    /// connections began anew during the round, as its key has changed.
    Skipped(&'static str),
}

/// What is known of the rounds since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// When the last round ended that went all the way.
    pub succeeded: Option<UnixTime>,
    /// How long its stages took.
    pub times: Times,
    /// Rounds that went all the way.
    pub done: u64,
    /// Rounds that were left out.
    pub skipped: u64,
    /// Rounds that failed, by stage.
    pub failures: [u64; Stage::ALL.len()],
    /// That rounds fail; `None` when the last one went all the way.
    pub trouble: Option<Failing>,
}

/// Rounds fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// The first of them ended then.
    pub since: UnixTime,
    /// The last of them ended then.
    pub last: UnixTime,
    /// Where that one failed.
    pub stage: Stage,
    /// Why it failed.
    pub why: String,
}

/// What a round needs to know of its server.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The ways to its shards.
    pub shards: &'a ShardLines,
    /// Where it is noted that an account was removed.
    pub audit: &'a AuditLog,
    /// Where it listens.
    pub listening: &'a [SocketAddr],
    /// Whether a connection from one of its own addresses has to begin with a PROXY header.
    pub is_proxy: &'a dyn Fn(SocketAddr) -> bool,
    /// Whether it lets nobody in at this moment, because it is to stop.
    pub is_drained: &'a dyn Fn() -> bool,
}

impl Place<'_> {
    /// Whether the server stops, or has stopped.
    fn stops(&self) -> bool {
        let (answer, report) = channel();
        self.shards.send(ShardId::REGISTRAR, Request::Report(answer));
        match report.recv_timeout(Reports::PATIENCE) {
            Ok(report) => report.stops,
            Err(error) => error == RecvTimeoutError::Disconnected,
        }
    }
}

/// The canary of a running server.
pub struct Canary {
    data: PathBuf,
    server_key: Mutex<Spki>,
    /// How long each stage may take.
    bound: Duration,
    /// What may be wrong where storage does not take something.
    suspect: &'static str,
    /// Milliseconds; 0 for no rounds by the clock.
    every: AtomicU64,
    /// What rounds leave for the next one. Held while there is one.
    known: Mutex<Option<Known>>,
    state: Mutex<State>,
    /// Tells whoever follows the clock that something has changed.
    changed: Sender<Word>,
    words: Mutex<Option<Receiver<Word>>>,
}

/// What whoever follows the clock is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Changed,
    End,
}

impl Canary {
    /// How long each stage of a round may take.
    const BOUND: Duration = Duration::from_secs(10);

    /// That of a server with this configuration and this public key.
    #[must_use]
    pub fn new(config: &Config, server_key: Spki) -> Self {
        let (changed, words) = channel();
        Self {
            data: config.server.data.clone(),
            server_key: Mutex::new(server_key),
            bound: Self::BOUND,
            suspect: trouble::suspect(config.storage.is_shared()),
            every: AtomicU64::new(millis(config.canary.every)),
            known: Mutex::default(),
            state: Mutex::default(),
            changed,
            words: Mutex::new(Some(words)),
        }
    }

    /// The server has this key from the next round on.
    pub fn trust(&self, server_key: Spki) {
        *self.server_key() = server_key;
    }

    fn server_key(&self) -> MutexGuard<'_, Spki> {
        self.server_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often there is a round by the clock from now on; zero for never.
    pub fn set_every(&self, every: Duration) {
        self.every.store(millis(every), Relaxed);
        // If nobody follows the clock, nobody has to know.
        let _ = self.changed.send(Word::Changed);
    }

    /// How often there is a round by the clock; `None` for never.
    #[must_use]
    pub fn every(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.every.load(Relaxed))).filter(|every| !every.is_zero())
    }

    /// What is known of the rounds.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock_state().clone()
    }

    /// Carries out a round, and notes how it ended. It takes as long as the bounds of its stages at most;
    /// if there is a round already, this one comes after it.
    pub fn round(&self, place: Place<'_>) -> Outcome {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.try_round(place, &mut known);
        self.note(&outcome);
        outcome
    }

    fn try_round(&self, place: Place<'_>, known: &mut Option<Known>) -> Outcome {
        const DRAINED: &str = "the server is being drained, and lets nobody in";
        if (place.is_drained)() {
            return Outcome::Skipped(DRAINED);
        }
        let server_key = self.server_key().clone();
        let failed = |stage, trouble: &Trouble| {
            // A round that the end of the server has met is no failure.
            if (place.is_drained)() {
                return Outcome::Skipped(DRAINED);
            }
            if trouble.is_orderly_stop() || place.stops() {
                return Outcome::Skipped("the server stops");
            }
            if *self.server_key() != server_key {
                return Outcome::Skipped("the server has another key since the round began");
            }
            Outcome::Failed { stage, why: trouble.at(stage, self.bound, self.suspect) }
        };
        let known = match known {
            Some(known) => known,
            None => match Accounts::load(&self.data) {
                Ok(accounts) => known.insert(Known::new(accounts)),
                Err(failure) => return failed(Stage::Account, &Trouble::KeyFile(failure)),
            },
        };
        let mut round = Round::new(place, &server_key, known, self.bound);
        match round.carry_out() {
            Ok(()) => Outcome::Done(round.times()),
            Err((stage, trouble)) => failed(stage, &trouble),
        }
    }

    fn note(&self, outcome: &Outcome) {
        let now = clock::unix_now();
        let mut state = self.lock_state();
        match outcome {
            Outcome::Done(times) => {
                state.done += 1;
                state.times = *times;
                state.succeeded = Some(now);
                if state.trouble.take().is_some() {
                    tracing::warn!(name: "canary_recovered", "letters of the canary arrive again");
                }
            }
            Outcome::Failed { stage, why } => {
                state.failures[*stage as usize] += 1;
                let since = state.trouble.as_ref().map_or(now, |failing| failing.since);
                state.trouble = Some(Failing { since, last: now, stage: *stage, why: why.clone() });
                tracing::warn!(
                    name: "canary_failed", stage = stage.name(), %why,
                    "a letter of the canary did not arrive, so letters of people may not either: \
                     `waxwing-server doctor --live` tries again"
                );
            }
            Outcome::Skipped(why) => {
                state.skipped += 1;
                tracing::debug!(why, "a round of the canary was left out");
            }
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `round` carry out a round when the clock says so, in a thread of its own, until the value is
    /// dropped. It may be asked for once.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn follow_clock(
        self: &Arc<Self>,
        round: impl Fn() + Send + 'static,
    ) -> io::Result<Option<Schedule>> {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(words) = words else { return Ok(None) };
        let canary = Arc::clone(self);
        let thread = Builder::new().name("waxwing-canary".into());
        thread.spawn(move || canary.run(&words, round))?;
        Ok(Some(Schedule { end: self.changed.clone() }))
    }

    fn run(&self, words: &Receiver<Word>, round: impl Fn()) {
        let mut last = None;
        loop {
            let due =
                self.every().map(|every| last.map_or(Duration::ZERO, |last| left(every, last)));
            if due == Some(Duration::ZERO) {
                last = Some(Instant::now());
                round();
            }
            let word = match due {
                Some(due) => words.recv_timeout(due),
                None => words.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match word {
                Ok(Word::Changed) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Word::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

fn left(every: Duration, since: Instant) -> Duration {
    every.saturating_sub(since.elapsed())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Rounds by the clock. They end with this value; one that goes on does not hold anybody up.
pub struct Schedule {
    end: Sender<Word>,
}

impl Drop for Schedule {
    fn drop(&mut self) {
        let _ = self.end.send(Word::End);
    }
}
