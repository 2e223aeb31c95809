//! The one accepted encoding of a public key (PROTOCOL.md, "Keys").

use core::fmt;

use super::{RSA_LEN, small_factors};

/// Bytes of the modulus of an RSA-2048 key.
pub const MODULUS_LEN: usize = RSA_LEN;
/// Bytes of a public key on the wire, as a SubjectPublicKeyInfo in DER: 294.
pub const SPKI_LEN: usize = PREFIX.len() + MODULUS_LEN + SUFFIX.len();

/// SEQUENCE { AlgorithmIdentifier rsaEncryption NULL, BIT STRING { SEQUENCE { INTEGER 00 …
const PREFIX: [u8; 33] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
    0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01,
    0x00,
];
/// INTEGER 65537 }}
const SUFFIX: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

const _: () = assert!(SPKI_LEN == 294);

/// The key is not one that this protocol accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("not an acceptable RSA-2048 public key")]
pub struct WeakKey;

/// An RSA-2048 public key with e = 65537, as SubjectPublicKeyInfo DER: 294 bytes that have
/// passed the check of form (DER as above, 2048 bits exactly, odd).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Spki([u8; SPKI_LEN]);

impl Spki {
    /// Checks the form.
    ///
    /// # Errors
    /// [`WeakKey`] for any other length, encoding, size or exponent, and for an even modulus.
    pub fn parse(der: &[u8]) -> Result<Self, WeakKey> {
        let bytes: [u8; SPKI_LEN] = der.try_into().map_err(|_| WeakKey)?;
        let body = bytes.strip_prefix(&PREFIX).ok_or(WeakKey)?;
        let modulus = body.strip_suffix(&SUFFIX).ok_or(WeakKey)?;
        let full_size = modulus.first().is_some_and(|high| high & 0x80 != 0);
        let odd = modulus.last().is_some_and(|low| low & 1 != 0);
        if full_size && odd { Ok(Self(bytes)) } else { Err(WeakKey) }
    }

    /// Builds the encoding around a modulus, big endian.
    ///
    /// # Errors
    /// As [`Spki::parse`].
    pub fn from_modulus(modulus: &[u8; MODULUS_LEN]) -> Result<Self, WeakKey> {
        let mut bytes = [0; SPKI_LEN];
        let parts = PREFIX.iter().chain(modulus).chain(&SUFFIX);
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = *from;
        }
        Self::parse(&bytes)
    }

    /// The whole key in DER, as it goes over the wire: 294 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SPKI_LEN] {
        &self.0
    }

    /// The modulus alone, big endian: 256 bytes.
    #[must_use]
    pub fn modulus(&self) -> &[u8; MODULUS_LEN] {
        match self.0.split_at(PREFIX.len()).1.first_chunk() {
            Some(modulus) => modulus,
            None => &[0; MODULUS_LEN],
        }
    }

    /// Whether a prime below 2^16 divides the modulus. That takes as long as a signature, so it
    /// comes after everything that an unauthenticated sender can reach for free.
    #[must_use]
    pub fn has_small_factor(&self) -> bool {
        small_factors::has_small_factor(self.modulus())
    }
}

impl fmt::Debug for Spki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spki(")?;
        for byte in self.modulus().iter().take(8) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modulus() -> [u8; MODULUS_LEN] {
        // 2^2047 + 65537·k shaped to have no small factor is not needed for tests of form.
        let mut modulus = [0x5b; MODULUS_LEN];
        modulus[0] = 0x80;
        modulus[255] = 0x01;
        modulus
    }

    #[test]
    fn accepts_exactly_its_own_form() {
        let spki = Spki::from_modulus(&modulus()).unwrap();
        assert_eq!(spki.modulus(), &modulus());
        assert_eq!(Spki::parse(spki.as_bytes()), Ok(spki.clone()));
        for at in (0..PREFIX.len()).chain(SPKI_LEN - SUFFIX.len()..SPKI_LEN) {
            let mut other = *spki.as_bytes();
            other[at] ^= 0x04;
            assert_eq!(Spki::parse(&other), Err(WeakKey), "byte {at}");
        }
        assert_eq!(Spki::parse(&spki.as_bytes()[..293]), Err(WeakKey));
    }

    #[test]
    fn refuses_short_and_even_moduli() {
        let mut short = modulus();
        short[0] = 0x7f;
        assert_eq!(Spki::from_modulus(&short), Err(WeakKey));
        let mut even = modulus();
        even[255] = 0x02;
        assert_eq!(Spki::from_modulus(&even), Err(WeakKey));
    }
}
