//! Every size and capacity of the protocol, in one place (PROTOCOL.md, "Limits and timers").

use crate::crypto::{BLOCK_LEN, RSA_LEN};

/// Bytes before the payload.
pub const HEADER_LEN: usize = 26;
/// Bytes of the signature that ends a packet.
pub const SIGNATURE_LEN: usize = RSA_LEN;
/// Bytes of a packet besides its payload.
pub const OVERHEAD: usize = 282;
/// Largest payload that the length field can name.
pub const MAX_PAYLOAD: usize = 65_535;
/// Largest packet that can be on the wire.
pub const MAX_PACKET: usize = MAX_PAYLOAD + OVERHEAD;
/// Largest payload of a sealed or shared packet.
pub const MAX_SEALED: usize = 2_048;
/// Largest packet that is not a letter: what a client's second buffer must hold.
pub const MAX_CONTROL_PACKET: usize = MAX_SEALED + OVERHEAD;
/// Largest message inside a sealed payload: IV, sequence number and one byte of padding less.
pub const MAX_SEALED_MESSAGE: usize = MAX_SEALED - BLOCK_LEN - 4 - 1;
/// Largest whole packet that is read before a session exists.
pub const MAX_UNAUTHENTICATED_PACKET: usize = 1_024;

/// Largest payload of a letter that a server accepts unless configured otherwise.
pub const MAX_LETTER: usize = 60 * 1_024;
/// Bytes of an envelope besides what is encrypted in it: version, suite, wrapped key, IV.
pub const ENVELOPE_OVERHEAD: usize = 2 + RSA_LEN + BLOCK_LEN;
/// Smallest envelope: one uid, one kind, no body, padded.
pub const MIN_ENVELOPE: usize = ENVELOPE_OVERHEAD + 2 * BLOCK_LEN;
/// Longest body that fits a letter of [`MAX_LETTER`]: whole blocks, less uid, kind and one byte
/// of padding.
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

/// Largest window that a confirmation may name.
pub const MAX_WINDOW: u8 = 128;
/// Bytes of letters handed over and not acknowledged.
pub const MAX_UNACKNOWLEDGED_BYTES: usize = 256 * 1_024;
/// Letters and key questions of one client without an answer.
pub const MAX_UNANSWERED: usize = 128;
/// Bytes of a packet that count as progress of a slow line.
pub const PROGRESS_BYTES: usize = 4 * 1_024;
/// Seconds that the timestamp of a letter may differ from the server's clock.
pub const FRESHNESS_S: i64 = 300;
/// Seconds within which an answer may set a client's clock.
pub const CLOCK_ANSWER_S: u64 = 15;

const _: () = assert!(MAX_BODY == 61_134);
const _: () = assert!(HEADER_LEN + SIGNATURE_LEN == OVERHEAD);
const _: () = assert!(3 + 16 * MAX_HELD <= MAX_SEALED_MESSAGE);
const _: () = assert!(3 + 18 * MAX_QUERIES <= MAX_SEALED_MESSAGE);
const _: () = assert!(MAX_TOKENS == 127);
const _: () = assert!(MAX_CONTROL_PACKET <= 2_400);
