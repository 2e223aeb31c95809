//! What defmt shows of types that do not show all that they hold (feature `defmt`): the same as `Debug`,
//! which is nothing of a secret, and of a phone number its ends. All else derives it.

use defmt::{Format, Formatter, write};

use crate::client::OversizedLetter;
use crate::crypto::{Spki, Unverified};
use crate::id::{PacketId, PacketIdPrefix, Uid, UserId};
use crate::phone::{Otp, Phone};
use crate::time::Timestamp;

impl Format for UserId {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "user {=u16}", self.get());
    }
}

impl Format for PacketId {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "{=u128:032x}", u128::from_be_bytes(self.0));
    }
}

impl Format for PacketIdPrefix {
    fn format(&self, f: Formatter<'_>) {
        let number = self.0.iter().fold(0, |number: u128, byte| (number << 8) | u128::from(*byte));
        write!(f, "{=u128:030x}", number);
    }
}

impl Format for Uid {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "{=u128:032x}", u128::from_be_bytes(self.0));
    }
}

impl Format for Phone {
    fn format(&self, f: Formatter<'_>) {
        let (head, tail) = self.ends();
        write!(f, "{=str}…{=str}", head, tail);
    }
}

impl Format for Otp {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Otp(…)");
    }
}

impl Format for Timestamp {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "{=str}", self.as_str());
    }
}

impl Format for Spki {
    fn format(&self, f: Formatter<'_>) {
        let first = self.modulus().first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        write!(f, "Spki({=u64:016x}…)", first);
    }
}

impl<B: AsRef<[u8]>> Format for Unverified<B> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Unverified({})", self.header());
    }
}

impl Format for OversizedLetter {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "OversizedLetter({})", self.header);
    }
}
