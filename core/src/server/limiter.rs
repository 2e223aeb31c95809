//! Rate limits that cost one number per key (the generic cell rate algorithm).

use alloc::vec::Vec;
use core::hash::Hash;
use core::time::Duration;

use hashbrown::HashMap;

use crate::time::Instant;

/// So many per period, all at once if need be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    period: Duration,
}

impl Rate {
    /// `burst` times in `period`; at least once.
    #[must_use]
    pub const fn new(burst: u32, period: Duration) -> Self {
        Self { burst: if burst == 0 { 1 } else { burst }, period }
    }

    /// How often in a period.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// The time in which the rate lets through as many as it says.
    #[must_use]
    pub const fn period(self) -> Duration {
        self.period
    }

    /// One of `count` equal shares of it; at least one.
    pub(super) const fn share(self, count: u16) -> Self {
        match self.burst.checked_div(count as u32) {
            Some(burst) => Self::new(burst, self.period),
            None => self,
        }
    }

    fn interval_us(self) -> u64 {
        self.period_us().checked_div(u64::from(self.burst)).unwrap_or(0).max(1)
    }

    /// How much may be taken ahead of time.
    fn tolerance_us(self) -> u64 {
        self.period_us().saturating_sub(self.interval_us())
    }

    fn period_us(self) -> u64 {
        u64::try_from(self.period.as_micros()).unwrap_or(u64::MAX)
    }
}

/// One thing's allowance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowance {
    /// When, in microseconds, all that was taken will have come back.
    full_at: u64,
}

impl Allowance {
    /// Takes one, or says how long until there is one.
    pub(super) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.check(rate, now)?;
        let now = now.as_micros();
        self.full_at = self.full_at.max(now).saturating_add(rate.interval_us());
        Ok(())
    }

    /// Whether there is one to take.
    pub(super) fn check(self, rate: Rate, now: Instant) -> Result<(), Duration> {
        match self.ready_at(rate).since(now) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    /// When there is one to take.
    pub(super) fn ready_at(self, rate: Rate) -> Instant {
        Instant::from_micros(self.full_at.saturating_sub(rate.tolerance_us()))
    }

    /// One that was taken was not used.
    pub(super) fn give_back(&mut self, rate: Rate) {
        self.full_at = self.full_at.saturating_sub(rate.interval_us());
    }

    /// How many there are to take.
    pub(super) fn left(self, rate: Rate, now: Instant) -> u32 {
        let taken_us = self.full_at.saturating_sub(now.as_micros());
        let taken = taken_us.div_ceil(rate.interval_us());
        rate.burst().saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    /// The rate has changed: as many are taken as before, and no more than all.
    pub(super) fn change_rate(&mut self, before: Rate, rate: Rate, now: Instant) {
        let now = now.as_micros();
        let ahead = u128::from(self.full_at.saturating_sub(now));
        let ahead = ahead.saturating_mul(u128::from(rate.interval_us()));
        let ahead = ahead.div_ceil(u128::from(before.interval_us()));
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX).min(rate.period_us());
        if ahead > 0 {
            self.full_at = now.saturating_add(ahead);
        }
    }

    fn is_full(self, now: Instant) -> bool {
        self.full_at <= now.as_micros()
    }
}

/// Allowances per key, in bounded memory.
#[derive(Debug)]
pub(super) struct Limiter<K> {
    rate: Rate,
    allowances: HashMap<K, Allowance>,
    /// Keys that were forgotten since somebody looked.
    dropped: Vec<K>,
}

impl<K: Copy + Eq + Hash> Limiter<K> {
    /// Keys remembered at once. Beyond it those with nothing taken are forgotten, and when all
    /// have something taken, new keys wait: an attacker with that many prefixes is being slowed.
    const CAPACITY: usize = 100_000;

    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, allowances: HashMap::new(), dropped: Vec::new() }
    }

    /// Changes the rate for everybody, who keep what they have taken. Whether it was another.
    pub(super) fn change_rate(&mut self, rate: Rate, now: Instant) -> bool {
        let before = core::mem::replace(&mut self.rate, rate);
        if before == rate {
            return false;
        }
        for allowance in self.allowances.values_mut() {
            allowance.change_rate(before, rate, now);
        }
        true
    }

    /// Puts in what is left of an allowance that will be full after so long. Whether it is not full
    /// already. No more is missing than can be.
    pub(super) fn load(&mut self, key: K, ahead: Duration, now: Instant) -> bool {
        if ahead.is_zero() {
            return false;
        }
        let full_at = now.after(ahead.min(self.rate.period)).as_micros();
        self.allowances.insert(key, Allowance { full_at });
        true
    }

    /// When all that was taken will have come back. `None` when nothing is known to be taken.
    pub(super) fn full_at(&self, key: &K) -> Option<Instant> {
        self.allowances.get(key).map(|allowance| Instant::from_micros(allowance.full_at))
    }

    /// All of whom something is known to be taken.
    pub(super) fn keys(&self) -> impl Iterator<Item = K> {
        self.allowances.keys().copied()
    }

    /// Keys that were forgotten, for the caller to take out.
    pub(super) const fn dropped(&mut self) -> &mut Vec<K> {
        &mut self.dropped
    }

    /// Takes one for `key`, or says how long until there is one.
    pub(super) fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        if self.allowances.len() >= Self::CAPACITY && !self.allowances.contains_key(&key) {
            self.forget_full(now);
            if self.allowances.len() >= Self::CAPACITY {
                return Err(self.rate.period);
            }
        }
        let rate = self.rate;
        self.allowances.entry(key).or_default().take(rate, now)
    }

    /// Whether `key` has one to take.
    pub(super) fn check(&self, key: &K, now: Instant) -> Result<(), Duration> {
        self.allowances.get(key).copied().unwrap_or_default().check(self.rate, now)
    }

    /// How many `key` has to take.
    pub(super) fn left(&self, key: &K, now: Instant) -> u32 {
        self.allowances.get(key).copied().unwrap_or_default().left(self.rate, now)
    }

    /// One that `key` took was not used.
    pub(super) fn give_back(&mut self, key: &K) {
        if let Some(allowance) = self.allowances.get_mut(key) {
            allowance.give_back(self.rate);
        }
    }

    /// Forgets keys with nothing taken.
    pub(super) fn forget_full(&mut self, now: Instant) {
        let gone = self.allowances.extract_if(|_, allowance| allowance.is_full(now));
        self.dropped.extend(gone.map(|(key, _)| key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    #[test]
    fn no_window_holds_more_than_the_burst_and_one_interval() {
        let rate = Rate::new(10, Duration::from_secs(100));
        let mut allowance = Allowance::default();
        let mut taken = Vec::new();
        for second in 0..1_000 {
            while allowance.take(rate, at(second)).is_ok() {
                taken.push(second);
            }
        }
        for start in 0..900 {
            let in_window = taken.iter().filter(|t| (start..start + 100).contains(*t)).count();
            assert!(in_window <= 20, "{in_window} from {start}");
        }
        assert_eq!(taken.iter().filter(|t| **t == 0).count(), 10);
        assert_eq!(taken.len(), 10 + 99);
    }

    #[test]
    fn a_refusal_names_the_wait() {
        let mut limiter = Limiter::new(Rate::new(2, Duration::from_secs(60)));
        assert_eq!(limiter.take('a', at(0)), Ok(()));
        assert_eq!(limiter.take('a', at(0)), Ok(()));
        assert_eq!(limiter.take('a', at(0)), Err(Duration::from_secs(30)));
        assert_eq!(limiter.take('b', at(0)), Ok(()));
        assert_eq!(limiter.take('a', at(30)), Ok(()));
    }

    #[test]
    fn it_says_how_many_are_left() {
        let mut limiter = Limiter::new(Rate::new(3, Duration::from_secs(60)));
        assert_eq!(limiter.left(&'a', at(0)), 3);
        limiter.take('a', at(0)).unwrap();
        limiter.take('a', at(0)).unwrap();
        assert_eq!((limiter.left(&'a', at(0)), limiter.left(&'b', at(0))), (1, 3));
        assert_eq!((limiter.left(&'a', at(20)), limiter.left(&'a', at(39))), (2, 2));
        assert_eq!(limiter.left(&'a', at(40)), 3);
        limiter.take('a', at(0)).unwrap();
        assert_eq!(limiter.left(&'a', at(0)), 0);
        assert!(limiter.take('a', at(0)).is_err());
    }

    #[test]
    fn when_all_have_something_taken_new_ones_wait_and_known_ones_do_not() {
        let mut limiter = Limiter::new(Rate::new(2, Duration::from_secs(60)));
        let capacity = Limiter::<usize>::CAPACITY;
        for key in 0..capacity {
            assert_eq!(limiter.take(key, at(0)), Ok(()));
        }
        assert_eq!(limiter.take(capacity, at(0)), Err(Duration::from_secs(60)));
        assert_eq!(limiter.take(0, at(0)), Ok(()));
        // Half a minute later, the others have theirs back.
        assert_eq!(limiter.take(capacity, at(30)), Ok(()));
        assert_eq!(limiter.allowances.len(), 2);
    }

    #[test]
    fn another_rate_leaves_taken_what_was_taken() {
        let per_minute = |burst| Rate::new(burst, Duration::from_secs(60));
        let mut limiter = Limiter::new(per_minute(10));
        for _ in 0..10 {
            limiter.take('a', at(0)).unwrap();
        }
        limiter.take('b', at(0)).unwrap();
        assert!(limiter.change_rate(per_minute(30), at(0)));
        assert_eq!((limiter.left(&'a', at(0)), limiter.left(&'b', at(0))), (20, 29));
        assert!(!limiter.change_rate(per_minute(30), at(0)));
        assert!(limiter.change_rate(per_minute(3), at(0)));
        assert_eq!((limiter.left(&'a', at(0)), limiter.left(&'b', at(0))), (0, 2));
        // Nobody waits for longer than if they had taken all of it now.
        assert_eq!(limiter.check(&'a', at(0)), Err(Duration::from_secs(20)));
        assert_eq!(limiter.left(&'a', at(60)), 3);
    }

    #[test]
    fn another_period_makes_nobody_wait_for_the_old_one() {
        let (hour, second) = (Duration::from_secs(3_600), Duration::from_secs(1));
        let mut allowance = Allowance::default();
        allowance.take(Rate::new(1, hour), at(0)).unwrap();
        allowance.change_rate(Rate::new(1, hour), Rate::new(1, second), at(10));
        assert!(allowance.check(Rate::new(1, second), at(10)).is_err());
        assert_eq!(allowance.check(Rate::new(1, second), at(11)), Ok(()));
    }

    #[test]
    fn only_the_full_are_forgotten() {
        let mut limiter = Limiter::new(Rate::new(1, Duration::from_secs(60)));
        limiter.take('a', at(0)).unwrap();
        limiter.take('b', at(50)).unwrap();
        limiter.forget_full(at(60));
        assert_eq!(limiter.allowances.len(), 1);
        assert!(limiter.check(&'b', at(60)).is_err());
    }
}
