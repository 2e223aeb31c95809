//! The hosts' crypto backend: RSA and SHA-256 of AWS-LC through `aws-lc-rs`.
//!
//! AWS-LC signs about three times and verifies about four times as fast as the portable backend
//! of `waxwing-core`, and always blinds. It draws all its randomness from a generator of its
//! own: the `rng` arguments of the traits go unused here.
//!
//! AES is the exception. `aws-lc-rs` copies every key to the heap and expands it both ways for
//! each message, which takes three times as long as the whole work on a short one, and has no
//! CBC without padding. The `aes` crate uses the same processor instructions and no heap.

mod private_key;
mod public_key;

use aws_lc_rs::digest::{self, Context, SHA256};
use waxwing_core::crypto::{
    BLOCK_LEN, Digest, Hasher, Iv, KEY_LEN, Provider, Rejected, Spki, aes_cbc,
};

pub use private_key::AwsLcKey;
pub use public_key::AwsLcPublicKey;

/// The backend itself; it holds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl Provider for AwsLc {
    type Hasher = AwsLcHasher;
    type PublicKey = AwsLcPublicKey;
    type PrivateKey = AwsLcKey;

    fn hasher(&self) -> AwsLcHasher {
        AwsLcHasher(Context::new(&SHA256))
    }

    fn public_key(&self, spki: &Spki) -> Result<AwsLcPublicKey, Rejected> {
        AwsLcPublicKey::parse(spki)
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

    fn sha256(&self, parts: &[&[u8]]) -> Digest {
        // A context lives on the heap; a packet is one part and needs none.
        if let [whole] = parts {
            return imported(digest::digest(&SHA256, whole));
        }
        let mut hasher = self.hasher();
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }
}

/// A SHA-256 computation of AWS-LC, which takes its bytes in parts.
#[derive(Clone)]
pub struct AwsLcHasher(Context);

impl Hasher for AwsLcHasher {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self) -> Digest {
        imported(self.0.finish())
    }
}

fn imported(digest: digest::Digest) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    Digest(bytes)
}

fn exported(digest: &Digest) -> Result<digest::Digest, Rejected> {
    digest::Digest::import_less_safe(&digest.0, &SHA256).map_err(|_| Rejected)
}
