//! Pairs under load: many in one thread, several threads, one clock.

use std::iter;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use mio::{Events, Poll, Token};
use rand_chacha::ChaCha20Rng;
use waxwing_aws_lc::AwsLcPublicKey;
use waxwing_server::backend;

use crate::letters::{Letter, Stock};
use crate::line::Line;
use crate::pair::{Pair, Tally, Until};
use crate::people::Person;
use crate::process::Server;
use crate::progress::Progress;
use crate::recipient::Recipient;

const LONGEST_WARM_UP: Duration = Duration::from_millis(300);
/// How long everything may stand still before the rest is counted as lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often threads look at the clock and at one another.
const LOOK: Duration = Duration::from_millis(5);
/// How often letters are sent that go out at a rate.
const TICK: Duration = Duration::from_millis(1);

const SETTING_UP: u8 = 0;
const WARMING_UP: u8 = 1;
const MEASURING: u8 = 2;
const ENDING: u8 = 3;

/// Who is there, and what they do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) senders: bool,
    pub(crate) recipients: bool,
    /// Letters of one sender without an answer, and of one recipient without acknowledgment.
    pub(crate) window: u8,
    /// Letters a second of all pairs together; without one, as fast as it goes.
    pub(crate) rate: Option<f64>,
    pub(crate) until: Until,
}

/// What a run has shown.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) span: Duration,
    /// Letters that were there within the span.
    pub(crate) letters: usize,
    pub(crate) processor: Duration,
    /// In ascending order.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) tally: Tally,
    /// Letters that each pair has sent.
    pub(crate) sent: Vec<usize>,
}

/// From starting a load to measuring it for `span`.
pub(crate) fn warm_up(span: Duration) -> Duration {
    LONGEST_WARM_UP.min(span / 4)
}

/// What the threads share.
struct Shared {
    phase: AtomicU8,
    ready: AtomicUsize,
    /// Letters that are there.
    arrived: AtomicUsize,
    /// Whether a sender has nothing left to send, or a thread has failed.
    is_over: AtomicBool,
}

/// The people, the letters, and the server.
pub(crate) struct Stage<'a> {
    pub(crate) people: &'a [Person],
    pub(crate) stock: &'a Stock,
    pub(crate) server: &'a Server,
    pub(crate) server_key: &'static AwsLcPublicKey,
    pub(crate) threads: usize,
}

impl Stage<'_> {
    /// Letters are sent and received for `span`, or until a sender has no more. `meanwhile` runs
    /// within that time, and the time ends with it if it takes longer.
    pub(crate) fn relay(
        &self,
        load: Load,
        span: Duration,
        meanwhile: impl FnOnce() -> Result<()>,
    ) -> Result<Measured> {
        self.run(load, &[], |shared, count| {
            shared.phase.store(WARMING_UP, Relaxed);
            thread::sleep(warm_up(span));
            let (begun, busy) = (Instant::now(), self.server.processor_time()?);
            let arrived = shared.arrived.load(Relaxed);
            shared.phase.store(MEASURING, Relaxed);
            meanwhile()?;
            let progress = Progress::new("relaying", count);
            while begun.elapsed() < span && !shared.is_over.load(Relaxed) {
                progress.set(shared.arrived.load(Relaxed));
                thread::sleep(LOOK);
            }
            let arrived = shared.arrived.load(Relaxed) - arrived;
            Ok((begun.elapsed(), self.server.processor_time()?.saturating_sub(busy), arrived))
        })
    }

    /// Recipients come back and take what waits: of each pair the number of letters in `sent`.
    pub(crate) fn drain(&self, window: u8, sent: &[usize]) -> Result<Measured> {
        let load =
            Load { senders: false, recipients: true, window, rate: None, until: Until::Received };
        let expected = sent.iter().sum();
        self.run(load, sent, |shared, _| {
            let (begun, busy) = (Instant::now(), self.server.processor_time()?);
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
            let span = last.0.duration_since(begun);
            // The last acknowledgments are work for the server, too.
            thread::sleep(20 * LOOK);
            Ok((span, self.server.processor_time()?.saturating_sub(busy), last.1))
        })
    }

    fn run(
        &self,
        load: Load,
        backlog: &[usize],
        conduct: impl FnOnce(&Shared, usize) -> Result<(Duration, Duration, usize)>,
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
                    let work = Work { stage: self, load, shared: &shared, backlog };
                    scope.spawn(move || {
                        let done = work.run(pairs);
                        if done.is_err() {
                            work.shared.is_over.store(true, Relaxed);
                        }
                        done
                    })
                })
                .collect();
            let progress = Progress::new("connecting pairs", pairs.len());
            while shared.ready.load(Relaxed) < pairs.len() && !shared.is_over.load(Relaxed) {
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
            let (span, processor, letters) = measured?;
            ensure!(letters > 0, "no letter came in the time that was measured");
            let (mut latencies, tally, sent) = all;
            latencies.sort_unstable();
            Ok(Measured { span, letters, processor, latencies, tally, sent })
        })
    }
}

/// One thread's part.
#[derive(Clone, Copy)]
struct Work<'a> {
    stage: &'a Stage<'a>,
    load: Load,
    shared: &'a Shared,
    backlog: &'a [usize],
}

type Charge<'a> = (&'a [Person], &'a Vec<Letter>);

impl<'a> Work<'a> {
    fn run(self, charges: &[Charge<'a>]) -> Result<(Vec<Duration>, Vec<Tally>)> {
        let rng = &mut backend::random();
        let mut poll = Poll::new()?;
        let mut pairs = self.dial(charges, &poll, rng)?;
        let mut ready = vec![false; pairs.len()];
        let mut events = Events::with_capacity(1_024);
        let mut latencies = Vec::new();
        let mut begun: Option<Instant> = None;
        let mut moved = (Instant::now(), 0);
        loop {
            let pause = if self.load.rate.is_some() { TICK } else { LOOK };
            poll.poll(&mut events, Some(pause))?;
            let phase = self.shared.phase.load(Relaxed);
            for event in &events {
                let Token(at) = event.token();
                let pair = &mut pairs[at / 2];
                self.turn(pair, at.is_multiple_of(2), phase, rng, &mut latencies)?;
                if begun.is_some() && self.load.rate.is_none() && phase != ENDING {
                    self.write(pair, usize::MAX)?;
                }
            }
            match phase {
                SETTING_UP if self.shared.is_over.load(Relaxed) => {
                    bail!("another thread has failed");
                }
                SETTING_UP => self.set_up(&mut pairs, &mut ready, rng)?,
                ENDING => {
                    let arrived = pairs.iter().map(Pair::received).sum();
                    if arrived != moved.1 {
                        moved = (Instant::now(), arrived);
                    }
                    let is_settled = !self.backlog.is_empty() || pairs.iter().all(Pair::is_settled);
                    if is_settled || moved.0.elapsed() > PATIENCE {
                        let sent = self.backlog.iter().copied().chain(iter::repeat(0));
                        let settle = |(pair, sent): (Pair<'_>, usize)| pair.settle(sent);
                        return Ok((latencies, pairs.into_iter().zip(sent).map(settle).collect()));
                    }
                }
                _ => {
                    let is_first = begun.is_none();
                    let begun = *begun.get_or_insert_with(Instant::now);
                    if is_first || self.load.rate.is_some() {
                        for (at, pair) in pairs.iter_mut().enumerate() {
                            pair.flush()?;
                            self.write(pair, self.due(begun, at))?;
                        }
                    }
                    moved.0 = Instant::now();
                }
            }
        }
    }

    /// Connects everybody who is to be there. The sender of pair n has the token 2n.
    fn dial(
        self,
        charges: &[Charge<'a>],
        poll: &Poll,
        rng: &mut ChaCha20Rng,
    ) -> Result<Vec<Pair<'a>>> {
        let Stage { server, server_key, .. } = *self.stage;
        let address: SocketAddr = server.address();
        let connect = |(at, (people, letters)): (usize, &Charge<'a>)| {
            let (from, to) = (&people[0], &people[1]);
            let sender = if self.load.senders {
                let mut line = Line::new(from, server_key, true)?;
                line.reconnect(rng, from)?;
                line.dial(address, poll.registry(), Token(2 * at))?;
                Some(line)
            } else {
                None
            };
            let recipient = if self.load.recipients {
                let place = (poll.registry(), Token(2 * at + 1));
                let to_server = (address, server_key);
                Some(Recipient::dial((from, to), self.load.window, to_server, place, rng)?)
            } else {
                None
            };
            Ok(Pair::new(letters, sender, recipient))
        };
        charges.iter().enumerate().map(connect).collect()
    }

    /// Confirms sessions as they are issued: at once, or, where letters wait, when all are ready.
    fn set_up(
        self,
        pairs: &mut [Pair<'a>],
        ready: &mut [bool],
        rng: &mut ChaCha20Rng,
    ) -> Result<()> {
        for (at, (pair, ready)) in pairs.iter_mut().zip(ready).enumerate() {
            if *ready {
                continue;
            }
            if pair.is_issued() {
                match self.backlog.get(at) {
                    Some(letters) => {
                        pair.confirm(*letters, rng)?;
                        *ready = true;
                    }
                    None => {
                        pair.confirm(usize::MAX, rng)?;
                        pair.flush()?;
                    }
                }
            }
            *ready |= pair.is_ready();
            if *ready {
                self.shared.ready.fetch_add(1, Relaxed);
            }
        }
        Ok(())
    }

    fn turn(
        self,
        pair: &mut Pair<'a>,
        is_sender: bool,
        phase: u8,
        rng: &mut ChaCha20Rng,
        latencies: &mut Vec<Duration>,
    ) -> Result<()> {
        let mut took = |until, took| {
            if until == self.load.until {
                self.shared.arrived.fetch_add(1, Relaxed);
                if phase == MEASURING {
                    latencies.extend(took);
                }
            }
        };
        if is_sender {
            pair.sender_turn(rng, |span| took(Until::Answered, Some(span)))
        } else {
            pair.recipient_turn(rng, |span| took(Until::Received, span))
        }
    }

    fn write(self, pair: &mut Pair<'a>, up_to: usize) -> Result<()> {
        if !pair.write(usize::from(self.load.window), up_to)? {
            self.shared.is_over.store(true, Relaxed);
        }
        Ok(())
    }

    /// Letters that this thread's pair number `at` is to have sent by now. The pairs take turns.
    fn due(self, begun: Instant, at: usize) -> usize {
        let pairs = self.stage.stock.pairs.len() as f64;
        self.load.rate.map_or(usize::MAX, |rate| {
            (begun.elapsed().as_secs_f64() * rate / pairs + at as f64 / pairs) as usize
        })
    }
}
