//! The crypto that a world runs on: the real one, one of paper for tests of many seeds, and one of
//! glass for fuzzing.

mod glass;
mod paper;

use waxwing_core::crypto::{PrivateKey, Provider, RustCrypto, RustCryptoKey, Spki};
use waxwing_core::testing::keys;

pub use glass::{Glass, GlassKey};
pub use paper::{Paper, PaperKey, Work};

/// A provider with fixed keys.
pub trait Backend:
    Provider<PublicKey: 'static, PrivateKey: 'static> + Copy + Default + 'static
{
    /// The fixed key number `at`.
    fn key(at: usize) -> Self::PrivateKey;
}

impl Backend for RustCrypto {
    fn key(at: usize) -> RustCryptoKey {
        RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(at)).unwrap()
    }
}

#[cfg(feature = "aws-lc")]
impl Backend for waxwing_aws_lc::AwsLc {
    fn key(at: usize) -> waxwing_aws_lc::AwsLcKey {
        waxwing_aws_lc::AwsLcKey::from_pkcs8_der(keys::pkcs8_der(at)).unwrap()
    }
}

/// The public half of a real key.
fn spki(at: usize) -> Spki {
    static SPKIS: std::sync::OnceLock<Vec<Spki>> = std::sync::OnceLock::new();
    let load = |at| RustCrypto::key(at).spki().clone();
    SPKIS.get_or_init(|| (0..keys::COUNT).map(load).collect())[at % keys::COUNT].clone()
}
