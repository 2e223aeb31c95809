//! AES-256-CBC in place, of the `aes` and `cbc` crates, for every backend that has none as good:
//! no heap, and the processor's own instructions where it has them.

use super::{BLOCK_LEN, Iv, KEY_LEN, Rejected};
use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};

type Encryptor = cbc::Encryptor<Aes256>;
type Decryptor = cbc::Decryptor<Aes256>;

/// What [`super::Provider::cbc_encrypt`] asks for.
///
/// # Errors
/// [`Rejected`] when `buffer` has no room for the padding.
pub fn encrypt(
    key: &[u8; KEY_LEN],
    iv: &Iv,
    buffer: &mut [u8],
    len: usize,
) -> Result<usize, Rejected> {
    let cipher = Encryptor::new(key.into(), iv.into());
    let ciphertext = cipher.encrypt_padded::<Pkcs7>(buffer, len).map_err(|_| Rejected)?;
    Ok(ciphertext.len())
}

/// What [`super::Provider::cbc_decrypt`] asks for.
///
/// # Errors
/// [`Rejected`] when `buffer` is empty, not whole blocks, or wrongly padded.
pub fn decrypt(key: &[u8; KEY_LEN], iv: &Iv, buffer: &mut [u8]) -> Result<usize, Rejected> {
    let cipher = Decryptor::new(key.into(), iv.into());
    let message = cipher.decrypt_padded::<Pkcs7>(buffer).map_err(|_| Rejected)?;
    Ok(message.len())
}

/// What [`super::Provider::encrypt_block`] asks for.
pub fn encrypt_block(key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]) {
    Encryptor::new(key.into(), iv.into()).encrypt_block(block.into());
}

/// What [`super::Provider::decrypt_block`] asks for.
pub fn decrypt_block(key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]) {
    Decryptor::new(key.into(), iv.into()).decrypt_block(block.into());
}
