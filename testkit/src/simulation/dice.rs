//! Where the decisions of a run come from.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::act::Act;

/// A source of decisions.
pub trait Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize;
}

/// What happens in a run, step by step. What a step leaves open is rolled.
pub trait Script: Dice {
    /// Which of so many people the next step is about, and what happens in it. `None` at the end.
    fn next_step(&mut self, people: usize) -> Option<(usize, Act)>;
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
}

impl Script for Seeded {
    fn next_step(&mut self, people: usize) -> Option<(usize, Act)> {
        let who = self.roll(people);
        Some((who, Act::of_hundred(self.roll(100))))
    }
}
