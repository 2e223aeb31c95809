//! How long the turns of a loop take.

use std::time::Duration;

use waxwing_core::time::Instant;

use crate::histogram::Times;

/// The turns of the last one to two periods, in classes of their length.
#[derive(Debug, Default)]
pub(super) struct TurnTimes {
    /// When the turn began that is under way.
    since: Option<Instant>,
    period_until: Instant,
    current: Times,
    before: Times,
    /// All turns since the start.
    all: Times,
}

impl TurnTimes {
    const PERIOD: Duration = Duration::from_mins(1);

    /// Something happens in a turn, which begins with it if none is under way.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// The turn has ended.
    pub(super) fn end(&mut self, now: Instant) {
        let Some(since) = self.since.take() else { return };
        self.turn_over(now);
        let took = now.since(since);
        self.current.count_span(took);
        self.all.count_span(took);
    }

    fn turn_over(&mut self, now: Instant) {
        if now < self.period_until {
            return;
        }
        let is_next = now < self.period_until.after(Self::PERIOD);
        self.before = if is_next { self.current } else { Times::default() };
        self.current = Times::default();
        self.period_until = now.after(Self::PERIOD);
    }

    /// All turns since the start.
    pub(super) const fn all(&self) -> Times {
        self.all
    }

    /// What 99 of 100 turns took at most, to a factor of two; `None` if there was no turn.
    pub(super) fn p99(&self) -> Option<Duration> {
        let mut both = self.before;
        both.add(&self.current);
        both.p99().map(Duration::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Instant {
        Instant::from_millis(milliseconds)
    }

    fn turn(times: &mut TurnTimes, at: u64, took: u64) {
        times.begin(ms(at));
        times.begin(ms(at + took));
        times.end(ms(at + took));
    }

    #[test]
    fn one_long_turn_in_a_hundred_does_not_show_and_two_do() {
        let mut times = TurnTimes::default();
        assert_eq!(times.p99(), None);
        (0..198).for_each(|_| turn(&mut times, 10, 1));
        turn(&mut times, 10, 100);
        turn(&mut times, 10, 100);
        assert_eq!(times.p99(), Some(Duration::from_micros(1_024)));
        turn(&mut times, 10, 100);
        assert_eq!(times.p99(), Some(Duration::from_micros(131_072)));
    }

    #[test]
    fn turns_are_forgotten_after_two_periods() {
        let mut times = TurnTimes::default();
        turn(&mut times, 1_000, 500);
        turn(&mut times, 62_000, 1);
        assert_eq!(times.p99(), Some(Duration::from_micros(524_288)));
        turn(&mut times, 123_000, 1);
        assert_eq!(times.p99(), Some(Duration::from_micros(1_024)));
        turn(&mut times, 130_000, 500);
        turn(&mut times, 400_000, 1);
        assert_eq!(times.p99(), Some(Duration::from_micros(1_024)));
    }

    #[test]
    fn a_turn_of_an_hour_counts_as_the_longest() {
        let mut times = TurnTimes::default();
        turn(&mut times, 0, 3_600_000);
        assert_eq!(times.p99(), Some(Duration::from_micros(64 << 23)));
    }
}
