//! One deadline for each of many, in one ordered set.

use alloc::collections::BTreeSet;

use crate::time::Instant;

/// Deadlines that are armed, each under the key of whom it is for.
#[derive(Debug)]
pub(super) struct Timers<K> {
    armed: BTreeSet<(Instant, K)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { armed: BTreeSet::new() }
    }
}

impl<K: Copy + Ord> Timers<K> {
    /// Sets a deadline; `armed` is the one that is set, and is kept true. One that has moved back is
    /// noticed when the earlier one comes due.
    pub(super) fn arm(&mut self, key: K, armed: &mut Option<Instant>, deadline: Option<Instant>) {
        if !matches!((*armed, deadline), (Some(armed), Some(at)) if armed <= at) {
            self.disarm(key, *armed);
            self.armed.extend(deadline.map(|at| (at, key)));
            *armed = deadline;
        }
    }

    /// Takes out the deadline that is set.
    pub(super) fn disarm(&mut self, key: K, armed: Option<Instant>) {
        if let Some(at) = armed {
            self.armed.remove(&(at, key));
        }
    }

    /// The next deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.armed.first().map(|(at, _)| *at)
    }

    /// Takes out one whose deadline has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.armed.first()?;
        (at <= now).then(|| {
            self.armed.pop_first();
            key
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: u8 = 1;
    const BEN: u8 = 2;

    #[test]
    fn a_deadline_that_comes_earlier_is_due_once_and_one_that_is_taken_out_never() {
        let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
        let (mut timers, mut ann, mut ben) = (Timers::default(), None, None);
        timers.arm(ANN, &mut ann, Some(at(3)));
        timers.arm(BEN, &mut ben, Some(at(4)));
        timers.arm(ANN, &mut ann, Some(at(1)));
        assert_eq!((timers.next(), timers.pop_due(at(0))), (Some(at(1)), None));
        assert_eq!((timers.pop_due(at(9)), timers.next()), (Some(ANN), Some(at(4))));
        timers.disarm(BEN, ben);
        assert_eq!(timers.next(), None);
    }
}
