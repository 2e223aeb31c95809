//! Growing pauses between connections (PROTOCOL.md, "Retry rules").

use std::time::{Duration, Instant};

use rand_core::Rng;

use crate::backend::rng;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);

/// When the next attempt may be made.
pub(super) struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Default for Backoff {
    /// At once.
    fn default() -> Self {
        Self { failures: 0, until: None }
    }
}

impl Backoff {
    /// An attempt has failed: the pause doubles, with jitter, up to five minutes.
    pub(super) fn fail(&mut self) {
        let pause = FIRST.saturating_mul(1 << self.failures.min(9)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let jitter = pause.mul_f64(f64::from(rng().next_u32()) / f64::from(u32::MAX) / 2.0);
        self.at_least(pause / 2 + jitter);
    }

    /// The server has asked for a pause.
    pub(super) fn at_least(&mut self, pause: Duration) {
        let until = Instant::now() + pause.min(LONGEST);
        self.until = Some(self.until.map_or(until, |known| known.max(until)));
    }

    pub(super) fn remaining(&self) -> Duration {
        self.until.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }

    pub(super) fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_minutes_and_no_further() {
        let mut longest = Duration::ZERO;
        for failures in 0..20 {
            let mut backoff = Backoff { failures, until: None };
            assert!(backoff.is_over());
            backoff.fail();
            assert!(backoff.remaining() <= LONGEST);
            longest = longest.max(backoff.remaining());
        }
        assert!(longest > LONGEST / 3);
        let mut first = Backoff::default();
        first.fail();
        assert!(first.remaining() <= FIRST);
    }
}
