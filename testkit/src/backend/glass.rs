//! Crypto that hides nothing and refuses nothing.

use waxwing_core::crypto::{
    BLOCK_LEN, CryptoRng, Digest, Iv, KEY_LEN, PrivateKey, Provider, PublicKey, RSA_LEN, Rejected,
    RustCrypto, RustCryptoHasher, Signature, Spki,
};

use super::{Backend, spki};

/// Every signature holds, and what is sealed lies open: a fuzzer gets past it.
#[derive(Clone, Copy, Default)]
pub struct Glass;

/// A key of glass: the public half of a real one.
#[derive(Clone)]
pub struct GlassKey(pub Spki);

impl Backend for Glass {
    fn key(at: usize) -> GlassKey {
        GlassKey(spki(at))
    }
}

impl PublicKey for GlassKey {
    fn verify(&self, _: &Digest, _: &Signature) -> Result<(), Rejected> {
        Ok(())
    }

    /// The length, and the message.
    fn oaep_seal(
        &self,
        _: &mut dyn CryptoRng,
        _: &[u8],
        message: &[u8],
    ) -> Result<[u8; RSA_LEN], Rejected> {
        let mut sealed = [0; RSA_LEN];
        sealed[0] = u8::try_from(message.len()).map_err(|_| Rejected)?;
        sealed.get_mut(1..=message.len()).ok_or(Rejected)?.copy_from_slice(message);
        Ok(sealed)
    }
}

impl PrivateKey for GlassKey {
    fn spki(&self) -> &Spki {
        &self.0
    }

    fn sign(&self, _: &mut dyn CryptoRng, _: &Digest) -> Result<Signature, Rejected> {
        Ok([0; RSA_LEN])
    }

    fn oaep_open(
        &self,
        _: &mut dyn CryptoRng,
        _: &[u8],
        sealed: &[u8; RSA_LEN],
        message: &mut [u8],
    ) -> Result<usize, Rejected> {
        let len = usize::from(sealed[0]);
        let opened = sealed.get(1..=len).ok_or(Rejected)?;
        message.get_mut(..len).ok_or(Rejected)?.copy_from_slice(opened);
        Ok(len)
    }
}

impl Provider for Glass {
    type Hasher = RustCryptoHasher;
    type PublicKey = GlassKey;
    type PrivateKey = GlassKey;

    fn hasher(&self) -> RustCryptoHasher {
        RustCrypto.hasher()
    }

    fn public_key(&self, spki: &Spki) -> Result<GlassKey, Rejected> {
        Ok(GlassKey(spki.clone()))
    }

    /// Padding alone.
    fn cbc_encrypt(
        &self,
        _: &[u8; KEY_LEN],
        _: &Iv,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, Rejected> {
        let padding = BLOCK_LEN - len % BLOCK_LEN;
        buffer.get_mut(len..len + padding).ok_or(Rejected)?.fill(padding as u8);
        Ok(len + padding)
    }

    fn cbc_decrypt(&self, _: &[u8; KEY_LEN], _: &Iv, buffer: &mut [u8]) -> Result<usize, Rejected> {
        let padding = usize::from(*buffer.last().ok_or(Rejected)?);
        let is_sound = buffer.len().is_multiple_of(BLOCK_LEN) && (1..=BLOCK_LEN).contains(&padding);
        if is_sound { Ok(buffer.len() - padding) } else { Err(Rejected) }
    }

    fn encrypt_block(&self, _: &[u8; KEY_LEN], _: &Iv, _: &mut [u8; BLOCK_LEN]) {}

    fn decrypt_block(&self, _: &[u8; KEY_LEN], _: &Iv, _: &mut [u8; BLOCK_LEN]) {}
}
