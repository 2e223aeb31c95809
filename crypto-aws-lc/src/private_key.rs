//! Private keys in memory.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use waxwing_core::crypto::{
    CryptoRng, Digest, KeyError, PrivateKey, RSA_LEN, Rejected, Signature, Spki,
};
use zeroize::Zeroizing;

use crate::exported;

/// An RSA-2048 private key held by AWS-LC, which wipes what it frees.
///
/// It cannot be cloned and prints nothing but its public half. AWS-LC keeps the key twice,
/// once to sign and once to open.
pub struct AwsLcKey {
    signing: RsaKeyPair,
    opening: OaepPrivateDecryptingKey,
    spki: Spki,
}

impl AwsLcKey {
    /// Makes a new key from AWS-LC's own generator.
    ///
    /// # Errors
    /// [`Rejected`] when AWS-LC fails, which means that there is no memory or no entropy.
    pub fn generate() -> Result<Self, Rejected> {
        Self::from_signing(RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| Rejected)?)
    }

    /// Reads the one accepted form: PKCS#8 version 0 in DER, `rsaEncryption` with NULL, no
    /// attributes, two primes of 1,024 bits, and every derived number as it follows from the others.
    ///
    /// # Errors
    /// [`KeyError`] for any other form, size or exponent, and for numbers that do not belong
    /// together.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        KeyError::check_private(der)?;
        Self::read(der).map_err(|_| KeyError::of_private(der))
    }

    fn read(der: &[u8]) -> Result<Self, Rejected> {
        let key = Self::from_signing(RsaKeyPair::from_pkcs8(der).map_err(|_| Rejected)?)?;
        // AWS-LC checks the numbers but tolerates other forms of the frame around them.
        if key.to_pkcs8_der()?.as_slice() == der { Ok(key) } else { Err(Rejected) }
    }

    /// The form that [`Self::from_pkcs8_der`] reads, here and in the portable backend.
    ///
    /// # Errors
    /// [`Rejected`] when there is no memory.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Rejected> {
        pkcs8_der(&self.signing)
    }

    fn from_signing(signing: RsaKeyPair) -> Result<Self, Rejected> {
        let spki = signing.public_key().as_der().map_err(|_| Rejected)?;
        let spki = Spki::parse(spki.as_ref()).map_err(|_| Rejected)?;
        let opening = PrivateDecryptingKey::from_pkcs8(&pkcs8_der(&signing)?);
        let opening = opening.map_err(|_| Rejected)?;
        let opening = OaepPrivateDecryptingKey::new(opening).map_err(|_| Rejected)?;
        Ok(Self { signing, opening, spki })
    }
}

impl PrivateKey for AwsLcKey {
    fn spki(&self) -> &Spki {
        &self.spki
    }

    fn sign(&self, _rng: &mut dyn CryptoRng, digest: &Digest) -> Result<Signature, Rejected> {
        let mut signature = [0; RSA_LEN];
        self.signing
            .sign_digest(&RSA_PKCS1_SHA256, &exported(digest)?, &mut signature)
            .map_err(|_| Rejected)?;
        Ok(signature)
    }

    fn oaep_open(
        &self,
        _rng: &mut dyn CryptoRng,
        label: &[u8],
        sealed: &[u8; RSA_LEN],
        message: &mut [u8],
    ) -> Result<usize, Rejected> {
        // AWS-LC wants room for the longest plaintext of any padding.
        let mut room = Zeroizing::new([0; RSA_LEN]);
        let opened = self
            .opening
            .decrypt(&OAEP_SHA256_MGF1SHA256, sealed, room.as_mut_slice(), Some(label))
            .map_err(|_| Rejected)?;
        message.get_mut(..opened.len()).ok_or(Rejected)?.copy_from_slice(opened);
        Ok(opened.len())
    }
}

impl fmt::Debug for AwsLcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsLcKey").field("spki", &self.spki).finish_non_exhaustive()
    }
}

fn pkcs8_der(key: &RsaKeyPair) -> Result<Zeroizing<Vec<u8>>, Rejected> {
    let der = key.as_der().map_err(|_| Rejected)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}
