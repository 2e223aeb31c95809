//! Chance that a test has a say in.

use std::convert::Infallible;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};

/// A generator that gives out what it was told to, then whatever comes: the blinding of private
/// keys, which leaves no trace.
pub struct Told(Vec<u8>, ChaCha20Rng);

impl Told {
    /// To be given out first.
    pub fn new(first: &[u8]) -> Self {
        Self(first.to_vec(), ChaCha20Rng::from_seed([7; 32]))
    }
}

impl TryRng for Told {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.1.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.1.next_u64())
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        let told = self.0.len().min(to.len());
        to[..told].copy_from_slice(&self.0[..told]);
        self.0.drain(..told);
        self.1.fill_bytes(&mut to[told..]);
        Ok(())
    }
}

impl TryCryptoRng for Told {}
