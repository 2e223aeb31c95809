//! The random generator: ChaCha20, seeded anew at every start.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::board::Board;

/// A generator from the board's seed; `None` when there is none, or one that cannot be random.
pub fn generator(board: &dyn Board) -> Option<ChaCha20Rng> {
    let seed = board.seed()?;
    // A source that is stuck gives the same byte for ever.
    let stuck = seed.iter().all(|byte| *byte == seed[0]);
    (!stuck).then(|| ChaCha20Rng::from_seed(seed))
}
