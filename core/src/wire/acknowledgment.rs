//! Payloads of 203, in its four shapes (PROTOCOL.md, "Acknowledgments").

use core::ops::RangeInclusive;

use super::{Full, Malformed, Reader, Writer};
use crate::crypto::BLOCK_LEN;
use crate::id::{PacketId, PacketIdPrefix, UserId};
use crate::limits::{MAX_HELD, MAX_QUERIES, MAX_STATUSES, MAX_WINDOW};

/// What has become of a letter. A client never lets a status go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Status {
    /// The server knows no such letter of the asker's.
    Unknown = 0,
    /// It is stored and survives a power cut.
    Stored = 1,
    /// Its recipient has acknowledged it.
    Delivered = 2,
    /// It expired, or was removed, undelivered.
    Expired = 3,
}

impl Status {
    /// The status with this code.
    ///
    /// # Errors
    /// [`Malformed`] for another code.
    pub const fn from_code(code: u8) -> Result<Self, Malformed> {
        match code {
            0 => Ok(Self::Unknown),
            1 => Ok(Self::Stored),
            2 => Ok(Self::Delivered),
            3 => Ok(Self::Expired),
            _ => Err(Malformed),
        }
    }

    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status to believe after hearing `self` and knowing `known`: it never goes down, and
    /// delivered is final. The order is unknown, stored, expired, delivered.
    #[must_use]
    pub const fn after(self, known: Self) -> Self {
        match (known, self) {
            (Self::Delivered, _) | (_, Self::Delivered) => Self::Delivered,
            (Self::Expired, _) | (_, Self::Expired) => Self::Expired,
            (Self::Stored, _) | (_, Self::Stored) => Self::Stored,
            (Self::Unknown, Self::Unknown) => Self::Unknown,
        }
    }
}

/// From the server to one: `count u16 ‖ (packet_id[16] ‖ status u8)*`.
#[derive(Clone, Debug)]
pub struct Statuses<'a> {
    entries: Reader<'a>,
}

impl<'a> Statuses<'a> {
    const ENTRY_LEN: usize = PacketId::LEN + 1;

    /// Reads the content, every entry of it.
    ///
    /// # Errors
    /// [`Malformed`] unless the count is 1 to 119 and fits the bytes, and every status is one.
    pub fn parse(content: &'a [u8]) -> Result<Self, Malformed> {
        let entries = counted(Reader::new(content), Self::ENTRY_LEN, 1..=MAX_STATUSES)?;
        let mut reader = entries.clone();
        while !reader.rest().is_empty() {
            reader.packet_id()?;
            Status::from_code(reader.u8()?)?;
        }
        Ok(Self { entries })
    }

    /// Writes the content.
    ///
    /// # Errors
    /// [`Full`] when there is no room for all.
    pub fn emit(writer: &mut Writer<'_>, statuses: &[(PacketId, Status)]) -> Result<(), Full> {
        writer.u16(u16::try_from(statuses.len()).map_err(|_| Full)?)?;
        statuses.iter().try_for_each(|(id, status)| {
            writer.put(&id.0)?;
            writer.u8(status.code())
        })
    }
}

impl Iterator for Statuses<'_> {
    type Item = (PacketId, Status);

    fn next(&mut self) -> Option<Self::Item> {
        let id = self.entries.packet_id().ok()?;
        let status = Status::from_code(self.entries.u8().ok()?).ok()?;
        Some((id, status))
    }
}

/// From the server to many: one block for each, `packet_id[0..15] ‖ status u8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusToken {
    /// The letter, by the first 15 bytes of its packet id.
    pub letter: PacketIdPrefix,
    /// What became of the letter.
    pub status: Status,
}

impl StatusToken {
    /// Reads an opened token. To everyone but its receiver it is noise, so an unknown status
    /// means only that it was somebody else's.
    #[must_use]
    pub fn parse(block: &[u8; BLOCK_LEN]) -> Option<Self> {
        let (prefix, status) = block.split_first_chunk::<{ PacketIdPrefix::LEN }>()?;
        let status = Status::from_code(*status.first()?).ok()?;
        Some(Self { letter: PacketIdPrefix(*prefix), status })
    }

    /// The block, before it is encrypted.
    #[must_use]
    pub fn to_block(self) -> [u8; BLOCK_LEN] {
        let mut block = [self.status.code(); BLOCK_LEN];
        for (to, from) in block.iter_mut().zip(&self.letter.0) {
            *to = *from;
        }
        block
    }
}

/// From a client: `kind u8 ‖ …`.
#[derive(Clone, Debug)]
pub enum ClientReport<'a> {
    /// Kind 0, `window u8`: the session is confirmed.
    Confirmation {
        /// Letters that the client takes without having acknowledged the first, 1 to 128.
        window: u8,
    },
    /// Kind 1, `count u16 ‖ packet_id[16]*`: I hold these letters.
    Held(HeldLetters<'a>),
    /// Kind 2, `count u16 ‖ (recipient_id u16 ‖ packet_id[16])*`: what became of these?
    Queries(StatusQueries<'a>),
}

impl<'a> ClientReport<'a> {
    /// Reads the content.
    ///
    /// # Errors
    /// [`Malformed`] for an unknown kind, a window of 0 or above 128, or a count that does not
    /// fit the bytes or is not one that the kind can have.
    pub fn parse(content: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content);
        match reader.u8()? {
            0 => {
                let window = reader.u8()?;
                reader.finish()?;
                if (1..=MAX_WINDOW).contains(&window) {
                    Ok(Self::Confirmation { window })
                } else {
                    Err(Malformed)
                }
            }
            1 => Ok(Self::Held(HeldLetters { ids: counted(reader, PacketId::LEN, 0..=MAX_HELD)? })),
            2 => {
                let mut entries = counted(reader, StatusQuery::LEN, 1..=MAX_QUERIES)?;
                let queries = StatusQueries { entries: entries.clone() };
                while !entries.rest().is_empty() {
                    StatusQuery::parse(&mut entries)?;
                }
                Ok(Self::Queries(queries))
            }
            _ => Err(Malformed),
        }
    }

    /// Writes a confirmation.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit_confirmation(writer: &mut Writer<'_>, window: u8) -> Result<(), Full> {
        writer.put(&[0, window])
    }

    /// Writes an acknowledgment of letters.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit_held(writer: &mut Writer<'_>, ids: &[PacketId]) -> Result<(), Full> {
        writer.u8(1)?;
        writer.u16(u16::try_from(ids.len()).map_err(|_| Full)?)?;
        ids.iter().try_for_each(|id| writer.put(&id.0))
    }

    /// Writes questions about letters.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit_queries(writer: &mut Writer<'_>, queries: &[StatusQuery]) -> Result<(), Full> {
        writer.u8(2)?;
        writer.u16(u16::try_from(queries.len()).map_err(|_| Full)?)?;
        queries.iter().try_for_each(|query| {
            writer.u16(query.recipient.get())?;
            writer.put(&query.letter.0)
        })
    }
}

/// The entries behind their count, which has to be one of `counts`.
fn counted(
    mut reader: Reader<'_>,
    entry_len: usize,
    counts: RangeInclusive<usize>,
) -> Result<Reader<'_>, Malformed> {
    let count = usize::from(reader.u16()?);
    let expected = count.checked_mul(entry_len).ok_or(Malformed)?;
    let fits = counts.contains(&count) && reader.rest().len() == expected;
    if fits { Ok(reader) } else { Err(Malformed) }
}

/// The letters that a client says it holds.
#[derive(Clone, Debug)]
pub struct HeldLetters<'a> {
    ids: Reader<'a>,
}

impl Iterator for HeldLetters<'_> {
    type Item = PacketId;

    fn next(&mut self) -> Option<PacketId> {
        self.ids.packet_id().ok()
    }
}

/// A client's question about one letter that it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusQuery {
    /// The id of the user to whom the letter was sent.
    pub recipient: UserId,
    /// The packet id of the letter that is asked about.
    pub letter: PacketId,
}

impl StatusQuery {
    const LEN: usize = 2 + PacketId::LEN;

    fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { recipient: reader.user()?, letter: reader.packet_id()? })
    }
}

/// The letters that a client asks about.
#[derive(Clone, Debug)]
pub struct StatusQueries<'a> {
    entries: Reader<'a>,
}

impl Iterator for StatusQueries<'_> {
    type Item = StatusQuery;

    fn next(&mut self) -> Option<StatusQuery> {
        StatusQuery::parse(&mut self.entries).ok()
    }
}
