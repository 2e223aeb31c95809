//! Bytes on the wire (PROTOCOL.md, "Packet" and the sections per packet family).
//!
//! [`Packet`] is a checked view of one packet, [`Draft`] writes one into a caller's buffer, and
//! [`deframe()`] finds where a packet ends in a stream. The other modules hold one family of
//! payloads each: plain values with `parse` and `emit`, over the bytes *inside* whatever seals
//! them. Only [`Reader`] and [`Writer`] take byte slices apart.

mod acknowledgment;
mod backlog;
mod closing;
mod cursor;
mod deframe;
mod directory;
mod draft;
mod header;
mod op;
mod packet;
mod refusal;
mod registration;
mod session;

pub use acknowledgment::{
    ClientReport, HeldLetters, Status, StatusQueries, StatusQuery, StatusToken, Statuses,
};
pub use backlog::{BacklogSize, BacklogToken};
pub use closing::CloseReason;
pub use cursor::{Full, Reader, Writer};
pub use deframe::{Frame, deframe};
pub use directory::{KeyAnswer, KeyQuestion, Successor};
pub use draft::{BuildError, Draft};
pub use header::Header;
pub use op::Op;
pub use packet::Packet;
pub use refusal::{ErrorCode, Refusal};
pub use registration::{OtpGrant, OtpProof, RegistrationRejected, RegistrationRequest};
pub use session::{ReconnectForm, SessionGrant};

/// Bytes from a peer that are not what the protocol says. Malformed is malformed: which rule
/// was broken helps nobody but an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("malformed bytes")]
pub struct Malformed;
