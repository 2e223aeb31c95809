//! The private key of the portable backend.

use core::fmt;

use alloc::vec::Vec;
use rsa::BoxedUint;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use sha2::Sha256;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{EXPONENT, RSA_BITS, oaep};
use crate::crypto::{CryptoRng, Digest, KeyError, PrivateKey, RSA_LEN, Rejected, Signature, Spki};

/// An RSA-2048 private key in memory, wiped when dropped.
///
/// It cannot be cloned and prints nothing but its public half.
#[derive(ZeroizeOnDrop)]
pub struct RustCryptoKey {
    key: rsa::PrivateKey,
    #[zeroize(skip)]
    spki: Spki,
}

impl RustCryptoKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`Rejected`] when the search for primes fails, which a sound generator never causes.
    pub fn generate(rng: &mut dyn CryptoRng) -> Result<Self, Rejected> {
        let key = rsa::PrivateKey::new(rng, RSA_BITS as usize).map_err(|_| Rejected)?;
        Self::from_rsa(key)
    }

    /// Reads the one accepted form: PKCS#8 version 0 in DER, `rsaEncryption` with NULL, no
    /// attributes, two primes of 1,024 bits, and every derived number as it follows from the others.
    ///
    /// # Errors
    /// [`KeyError`] for any other form, size or exponent, and for numbers that do not belong
    /// together.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        KeyError::check_private(der)?;
        Self::read(der).map_err(|_| KeyError::of_private(der))
    }

    fn read(der: &[u8]) -> Result<Self, Rejected> {
        let key = Self::from_rsa(rsa::PrivateKey::from_pkcs8_der(der).map_err(|_| Rejected)?)?;
        // The crate skips the CRT numbers of the file and computes its own; comparing what it
        // would write is also what holds the file to one form.
        if key.to_pkcs8_der()?.as_slice() == der { Ok(key) } else { Err(Rejected) }
    }

    /// The form that [`Self::from_pkcs8_der`] reads.
    ///
    /// # Errors
    /// [`Rejected`] never, for a key that was accepted; the encoder leaves the case open.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Rejected> {
        Ok(EncodePrivateKey::to_pkcs8_der(&self.key).map_err(|_| Rejected)?.to_bytes())
    }

    fn from_rsa(mut key: rsa::PrivateKey) -> Result<Self, Rejected> {
        // The crate has computed the CRT numbers already. With a second caller, the function that does
        // it is not copied into its first one, and a device saves 18 KiB of flash.
        key.precompute().map_err(|_| Rejected)?;
        let modulus = key.n_bytes();
        let modulus = modulus.first_chunk().filter(|_| modulus.len() == RSA_LEN);
        let spki = Spki::from_modulus(modulus.ok_or(Rejected)?).map_err(|_| Rejected)?;
        let sound = *key.e() == BoxedUint::from(EXPONENT) && key.primes().len() == 2;
        if sound { Ok(Self { key, spki }) } else { Err(Rejected) }
    }
}

impl PrivateKey for RustCryptoKey {
    fn spki(&self) -> &Spki {
        &self.spki
    }

    fn sign(&self, rng: &mut dyn CryptoRng, digest: &Digest) -> Result<Signature, Rejected> {
        let signed = self.key.pkcs1v15_sign_prehash_with_rng::<Sha256, _>(rng, &digest.0);
        signed.map_err(|_| Rejected)?.try_into().map_err(|_| Rejected)
    }

    fn oaep_open(
        &self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
        sealed: &[u8; RSA_LEN],
        message: &mut [u8],
    ) -> Result<usize, Rejected> {
        let opened = self.key.decrypt_blinded(rng, oaep(label), sealed);
        let opened = Zeroizing::new(opened.map_err(|_| Rejected)?);
        let room = message.get_mut(..opened.len()).ok_or(Rejected)?;
        room.copy_from_slice(&opened);
        Ok(opened.len())
    }
}

impl fmt::Debug for RustCryptoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustCryptoKey").field("spki", &self.spki).finish_non_exhaustive()
    }
}
