//! How often something had which size.

use std::time::Duration;

/// Counts in classes. The upper end of the first is `FIRST`, and each is twice the one before; what is
/// above the last end is in the last class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram<const FIRST: u64, const CLASSES: usize> {
    counts: [u64; CLASSES],
    sum: u64,
}

/// How long something took, in microseconds: up to 64 us in the first class, above 4.5 minutes in the
/// last.
pub type Times = Histogram<64, 24>;

/// How many of something there were: none or one in the first class, above 16,384 in the last.
pub type Numbers = Histogram<1, 16>;

impl<const FIRST: u64, const CLASSES: usize> Default for Histogram<FIRST, CLASSES> {
    fn default() -> Self {
        Self { counts: [0; CLASSES], sum: 0 }
    }
}

impl<const FIRST: u64, const CLASSES: usize> Histogram<FIRST, CLASSES> {
    /// Counts one of this size.
    pub fn count(&mut self, size: u64) {
        let class = (0..CLASSES).find(|class| size <= Self::end_of(*class)).unwrap_or(CLASSES - 1);
        self.counts[class] += 1;
        self.sum = self.sum.saturating_add(size);
    }

    /// Counts one that took so long, in microseconds.
    pub fn count_span(&mut self, span: Duration) {
        self.count(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many are in each class, the smallest first.
    #[must_use]
    pub const fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The sizes of all together.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// What 99 of 100 have at most, to a factor of two; `None` if nothing was counted.
    #[must_use]
    pub fn p99(&self) -> Option<u64> {
        let all: u64 = self.counts.iter().sum();
        let enough = (all - all / 100).max(1);
        let mut seen = 0;
        let class = self.counts.iter().position(|count| {
            seen += count;
            seen >= enough
        });
        class.map(Self::end_of)
    }

    /// The upper end of a class. The last class has what is larger, too.
    #[must_use]
    pub const fn end_of(class: usize) -> u64 {
        FIRST << class
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_counted_up_to_the_end_of_their_class() {
        let mut numbers = Histogram::<2, 3>::default();
        [0, 2, 3, 4, 5, 8, 9, 1_000].into_iter().for_each(|size| numbers.count(size));
        assert_eq!((numbers.counts(), numbers.sum()), (&[2, 2, 4][..], 1_031));
        let mut twice = numbers;
        twice.add(&numbers);
        assert_eq!((twice.counts(), twice.sum()), (&[4, 4, 8][..], 2_062));
    }
}
