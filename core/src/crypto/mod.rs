//! Cryptography behind narrow traits (PROTOCOL.md, "Cryptography").
//!
//! The core names what it needs and a *backend* supplies it: one value of a [`Provider`] type,
//! with fixed-size arrays going in and the caller's slices coming out. Everything is digest
//! first, because one SHA-256 over a packet serves both as its id and under its signature.
//!
//! Private keys are opaque handles. A handle may hold the numbers, or be the name of a slot in
//! a secure element; the core never asks for the secret half. Every operation with one demands
//! a random generator, so that a backend can blind it.

#[cfg(feature = "aes-cbc")]
pub mod aes_cbc;
#[cfg(feature = "conformance")]
pub mod conformance;
mod key_error;
#[cfg(feature = "rustcrypto")]
mod rustcrypto;
mod sealed;
mod secret;
mod small_factors;
mod spki;
mod verified;

pub use key_error::KeyError;
pub use rand_core::CryptoRng;
#[cfg(feature = "rustcrypto")]
pub use rustcrypto::{RustCrypto, RustCryptoHasher, RustCryptoKey, RustCryptoPublicKey};
#[cfg(feature = "server")]
pub(crate) use sealed::cbc_open;
pub(crate) use sealed::cbc_seal;
pub use sealed::{BadSequence, SessionSeal, SharedTokens};
pub use secret::{MessageKey, ReplyKey, SessionKey};
pub use spki::{MODULUS_LEN, SPKI_LEN, Spki, WeakKey};
pub use verified::{Unverified, Verified};

/// Bytes of an RSA-2048 signature, ciphertext or modulus.
pub const RSA_LEN: usize = 256;
/// Bytes of an AES block and of a CBC initialisation vector.
pub const BLOCK_LEN: usize = 16;
/// Bytes of an AES-256 key: what seals and envelopes encrypt with.
pub const KEY_LEN: usize = 32;
/// Longest message that RSAES-OAEP with SHA-256 carries under a 2048-bit key.
pub const OAEP_MAX: usize = 190;
/// Bytes of the longest private key as PKCS#8 in DER. Few keys are so long: a key of OpenSSL has a
/// byte less at most, and one that is made on a device has these in a few of a hundred cases. A smaller
/// place for it would lose the account of such a device.
pub const PKCS8_MAX: usize = 1_220;

/// An RSASSA-PKCS1-v1_5 signature over SHA-256: 256 bytes.
pub type Signature = [u8; RSA_LEN];
/// An initialisation vector of AES-CBC: 16 bytes.
pub type Iv = [u8; BLOCK_LEN];

/// A SHA-256 digest: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl core::fmt::Debug for Digest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for byte in &self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A cryptographic operation was refused.
///
/// It carries no detail on purpose: which check of a padding failed must not be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("cryptographic operation refused")]
pub struct Rejected;

/// A SHA-256 computation that takes its bytes in parts.
pub trait Hasher {
    /// Takes in the next bytes of the message.
    fn update(&mut self, bytes: &[u8]);
    /// Ends the computation, and gives the digest of all bytes that it has taken.
    fn finish(self) -> Digest;
}

/// An RSA-2048 public key, parsed once and used often.
pub trait PublicKey {
    /// Checks an RSASSA-PKCS1-v1_5 signature with SHA-256 over `digest`.
    ///
    /// # Errors
    /// [`Rejected`] unless `signature` is below the modulus and its exponentiation equals the
    /// whole expected encoding; no padding is ever parsed.
    fn verify(&self, digest: &Digest, signature: &Signature) -> Result<(), Rejected>;

    /// RSAES-OAEP with SHA-256 and MGF1-SHA-256 under `label`.
    ///
    /// A backend may draw its seed from a generator of its own instead of `rng`.
    ///
    /// # Errors
    /// [`Rejected`] when `message` is longer than [`OAEP_MAX`].
    fn oaep_seal(
        &self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
        message: &[u8],
    ) -> Result<[u8; RSA_LEN], Rejected>;
}

/// A handle on an RSA-2048 private key.
pub trait PrivateKey {
    /// The public half, in its one encoding.
    fn spki(&self) -> &Spki;

    /// Signs `digest`, RSASSA-PKCS1-v1_5 with SHA-256; `rng` is for blinding.
    ///
    /// # Errors
    /// [`Rejected`] when the backend or its hardware fails.
    fn sign(&self, rng: &mut dyn CryptoRng, digest: &Digest) -> Result<Signature, Rejected>;

    /// Opens an RSAES-OAEP block made under `label` into the beginning of `message` and
    /// returns its length; `rng` is for blinding. A backend may ignore the byte with which the
    /// encoding begins, or refuse every one but 00, as its library does.
    ///
    /// # Errors
    /// [`Rejected`] for every failure alike, in constant time: padding, label, and a message
    /// that is longer than the slice.
    fn oaep_open(
        &self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
        sealed: &[u8; RSA_LEN],
        message: &mut [u8],
    ) -> Result<usize, Rejected>;
}

/// A crypto backend: hashes, AES-256-CBC, and RSA with public keys (PROTOCOL.md, "Cryptography").
pub trait Provider {
    /// Its SHA-256.
    type Hasher: Hasher;
    /// Its parsed public key.
    type PublicKey: PublicKey;
    /// Its private-key handle. How one comes to be is the backend's business.
    type PrivateKey: PrivateKey;

    /// Begins a SHA-256 computation.
    fn hasher(&self) -> Self::Hasher;

    /// Parses a public key.
    ///
    /// # Errors
    /// [`Rejected`] when the backend refuses the modulus.
    fn public_key(&self, spki: &Spki) -> Result<Self::PublicKey, Rejected>;

    /// AES-256-CBC with PKCS#7 padding, in place: the message is the first `len` bytes of
    /// `buffer`, the ciphertext the first bytes of it after. Returns the ciphertext's length,
    /// the next multiple of 16 above `len`.
    ///
    /// # Errors
    /// [`Rejected`] when `buffer` has no room for the padding.
    fn cbc_encrypt(
        &self,
        key: &[u8; KEY_LEN],
        iv: &Iv,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, Rejected>;

    /// Undoes [`Provider::cbc_encrypt`] in place and returns the message's length.
    ///
    /// Callers have verified a signature over the ciphertext before they get here.
    ///
    /// # Errors
    /// [`Rejected`] when `buffer` is empty, not whole blocks, or wrongly padded.
    fn cbc_decrypt(
        &self,
        key: &[u8; KEY_LEN],
        iv: &Iv,
        buffer: &mut [u8],
    ) -> Result<usize, Rejected>;

    /// One block of AES-256-CBC without padding, in place.
    fn encrypt_block(&self, key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]);

    /// Decrypts in place what [`Provider::encrypt_block`] has encrypted under the same key and IV.
    fn decrypt_block(&self, key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]);

    /// SHA-256 over the concatenation of `parts`.
    fn sha256(&self, parts: &[&[u8]]) -> Digest {
        let mut hasher = self.hasher();
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }
}
