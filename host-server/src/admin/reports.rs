//! What the loops say about themselves, asked so that nothing piles up when one of them hangs.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use waxwing_core::server::ShardId;

use crate::runtime::{Request, ShardLines, ShardReport};

/// What is known of a loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loop {
    /// Whether it has answered in time, when it was asked last.
    pub answers: bool,
    /// What it said last. Counters must not go back only because a loop hangs.
    pub last: Option<ShardReport>,
}

/// The reports of all loops. Those who want to know at the same time share one round of questions, and
/// a loop that has not answered a question is not asked another: however often somebody asks, there is
/// one question at each loop, and nobody waits for longer than the patience that begins with it.
#[derive(Debug)]
pub struct Reports {
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the last round began.
    begun: Option<Instant>,
    loops: Arc<[Loop]>,
    /// The questions that have no answer yet.
    open: Vec<Option<Question>>,
}

/// A question at a loop.
#[derive(Debug)]
struct Question {
    asked: Instant,
    answer: Receiver<ShardReport>,
}

impl Question {
    fn ask(lines: &ShardLines, shard: ShardId) -> Self {
        let (sender, answer) = channel();
        lines.send(shard, Request::Report(sender));
        Self { asked: Instant::now(), answer }
    }

    fn is_open(&self) -> bool {
        self.answer.try_recv() == Err(TryRecvError::Empty)
    }

    /// How long its answer is still waited for.
    fn left(&self, patience: Duration, now: Instant) -> Duration {
        (self.asked + patience).saturating_duration_since(now)
    }
}

impl Default for Reports {
    fn default() -> Self {
        Self::with_patience(Self::PATIENCE)
    }
}

impl Reports {
    /// How long a loop may take to answer. One that takes longer hangs.
    pub const PATIENCE: Duration = Duration::from_millis(1_500);

    /// With another patience than [`Self::PATIENCE`].
    #[must_use]
    pub fn with_patience(patience: Duration) -> Self {
        Self { patience, state: Mutex::default() }
    }

    /// How long a loop may take to answer.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// Asks all loops. A loop that has hung for long delays nobody any more.
    #[must_use]
    pub fn ask(&self, lines: &ShardLines) -> Arc<[Loop]> {
        let came = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever had to wait finds that others have asked meanwhile.
        if state.begun.is_none_or(|begun| begun < came) {
            state.round(lines, self.patience);
        }
        Arc::clone(&state.loops)
    }
}

impl State {
    fn round(&mut self, lines: &ShardLines, patience: Duration) {
        self.begun = Some(Instant::now());
        let ids: Vec<_> = lines.ids().collect();
        self.open.resize_with(ids.len(), || None);
        for (shard, open) in ids.iter().zip(&mut self.open) {
            if !open.as_ref().is_some_and(Question::is_open) {
                *open = Some(Question::ask(lines, *shard));
            }
        }
        let before = self.loops.iter().map(|one| one.last).chain(std::iter::repeat(None));
        let of = |(open, last): (&mut Option<Question>, Option<ShardReport>)| {
            let heard = open.as_ref().map(|question| {
                question.answer.recv_timeout(question.left(patience, Instant::now()))
            });
            if !matches!(heard, Some(Err(RecvTimeoutError::Timeout))) {
                *open = None;
            }
            let heard = heard.and_then(Result::ok);
            Loop { answers: heard.is_some(), last: heard.or(last) }
        };
        self.loops = self.open.iter_mut().zip(before).map(of).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_later_waits_for_what_is_left_of_the_patience() {
        let asked = Instant::now();
        let (_loop_that_hangs, answer) = channel();
        let question = Question { asked, answer };
        let left =
            |later| question.left(Duration::from_secs(2), asked + Duration::from_secs(later));
        assert!(question.is_open());
        assert_eq!([0, 1, 2, 60].map(left), [2, 1, 0, 0].map(Duration::from_secs));
    }
}
