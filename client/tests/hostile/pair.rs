//! Two honest people who go on writing letters, whatever happens around them.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use waxwing::backend::rng;
use waxwing_core::id::Uid;
use waxwing_core::wire::Status;

use crate::line::Door;
use crate::peer::Peer;
use crate::process::PATIENCE;

/// Between one letter and the next.
const PAUSE: Duration = Duration::from_millis(20);
/// Letters in one session of somebody who comes and goes.
const STAY: usize = 50;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    Stays,
    ComesAndGoes,
}

pub(crate) struct Pair {
    end: Sender<()>,
    arrived: Receiver<Duration>,
    writing: JoinHandle<()>,
}

impl Pair {
    /// They have registered when this returns.
    pub(crate) fn begin(door: &'static Door, habit: Habit) -> Self {
        let (mut anna, mut bert) = (Peer::with_session(door, 6), Peer::with_session(door, 7));
        let (end, ends) = channel();
        let (arrives, arrived) = channel();
        let writing = thread::spawn(move || {
            let mut number = 0;
            let mut ending = false;
            while !ending {
                let waited = ends.recv_timeout(PAUSE);
                // One more when it is over: then the server still serves.
                ending = waited != Err(RecvTimeoutError::Timeout);
                let _ = arrives.send(exchange(&mut anna, &mut bert));
                number += 1;
                if habit == Habit::ComesAndGoes && number % STAY == 0 {
                    bert.leave();
                    bert.come();
                }
            }
        });
        Self { end, arrived, writing }
    }

    /// The next so many letters, from now on.
    #[track_caller]
    pub(crate) fn next(&self, count: usize) -> Delays {
        self.arrived.try_iter().for_each(drop);
        let next = || self.arrived.recv_timeout(PATIENCE).expect("the pair goes on");
        Delays((0..count).map(|_| next()).collect())
    }

    /// Ends it. Every letter has arrived, and nothing but these letters.
    pub(crate) fn end(self) -> Delays {
        let _ = self.end.send(());
        self.writing.join().unwrap_or_else(|failure| resume_unwind(failure));
        Delays(self.arrived.try_iter().collect())
    }
}

/// A letter, until its writer knows that it was delivered.
pub(crate) fn exchange(anna: &mut Peer, bert: &mut Peer) -> Duration {
    let began = Instant::now();
    // Twice the same in one second would be one letter.
    let letter = anna.write(bert.id(), &Uid::generate(&mut rng()).0);
    assert_eq!(bert.hear_letter(), letter);
    bert.acknowledge(&letter);
    anna.hear_fates(&[letter], Status::Delivered);
    began.elapsed()
}

/// How long letters took.
pub(crate) struct Delays(pub(crate) Vec<Duration>);

impl fmt::Display for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |percent: usize| sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)];
        let (half, most) = (at(50), at(99));
        write!(f, "{} letters, median {half:.1?}, p99 {most:.1?}", sorted.len())
    }
}
