//! Where the decisions of a run come from.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A source of decisions.
pub trait Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize;
    /// Whether there are no more decisions to be had.
    fn is_over(&self) -> bool;
}

/// Decisions without end, the same for the same seed.
pub struct Seeded(ChaCha20Rng);

impl Seeded {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed ^ 0x5eed))
    }
}

impl Dice for Seeded {
    fn roll(&mut self, sides: usize) -> usize {
        self.0.next_u32() as usize % sides
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// A fuzzer's decisions: two bytes each, and zeros behind the end.
pub struct Bytes<'a>(pub &'a [u8]);

impl Dice for Bytes<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        let (now, later) = self.0.split_at(self.0.len().min(2));
        self.0 = later;
        now.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)) % sides
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
