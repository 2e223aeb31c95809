//! A stop that lasts, as the shards see it: nobody is accepted any more, sessions end one after the other,
//! and then one of the shards stops the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use waxwing_core::time::Instant;

/// What an operator asks of a shard before a stop.
#[derive(Clone, Debug)]
pub struct Drain {
    /// When the last session has ended.
    pub over: Duration,
    /// Whether the shard stops the server then. One is enough.
    pub stops: bool,
    /// What all shards of this drain have in common.
    pub busy: Busy,
}

/// How many the end of a drain waits for: shards that have had sessions ever since it began, and whoever
/// has asked for it.
#[derive(Clone, Debug)]
pub struct Busy(Arc<AtomicUsize>);

/// Has the end of a drain wait, until it is dropped: for whoever has asked for it to be answered.
#[derive(Debug)]
pub struct Unanswered(Busy);

impl Busy {
    /// So many shards, and somebody who waits for an answer.
    #[must_use]
    pub fn new(shards: usize) -> (Self, Unanswered) {
        let busy = Self(Arc::new(AtomicUsize::new(shards + 1)));
        (busy.clone(), Unanswered(busy))
    }

    fn one_less(&self) {
        self.0.fetch_sub(1, SeqCst);
    }

    fn is_nobody(&self) -> bool {
        self.0.load(SeqCst) == 0
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.one_less();
    }
}

/// A drain that goes on.
#[derive(Debug)]
pub(super) struct Draining {
    /// When this shard stops the server at the latest, if it is the one.
    stops_at: Option<Instant>,
    busy: Busy,
    is_counted: bool,
}

impl Draining {
    pub(super) fn begin(drain: &Drain, now: Instant) -> Self {
        let stops_at = drain.stops.then(|| now.after(drain.over));
        Self { stops_at, busy: drain.busy.clone(), is_counted: true }
    }

    /// Notes whether the shard has sessions, and says whether it has to stop the server now. Whoever comes
    /// when nobody was left ends with the server.
    pub(super) fn is_over(&mut self, sessions: usize, now: Instant) -> bool {
        if sessions == 0 && self.is_counted {
            self.is_counted = false;
            self.busy.one_less();
        }
        self.stops_at.is_some_and(|at| at <= now || self.busy.is_nobody())
    }

    /// When it is over at the latest.
    pub(super) const fn wait_until(&self) -> Option<Instant> {
        self.stops_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_stops_when_no_shard_has_sessions_or_the_time_is_over() {
        let at = Instant::from_millis;
        let begin = |busy: &Busy, stops| {
            let drain = Drain { over: Duration::from_secs(60), stops, busy: busy.clone() };
            Draining::begin(&drain, at(0))
        };
        let (busy, unanswered) = Busy::new(2);
        let (mut first, mut second) = (begin(&busy, true), begin(&busy, false));
        assert!(!first.is_over(0, at(1)) && !first.is_over(0, at(2)));
        assert!(!second.is_over(1, at(3)) && !first.is_over(0, at(3)));
        assert!(!second.is_over(0, at(4)) && !first.is_over(0, at(4)));
        drop(unanswered);
        assert!(!second.is_over(0, at(5)) && first.is_over(0, at(5)));
        let mut alone = begin(&Busy::new(1).0, true);
        assert!(!alone.is_over(3, at(59_999)));
        assert!(alone.is_over(3, at(60_000)));
    }
}
