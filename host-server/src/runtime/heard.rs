//! A question to several shards at once, so that a loop that hangs keeps it from none of the others.

use std::fmt::{self, Display, Formatter};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use waxwing_core::server::ShardId;

use super::channels::ShardLines;
use super::requests::Request;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard<T> {
    /// The answers that came in time, in the order of the shards.
    pub answers: Vec<(ShardId, T)>,
    /// Who was waited for in vain. The question stays with them until they go on.
    pub late: Late,
}

/// The loops that have not answered within a patience: they hang.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    loops: Vec<u16>,
    patience: Duration,
}

/// A shard that was asked has ended, as the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl Late {
    /// These loops, which were waited for so long.
    #[must_use]
    pub fn new(loops: impl IntoIterator<Item = u16>, patience: Duration) -> Self {
        Self { loops: loops.into_iter().collect(), patience }
    }

    /// Itself, if there is such a loop.
    #[must_use]
    pub fn some(&self) -> Option<&Self> {
        (!self.loops.is_empty()).then_some(self)
    }
}

impl Display for Late {
    /// A sentence without its end.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.patience.as_secs_f64();
        match &self.loops[..] {
            [one] => write!(f, "event loop {one} does not answer within {seconds} seconds"),
            all => {
                let all: Vec<_> = all.iter().map(u16::to_string).collect();
                let all = all.join(", ");
                write!(f, "the event loops {all} do not answer within {seconds} seconds")
            }
        }
    }
}

impl ShardLines {
    /// Asks all shards, and waits for their answers once for so long.
    ///
    /// # Errors
    /// When one of them has ended.
    pub fn ask_all<T>(
        &self,
        patience: Duration,
        request: impl FnMut(ShardId, Sender<T>) -> Request,
    ) -> Result<Heard<T>, Stopped> {
        self.ask(self.ids(), patience, request)
    }

    /// The same of these shards.
    ///
    /// # Errors
    /// As [`Self::ask_all`].
    pub fn ask<T>(
        &self,
        shards: impl IntoIterator<Item = ShardId>,
        patience: Duration,
        mut request: impl FnMut(ShardId, Sender<T>) -> Request,
    ) -> Result<Heard<T>, Stopped> {
        let ask = |shard| {
            let (sender, answer) = channel();
            self.send(shard, request(shard, sender));
            (shard, answer)
        };
        let open: Vec<(ShardId, Receiver<T>)> = shards.into_iter().map(ask).collect();
        let deadline = Instant::now() + patience;
        let mut heard = Heard { answers: Vec::new(), late: Late::new([], patience) };
        for (shard, answer) in open {
            match answer.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(answer) => heard.answers.push((shard, answer)),
                Err(RecvTimeoutError::Timeout) => heard.late.loops.push(shard.0),
                Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            }
        }
        Ok(heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_that_hang_are_named() {
        let late = |loops: &[u16]| {
            let late = Late::new(loops.iter().copied(), Duration::from_millis(1_500));
            late.some().map(ToString::to_string)
        };
        assert_eq!(late(&[]), None);
        let one = "event loop 1 does not answer within 1.5 seconds";
        assert_eq!(late(&[1]), Some(one.into()));
        let two = "the event loops 0, 2 do not answer within 1.5 seconds";
        assert_eq!(late(&[0, 2]), Some(two.into()));
    }
}
