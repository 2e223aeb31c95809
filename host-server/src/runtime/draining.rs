//! A stop that lasts, as the shards see it: nobody is accepted any more, sessions end one after the other,
//! and then one of the shards stops the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
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

/// What the end of a drain waits for: shards that have had sessions ever since it began, and that whoever has
/// asked for it is answered.
#[derive(Clone, Debug)]
pub struct Busy(Arc<State>);

#[derive(Debug)]
struct State {
    shards: AtomicUsize,
    is_answered: AtomicBool,
}

/// Has the end of a drain wait, until it is dropped: for whoever has asked for it to be answered.
#[derive(Debug)]
pub struct Unanswered(Busy);

impl Busy {
    /// So many shards, and somebody who waits for an answer.
    #[must_use]
    pub fn new(shards: usize) -> (Self, Unanswered) {
        let state = State { shards: AtomicUsize::new(shards), is_answered: AtomicBool::new(false) };
        let busy = Self(Arc::new(state));
        (busy.clone(), Unanswered(busy))
    }

    fn one_less(&self) {
        self.0.shards.fetch_sub(1, SeqCst);
    }

    fn is_nobody(&self) -> bool {
        self.0.shards.load(SeqCst) == 0
    }

    fn is_answered(&self) -> bool {
        self.0.is_answered.load(SeqCst)
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.0.is_answered.store(true, SeqCst);
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
    /// Between two looks whether the answer is out.
    const ANSWERING: Duration = Duration::from_millis(10);

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
        let is_time = |at| at <= now || self.busy.is_nobody();
        self.stops_at.is_some_and(is_time) && self.busy.is_answered()
    }

    /// When it may be over.
    pub(super) fn wait_until(&self, now: Instant) -> Option<Instant> {
        let is_due = |at| at <= now || self.busy.is_nobody();
        let at = self.stops_at?;
        Some(if is_due(at) { now.after(Self::ANSWERING) } else { at })
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
        let (busy, unanswered) = Busy::new(1);
        let mut alone = begin(&busy, true);
        assert!(!alone.is_over(3, at(60_000)));
        assert_eq!(alone.wait_until(at(60_000)), Some(at(60_010)));
        drop(unanswered);
        assert!(!alone.is_over(3, at(59_999)));
        assert_eq!(alone.wait_until(at(59_999)), Some(at(60_000)));
        assert!(alone.is_over(3, at(60_000)));
    }
}
