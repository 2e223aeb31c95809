//! The PROXY protocol, version 2: what a proxy says at the beginning of a connection about whose it is.
//!
//! ```text
//! 0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a | 21 | 11 | length | source, destination, ports | more
//! signature                             |    |     of what follows, big endian
//!                                       |    11: IPv4 and TCP; 21: IPv6 and TCP
//!                                       20: the proxy's own (LOCAL); 21: a client's (PROXY)
//! ```
//!
//! It is described in <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. Version 1, which is
//! text, is not read.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Everything up to the length.
const FIXED: usize = 16;
/// Two addresses and two ports.
const IPV4: usize = 12;
const IPV6: usize = 36;

/// A header that comes in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Its beginning, as far as the addresses.
    start: [u8; FIXED + IPV6],
    received: usize,
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The proxy's own, such as to see whether the server is there.
    Proxy,
    /// A client's, at this address, which is never an IPv4 address in its IPv6-mapped form.
    Client(SocketAddr),
}

/// Why something is not such a header, or none that says whose the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyHeaderError {
    /// It begins with something else.
    #[error("what came is no PROXY header of version 2")]
    NoHeader,
    /// Its version or its command is unknown.
    #[error("the PROXY header has a version or a command that is unknown")]
    UnknownCommand,
    /// The client has no address over which it speaks TCP.
    #[error("the PROXY header names no client that speaks TCP over IPv4 or IPv6")]
    NoAddress,
    /// It is shorter than its addresses.
    #[error("the PROXY header is shorter than the addresses in it")]
    TooShort,
    /// It is longer than [`ProxyHeader::LONGEST`].
    #[error("the PROXY header has more than 512 bytes")]
    TooLong,
}

impl Default for ProxyHeader {
    fn default() -> Self {
        Self { start: [0; FIXED + IPV6], received: 0 }
    }
}

impl ProxyHeader {
    /// Bytes of the longest that is read.
    pub const LONGEST: usize = 512;

    /// How many more bytes surely belong to it, and never more than that: what follows is the client's.
    /// None when it is whole.
    #[must_use]
    pub fn missing(&self) -> usize {
        let all = if self.received < FIXED { FIXED } else { FIXED + self.length() };
        all.saturating_sub(self.received)
    }

    /// Takes the next bytes, [`missing`](Self::missing) at most, and leaves those that are beyond. Says
    /// whose the connection is, once all is there.
    ///
    /// # Errors
    ///
    /// As soon as it can be no such header; then more is of no use.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<Origin>, ProxyHeaderError> {
        for byte in bytes {
            if self.missing() == 0 {
                break;
            }
            // What comes after the addresses says more about the client. Nobody needs it.
            if let Some(place) = self.start.get_mut(self.received) {
                *place = *byte;
            }
            self.received += 1;
            self.check()?;
        }
        if self.missing() == 0 { Ok(Some(self.origin())) } else { Ok(None) }
    }

    /// Whether the first bytes are those of a header that can be used.
    fn check(&self) -> Result<(), ProxyHeaderError> {
        let received = self.received.min(SIGNATURE.len());
        if self.start[..received] != SIGNATURE[..received] {
            return Err(ProxyHeaderError::NoHeader);
        }
        if self.received > 12 && !matches!(self.start[12], LOCAL | PROXY) {
            return Err(ProxyHeaderError::UnknownCommand);
        }
        let addresses = self.addresses();
        // Of its own connection a proxy may say what it likes.
        if self.received > 13 && self.start[12] == PROXY && addresses.is_none() {
            return Err(ProxyHeaderError::NoAddress);
        }
        if self.received < FIXED {
            return Ok(());
        }
        if FIXED + self.length() > Self::LONGEST {
            return Err(ProxyHeaderError::TooLong);
        }
        if self.start[12] == PROXY && addresses.is_some_and(|needed| self.length() < needed) {
            return Err(ProxyHeaderError::TooShort);
        }
        Ok(())
    }

    /// How many bytes the addresses take, if they are of a kind that is known.
    const fn addresses(&self) -> Option<usize> {
        match self.start[13] {
            TCP_OVER_IPV4 => Some(IPV4),
            TCP_OVER_IPV6 => Some(IPV6),
            _ => None,
        }
    }

    /// How many bytes it says that it has beyond this.
    fn length(&self) -> usize {
        u16::from_be_bytes([self.start[14], self.start[15]]).into()
    }

    /// Of a whole header.
    fn origin(&self) -> Origin {
        let port = |at: usize| u16::from_be_bytes([self.start[at], self.start[at + 1]]);
        match (self.start[12], self.start[13]) {
            (PROXY, TCP_OVER_IPV4) => {
                let mut source = [0; 4];
                source.copy_from_slice(&self.start[16..20]);
                Origin::Client(SocketAddr::new(Ipv4Addr::from(source).into(), port(24)))
            }
            (PROXY, TCP_OVER_IPV6) => {
                let mut source = [0; 16];
                source.copy_from_slice(&self.start[16..32]);
                let source = Ipv6Addr::from(source).to_canonical();
                Origin::Client(SocketAddr::new(source, port(48)))
            }
            _ => Origin::Proxy,
        }
    }
}

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        header.extend(rest);
        header
    }

    fn ipv4(more: usize) -> Vec<u8> {
        let mut rest = vec![192, 0, 2, 7, 198, 51, 100, 1, 0xc0, 0x01, 0x24, 0x4f];
        rest.resize(IPV4 + more, 0xee);
        header(PROXY, TCP_OVER_IPV4, &rest)
    }

    fn ipv6(source: &str) -> Vec<u8> {
        let mut rest = source.parse::<Ipv6Addr>().unwrap().octets().to_vec();
        rest.extend([0; 16]);
        rest.extend([0xc0, 0x01, 0x24, 0x4f]);
        header(PROXY, TCP_OVER_IPV6, &rest)
    }

    fn client(address: &str) -> Result<Option<Origin>, ProxyHeaderError> {
        Ok(Some(Origin::Client(address.parse().unwrap())))
    }

    #[test]
    fn a_header_says_whose_the_connection_is_wherever_it_is_cut() {
        for (bytes, expected) in [
            (ipv4(0), client("192.0.2.7:49153")),
            (ipv4(3), client("192.0.2.7:49153")),
            (ipv4(512 - 28), client("192.0.2.7:49153")),
            (ipv6("2001:db8::7"), client("[2001:db8::7]:49153")),
            (ipv6("::ffff:192.0.2.7"), client("192.0.2.7:49153")),
            (header(LOCAL, 0, &[]), Ok(Some(Origin::Proxy))),
            (header(LOCAL, TCP_OVER_IPV4, &[1, 2, 3]), Ok(Some(Origin::Proxy))),
            (header(LOCAL, 0xff, &[9; 496]), Ok(Some(Origin::Proxy))),
        ] {
            for cut in 0..=bytes.len() {
                let (first, second) = bytes.split_at(cut);
                let mut header = ProxyHeader::default();
                let at_first = header.take(first);
                if cut < bytes.len() {
                    assert_eq!(at_first, Ok(None), "{bytes:x?} at {cut}");
                    assert!((1..=bytes.len() - cut).contains(&header.missing()));
                    assert_eq!(header.take(second), expected);
                } else {
                    assert_eq!(at_first, expected);
                }
                assert_eq!(header.missing(), 0);
                // What follows is the client's.
                assert_eq!(header.take(b"more"), expected);
            }
            let mut header = ProxyHeader::default();
            let mut bytes = bytes.as_slice();
            while header.missing() > 0 {
                let (next, rest) = bytes.split_at(header.missing());
                bytes = rest;
                assert!(header.take(next).is_ok());
            }
            assert_eq!(bytes, b"", "nothing was asked for beyond it");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_at_the_first_byte_that_shows_it() {
        for (bytes, at, error) in [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(), 0, ProxyHeaderError::NoHeader),
            (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), 11, ProxyHeaderError::NoHeader),
            (vec![0; 512], 0, ProxyHeaderError::NoHeader),
            (header(0x22, TCP_OVER_IPV4, &[0; 12]), 12, ProxyHeaderError::UnknownCommand),
            (header(0x11, TCP_OVER_IPV4, &[0; 12]), 12, ProxyHeaderError::UnknownCommand),
            (header(0x31, TCP_OVER_IPV4, &[0; 12]), 12, ProxyHeaderError::UnknownCommand),
            (header(PROXY, 0x00, &[0; 12]), 13, ProxyHeaderError::NoAddress),
            (header(PROXY, 0x12, &[0; 12]), 13, ProxyHeaderError::NoAddress),
            (header(PROXY, 0x31, &[0; 216]), 13, ProxyHeaderError::NoAddress),
            (header(PROXY, TCP_OVER_IPV4, &[0; 11]), 15, ProxyHeaderError::TooShort),
            (header(PROXY, TCP_OVER_IPV6, &[0; 35]), 15, ProxyHeaderError::TooShort),
            (header(PROXY, TCP_OVER_IPV4, &[0; 497]), 15, ProxyHeaderError::TooLong),
            (header(LOCAL, 0, &[0; 497]), 15, ProxyHeaderError::TooLong),
        ] {
            assert_eq!(ProxyHeader::default().take(&bytes), Err(error), "{bytes:x?}");
            let mut header = ProxyHeader::default();
            assert_eq!(header.take(&bytes[..at]), Ok(None), "{bytes:x?}");
            assert_eq!(header.take(&bytes[at..=at]), Err(error), "{bytes:x?}");
        }
    }

    #[test]
    fn another_byte_in_the_fixed_part_is_refused_or_says_something_else() {
        let bytes = ipv4(0);
        let named = client("192.0.2.7:49153");
        for at in 0..FIXED {
            for byte in (0..=u8::MAX).filter(|byte| *byte != bytes[at]) {
                let mut changed = bytes.clone();
                changed[at] = byte;
                let taken = ProxyHeader::default().take(&changed);
                match (at, byte) {
                    (12, LOCAL) => assert_eq!(taken, Ok(Some(Origin::Proxy))),
                    // Longer now, or of another family.
                    (14, 1) | (13, TCP_OVER_IPV6) | (15, _) if byte != 0 => {
                        assert_ne!(taken, named);
                    }
                    _ => assert!(taken.is_err(), "{byte:x} at {at}"),
                }
            }
        }
    }
}
