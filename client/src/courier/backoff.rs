//! Pauses between connections, and before a letter is tried again (PROTOCOL.md, "Retry rules").

use std::time::Duration;

use rand_core::Rng;

use crate::backend::rng;
use crate::clock;

const FIRST: Duration = Duration::from_secs(1);
/// No pause is longer, whatever the server asks for.
pub(super) const LONGEST: Duration = Duration::from_mins(5);
/// Where the pause after the loss of a session lies: everybody else has lost theirs too.
const AFTER_LOSS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
/// The same, where the server has said that it stops.
const AFTER_STOP: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// The first pause before a letter that was refused for now is tried again.
const FIRST_OF_LETTER: Duration = Duration::from_secs(30);

/// When the next attempt may be made.
pub(super) struct Backoff {
    failures: u32,
    /// On the clock that goes on while the machine sleeps.
    until: Option<Duration>,
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
        let pause = upper_half(grown(FIRST, self.failures));
        self.failures = self.failures.saturating_add(1);
        self.wait(pause);
    }

    /// A session that stood was lost.
    pub(super) fn session_lost(&mut self) {
        self.wait(between(AFTER_LOSS));
    }

    /// The server has said that it stops.
    pub(super) fn server_stopped(&mut self) {
        self.wait(between(AFTER_STOP));
    }

    /// The server has asked for a pause, and others at the same time.
    pub(super) fn at_least(&mut self, pause: Duration) {
        let pause = pause.min(LONGEST);
        self.wait(between([pause, pause.saturating_mul(3) / 2]).min(LONGEST));
    }

    fn wait(&mut self, pause: Duration) {
        let until = clock::since_start().saturating_add(pause);
        self.until = Some(self.until.map_or(until, |known| known.max(until)));
    }

    pub(super) fn remaining(&self) -> Duration {
        self.until.map_or(Duration::ZERO, |at| at.saturating_sub(clock::since_start()))
    }

    pub(super) fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }
}

/// Seconds until a letter, or a question, that was refused `times` before is tried again. A
/// refusal can be a lie, so what it asks for holds no longer than the longest pause.
pub(super) fn letter_pause(times: u32, retry_after_s: u16) -> i64 {
    let asked = Duration::from_secs(retry_after_s.into()).min(LONGEST);
    let pause = upper_half(grown(FIRST_OF_LETTER, times)).max(asked);
    i64::try_from(pause.as_secs()).unwrap_or(i64::MAX)
}

fn grown(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(1 << failures.min(9)).min(LONGEST)
}

fn upper_half(pause: Duration) -> Duration {
    between([pause / 2, pause])
}

/// At random.
fn between([least, most]: [Duration; 2]) -> Duration {
    let part = f64::from(rng().next_u32()) / f64::from(u32::MAX);
    least + most.saturating_sub(least).mul_f64(part)
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

    /// Pauses of a crowd.
    fn crowd(wait: impl Fn(&mut Backoff)) -> Vec<Duration> {
        let pause = |_| {
            let mut backoff = Backoff::default();
            wait(&mut backoff);
            backoff.remaining()
        };
        (0..1_000).map(pause).collect()
    }

    fn count(pauses: &[Duration], within: std::ops::Range<u64>) -> usize {
        let within = Duration::from_secs(within.start)..Duration::from_secs(within.end);
        pauses.iter().filter(|pause| within.contains(pause)).count()
    }

    #[test]
    fn a_crowd_does_not_come_back_at_once() {
        let stopped = crowd(Backoff::server_stopped);
        assert!(count(&stopped, 0..2) < 100, "{stopped:?}");
        assert!(count(&stopped, 2..16) > 300 && count(&stopped, 16..30) > 300);
        assert_eq!(count(&stopped, 31..u64::MAX), 0);

        let lost = crowd(Backoff::session_lost);
        assert!(count(&lost, 0..2) < 250, "{lost:?}");
        assert!(count(&lost, 2..6) > 300 && count(&lost, 6..10) > 300);
        assert_eq!(count(&lost, 11..u64::MAX), 0);

        let asked = crowd(|backoff| backoff.at_least(Duration::from_secs(10)));
        assert_eq!(count(&asked, 0..9) + count(&asked, 15..u64::MAX), 0);
        assert!(count(&asked, 9..12) > 200 && count(&asked, 12..15) > 200);
    }

    #[test]
    fn the_server_cannot_ask_for_more_than_five_minutes() {
        let mut backoff = Backoff::default();
        backoff.at_least(Duration::from_secs(u16::MAX.into()));
        assert!(backoff.remaining() <= LONGEST);
        for times in 0..40 {
            assert!(letter_pause(times, u16::MAX) == 300);
            assert!(letter_pause(times, 0) <= 300);
        }
        assert!((15..=30).contains(&letter_pause(0, 0)));
        assert!((150..=300).contains(&letter_pause(9, 0)));
        assert_eq!(letter_pause(0, 200), 200);
    }
}
