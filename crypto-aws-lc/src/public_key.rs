//! Public keys: parsed for verifying, turned into a sealing key on use.

use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
};
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use waxwing_core::crypto::{
    CryptoRng, Digest, OAEP_MAX, PublicKey, RSA_LEN, Rejected, Signature, Spki,
};

use crate::exported;

/// A public key, ready to verify.
///
/// Seals are rare beside verifications, so the form that seals is built for each one; that
/// costs a few microseconds and saves a second copy of every cached key.
#[derive(Debug)]
pub struct AwsLcPublicKey(ParsedPublicKey);

impl AwsLcPublicKey {
    pub(crate) fn parse(spki: &Spki) -> Result<Self, Rejected> {
        let pkcs1 = spki.as_bytes().get(PKCS1_AT..).ok_or(Rejected)?;
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pkcs1);
        key.map(Self).map_err(|_| Rejected)
    }

    fn sealing(&self) -> Result<OaepPublicEncryptingKey, Rejected> {
        let pkcs1 = self.0.as_ref();
        let n = pkcs1.get(MODULUS_AT..MODULUS_AT + RSA_LEN).ok_or(Rejected)?;
        let components = PublicKeyComponents { n, e: EXPONENT };
        let key: PublicEncryptingKey = components.try_into().map_err(|_| Rejected)?;
        OaepPublicEncryptingKey::new(key).map_err(|_| Rejected)
    }
}

impl PublicKey for AwsLcPublicKey {
    fn verify(&self, digest: &Digest, signature: &Signature) -> Result<(), Rejected> {
        self.0.verify_digest_sig(&exported(digest)?, signature).map_err(|_| Rejected)
    }

    fn oaep_seal(
        &self,
        _rng: &mut dyn CryptoRng,
        label: &[u8],
        message: &[u8],
    ) -> Result<[u8; RSA_LEN], Rejected> {
        if message.len() > OAEP_MAX {
            return Err(Rejected);
        }
        let mut sealed = [0; RSA_LEN];
        let written = self
            .sealing()?
            .encrypt(&OAEP_SHA256_MGF1SHA256, message, &mut sealed, Some(label))
            .map_err(|_| Rejected)?
            .len();
        if written == RSA_LEN { Ok(sealed) } else { Err(Rejected) }
    }
}

/// Where the RSAPublicKey begins inside the one accepted SubjectPublicKeyInfo. Given this form,
/// `aws-lc-rs` parses once instead of trying two encodings.
const PKCS1_AT: usize = 24;
/// Where the modulus begins inside the RSAPublicKey, behind its sign byte.
const MODULUS_AT: usize = 9;
const EXPONENT: &[u8] = &[0x01, 0x00, 0x01];
