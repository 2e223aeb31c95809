//! AES-256-CBC in place, of the `aes` and `cbc` crates (the crate's documentation says why).

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use waxwing_core::crypto::{BLOCK_LEN, Iv, KEY_LEN, Rejected};

type Encryptor = cbc::Encryptor<Aes256>;
type Decryptor = cbc::Decryptor<Aes256>;

pub(crate) fn encrypt(
    key: &[u8; KEY_LEN],
    iv: &Iv,
    buffer: &mut [u8],
    len: usize,
) -> Result<usize, Rejected> {
    let cipher = Encryptor::new(key.into(), iv.into());
    let ciphertext = cipher.encrypt_padded::<Pkcs7>(buffer, len).map_err(|_| Rejected)?;
    Ok(ciphertext.len())
}

pub(crate) fn decrypt(key: &[u8; KEY_LEN], iv: &Iv, buffer: &mut [u8]) -> Result<usize, Rejected> {
    let cipher = Decryptor::new(key.into(), iv.into());
    let message = cipher.decrypt_padded::<Pkcs7>(buffer).map_err(|_| Rejected)?;
    Ok(message.len())
}

pub(crate) fn encrypt_block(key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]) {
    Encryptor::new(key.into(), iv.into()).encrypt_block(block.into());
}

pub(crate) fn decrypt_block(key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]) {
    Decryptor::new(key.into(), iv.into()).decrypt_block(block.into());
}
