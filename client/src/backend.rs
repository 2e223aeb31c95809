//! Which crypto backend this client is built with: AWS-LC if feature `aws-lc` is on, the
//! portable one if only `rustcrypto` is. Both write and read the same keys.

use getrandom::SysRng;
use rand_core::{CryptoRng, UnwrapErr};
use waxwing_core::crypto::{KeyError, Provider, Rejected};
use zeroize::Zeroizing;

#[cfg(not(any(feature = "aws-lc", feature = "rustcrypto")))]
compile_error!("choose a crypto backend: feature `aws-lc` (default) or `rustcrypto`");

#[cfg(feature = "aws-lc")]
mod chosen {
    use super::{CryptoRng, Rejected};

    pub(super) use waxwing_aws_lc::{AwsLc as Backend, AwsLcKey as Key};

    pub(super) const BACKEND: Backend = Backend;

    // AWS-LC draws from a generator of its own.
    pub(super) fn generate(_rng: &mut dyn CryptoRng) -> Result<Key, Rejected> {
        Key::generate()
    }
}

#[cfg(all(feature = "rustcrypto", not(feature = "aws-lc")))]
mod chosen {
    use super::{CryptoRng, Rejected};

    pub(super) use waxwing_core::crypto::{RustCrypto as Backend, RustCryptoKey as Key};

    pub(super) const BACKEND: Backend = Backend;

    pub(super) fn generate(rng: &mut dyn CryptoRng) -> Result<Key, Rejected> {
        Key::generate(rng)
    }
}

/// The crypto backend of this build.
pub type Backend = chosen::Backend;
/// A private key of that backend.
pub type BackendKey = <Backend as Provider>::PrivateKey;
/// A public key that the backend has parsed.
pub type BackendPublicKey = <Backend as Provider>::PublicKey;

/// The backend's one value.
#[must_use]
pub const fn provider() -> Backend {
    chosen::BACKEND
}

/// The operating system's generator. It panics if the system has no entropy to give, which no
/// system that booted does.
#[must_use]
pub fn rng() -> impl CryptoRng + use<> {
    UnwrapErr(SysRng)
}

/// Makes a client's key.
///
/// # Errors
/// [`Rejected`] when there is no memory or no entropy.
pub fn generate_key() -> Result<BackendKey, Rejected> {
    chosen::generate(&mut rng())
}

/// Reads a key as [`key_der`] wrote it.
///
/// # Errors
/// [`KeyError`] for any other form, and for numbers that do not belong together.
pub fn load_key(der: &[u8]) -> Result<BackendKey, KeyError> {
    chosen::Key::from_pkcs8_der(der)
}

/// A key as PKCS#8 DER.
///
/// # Errors
/// [`Rejected`] when there is no memory.
pub fn key_der(key: &BackendKey) -> Result<Zeroizing<Vec<u8>>, Rejected> {
    key.to_pkcs8_der()
}

#[cfg(test)]
mod tests {
    use super::*;
    use waxwing_core::crypto::PrivateKey;

    #[test]
    fn a_new_key_reads_back_as_it_was_written() {
        let key = generate_key().unwrap();
        let der = key_der(&key).unwrap();
        let read = load_key(&der).unwrap();
        assert_eq!(read.spki(), key.spki());
        assert_eq!(*key_der(&read).unwrap(), *der);
        assert!(load_key(&der[1..]).is_err());
    }
}
