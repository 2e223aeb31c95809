//! Where packets begin and end in a stream.
//!
//! TCP gives no boundaries: a read may bring half a header or three packets and a half. The
//! caller keeps what has arrived in a buffer of its own and asks [`deframe`] what it has.

use super::{Header, Malformed};
use crate::limits::HEADER_LEN;

/// What the front of a stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The stream holds fewer bytes than a header has.
    Partial,
    /// A header, and the packet it announces is not complete.
    Started(Header),
    /// The stream begins with a whole packet, of `header.packet_len()` bytes.
    Complete(Header),
}

/// Looks at the front of `stream`, and only there.
///
/// The header's promise is given back as soon as it is there, so that a caller can refuse a
/// size before it keeps the bytes.
///
/// # Errors
/// [`Malformed`] when the header is not one. There is nothing in a stream by which to find
/// another packet's beginning, so this is final.
pub fn deframe(stream: &[u8]) -> Result<Frame, Malformed> {
    let Some(header) = stream.first_chunk::<HEADER_LEN>() else {
        return Ok(Frame::Partial);
    };
    let header = Header::parse(header)?;
    if stream.len() < header.packet_len() {
        Ok(Frame::Started(header))
    } else {
        Ok(Frame::Complete(header))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::OVERHEAD;

    #[test]
    fn every_prefix_of_a_packet_is_told_apart() {
        let mut stream = [0; OVERHEAD + 3 + 1];
        stream[..HEADER_LEN].copy_from_slice(b"\x00\x00\x07\x002026-11-22 12:34:56\xcb\x03\x00");
        for len in 0..=stream.len() {
            let frame = deframe(&stream[..len]).unwrap();
            match len {
                0..HEADER_LEN => assert_eq!(frame, Frame::Partial),
                len if len < OVERHEAD + 3 => assert!(matches!(frame, Frame::Started(_))),
                _ => assert!(matches!(frame, Frame::Complete(h) if h.packet_len() == 285)),
            }
        }
    }

    #[test]
    fn a_broken_header_is_final() {
        assert_eq!(deframe(&[0; HEADER_LEN]), Err(Malformed));
    }
}
