//! A way of codes that does not work is left alone for a while.

use std::time::Duration;

use waxwing_core::time::Instant;

/// Failures of one way, without a success between them.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    failed_at: Instant,
    rests_until: Option<Instant>,
}

/// So many failures make a way rest.
pub(crate) const FAILURES: u32 = 5;

impl Breaker {
    /// For so long. Each failure after that makes it rest again.
    pub(super) const REST: Duration = Duration::from_secs(30);

    /// A code has gone this way, or has not. Whether the way rests from now on.
    pub(super) fn ended(&mut self, went_out: bool, now: Instant) -> bool {
        if went_out {
            *self = Self::default();
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now;
        let rests = self.failures >= FAILURES;
        if rests {
            self.rests_until = Some(now.after(Self::REST));
        }
        rests
    }

    /// So many codes did not get through since the last one that did.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// When the last one did not, if there was one.
    pub(super) const fn failed_at(&self) -> Instant {
        self.failed_at
    }

    /// Until when no code goes this way, if that is later than now.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.rests_until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_make_a_way_rest_for_half_a_minute() {
        let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            assert!(!breaker.ended(false, at(1)));
        }
        assert!(!breaker.ended(true, at(1)));
        for _ in 0..4 {
            assert!(!breaker.ended(false, at(2)));
            assert_eq!(breaker.rests_until(at(2)), None);
        }
        assert!(breaker.ended(false, at(2)));
        assert_eq!(breaker.rests_until(at(31)), Some(at(32)));
        assert_eq!(breaker.rests_until(at(32)), None);
        // It is tried again, and one failure is enough.
        assert!(breaker.ended(false, at(33)));
        assert_eq!(breaker.rests_until(at(33)), Some(at(63)));
        assert_eq!((breaker.failures(), breaker.failed_at()), (6, at(33)));
        assert!(!breaker.ended(true, at(70)));
        assert_eq!(breaker.failures(), 0);
        assert!(!breaker.ended(false, at(71)));
    }
}
