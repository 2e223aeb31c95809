//! A checked view of one whole packet.

use super::{Header, Malformed};
use crate::crypto::Signature;
use crate::limits::{HEADER_LEN, SIGNATURE_LEN};

/// One packet, exactly: header, payload, signature. `B` is a byte slice, mutable where the
/// payload is to be opened in place. Nothing in it has been authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Packet<B> {
    header: Header,
    bytes: B,
}

impl<B: AsRef<[u8]>> Packet<B> {
    /// Checks header and length.
    ///
    /// # Errors
    /// [`Malformed`] when the header is, or when `bytes` is not exactly one packet.
    pub fn parse(bytes: B) -> Result<Self, Malformed> {
        let header = bytes.as_ref().first_chunk::<HEADER_LEN>().ok_or(Malformed)?;
        let header = Header::parse(header)?;
        if bytes.as_ref().len() == header.packet_len() {
            Ok(Self { header, bytes })
        } else {
            Err(Malformed)
        }
    }

    /// The header, as it was parsed.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The payload, without header and signature.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.signed_bytes().get(HEADER_LEN..).unwrap_or_default()
    }

    /// What the signature covers: header and payload.
    #[must_use]
    pub fn signed_bytes(&self) -> &[u8] {
        let bytes = self.bytes.as_ref();
        bytes.get(..bytes.len().saturating_sub(SIGNATURE_LEN)).unwrap_or_default()
    }

    /// The signature, which nobody has checked yet: 256 bytes.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        // A packet is longer than its signature, so the second arm is never taken.
        self.bytes.as_ref().last_chunk().unwrap_or(&[0; SIGNATURE_LEN])
    }

    /// All bytes of the packet: header, payload and signature.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Gives back the buffer that the packet lies in.
    pub fn into_bytes(self) -> B {
        self.bytes
    }
}

impl<'a> Packet<&'a mut [u8]> {
    /// The payload, to be opened where it lies.
    #[must_use]
    pub fn into_payload(self) -> &'a mut [u8] {
        let end = HEADER_LEN.saturating_add(usize::from(self.header.payload_size));
        self.bytes.get_mut(HEADER_LEN..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::OVERHEAD;
    use std::vec::Vec;

    fn bytes(payload: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x00\x00\x07\x002026-11-22 12:34:56\xcb".to_vec();
        bytes.extend((payload.len() as u16).to_le_bytes());
        bytes.extend(payload);
        bytes.extend([0x5a; SIGNATURE_LEN]);
        bytes
    }

    #[test]
    fn the_parts_lie_where_the_table_says() {
        let bytes = bytes(b"hello");
        let packet = Packet::parse(&bytes[..]).unwrap();
        assert_eq!(packet.payload(), b"hello");
        assert_eq!(packet.signed_bytes(), &bytes[..31]);
        assert_eq!(packet.signature(), &[0x5a; SIGNATURE_LEN]);
        assert_eq!(packet.as_bytes().len(), OVERHEAD + 5);
    }

    #[test]
    fn every_other_length_is_malformed() {
        let mut bytes = bytes(b"hello");
        for len in 0..bytes.len() {
            assert!(Packet::parse(&bytes[..len]).is_err(), "{len}");
        }
        bytes.push(0);
        assert!(Packet::parse(&bytes[..]).is_err());
    }

    #[test]
    fn an_empty_payload_and_the_longest_one_are_packets() {
        assert_eq!(Packet::parse(&bytes(b"")[..]).unwrap().payload(), b"");
        let longest = [7; 65_535];
        assert_eq!(Packet::parse(&bytes(&longest)[..]).unwrap().payload(), longest);
    }
}
