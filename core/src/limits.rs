//! The sizes and bounds on which both ends have to agree (PROTOCOL.md, "Packet" and "Limits and
//! timers").
//!
//! Three kinds of sizes stand elsewhere. Those of the crypto primitives are in [`crate::crypto`]. The
//! length of a type on the wire is a constant of that type, such as [`PacketId::LEN`]. What one end
//! decides alone stands where it is decided: the server's settings with their defaults in its
//! `Config`, the bound of a single table beside that table.
//!
//! [`PacketId::LEN`]: crate::id::PacketId::LEN

use crate::crypto::{BLOCK_LEN, RSA_LEN};

/// Bytes of a header, which every packet begins with.
pub const HEADER_LEN: usize = 26;
/// Bytes of the signature, which every packet ends with.
pub const SIGNATURE_LEN: usize = RSA_LEN;
/// Bytes of a packet besides its payload: header and signature.
pub const OVERHEAD: usize = 282;
/// Bytes of the largest payload that the length field of a header can name.
pub const MAX_PAYLOAD: usize = 65_535;
/// Bytes of the largest packet that can be on the wire.
pub const MAX_PACKET: usize = MAX_PAYLOAD + OVERHEAD;
/// Bytes of the largest payload of a sealed or shared packet.
pub const MAX_SEALED: usize = 2_048;
/// Bytes of the largest packet that is not a letter: what a client's second buffer must hold.
pub const MAX_CONTROL_PACKET: usize = MAX_SEALED + OVERHEAD;
/// Bytes of the largest message inside a sealed payload: what IV, sequence number and one byte of
/// padding leave.
pub const MAX_SEALED_MESSAGE: usize = MAX_SEALED - BLOCK_LEN - 4 - 1;
/// Bytes of the largest whole packet that a server reads before there is a session.
pub const MAX_UNAUTHENTICATED_PACKET: usize = 1_024;

/// Bytes of the largest payload of a letter that a server accepts unless it is configured otherwise.
pub const MAX_LETTER: usize = 60 * 1_024;
/// Bytes of an envelope besides what is encrypted in it: version, suite, wrapped key, IV.
pub const ENVELOPE_OVERHEAD: usize = 2 + RSA_LEN + BLOCK_LEN;
/// Bytes of the smallest envelope: one uid, one kind, no body, padded.
pub const MIN_ENVELOPE: usize = ENVELOPE_OVERHEAD + 2 * BLOCK_LEN;
/// Bytes of the longest body that fits a letter of [`MAX_LETTER`]: whole blocks, less uid, kind and
/// one byte of padding.
pub const MAX_BODY: usize = (MAX_LETTER - ENVELOPE_OVERHEAD) / BLOCK_LEN * BLOCK_LEN - 16 - 1 - 1;

/// Tokens in one shared packet: as many as fit beside the IV.
pub const MAX_TOKENS: usize = MAX_SEALED / BLOCK_LEN - 1;
/// Entries of one sealed 203 from the server: id and status each.
pub const MAX_STATUSES: usize = (MAX_SEALED_MESSAGE - 2) / 17;
/// Packet ids in one acknowledgment from a client.
pub const MAX_HELD: usize = 112;
/// Questions in one status query from a client.
pub const MAX_QUERIES: usize = 110;
/// Bytes of text in a 244.
pub const MAX_REFUSAL_TEXT: usize = 128;

/// Letters of the largest window that a confirmation may name.
pub const MAX_WINDOW: u8 = 128;
/// Bytes of letters that a session may have been given and not acknowledged.
pub const MAX_UNACKNOWLEDGED_BYTES: usize = 256 * 1_024;
/// Bytes of letters after which a client acknowledges them, however few they are.
pub const ACKNOWLEDGED_BYTES: usize = 64 * 1_024;
/// Letters and key questions of one client that have no answer yet.
pub const MAX_UNANSWERED: usize = 128;
/// Bytes of a packet that a server takes for progress of a slow line.
pub const PROGRESS_BYTES: usize = 4 * 1_024;
/// Bytes of a packet that a client takes for progress of a slow line.
pub const CLIENT_PROGRESS_BYTES: usize = 1_024;
/// Seconds by which the timestamp of a letter may differ from the server's clock, either way.
pub const FRESHNESS_S: i64 = 300;
/// Seconds after its request within which an answer may set a client's clock.
pub const CLOCK_ANSWER_S: u64 = 15;

const _: () = assert!(MAX_BODY == 61_134);
const _: () = assert!(HEADER_LEN + SIGNATURE_LEN == OVERHEAD);
const _: () = assert!(3 + 16 * MAX_HELD <= MAX_SEALED_MESSAGE);
const _: () = assert!(3 + 18 * MAX_QUERIES <= MAX_SEALED_MESSAGE);
const _: () = assert!(MAX_TOKENS == 127);
const _: () = assert!(MAX_CONTROL_PACKET <= 2_400);
