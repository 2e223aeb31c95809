//! A backend with one flaw of choice, to show that the suite would see it.

use rsa::BoxedUint;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use waxwing_core::crypto::{
    BLOCK_LEN, CryptoRng, Digest, Iv, KEY_LEN, KeyError, PrivateKey, Provider, PublicKey, RSA_LEN,
    Rejected, RustCrypto, RustCryptoHasher, RustCryptoKey, RustCryptoPublicKey, Signature, Spki,
};
use waxwing_core::testing::keys;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Takes signatures modulo n.
    ReducesSignatures,
    /// Finds the hash behind the padding and looks no further.
    ParsesPadding,
    /// Knows the DigestInfo of old implementations too.
    ForgivesMissingNull,
    /// Opens a block whatever its label.
    IgnoresLabels,
    /// Finds nothing in a block whose encoding does not begin with 00, and calls that a message.
    OpensToNothing,
    /// Believes the last byte of a CBC message.
    TrustsPadding,
    /// Fills the buffer and drops the rest.
    CutsMessages,
    /// Has some key for every file.
    LoadsAnything,
}

#[derive(Clone, Copy)]
pub(crate) struct Broken(pub(crate) Flaw);

impl Broken {
    pub(crate) fn load(self, der: &[u8]) -> Result<BrokenKey, KeyError> {
        let loaded = RustCryptoKey::from_pkcs8_der(der);
        let (der, key) = match loaded {
            Err(_) if self.0 == Flaw::LoadsAnything => {
                let der = keys::pkcs8_der(0);
                (der, RustCryptoKey::from_pkcs8_der(der)?)
            }
            loaded => (der, loaded?),
        };
        let raw = rsa::PrivateKey::from_pkcs8_der(der).unwrap();
        Ok(BrokenKey { flaw: self.0, key, raw })
    }
}

impl Provider for Broken {
    type Hasher = RustCryptoHasher;
    type PublicKey = BrokenPublicKey;
    type PrivateKey = BrokenKey;

    fn hasher(&self) -> RustCryptoHasher {
        RustCrypto.hasher()
    }

    fn public_key(&self, spki: &Spki) -> Result<BrokenPublicKey, Rejected> {
        let key = RustCrypto.public_key(spki)?;
        Ok(BrokenPublicKey { flaw: self.0, key, n: uint(spki.modulus()) })
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
        if self.0 != Flaw::TrustsPadding || !buffer.len().is_multiple_of(BLOCK_LEN) {
            return RustCrypto.cbc_decrypt(key, iv, buffer);
        }
        let mut iv = *iv;
        for block in buffer.as_chunks_mut().0 {
            let next = *block;
            self.decrypt_block(key, &iv, block);
            iv = next;
        }
        let padding = usize::from(*buffer.last().ok_or(Rejected)?);
        buffer.len().checked_sub(padding).ok_or(Rejected)
    }

    fn encrypt_block(&self, key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]) {
        RustCrypto.encrypt_block(key, iv, block);
    }

    fn decrypt_block(&self, key: &[u8; KEY_LEN], iv: &Iv, block: &mut [u8; BLOCK_LEN]) {
        RustCrypto.decrypt_block(key, iv, block);
    }
}

pub(crate) struct BrokenPublicKey {
    flaw: Flaw,
    key: RustCryptoPublicKey,
    n: BoxedUint,
}

impl PublicKey for BrokenPublicKey {
    fn verify(&self, digest: &Digest, signature: &Signature) -> Result<(), Rejected> {
        let n = self.n.to_nz().unwrap();
        let em = || bytes(&power(&uint(signature).rem(&n), &65_537_u64.into(), &self.n));
        let found = match self.flaw {
            Flaw::ReducesSignatures => {
                return self.key.verify(digest, &bytes(&uint(signature).rem(&n)));
            }
            Flaw::ParsesPadding => {
                let em = em();
                let padding = em.iter().skip(2).take_while(|byte| **byte == 0xff).count();
                padding >= 8 && em[3 + padding + 19..].starts_with(&digest.0)
            }
            Flaw::ForgivesMissingNull => {
                let old = [&[0_u8, 0x30, 0x2f, 0x30, 0x0b], &OID[..], &[4, 0x20], &digest.0];
                em().ends_with(&old.concat())
            }
            _ => false,
        };
        if found { Ok(()) } else { self.key.verify(digest, signature) }
    }

    fn oaep_seal(
        &self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
        message: &[u8],
    ) -> Result<[u8; RSA_LEN], Rejected> {
        self.key.oaep_seal(rng, label, message)
    }
}

pub(crate) struct BrokenKey {
    flaw: Flaw,
    key: RustCryptoKey,
    raw: rsa::PrivateKey,
}

impl PrivateKey for BrokenKey {
    fn spki(&self) -> &Spki {
        self.key.spki()
    }

    fn sign(&self, rng: &mut dyn CryptoRng, digest: &Digest) -> Result<Signature, Rejected> {
        self.key.sign(rng, digest)
    }

    fn oaep_open(
        &self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
        sealed: &[u8; RSA_LEN],
        message: &mut [u8],
    ) -> Result<usize, Rejected> {
        match self.flaw {
            Flaw::IgnoresLabels => [label, b"", b"waxwing/1:100", b"waxwing/1:101"]
                .iter()
                .find_map(|label| self.key.oaep_open(rng, label, sealed, message).ok())
                .ok_or(Rejected),
            Flaw::OpensToNothing => {
                let em = bytes(&power(&uint(sealed), self.raw.d(), self.raw.n().as_ref()));
                if em[0] == 0 { self.key.oaep_open(rng, label, sealed, message) } else { Ok(0) }
            }
            Flaw::CutsMessages => {
                let mut whole = [0; RSA_LEN];
                let len = self.key.oaep_open(rng, label, sealed, &mut whole)?;
                let len = len.min(message.len());
                message[..len].copy_from_slice(&whole[..len]);
                Ok(len)
            }
            _ => self.key.oaep_open(rng, label, sealed, message),
        }
    }
}

/// SHA-256's object identifier.
const OID: [u8; 11] = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];

fn uint(bytes: &[u8; RSA_LEN]) -> BoxedUint {
    BoxedUint::from_be_slice(bytes, 2048).unwrap()
}

fn bytes(value: &BoxedUint) -> [u8; RSA_LEN] {
    value.to_be_bytes().as_ref().try_into().unwrap()
}

fn power(base: &BoxedUint, exponent: &BoxedUint, n: &BoxedUint) -> BoxedUint {
    let n = n.to_nz().unwrap();
    let mut result = BoxedUint::one_with_precision(2048);
    for at in (0..exponent.bit_width()).rev() {
        result = result.mul_mod(&result, &n);
        if exponent.bit(at).into() {
            result = result.mul_mod(base, &n);
        }
    }
    result
}
