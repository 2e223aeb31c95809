//! AES-256-CBC.
//!
//! The four chained blocks are NIST SP 800-38A, F.2.5 and F.2.6. The padding is that of RFC
//! 5652, section 6.3; the bad paddings mirror `BadPadding` of Wycheproof's
//! `aes_cbc_pkcs5_test` and are made here out of single blocks, which carry none.

use super::{Failure, Suite, hex, refused, same};
use crate::crypto::{BLOCK_LEN, Iv, KEY_LEN, Provider};

pub(super) fn run<P: Provider>(provider: &P, suite: &mut Suite<'_>) {
    suite.case("cbc: SP 800-38A F.2.5, encrypt", encrypt_blocks(provider));
    suite.case("cbc: SP 800-38A F.2.6, decrypt", decrypt_blocks(provider));
    suite.case("cbc: four blocks and one of padding", four_and_padding(provider));
    suite.case("cbc: every length up to 80", every_length(provider));
    suite.case("cbc: room for the padding is needed", room(provider));
    suite.case("cbc: bytes behind the ciphertext stay", behind(provider));
    suite.case("cbc: empty", refused(provider.cbc_decrypt(&KEY, &IV, &mut [])));
    suite.case("cbc: not whole blocks", broken_blocks(provider));
    for (name, block) in BAD_PADDINGS {
        suite.case(name, bad_padding(provider, block));
    }
    suite.case("cbc: padding reaches into the block before", padding_across(provider));
}

fn encrypt_blocks<P: Provider>(provider: &P) -> Result<(), Failure> {
    let mut iv = IV;
    for (plain, cipher) in PLAIN.iter().zip(&CIPHER) {
        let mut block = *plain;
        provider.encrypt_block(&KEY, &iv, &mut block);
        same(&block, cipher)?;
        iv = block;
    }
    Ok(())
}

fn decrypt_blocks<P: Provider>(provider: &P) -> Result<(), Failure> {
    let mut iv = IV;
    for (plain, cipher) in PLAIN.iter().zip(&CIPHER) {
        let mut block = *cipher;
        provider.decrypt_block(&KEY, &iv, &mut block);
        same(&block, plain)?;
        iv = *cipher;
    }
    Ok(())
}

fn four_and_padding<P: Provider>(provider: &P) -> Result<(), Failure> {
    let mut buffer = [0; 80];
    for (room, plain) in buffer.chunks_mut(BLOCK_LEN).zip(&PLAIN) {
        room.copy_from_slice(plain);
    }
    same(&provider.cbc_encrypt(&KEY, &IV, &mut buffer, 64)?, &80)?;
    for (block, cipher) in buffer.chunks(BLOCK_LEN).zip(CIPHER.iter().chain([&PADDING])) {
        same(block, cipher)?;
    }
    same(&provider.cbc_decrypt(&KEY, &IV, &mut buffer)?, &64)?;
    same(buffer.as_chunks().0.get(..4).unwrap_or(&[]), &PLAIN)
}

/// Round trips, checked block by block against the single-block operation.
fn every_length<P: Provider>(provider: &P) -> Result<(), Failure> {
    for len in 0_usize..=80 {
        let mut buffer = [0x5a; 96];
        let written = provider.cbc_encrypt(&KEY, &IV, &mut buffer, len)?;
        let padding = 16_usize.saturating_sub(len & 15);
        same(&written, &len.saturating_add(padding))?;

        let mut copy = buffer;
        let mut iv = IV;
        for block in copy.as_chunks_mut::<BLOCK_LEN>().0.iter_mut().take(written >> 4) {
            let next = *block;
            provider.decrypt_block(&KEY, &iv, block);
            iv = next;
        }
        let (message, rest) = copy.split_at(len);
        same(&message.iter().all(|byte| *byte == 0x5a), &true)?;
        same(&rest.iter().take(padding).all(|byte| usize::from(*byte) == padding), &true)?;

        let ciphertext = buffer.get_mut(..written).ok_or(Failure::WrongAnswer)?;
        same(&provider.cbc_decrypt(&KEY, &IV, ciphertext)?, &len)?;
        same(&ciphertext.iter().take(len).all(|byte| *byte == 0x5a), &true)?;
    }
    Ok(())
}

fn room<P: Provider>(provider: &P) -> Result<(), Failure> {
    refused(provider.cbc_encrypt(&KEY, &IV, &mut [], 0))?;
    refused(provider.cbc_encrypt(&KEY, &IV, &mut [0; 15], 0))?;
    refused(provider.cbc_encrypt(&KEY, &IV, &mut [0; 16], 16))?;
    refused(provider.cbc_encrypt(&KEY, &IV, &mut [0; 31], 16))?;
    refused(provider.cbc_encrypt(&KEY, &IV, &mut [0; 16], 17))?;
    refused(provider.cbc_encrypt(&KEY, &IV, &mut [0; 16], usize::MAX))?;
    same(&provider.cbc_encrypt(&KEY, &IV, &mut [0; 16], 15)?, &16)
}

fn behind<P: Provider>(provider: &P) -> Result<(), Failure> {
    let mut buffer = [0xa5; 64];
    same(&provider.cbc_encrypt(&KEY, &IV, &mut buffer, 20)?, &32)?;
    same(buffer.get(32..).unwrap_or(&[]), &[0xa5; 32])
}

fn broken_blocks<P: Provider>(provider: &P) -> Result<(), Failure> {
    let mut buffer = [0; 80];
    let written = provider.cbc_encrypt(&KEY, &IV, &mut buffer, 64)?;
    for len in (1..written).filter(|len| len & 15 != 0) {
        let mut copy = buffer;
        refused(provider.cbc_decrypt(&KEY, &IV, copy.get_mut(..len).unwrap_or(&mut [])))?;
    }
    Ok(())
}

fn bad_padding<P: Provider>(provider: &P, block: [u8; BLOCK_LEN]) -> Result<(), Failure> {
    let mut alone = block;
    provider.encrypt_block(&KEY, &IV, &mut alone);
    refused(provider.cbc_decrypt(&KEY, &IV, &mut alone))
}

/// Seventeen bytes of 11: two blocks would hold such a padding, the standard does not.
fn padding_across<P: Provider>(provider: &P) -> Result<(), Failure> {
    let mut first = [17; BLOCK_LEN];
    provider.encrypt_block(&KEY, &IV, &mut first);
    let mut second = [17; BLOCK_LEN];
    provider.encrypt_block(&KEY, &first, &mut second);
    let mut buffer = [0; 32];
    for (to, from) in buffer.iter_mut().zip(first.iter().chain(&second)) {
        *to = *from;
    }
    refused(provider.cbc_decrypt(&KEY, &IV, &mut buffer))
}

static BAD_PADDINGS: [(&str, [u8; BLOCK_LEN]); 9] = [
    ("cbc: padding 00", [0; BLOCK_LEN]),
    ("cbc: padding 11", [17; BLOCK_LEN]),
    ("cbc: padding 20", [32; BLOCK_LEN]),
    ("cbc: padding 80", [0x80; BLOCK_LEN]),
    ("cbc: padding ff", [0xff; BLOCK_LEN]),
    ("cbc: padding of 2, first byte wrong", hex("00000000000000000000000000000302")),
    ("cbc: padding of 16, first byte wrong", hex("11101010101010101010101010101010")),
    ("cbc: padding of 16, middle byte wrong", hex("10101010101010001010101010101010")),
    ("cbc: padding as in ISO 7816-4", hex("61626380000000000000000000000000")),
];

static KEY: [u8; KEY_LEN] = hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
static IV: Iv = hex("000102030405060708090a0b0c0d0e0f");
static PLAIN: [[u8; BLOCK_LEN]; 4] = [
    hex("6bc1bee22e409f96e93d7e117393172a"),
    hex("ae2d8a571e03ac9c9eb76fac45af8e51"),
    hex("30c81c46a35ce411e5fbc1191a0a52ef"),
    hex("f69f2445df4f9b17ad2b417be66c3710"),
];
static CIPHER: [[u8; BLOCK_LEN]; 4] = [
    hex("f58c4c04d6e5f1ba779eabfb5f7bfbd6"),
    hex("9cfc4e967edb808d679f777bc6702c7d"),
    hex("39f23369a9d9bacfa530e26304231461"),
    hex("b2eb05e2c39be9fcda6c19078c6a9d1b"),
];
/// Sixteen bytes of 10 behind the four blocks, from OpenSSL.
static PADDING: [u8; BLOCK_LEN] = hex("3f461796d6b0d6b2e0c2a72b4d80e644");
