//! The random generator: ChaCha20, seeded anew at every start.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::host;

/// A generator from a fresh seed; `None` when there is no seed, or one that cannot be random.
///
/// This board has no source of randomness, so the host's serves. On a real board this is a TRNG.
pub fn generator() -> Option<ChaCha20Rng> {
    let mut seed = [0; 32];
    let read = host::read_file(c"/dev/urandom", &mut seed)?;
    // A source that is stuck gives the same byte for ever.
    let stuck = seed.iter().all(|byte| *byte == seed[0]);
    (read == seed.len() && !stuck).then(|| ChaCha20Rng::from_seed(seed))
}
