//! A board, and a backend, of which nothing is known but how to call them.

use core::cell::UnsafeCell;
use core::convert::Infallible;
use core::panic::PanicInfo;

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use waxwing_core::crypto::{
    BLOCK_LEN, CryptoRng, Digest, Hasher, Iv, KEY_LEN, PrivateKey, Provider, PublicKey, RSA_LEN,
    Rejected, Signature, Spki,
};
use waxwing_core::phone::Phone;
use waxwing_core::time::{Instant, Now};

// The linker gives each of these an address and no code: see `build.rs`.
unsafe extern "Rust" {
    pub(crate) safe fn board_now() -> Now;
    pub(crate) safe fn board_sleep(until: Option<Instant>);
    pub(crate) safe fn board_load(to: &mut [u8]);
    pub(crate) safe fn board_show(bytes: &[u8]);
    pub(crate) safe fn board_command() -> u16;
    safe fn board_random(to: &mut [u8]);
    safe fn board_ready() -> bool;
    safe fn board_read(to: &mut [u8]) -> usize;
    safe fn board_write(bytes: &[u8]) -> usize;
    safe fn board_hash(state: &mut [u32; 27], bytes: &[u8]);
    safe fn board_digest(state: &[u32; 27], to: &mut [u8; 32]);
    safe fn board_parse(spki: &Spki) -> Option<u32>;
    safe fn board_spki() -> &'static Spki;
    safe fn board_verify(slot: u32, digest: &Digest, signature: &Signature) -> bool;
    safe fn board_sign(slot: u32, digest: &Digest, to: &mut Signature) -> bool;
    safe fn board_seal(slot: u32, label: &[u8], message: &[u8], to: &mut [u8; RSA_LEN]) -> bool;
    safe fn board_open(
        slot: u32,
        label: &[u8],
        sealed: &[u8; RSA_LEN],
        to: &mut [u8],
    ) -> Option<usize>;
    safe fn board_encrypt(
        key: &[u8; KEY_LEN],
        iv: &Iv,
        buffer: &mut [u8],
        len: usize,
    ) -> Option<usize>;
    safe fn board_decrypt(key: &[u8; KEY_LEN], iv: &Iv, buffer: &mut [u8]) -> Option<usize>;
}

/// The backend.
pub(crate) struct Backend;

/// A key in a slot of the board's.
pub(crate) struct Key(pub(crate) u32);

/// A digest in the making; as large as the state of a SHA-256.
pub(crate) struct Sha([u32; 27]);

impl Hasher for Sha {
    fn update(&mut self, bytes: &[u8]) {
        board_hash(&mut self.0, bytes);
    }

    fn finish(self) -> Digest {
        let mut digest = Digest([0; 32]);
        board_digest(&self.0, &mut digest.0);
        digest
    }
}

impl PublicKey for Key {
    fn verify(&self, digest: &Digest, signature: &Signature) -> Result<(), Rejected> {
        board_verify(self.0, digest, signature).then_some(()).ok_or(Rejected)
    }

    fn oaep_seal(
        &self,
        _: &mut dyn CryptoRng,
        label: &[u8],
        message: &[u8],
    ) -> Result<[u8; RSA_LEN], Rejected> {
        let mut sealed = [0; RSA_LEN];
        let done = board_seal(self.0, label, message, &mut sealed);
        done.then_some(sealed).ok_or(Rejected)
    }
}

impl PrivateKey for Key {
    fn spki(&self) -> &Spki {
        board_spki()
    }

    fn sign(&self, _: &mut dyn CryptoRng, digest: &Digest) -> Result<Signature, Rejected> {
        let mut signature = [0; RSA_LEN];
        let done = board_sign(self.0, digest, &mut signature);
        done.then_some(signature).ok_or(Rejected)
    }

    fn oaep_open(
        &self,
        _: &mut dyn CryptoRng,
        label: &[u8],
        sealed: &[u8; RSA_LEN],
        message: &mut [u8],
    ) -> Result<usize, Rejected> {
        board_open(self.0, label, sealed, message).ok_or(Rejected)
    }
}

impl Provider for Backend {
    type Hasher = Sha;
    type PublicKey = Key;
    type PrivateKey = Key;

    fn hasher(&self) -> Sha {
        Sha([0; 27])
    }

    fn public_key(&self, spki: &Spki) -> Result<Key, Rejected> {
        board_parse(spki).map(Key).ok_or(Rejected)
    }

    fn cbc_encrypt(
        &self,
        key: &[u8; KEY_LEN],
        iv: &Iv,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, Rejected> {
        board_encrypt(key, iv, buffer, len).ok_or(Rejected)
    }

    fn cbc_decrypt(
        &self,
        key: &[u8; KEY_LEN],
        iv: &Iv,
        buffer: &mut [u8],
    ) -> Result<usize, Rejected> {
        board_decrypt(key, iv, buffer).ok_or(Rejected)
    }

    fn encrypt_block(&self, key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]) {
        let _ = board_encrypt(key, iv, block, BLOCK_LEN);
    }

    fn decrypt_block(&self, key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]) {
        let _ = board_decrypt(key, iv, block);
    }
}

/// The board's random generator.
pub(crate) struct Entropy;

impl rand_core::TryRng for Entropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        board_random(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        board_random(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        board_random(to);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Entropy {}

/// The board's line to the server.
pub(crate) struct Line;

impl ErrorType for Line {
    type Error = Infallible;
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(board_read(buffer).min(buffer.len()))
    }
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(board_ready())
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(board_write(bytes).min(bytes.len()))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl WriteReady for Line {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(board_ready())
    }
}

/// A phone that the board has stored.
pub(crate) fn phone() -> Option<Phone> {
    let mut text = [0; 16];
    board_load(&mut text);
    Phone::parse(&text).ok()
}

/// So many bytes of RAM.
pub(crate) struct Room<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: nobody reads or writes it; it is there to be measured.
unsafe impl<const N: usize> Sync for Room<N> {}

impl<const N: usize> Room<N> {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new([0; N]))
    }
}

unsafe extern "C" {
    /// Nobody defines it: a program in which a panic can be reached does not link.
    fn a_panic_is_reachable() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: this is never linked, let alone called.
    unsafe { a_panic_is_reachable() }
}
