//! Pauses between connections, and before a letter is tried again (PROTOCOL.md, "Retry rules").

use crate::crypto::CryptoRng;
use crate::time::Instant;

/// Milliseconds.
type Millis = u32;

const FIRST: Millis = 1_000;
/// No pause is longer, whatever the server asks for.
const LONGEST: Millis = 300_000;
/// Where the pause after the loss of a session lies: everybody else has lost theirs too.
const AFTER_LOSS: [Millis; 2] = [1_000, 10_000];
/// The same, where the server has said that it stops.
const AFTER_STOP: [Millis; 2] = [1_000, 30_000];
/// The first pause before a letter that was refused for now is tried again.
const FIRST_OF_LETTER: Millis = 30_000;

/// When the next connection may be made.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u8,
    until: Instant,
}

impl Backoff {
    /// An attempt has failed: the pause doubles, with jitter, up to five minutes.
    pub fn fail(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        let pause = grown(FIRST, self.failures);
        self.failures = self.failures.saturating_add(1);
        self.wait(now, rng, upper_half(pause));
    }

    /// A session that stood was lost.
    pub(super) fn session_lost(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        self.wait(now, rng, AFTER_LOSS);
    }

    /// The server has said that it stops.
    pub(super) fn server_stopped(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        self.wait(now, rng, AFTER_STOP);
    }

    /// The server has asked for a pause, and others at the same time.
    pub(super) fn at_least(&mut self, seconds: u16, now: Instant, rng: &mut dyn CryptoRng) {
        let pause = asked(seconds);
        self.wait(now, rng, [pause, pause.saturating_add(pause / 2).min(LONGEST)]);
    }

    fn wait(&mut self, now: Instant, rng: &mut dyn CryptoRng, range: [Millis; 2]) {
        let pause = u64::from(between(rng, range)).saturating_mul(1_000);
        let until = Instant::from_micros(now.as_micros().saturating_add(pause));
        self.until = self.until.max(until);
    }

    /// When that is: the start of the clock for one that has not failed.
    #[must_use]
    pub const fn until(&self) -> Instant {
        self.until
    }
}

/// Seconds until a letter, or a question, that was refused `times` before is tried again. A
/// refusal can be a lie, so what it asks for holds no longer than the longest pause.
pub(super) fn letter_pause(times: u8, retry_after_s: u16, rng: &mut dyn CryptoRng) -> i64 {
    let pause = between(rng, upper_half(grown(FIRST_OF_LETTER, times)));
    i64::from(pause.max(asked(retry_after_s)) / 1_000)
}

fn asked(seconds: u16) -> Millis {
    Millis::from(seconds).saturating_mul(1_000).min(LONGEST)
}

fn grown(first: Millis, failures: u8) -> Millis {
    first.saturating_mul(1 << failures.min(9)).min(LONGEST)
}

const fn upper_half(pause: Millis) -> [Millis; 2] {
    [pause / 2, pause]
}

/// A random span between the two, both included.
fn between(rng: &mut dyn CryptoRng, [least, most]: [Millis; 2]) -> Millis {
    let span = u64::from(most.saturating_sub(least)).saturating_add(1);
    let part = u64::from(rng.next_u32()).saturating_mul(span) >> 32;
    least.saturating_add(u32::try_from(part).unwrap_or(0))
}

/// The longest pause before a connection, or before a letter is tried again, in seconds.
pub const LONGEST_PAUSE_S: i64 = LONGEST as i64 / 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    use std::vec::Vec;

    const NOW: Instant = Instant::from_millis(5_000);

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(7)
    }

    fn remaining(backoff: &Backoff) -> u128 {
        backoff.until().since(NOW).as_millis()
    }

    #[test]
    fn pauses_grow_to_five_minutes_and_no_further() {
        let mut longest = 0;
        for failures in 0..20 {
            let mut backoff = Backoff { failures, ..Backoff::default() };
            assert_eq!(remaining(&backoff), 0);
            backoff.fail(NOW, &mut rng());
            assert!(remaining(&backoff) <= LONGEST.into());
            longest = longest.max(remaining(&backoff));
        }
        assert!(longest > u128::from(LONGEST) / 3);
        let mut first = Backoff::default();
        first.fail(NOW, &mut rng());
        assert!((500..=1_000).contains(&remaining(&first)));
        first.fail(NOW, &mut rng());
        assert!((1_000..=2_000).contains(&remaining(&first)));
    }

    /// Pauses of many clients, in milliseconds.
    fn many(wait: impl Fn(&mut Backoff, &mut ChaCha20Rng)) -> Vec<u128> {
        let mut rng = rng();
        let pause = |_| {
            let mut backoff = Backoff::default();
            wait(&mut backoff, &mut rng);
            remaining(&backoff)
        };
        (0..1_000).map(pause).collect()
    }

    fn count(pauses: &[u128], within: core::ops::Range<u128>) -> usize {
        let within = within.start * 1_000..within.end * 1_000;
        pauses.iter().filter(|pause| within.contains(pause)).count()
    }

    #[test]
    fn many_clients_do_not_come_back_at_once() {
        let stopped = many(|backoff, rng| backoff.server_stopped(NOW, rng));
        assert!(count(&stopped, 0..2) < 100, "{stopped:?}");
        assert!(count(&stopped, 2..16) > 300 && count(&stopped, 16..30) > 300);
        assert_eq!(count(&stopped, 31..1_000), 0);

        let lost = many(|backoff, rng| backoff.session_lost(NOW, rng));
        assert!(count(&lost, 0..2) < 250, "{lost:?}");
        assert!(count(&lost, 2..6) > 300 && count(&lost, 6..10) > 300);
        assert_eq!(count(&lost, 11..1_000), 0);

        let asked = many(|backoff, rng| backoff.at_least(10, NOW, rng));
        assert_eq!(count(&asked, 0..9) + count(&asked, 16..1_000), 0);
        assert!(count(&asked, 9..12) > 200 && count(&asked, 12..15) > 200);
    }

    #[test]
    fn a_pause_that_is_longer_stays() {
        let mut backoff = Backoff::default();
        backoff.at_least(200, NOW, &mut rng());
        let until = backoff.until();
        backoff.fail(NOW, &mut rng());
        assert_eq!(backoff.until(), until);
    }

    #[test]
    fn the_server_cannot_ask_for_more_than_five_minutes() {
        let mut rng = rng();
        let mut backoff = Backoff::default();
        backoff.at_least(u16::MAX, NOW, &mut rng);
        assert!(remaining(&backoff) <= LONGEST.into());
        for times in 0..40 {
            assert_eq!(letter_pause(times, u16::MAX, &mut rng), 300);
            assert!(letter_pause(times, 0, &mut rng) <= 300);
        }
        assert!((15..=30).contains(&letter_pause(0, 0, &mut rng)));
        assert!((150..=300).contains(&letter_pause(9, 0, &mut rng)));
        assert_eq!(letter_pause(0, 200, &mut rng), 200);
    }
}
