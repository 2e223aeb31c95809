//! The portable backend: `rsa`, `aes`, `cbc` and `sha2` of the RustCrypto project.
//!
//! It runs wherever there is an allocator (the `rsa` crate computes on the heap) and is what a
//! device uses. Without its default features `rsa` blinds only when told to, so nothing here
//! calls its unblinded functions.

mod key;

use rsa::{BoxedUint, Oaep};
use sha2::{Digest as _, Sha256};

use super::{BLOCK_LEN, CryptoRng, Digest, Hasher, Iv, KEY_LEN, Provider, PublicKey};
use super::{RSA_LEN, Rejected, Signature, Spki, aes_cbc};

pub use key::RustCryptoKey;

/// The backend itself; it holds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

impl Provider for RustCrypto {
    type Hasher = RustCryptoHasher;
    type PublicKey = RustCryptoPublicKey;
    type PrivateKey = RustCryptoKey;

    fn hasher(&self) -> RustCryptoHasher {
        RustCryptoHasher(Sha256::new())
    }

    fn public_key(&self, spki: &Spki) -> Result<RustCryptoPublicKey, Rejected> {
        let modulus = BoxedUint::from_be_slice(spki.modulus(), RSA_BITS).map_err(|_| Rejected)?;
        let key = rsa::PublicKey::new(modulus, EXPONENT.into()).map_err(|_| Rejected)?;
        Ok(RustCryptoPublicKey(key))
    }

    fn cbc_encrypt(
        &self,
        key: &[u8; KEY_LEN],
        iv: &Iv,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, Rejected> {
        aes_cbc::encrypt(key, iv, buffer, len)
    }

    fn cbc_decrypt(
        &self,
        key: &[u8; KEY_LEN],
        iv: &Iv,
        buffer: &mut [u8],
    ) -> Result<usize, Rejected> {
        aes_cbc::decrypt(key, iv, buffer)
    }

    fn encrypt_block(&self, key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]) {
        aes_cbc::encrypt_block(key, iv, block);
    }

    fn decrypt_block(&self, key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]) {
        aes_cbc::decrypt_block(key, iv, block);
    }
}

/// SHA-256 of the `sha2` crate; wipes its state when dropped.
#[derive(Clone)]
pub struct RustCryptoHasher(Sha256);

impl Hasher for RustCryptoHasher {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// A public key with its Montgomery parameters.
#[derive(Clone, Debug)]
pub struct RustCryptoPublicKey(rsa::PublicKey);

impl PublicKey for RustCryptoPublicKey {
    fn verify(&self, digest: &Digest, signature: &Signature) -> Result<(), Rejected> {
        self.0.pkcs1v15_verify_prehash::<Sha256>(&digest.0, signature).map_err(|_| Rejected)
    }

    fn oaep_seal(
        &self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
        message: &[u8],
    ) -> Result<[u8; RSA_LEN], Rejected> {
        let sealed = self.0.encrypt(rng, oaep(label), message).map_err(|_| Rejected)?;
        sealed.try_into().map_err(|_| Rejected)
    }
}

fn oaep(label: &[u8]) -> Oaep<Sha256> {
    Oaep::new_with_label(label)
}

const RSA_BITS: u32 = 2048;
const EXPONENT: u64 = 65_537;
