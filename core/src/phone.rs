//! Phone numbers and one-time passwords (PROTOCOL.md, "Registration").

use core::fmt;
use core::str::FromStr;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::wire::Malformed;

/// A phone number: `+`, then 7 to 15 digits of which the first is not 0. Compared as bytes.
///
/// `Debug` shows `+49…17`; the whole number leaves only through [`Phone::as_str`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone {
    len: u8,
    text: [u8; Self::MAX_LEN],
}

/// What phones begin with that are no person's.
const RESERVED: &[u8] = b"+999";

impl Phone {
    /// Bytes of the longest phone number, `+` included.
    pub const MAX_LEN: usize = 16;

    /// Checks the form.
    ///
    /// # Errors
    /// [`Malformed`] when it is another.
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let [b'+', digits @ ..] = text else { return Err(Malformed) };
        let well_formed = (7..=15).contains(&digits.len())
            && digits.iter().all(u8::is_ascii_digit)
            && digits.first() != Some(&b'0');
        if !well_formed {
            return Err(Malformed);
        }
        let mut phone = Self { len: 0, text: [0; Self::MAX_LEN] };
        for (to, from) in phone.text.iter_mut().zip(text) {
            *to = *from;
            phone.len = phone.len.saturating_add(1);
        }
        Ok(phone)
    }

    /// The number in ASCII, `+` included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The number as text, `+` included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Whether it is no person's: no country has the code +999. A server has accounts of its own there
    /// (PROTOCOL.md, "Registration").
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.as_bytes().starts_with(RESERVED)
    }

    /// What may be shown of it.
    pub(crate) fn ends(&self) -> (&str, &str) {
        let text = self.as_str();
        let tail = text.len().saturating_sub(2);
        (text.get(..3).unwrap_or_default(), text.get(tail..).unwrap_or_default())
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, tail) = self.ends();
        write!(f, "{head}…{tail}")
    }
}

/// What phone numbers begin with, such as the `+49` of a country: `+`, then up to 15 digits of which the
/// first is not 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PhonePrefix {
    len: u8,
    text: [u8; Phone::MAX_LEN],
}

impl PhonePrefix {
    /// Whether `phone` begins with it.
    #[must_use]
    pub fn begins(&self, phone: &Phone) -> bool {
        phone.as_bytes().starts_with(self.as_str().as_bytes())
    }

    /// Whether all phones that begin with it are [reserved](Phone::is_reserved).
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.as_str().as_bytes().starts_with(RESERVED)
    }

    fn as_str(&self) -> &str {
        let text = self.text.get(..usize::from(self.len)).unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }
}

impl FromStr for PhonePrefix {
    type Err = NoPhonePrefix;

    fn from_str(text: &str) -> Result<Self, NoPhonePrefix> {
        let digits = text.strip_prefix('+').ok_or(NoPhonePrefix)?;
        let well_formed = (1..Phone::MAX_LEN).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && !digits.starts_with('0');
        if !well_formed {
            return Err(NoPhonePrefix);
        }
        let mut prefix = Self { len: 0, text: [0; Phone::MAX_LEN] };
        for (to, from) in prefix.text.iter_mut().zip(text.bytes()) {
            *to = from;
            prefix.len = prefix.len.saturating_add(1);
        }
        Ok(prefix)
    }
}

impl fmt::Display for PhonePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PhonePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No phone number begins like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not how phone numbers begin; write + and digits, as in \"+49\"")]
pub struct NoPhonePrefix;

/// A one-time password: six decimal digits.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Otp([u8; Self::LEN]);

impl Otp {
    /// Digits of a one-time password.
    pub const LEN: usize = 6;

    /// Draws six digits, each value of the million equally likely.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        // 4,294 whole millions fit below 2^32; a draw above them would favour small values.
        const BOUND: u32 = 4_294_000_000;
        let mut value = loop {
            let draw = rng.next_u32();
            if draw < BOUND {
                break draw;
            }
        };
        let mut digits = [b'0'; Self::LEN];
        for digit in digits.iter_mut().rev() {
            let ones = u8::try_from(value.checked_rem(10).unwrap_or(0)).unwrap_or(0);
            *digit = b'0'.saturating_add(ones);
            value = value.checked_div(10).unwrap_or(0);
        }
        Self(digits)
    }

    /// Checks the form.
    ///
    /// # Errors
    /// [`Malformed`] unless it is six ASCII digits.
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let digits: [u8; Self::LEN] = text.try_into().map_err(|_| Malformed)?;
        if digits.iter().all(u8::is_ascii_digit) { Ok(Self(digits)) } else { Err(Malformed) }
    }

    /// The digits, for the wire and for delivery only.
    #[must_use]
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl PartialEq for Otp {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Otp {}

impl fmt::Debug for Otp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Otp(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn phones_begin_with_a_plus_and_digits() {
        let phone = Phone::parse(b"+4915112345678").unwrap();
        for (prefix, begins) in [
            ("+4", true),
            ("+49", true),
            ("+4915112345678", true),
            ("+48", false),
            ("+49151123456789", false),
            ("+123456789012345", false),
        ] {
            let parsed: PhonePrefix = prefix.parse().unwrap();
            assert_eq!(parsed.begins(&phone), begins, "{prefix}");
            assert_eq!(format!("{parsed}"), prefix);
        }
        for bad in ["", "+", "49", "+0", "+4 9", "49+", "+1234567890123456", "+٤٩", "+49\0"] {
            assert_eq!(bad.parse::<PhonePrefix>(), Err(NoPhonePrefix), "{bad:?}");
        }
    }

    #[test]
    fn phones_have_one_form() {
        for good in ["+4915112345678", "+1234567", "+123456789012345"] {
            assert_eq!(Phone::parse(good.as_bytes()).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "+",
            "4915112345678",
            "+0491511234",
            "+123456",
            "+1234567890123456",
            "+12 34567",
            "+12345678\0",
            "+١٢٣٤٥٦٧٨",
        ] {
            assert_eq!(Phone::parse(bad.as_bytes()), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn phones_of_no_country_are_reserved() {
        for (text, reserved) in [
            ("+9990000001", true),
            ("+99900000000000", true),
            ("+9980000001", false),
            ("+4999912", false),
        ] {
            assert_eq!(Phone::parse(text.as_bytes()).unwrap().is_reserved(), reserved, "{text}");
        }
    }

    #[test]
    fn debug_hides_the_middle() {
        let phone = Phone::parse(b"+4915112345617").unwrap();
        assert_eq!(format!("{phone:?}"), "+49…17");
        assert_eq!(format!("{:?}", Otp::parse(b"123456").unwrap()), "Otp(…)");
    }

    #[test]
    fn otps_are_six_digits() {
        for bad in [&b"12345"[..], b"1234567", b"12345a", b"12345\xb2"] {
            assert!(Otp::parse(bad).is_err());
        }
    }

    /// Counts up, so that the digits drawn are known.
    struct Counter(u32);
    impl rand_core::TryRng for Counter {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            self.0 = self.0.wrapping_add(1);
            Ok(self.0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            self.try_next_u32().map(u64::from)
        }
        fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
            dst.fill(0);
            Ok(())
        }
    }
    impl rand_core::TryCryptoRng for Counter {}

    #[test]
    fn draws_above_the_last_whole_million_are_rejected() {
        assert_eq!(Otp::generate(&mut Counter(4_293_999_998)).expose(), b"999999");
        // The next 967,295 draws are thrown away; after the wrap comes 0.
        assert_eq!(Otp::generate(&mut Counter(4_293_999_999)).expose(), b"000000");
    }
}
