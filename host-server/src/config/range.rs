//! A range of addresses: `192.0.2.0/24`, `2001:db8::/32`, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    first: IpAddr,
    bits: u8,
}

impl AddressRange {
    /// The addresses that share their first `bits` bits with `address`.
    #[must_use]
    pub const fn new(address: IpAddr, bits: u8) -> Self {
        Self { first: address, bits }
    }

    /// The same range in its one form: it begins with its first address, and addresses of IPv4 are never
    /// in IPv6 clothes.
    #[must_use]
    pub fn network(self) -> Self {
        let (first, bits) = match self.first.to_canonical() {
            IpAddr::V4(_) if self.first.is_ipv6() && self.bits >= 96 => {
                (self.first.to_canonical(), self.bits - 96)
            }
            _ => (self.first, self.bits),
        };
        let first = match first {
            IpAddr::V4(v4) => {
                let rest = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & !rest).into()
            }
            IpAddr::V6(v6) => {
                let rest = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & !rest).into()
            }
        };
        Self { first, bits }
    }

    /// Whether it has addresses of IPv6.
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        self.first.is_ipv6()
    }

    /// How many bits its addresses have in common.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether an address is in both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let (one, other) = (self.network(), other.network());
        one.contains(other.first) || other.contains(one.first)
    }

    /// Whether all of its addresses are in `other`.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        let (one, other) = (self.network(), other.network());
        one.bits >= other.bits && other.contains(one.first)
    }

    /// Whether `address` is one of them. An IPv4 address in IPv6 clothes is an IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (one, width) = bits(self.first);
        let (other, other_width) = bits(address.to_canonical());
        let differ = (one ^ other).checked_shr(u32::from(width.saturating_sub(self.bits)));
        width == other_width && differ.unwrap_or(0) == 0
    }
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address and no range such as \"192.0.2.0/24\"");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (_, width) = bits(address);
        let length: u8 = length.map_or(Ok(width), str::parse).map_err(|_| wrong())?;
        if length > width {
            return Err(wrong());
        }
        let range = Self::new(address, length);
        Ok(range)
    }
}

impl TryFrom<String> for AddressRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, bits: length } = self;
        if *length == bits(*first).1 { first.fmt(f) } else { write!(f, "{first}/{length}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_what_begins_like_them() {
        for (range, inside, outside) in [
            ("127.0.0.0/8", "127.200.0.1", "128.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
        ] {
            let parsed: AddressRange = range.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{range} and {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{range} and {outside}");
            assert_eq!(parsed.to_string(), range);
        }
    }

    #[test]
    fn a_range_has_one_form() {
        for (range, network) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/0", "0.0.0.0/0"),
            ("2001:db8:7::1/32", "2001:db8::/32"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::/0", "::/0"),
        ] {
            let range: AddressRange = range.parse().unwrap();
            assert_eq!(range.network().to_string(), network);
        }
        let overlap = |one: &str, other: &str| {
            one.parse::<AddressRange>().unwrap().overlaps(other.parse().unwrap())
        };
        assert!(overlap("10.0.0.0/8", "10.1.0.0/16") && overlap("10.1.0.0/16", "10.0.0.0/8"));
        assert!(overlap("10.9.9.9/8", "10.1.2.3") && overlap("0.0.0.0/0", "10.0.0.0/8"));
        assert!(!overlap("10.0.0.0/9", "10.128.0.0/9") && !overlap("0.0.0.0/0", "::/0"));
    }

    #[test]
    fn a_range_is_within_one_that_has_all_of_it() {
        for (one, other, is_within) in [
            ("10.1.0.0/16", "10.0.0.0/8", true),
            ("10.9.9.9/8", "10.0.0.0/8", true),
            ("10.0.0.0/7", "10.0.0.0/8", false),
            ("192.168.0.0/8", "192.168.0.0/16", false),
            ("::ffff:10.1.2.3", "10.0.0.0/8", true),
            ("2001:db8::/64", "10.0.0.0/8", false),
            ("10.0.0.0/8", "::/0", false),
        ] {
            let [parsed, within] = [one, other].map(|range| range.parse::<AddressRange>().unwrap());
            assert_eq!(parsed.is_within(within), is_within, "{one} and {other}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0/8", "::1/129", "10.0.0.0/-1", "/8"] {
            assert!(text.parse::<AddressRange>().is_err(), "{text}");
        }
    }
}
