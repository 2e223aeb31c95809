//! Packets by hand, well made or not.

use waxwing_core::crypto::Provider;
use waxwing_core::crypto::{CryptoRng, PrivateKey, RustCrypto};
use waxwing_core::id::PacketId;
use waxwing_core::limits::SIGNATURE_LEN;
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Frame, deframe};

pub const NOBODY: u16 = 0;

/// Header and payload.
pub fn unsigned(sender: u16, recipient: u16, at: UnixTime, op_code: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(sender, recipient, at, op_code, payload.len() as u16);
    bytes.extend(payload);
    bytes
}

pub fn header(
    sender: u16,
    recipient: u16,
    at: UnixTime,
    op_code: u8,
    payload_size: u16,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(sender.to_le_bytes());
    bytes.extend(recipient.to_le_bytes());
    bytes.extend(Timestamp::from_unix(at).as_bytes());
    bytes.push(op_code);
    bytes.extend(payload_size.to_le_bytes());
    bytes
}

/// Appends the signature.
pub fn sign(mut bytes: Vec<u8>, key: &impl PrivateKey, rng: &mut dyn CryptoRng) -> Vec<u8> {
    let signature = key.sign(rng, &RustCrypto.sha256(&[&bytes])).unwrap();
    bytes.extend(signature);
    bytes
}

/// Appends a signature field of zeros.
pub fn zero_signed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend([0; SIGNATURE_LEN]);
    bytes
}

/// Takes the whole packets from the front of a stream. What is left is the beginning of another one.
///
/// # Panics
/// When it is no packet.
pub fn take_whole(stream: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let (mut rest, mut packets) = (&stream[..], Vec::new());
    while !rest.is_empty()
        && let Frame::Complete(header) = deframe(rest).expect("a packet")
        && let Some((packet, behind)) = rest.split_at_checked(header.packet_len())
    {
        packets.push(packet.to_vec());
        rest = behind;
    }
    let taken = stream.len() - rest.len();
    stream.drain(..taken);
    packets
}

pub fn id_of(packet: &[u8]) -> PacketId {
    PacketId::of(&RustCrypto.sha256(&[&packet[..packet.len() - SIGNATURE_LEN]]))
}

/// The packet with one bit flipped.
pub fn flipped(packet: &[u8], byte: usize) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    bytes[byte] ^= 1;
    bytes
}

/// The SHA-256 of some bytes.
pub fn digest_of(bytes: &[u8]) -> [u8; 32] {
    RustCrypto.sha256(&[bytes]).0
}
