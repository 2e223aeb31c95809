//! The 26 bytes before the payload.
//!
//! ```text
//! 0          2             4            23        24              26
//! | sender_id | recipient_id | timestamp | op_code | payload_size |
//! ```

use super::{Full, Malformed, Reader, Writer};
use crate::id::UserId;
use crate::limits::{HEADER_LEN, OVERHEAD};
use crate::time::Timestamp;

/// A packet's header (PROTOCOL.md, "Packet").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// Who made the packet; `None` is the server or a client without an id.
    pub sender: Option<UserId>,
    /// Whom it is for; `None` is the server, a client without an id, or everyone.
    pub recipient: Option<UserId>,
    /// When it was made, by its maker's clock.
    pub timestamp: Timestamp,
    /// What the packet is for, as sent; see [`super::Op::from_code`].
    pub op_code: u8,
    /// Bytes of the payload that follows the header.
    pub payload_size: u16,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// [`Malformed`] when the timestamp is not one. Ids, op code and size can have any value.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        Ok(Self {
            sender: UserId::new(reader.u16()?),
            recipient: UserId::new(reader.u16()?),
            timestamp: Timestamp::parse(reader.array()?)?,
            op_code: reader.u8()?,
            payload_size: reader.u16()?,
        })
    }

    /// Writes the header.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u16(UserId::wire(self.sender))?;
        writer.u16(UserId::wire(self.recipient))?;
        writer.put(self.timestamp.as_bytes())?;
        writer.u8(self.op_code)?;
        writer.u16(self.payload_size)
    }

    /// Bytes of the whole packet.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        usize::from(self.payload_size).saturating_add(OVERHEAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; HEADER_LEN] = *b"\x39\x05\x00\x012026-11-22 12:34:56\x66\x20\x03";

    fn header() -> Header {
        Header {
            sender: UserId::new(1_337),
            recipient: UserId::new(256),
            timestamp: Timestamp::parse(b"2026-11-22 12:34:56").unwrap(),
            op_code: 102,
            payload_size: 800,
        }
    }

    #[test]
    fn parses_literal_bytes() {
        assert_eq!(Header::parse(&BYTES), Ok(header()));
        assert_eq!(header().packet_len(), 1_082);
    }

    #[test]
    fn emits_literal_bytes() {
        let mut buffer = [0xa5; HEADER_LEN];
        header().emit(&mut Writer::new(&mut buffer)).unwrap();
        assert_eq!(buffer, BYTES);
    }

    #[test]
    fn a_buffer_one_byte_short_is_refused() {
        let mut buffer = [0xa5; HEADER_LEN - 1];
        assert_eq!(header().emit(&mut Writer::new(&mut buffer)), Err(Full));
    }

    #[test]
    fn a_broken_timestamp_is_malformed() {
        let mut bytes = BYTES;
        bytes[4] = b' ';
        assert_eq!(Header::parse(&bytes), Err(Malformed));
    }
}
