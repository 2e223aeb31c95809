//! Many pairs in one thread.

use std::collections::VecDeque;
use std::iter;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mio::event::Event;
use mio::{Events, Poll, Token};
use rand_chacha::ChaCha20Rng;
use waxwing_server::backend;

use crate::letters::Letter;
use crate::line::Line;
use crate::load::{ENDING, LOOK, Load, MEASURING, PATIENCE, SETTING_UP, Shared, Stage};
use crate::pair::{Pair, Tally, Until};
use crate::population::Person;
use crate::recipient::Recipient;

/// How long to wait for events at most while letters go out at a rate.
const TICK: Duration = Duration::from_millis(1);

/// One thread's part.
#[derive(Clone, Copy)]
pub(crate) struct Worker<'a> {
    pub(crate) stage: &'a Stage<'a>,
    pub(crate) load: Load,
    pub(crate) shared: &'a Shared,
    /// Letters that wait for each pair's recipient.
    pub(crate) backlog: &'a [usize],
}

/// Who has something to read. Recipients come first: they stand for machines of their own, which
/// would not let a letter wait because somebody else has much to do.
#[derive(Default)]
struct Waiting {
    recipients: VecDeque<usize>,
    senders: VecDeque<usize>,
}

impl Waiting {
    fn note(&mut self, events: &Events) {
        for Token(at) in events.iter().map(Event::token) {
            let queue = if at.is_multiple_of(2) { &mut self.senders } else { &mut self.recipients };
            if !queue.contains(&(at / 2)) {
                queue.push_back(at / 2);
            }
        }
    }

    /// A pair, and whether it is about its sender.
    fn next(&mut self) -> Option<(usize, bool)> {
        let recipient = self.recipients.pop_front().map(|at| (at, false));
        recipient.or_else(|| self.senders.pop_front().map(|at| (at, true)))
    }

    fn is_empty(&self) -> bool {
        self.recipients.is_empty() && self.senders.is_empty()
    }
}

/// A pair of people, and what the first has to say to the second.
pub(crate) type Charge<'a> = (&'a [Person], &'a Vec<Letter>);

impl<'a> Worker<'a> {
    /// Connects, works as long as the phases want it, and tells what letters took and became.
    pub(crate) fn run(self, charges: &[Charge<'a>]) -> Result<(Vec<Duration>, Vec<Tally>)> {
        let rng = &mut backend::random();
        let mut poll = Poll::new()?;
        let mut pairs = self.dial(charges, &poll, rng)?;
        let mut ready = vec![false; pairs.len()];
        let mut events = Events::with_capacity(1_024);
        let mut latencies = Vec::new();
        let mut begun: Option<Instant> = None;
        // Letters that the rate has made due.
        let mut due = 0;
        let mut waiting = Waiting::default();
        let mut moved = (Instant::now(), 0);
        loop {
            let pause = match self.load.rate {
                _ if !waiting.is_empty() => Duration::ZERO,
                Some(_) => TICK,
                None => LOOK,
            };
            poll.poll(&mut events, Some(pause))?;
            let phase = self.shared.phase.load(Relaxed);
            waiting.note(&events);
            while let Some((at, is_sender)) = waiting.next() {
                let pair = &mut pairs[at];
                self.turn(pair, is_sender, phase, rng, &mut latencies)?;
                if is_sender {
                    if begun.is_some() && self.load.rate.is_none() && phase != ENDING {
                        self.write(pair, usize::MAX, rng)?;
                    }
                    break;
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
                    match self.load.rate {
                        None if is_first => {
                            for pair in &mut pairs {
                                pair.flush()?;
                                self.write(pair, usize::MAX, rng)?;
                            }
                        }
                        None => {}
                        Some(rate) => {
                            let rate =
                                rate * pairs.len() as f64 / self.stage.stock.pairs.len() as f64;
                            let all = (begun.elapsed().as_secs_f64() * rate) as usize;
                            for letter in due..all {
                                // The pairs take turns.
                                let (each, at) = (letter / pairs.len(), letter % pairs.len());
                                self.write(&mut pairs[at], each + 1, rng)?;
                            }
                            due = all;
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
        let Stage { address, server_key, .. } = *self.stage;
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
                Some(Recipient::dial((from, to), self.load.together, to_server, place, rng)?)
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

    fn write(self, pair: &mut Pair<'a>, up_to: usize, rng: &mut ChaCha20Rng) -> Result<()> {
        if !pair.write(usize::from(self.load.window), up_to, rng)? {
            self.shared.is_over.store(true, Relaxed);
        }
        Ok(())
    }
}
