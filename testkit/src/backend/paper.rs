//! Crypto at the price of a hash.

use std::cell::Cell;

use waxwing_core::crypto::{
    CryptoRng, Digest, Iv, KEY_LEN, PrivateKey, Provider, PublicKey, RSA_LEN, Rejected, RustCrypto,
    RustCryptoHasher, Signature, Spki,
};

use waxwing_core::testing::keys::COUNT;

use super::{Backend, spki};

thread_local! {
    static WORK: Cell<Work> = const { Cell::new(Work { keys: 0, signatures: 0 }) };
}

/// What would have taken time if it were not of paper, on this thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Public keys parsed.
    pub keys: usize,
    /// Signatures compared: those below their modulus, as the others are refused at sight.
    pub signatures: usize,
}

impl Work {
    /// What was done since the last look.
    pub fn since_last_look() -> Self {
        WORK.take()
    }

    fn add(keys: usize, signatures: usize) {
        let work = WORK.get();
        WORK.set(Self { keys: work.keys + keys, signatures: work.signatures + signatures });
    }
}

/// Behaves like RSA towards whoever does not cheat, at the price of a hash.
#[derive(Clone, Copy, Default)]
pub struct Paper;

/// A key of paper is the public half of a real one.
#[derive(Clone)]
pub struct PaperKey(pub Spki);

impl Backend for Paper {
    fn key(at: usize) -> PaperKey {
        // Beyond the real keys, any odd number of the right size will do.
        if at < COUNT {
            return PaperKey(spki(at));
        }
        let mut modulus = stretched(&[b"modulus", &at.to_le_bytes()]);
        (modulus[0], modulus[255]) = (0xff, modulus[255] | 1);
        PaperKey(Spki::from_modulus(&modulus).unwrap())
    }
}

fn stretched(parts: &[&[u8]]) -> [u8; RSA_LEN] {
    let mut stretched = [0; RSA_LEN];
    let digest = RustCrypto.sha256(parts).0;
    for part in stretched.as_chunks_mut().0 {
        *part = digest;
    }
    stretched
}

impl PaperKey {
    fn signature_of(&self, digest: &Digest) -> Signature {
        let mut signature = stretched(&[b"signed", self.0.as_bytes(), &digest.0]);
        // Below the modulus.
        signature[0] &= 0x7f;
        signature
    }
}

impl PublicKey for PaperKey {
    fn verify(&self, digest: &Digest, signature: &Signature) -> Result<(), Rejected> {
        Work::add(0, usize::from(signature < self.0.modulus()));
        if *signature == self.signature_of(digest) { Ok(()) } else { Err(Rejected) }
    }

    fn oaep_seal(
        &self,
        _: &mut dyn CryptoRng,
        label: &[u8],
        message: &[u8],
    ) -> Result<[u8; RSA_LEN], Rejected> {
        let mut sealed = [0; RSA_LEN];
        sealed[..32].copy_from_slice(&RustCrypto.sha256(&[self.0.as_bytes(), label]).0);
        sealed[32] = message.len() as u8;
        sealed[33..33 + message.len()].copy_from_slice(message);
        Ok(sealed)
    }
}

impl PrivateKey for PaperKey {
    fn spki(&self) -> &Spki {
        &self.0
    }

    fn sign(&self, _: &mut dyn CryptoRng, digest: &Digest) -> Result<Signature, Rejected> {
        Ok(self.signature_of(digest))
    }

    fn oaep_open(
        &self,
        _: &mut dyn CryptoRng,
        label: &[u8],
        sealed: &[u8; RSA_LEN],
        message: &mut [u8],
    ) -> Result<usize, Rejected> {
        let len = usize::from(sealed[32]);
        let opened = sealed.get(33..33 + len).ok_or(Rejected)?;
        if sealed[..32] != RustCrypto.sha256(&[self.0.as_bytes(), label]).0 {
            return Err(Rejected);
        }
        message.get_mut(..len).ok_or(Rejected)?.copy_from_slice(opened);
        Ok(len)
    }
}

impl Provider for Paper {
    type Hasher = RustCryptoHasher;
    type PublicKey = PaperKey;
    type PrivateKey = PaperKey;

    fn hasher(&self) -> RustCryptoHasher {
        RustCrypto.hasher()
    }

    fn public_key(&self, spki: &Spki) -> Result<PaperKey, Rejected> {
        Work::add(1, 0);
        Ok(PaperKey(spki.clone()))
    }

    fn cbc_encrypt(
        &self,
        key: &[u8; KEY_LEN],
        iv: &Iv,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, Rejected> {
        RustCrypto.cbc_encrypt(key, iv, buffer, len)
    }

    fn cbc_decrypt(
        &self,
        key: &[u8; KEY_LEN],
        iv: &Iv,
        buffer: &mut [u8],
    ) -> Result<usize, Rejected> {
        RustCrypto.cbc_decrypt(key, iv, buffer)
    }

    fn encrypt_block(&self, key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; 16]) {
        RustCrypto.encrypt_block(key, iv, block);
    }

    fn decrypt_block(&self, key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; 16]) {
        RustCrypto.decrypt_block(key, iv, block);
    }
}
