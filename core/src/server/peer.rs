//! Where a connection comes from, as far as limits care.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network that limits per address count by: /24 of IPv4, /64 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressPrefix([u8; 8]);

impl AddressPrefix {
    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The prefix of an address; an IPv4 address in IPv6 clothes counts as IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Self([0, 0, 0, 0, 4, a, b, c])
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl AddressPrefix {
    /// The same prefix as a number.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        u64::from_be_bytes(self.0)
    }
}

/// The network in the usual notation: `192.0.2.0/24`, `2001:db8::/64`.
impl fmt::Display for AddressPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f1, g, h] = self.0;
        if let [0, 0, 0, 0, 4] = [a, b, c, d, e] {
            return write!(f, "{}/24", Ipv4Addr::new(f1, g, h, 0));
        }
        let group = |high, low| u16::from_be_bytes([high, low]);
        let network = [group(a, b), group(c, d), group(e, f1), group(g, h)];
        let [a, b, c, d] = network;
        write!(f, "{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The network that the connection comes from.
    pub prefix: AddressPrefix,
    /// Whether limits per address skip it.
    pub exempt: bool,
}
