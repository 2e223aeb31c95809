//! PROXY headers.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use waxwing_transport_mio::{Origin, ProxyHeader};

use crate::Reached;
use crate::input::Input;

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// A header of so many bytes.
    Header(Origin, usize),
    /// The beginning of one, or nothing.
    Unfinished,
    /// Something else, however it goes on.
    Other,
}

/// A second decoder, of a whole stream at once, written from the description of the protocol.
fn beginning(stream: &[u8]) -> Beginning {
    const SIGNATURE: &[u8] = &[0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
    if let Some(signature) = stream.get(..12) {
        if signature != SIGNATURE {
            return Beginning::Other;
        }
    } else {
        return if SIGNATURE.starts_with(stream) {
            Beginning::Unfinished
        } else {
            Beginning::Other
        };
    }
    let is_local = match stream.get(12) {
        None => return Beginning::Unfinished,
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Beginning::Other,
    };
    let addresses = match stream.get(13) {
        None => return Beginning::Unfinished,
        Some(_) if is_local => 0,
        Some(0x11) => 12,
        Some(0x21) => 36,
        Some(_) => return Beginning::Other,
    };
    let Some(&[high, low]) = stream.get(14..16) else { return Beginning::Unfinished };
    let length = usize::from(high) * 256 + usize::from(low);
    if length > 512 - 16 || length < addresses {
        return Beginning::Other;
    }
    let Some(rest) = stream.get(16..16 + length) else { return Beginning::Unfinished };
    let address: IpAddr = match addresses {
        0 => return Beginning::Header(Origin::Proxy, 16 + length),
        12 => [rest[0], rest[1], rest[2], rest[3]].into(),
        _ => {
            let address: [u8; 16] = rest[..16].try_into().expect("16 bytes");
            match address {
                [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => [a, b, c, d].into(),
                _ => Ipv6Addr::from(address).into(),
            }
        }
    };
    // The port of the source is behind both addresses.
    let port = &rest[addresses - 4..addresses - 2];
    let port = u16::from(port[0]) << 8 | u16::from(port[1]);
    Beginning::Header(Origin::Client(SocketAddr::new(address, port)), 16 + length)
}

/// A stream in pieces: each is so long as the byte before it says. However it is cut, the header is what a
/// second decoder finds in the whole stream, and no byte behind it is asked for.
pub fn proxy_header(data: &[u8]) -> Reached {
    let mut input = Input::new(data);
    let (mut stream, mut pieces) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let length = input.byte().into();
        let piece = input.bytes(length);
        stream.extend_from_slice(piece);
        pieces.push(piece);
    }
    let mut header = ProxyHeader::default();
    let mut taken = 0;
    let mut found = Beginning::Unfinished;
    for piece in pieces {
        let mut piece = piece;
        // As a socket is read: never more than what is missing.
        while found == Beginning::Unfinished && !piece.is_empty() {
            let missing = header.missing();
            assert!(missing > 0 && taken + missing <= ProxyHeader::LONGEST);
            let (next, rest) = piece.split_at(missing.min(piece.len()));
            piece = rest;
            taken += next.len();
            found = match header.take(next) {
                Ok(None) => Beginning::Unfinished,
                Ok(Some(origin)) => Beginning::Header(origin, taken),
                Err(_) => Beginning::Other,
            };
        }
    }
    assert_eq!(found, beginning(&stream), "{stream:02x?}");
    // What is no header has no end.
    if found != Beginning::Other {
        assert_eq!(header.missing() == 0, found != Beginning::Unfinished);
    }
    Reached::from([match found {
        Beginning::Header(Origin::Proxy, _) => "the proxy's own",
        Beginning::Header(Origin::Client(SocketAddr::V4(_)), _) => "a client over IPv4",
        Beginning::Header(Origin::Client(SocketAddr::V6(_)), _) => "a client over IPv6",
        Beginning::Unfinished => "unfinished",
        Beginning::Other => "something else",
    }])
}
