//! The crypto backend that this build uses: aws-lc unless that is left out.

#[cfg(not(any(feature = "aws-lc", feature = "rustcrypto")))]
compile_error!("choose a crypto backend: feature `aws-lc` or feature `rustcrypto`");

use getrandom::SysRng;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{SeedableRng, UnwrapErr};

/// The crypto backend of this build.
#[cfg(feature = "aws-lc")]
pub type Backend = waxwing_aws_lc::AwsLc;
/// A private key of that backend.
#[cfg(feature = "aws-lc")]
pub type Key = waxwing_aws_lc::AwsLcKey;
/// The crypto backend of this build.
#[cfg(all(feature = "rustcrypto", not(feature = "aws-lc")))]
pub type Backend = waxwing_core::crypto::RustCrypto;
/// A private key of that backend.
#[cfg(all(feature = "rustcrypto", not(feature = "aws-lc")))]
pub type Key = waxwing_core::crypto::RustCryptoKey;

/// Makes a new private key.
///
/// # Errors
/// When the backend fails.
pub fn generate_key() -> Result<Key, waxwing_core::crypto::Rejected> {
    #[cfg(feature = "aws-lc")]
    return Key::generate();
    #[cfg(not(feature = "aws-lc"))]
    return Key::generate(&mut random());
}

/// A generator seeded by the operating system, for this process.
#[must_use]
pub fn random() -> ChaCha20Rng {
    // Without randomness there is nothing that the server could safely do.
    ChaCha20Rng::from_rng(&mut UnwrapErr(SysRng))
}
