//! Who somebody is: phone and key together (PROTOCOL.md, "Envelope", "Safety number").

use core::fmt;

use crate::crypto::{Provider, Spki};
use crate::phone::Phone;

/// `SHA-256("waxwing/1:id" ‖ phone ‖ spki)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; Self::LEN]);

impl Fingerprint {
    /// Bytes of a fingerprint: one SHA-256 digest.
    pub const LEN: usize = 32;

    /// The fingerprint of the person with this phone and key. `phone` enters as it stands on
    /// the wire: its length, then its characters.
    #[must_use]
    pub fn of<P: Provider>(provider: &P, phone: &Phone, spki: &Spki) -> Self {
        let len = u8::try_from(phone.as_bytes().len()).unwrap_or(u8::MAX);
        let digest = provider.sha256(&[b"waxwing/1:id", &[len], phone.as_bytes(), spki.as_bytes()]);
        Self(digest.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Sixty digits that two people compare, the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafetyNumber([u32; Self::GROUPS]);

impl SafetyNumber {
    /// How many groups of five digits a safety number has.
    pub const GROUPS: usize = 12;

    /// The number of two people, in either order.
    #[must_use]
    pub fn of<P: Provider>(provider: &P, one: &Fingerprint, other: &Fingerprint) -> Self {
        let (lo, hi) = if one.0 <= other.0 { (one, other) } else { (other, one) };
        let first = provider.sha256(&[b"waxwing/1:safety:1", &lo.0, &hi.0]);
        let second = provider.sha256(&[b"waxwing/1:safety:2", &lo.0, &hi.0]);
        let mut groups = [0; Self::GROUPS];
        let chunks = first.0.chunks_exact(5).chain(second.0.chunks_exact(5));
        for (group, bytes) in groups.iter_mut().zip(chunks) {
            // The remainder of the number that the five bytes are, taken byte by byte.
            let add = |value: u32, byte: &u8| ((value << 8) | u32::from(*byte)) % 100_000;
            *group = bytes.iter().fold(0, add);
        }
        Self(groups)
    }

    /// The groups, in order, each below 100,000.
    #[must_use]
    pub const fn groups(&self) -> &[u32; Self::GROUPS] {
        &self.0
    }
}

impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, group) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{group:05}")?;
        }
        Ok(())
    }
}
