//! What a client learns, and how a connection ends.

use super::intake::OversizedLetter;
use super::requests::RequestError;
use crate::crypto::Unverified;
use crate::id::{PacketId, PacketIdPrefix, UserId};
use crate::wire::{CloseReason, ErrorCode, KeyAnswer, KeyQuestion, OtpGrant, Status, Successor};

/// Something that the server, or through it somebody else, has said.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Event<'a> {
    /// A one-time password is on its way, or in here.
    OtpIssued(OtpGrant),
    /// A 150: the phone has an account already, under another key.
    PhoneTaken,
    /// The server has issued a session key; the confirmation is on its way. For a newly
    /// registered client this is where it learns its id.
    SessionIssued {
        /// The client's id.
        user: UserId,
    },
    /// A letter lies in the letter buffer, its signature unchecked, until
    /// [`super::Client::acknowledge_letter`], or [`super::Client::release_letter`] where it is
    /// copied; [`super::Client::letter`] shows it again.
    Letter(Unverified<&'a mut [u8]>),
    /// A letter was too large for the letter buffer and is gone. It has to be acknowledged
    /// all the same.
    TooLarge(OversizedLetter),
    /// What became of a letter. It may be somebody else's: shared acknowledgments are noise to
    /// all but one, and noise sometimes looks like a status.
    Status {
        /// Which letter.
        letter: LetterName,
        /// What became of it.
        status: Status,
    },
    /// The answer to the open question about a key.
    Key(KeyAnswer),
    /// The answer to the open question which key follows that of the server.
    Successor(Successor),
    /// The server has answered a question about a key with another's, and cannot be trusted.
    WrongKey(KeyQuestion),
    /// Everything that was pending has come: so many letters. It is said once.
    BacklogEnd(u32),
    /// A request was refused; the connection goes on.
    Refused(RefusalNotice),
}

/// The letter that a status is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LetterName {
    /// The whole packet id, from a sealed 203.
    Whole(PacketId),
    /// The part of its id that a shared acknowledgment has room for.
    Prefix(PacketIdPrefix),
}

impl LetterName {
    /// The part of the id that is known in any case.
    #[must_use]
    pub fn prefix(&self) -> PacketIdPrefix {
        match self {
            Self::Whole(id) => id.prefix(),
            Self::Prefix(prefix) => *prefix,
        }
    }
}

/// What a 244 says, without its text (PROTOCOL.md, "Errors").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RefusalNotice {
    /// Why; `None` for a code of a later version.
    pub code: Option<ErrorCode>,
    /// The code as the server has sent it, also if it is of a later version.
    pub number: u16,
    /// Seconds after which trying again is sensible.
    pub retry_after_s: u16,
    /// The refused packet, when it is named.
    pub packet: Option<PacketId>,
}

/// How a connection ended. The first reason stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ended {
    /// The server has said goodbye, or has answered ours.
    #[error("the server closed the session ({0:?})")]
    Closed(CloseReason),
    /// The server refused with a code that ends the connection.
    #[error("the server refused ({0:?})")]
    Refused(RefusalNotice),
    /// Bytes that are no packet, or not signed by the server.
    #[error("the server's bytes are not Waxwing's, or not signed with the pinned key")]
    BadBytes,
    /// A packet that has no place here, or is for somebody else.
    #[error("the server broke the protocol")]
    Misbehaved,
    /// More letters than the window has room for. The server, or somebody on the way to it,
    /// sends on without an acknowledgment of those before.
    #[error("more letters came at once than this client takes")]
    WindowExceeded,
    /// A seal did not open, or out of sequence.
    #[error("a sealed packet did not open")]
    BadSeal,
    /// The server did not answer within the time that
    /// [`Client::poll_timeout`](super::Client::poll_timeout) named.
    #[error("the server did not answer in time")]
    TimedOut,
    /// A packet could not be made: a buffer is too small, or the key refused.
    #[error("a packet could not be made: {0}")]
    Build(RequestError),
}
