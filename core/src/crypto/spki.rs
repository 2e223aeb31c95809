//! The one accepted encoding of a public key (PROTOCOL.md, "Keys").

use core::fmt;

use super::RSA_LEN;

/// Bytes of the modulus.
pub const MODULUS_LEN: usize = RSA_LEN;
/// Bytes of the SubjectPublicKeyInfo.
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

    /// The DER bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SPKI_LEN] {
        &self.0
    }

    /// The modulus, big endian.
    #[must_use]
    pub fn modulus(&self) -> &[u8; MODULUS_LEN] {
        match self.0.split_at(PREFIX.len()).1.first_chunk() {
            Some(modulus) => modulus,
            None => &[0; MODULUS_LEN],
        }
    }

    /// Whether a prime below 2^16 divides the modulus. About a millisecond on a host, so it
    /// comes after everything that an unauthenticated sender can reach for free.
    #[must_use]
    pub fn has_small_factor(&self) -> bool {
        // Two primes at a time: their product still fits a divisor.
        PRIMES.chunks(2).any(|primes| {
            let product = primes
                .iter()
                .fold(1, |product: u32, prime| product.saturating_mul(u32::from(*prime)));
            let rest = self.modulus_mod(product);
            primes.iter().any(|prime| rest.checked_rem(u32::from(*prime)) == Some(0))
        })
    }

    fn modulus_mod(&self, divisor: u32) -> u32 {
        let divisor = u64::from(divisor);
        let mut rest: u64 = 0;
        for chunk in self.modulus().chunks_exact(4) {
            let limb = chunk.iter().fold(0_u64, |acc, byte| (acc << 8) | u64::from(*byte));
            rest = ((rest << 32) | limb).checked_rem(divisor).unwrap_or(0);
        }
        u32::try_from(rest).unwrap_or(0)
    }
}

/// The odd primes below 2^16.
static PRIMES: [u16; 6_541] = odd_primes();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the compiler evaluates it, and a mistake would fail the build"
)]
const fn odd_primes() -> [u16; 6_541] {
    let mut is_composite = [false; 65_536];
    let mut primes = [0; 6_541];
    let (mut number, mut found) = (3, 0);
    while number < 65_536 {
        if !is_composite[number] {
            primes[found] = number as u16;
            found += 1;
            let mut multiple = number * number;
            while multiple < 65_536 {
                is_composite[multiple] = true;
                multiple += number;
            }
        }
        number += 2;
    }
    assert!(found == primes.len());
    primes
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

    #[test]
    fn finds_every_small_factor_that_is_planted() {
        assert_eq!((PRIMES[0], PRIMES[6_540]), (3, 65_521));
        // n = 2^2047 + c, with c chosen so that the prime divides n.
        for prime in [3_u32, 251, 257, 65_521] {
            let mut residue: u64 = 1;
            for _ in 0..2047 {
                residue = residue * 2 % u64::from(prime);
            }
            let mut c = u64::from(prime) - residue;
            if c.is_multiple_of(2) {
                c += u64::from(prime);
            }
            let mut n = [0_u8; MODULUS_LEN];
            n[0] = 0x80;
            n[MODULUS_LEN - 8..].copy_from_slice(&c.to_be_bytes());
            let spki = Spki::from_modulus(&n).unwrap();
            assert_eq!(spki.modulus_mod(prime), 0);
            assert!(spki.has_small_factor());
        }
    }
}
