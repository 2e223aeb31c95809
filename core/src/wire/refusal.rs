//! Payload of 244 and its codes (PROTOCOL.md, "Errors").

use core::fmt;
use core::ops::RangeInclusive;

use super::{Full, Malformed, Reader, Writer};
use crate::id::PacketId;
use crate::limits::MAX_REFUSAL_TEXT;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Why the server refuses (PROTOCOL.md, "Errors"). Two bytes on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u16)]
        pub enum ErrorCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl ErrorCode {
            /// Every error code, in ascending order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name, as PROTOCOL.md spells it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

error_codes! {
    /// Bytes that are not what the protocol says.
    Malformed = 1,
    /// An op code that does not exist.
    UnknownOp = 2,
    /// An op that has no place here.
    UnexpectedOp = 3,
    /// The signature does not hold.
    BadSignature = 4,
    /// A letter's timestamp is too far from the server's clock.
    StaleTimestamp = 5,
    /// The recipient of the letter is nobody's id.
    UnknownRecipient = 7,
    /// The one-time password is not the one that was sent.
    OtpWrong = 8,
    /// The one-time password is gone; ask for another.
    OtpExpired = 9,
    /// No more guesses at this password.
    OtpAttemptsSpent = 10,
    /// Too much of this; `retry_after_s` says when again.
    RateLimited = 11,
    /// The recipient's mailbox has no room.
    MailboxFull = 12,
    /// The public key is not acceptable.
    WeakKey = 13,
    /// The server has given out all of its ids.
    ServerFull = 14,
    /// The letter is above the server's limit.
    TooLarge = 15,
    /// Storage does not answer; nothing was accepted.
    StorageUnavailable = 16,
    /// The phone number is not well formed.
    BadPhone = 17,
    /// No such user, or none that the asker may ask about.
    UnknownUser = 18,
    /// A seal did not open, or out of sequence.
    BadSequence = 19,
    /// No session key to open the short form with; use the long one.
    SessionUnknown = 20,
    /// Something about this is under way; try again.
    Busy = 21,
}

impl ErrorCode {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The error with this code; `None` for a code of a later version.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.code() == code)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `code u16 ‖ op u8 ‖ retry_after_s u16 ‖ has_id u8 ‖ packet_id[16]? ‖ text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The code as it was sent; see [`ErrorCode::from_code`].
    pub code: u16,
    /// The op that was refused; 0 in a packet shared by many.
    pub op: u8,
    /// Seconds after which trying again is sensible.
    pub retry_after_s: u16,
    /// The packet that was refused; `None` in a packet shared by many.
    pub packet: Option<PacketId>,
    /// For display only, and only without its control characters.
    pub text: &'a str,
}

impl<'a> Refusal<'a> {
    /// Bytes of the longest refusal.
    pub const MAX_LEN: usize = 22 + MAX_REFUSAL_TEXT;
    /// How many bytes a refusal may have.
    pub(crate) const LENGTHS: RangeInclusive<usize> = 6..=Self::MAX_LEN;

    /// Reads the content.
    ///
    /// # Errors
    /// [`Malformed`] for fields cut short, another `has_id` than 0 and 1, text above
    /// 128 bytes, and text that is not UTF-8.
    pub fn parse(content: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content);
        let (code, op, retry_after_s) = (reader.u16()?, reader.u8()?, reader.u16()?);
        let packet = match reader.u8()? {
            0 => None,
            1 => Some(reader.packet_id()?),
            _ => return Err(Malformed),
        };
        let text = core::str::from_utf8(reader.rest()).map_err(|_| Malformed)?;
        if text.len() > MAX_REFUSAL_TEXT {
            return Err(Malformed);
        }
        Ok(Self { code, op, retry_after_s, packet, text })
    }

    /// Writes the content.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u16(self.code)?;
        writer.u8(self.op)?;
        writer.u16(self.retry_after_s)?;
        match self.packet {
            None => writer.u8(0)?,
            Some(id) => {
                writer.u8(1)?;
                writer.put(&id.0)?;
            }
        }
        writer.put(self.text.as_bytes())
    }
}
