//! A letter in columns, and back.

use std::sync::Arc;

use waxwing_core::crypto::{Provider, Signature};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::{HEADER_LEN, SIGNATURE_LEN};
use waxwing_core::server::storage::PendingLetter;
use waxwing_core::time::Timestamp;
use waxwing_core::wire::{Header, Op, Packet, Writer};

use crate::backend::Backend;

/// What has to be kept of a packet besides its ids to build it again.
pub(super) struct Columns<'a> {
    pub(super) timestamp: Timestamp,
    pub(super) payload: &'a [u8],
    pub(super) signature: &'a Signature,
}

/// Takes a letter's packet apart; `None` unless [`rebuild`] gives exactly that packet back.
pub(super) fn columns(letter: &PendingLetter) -> Option<Columns<'_>> {
    let packet = Packet::parse(&*letter.packet).ok()?;
    let header = *packet.header();
    let own = header.sender == Some(letter.sender)
        && header.recipient == Some(letter.recipient)
        && header.op_code == Op::Letter as u8;
    if !own {
        return None;
    }
    // The view borrows from itself; the columns have to borrow from the letter.
    let (signed, signature) = letter.packet.split_last_chunk()?;
    Some(Columns { timestamp: header.timestamp, payload: signed.get(HEADER_LEN..)?, signature })
}

/// Puts a packet together from columns; `None` when they are none of a letter's, or not those of the
/// letter with this id. Nothing else would notice a bit that fell over on the disk, until the
/// recipient gets a letter that was never written, or is another's.
pub(super) fn rebuild(
    id: PacketId,
    sender: UserId,
    recipient: UserId,
    timestamp: Timestamp,
    payload: &[u8],
    signature: &[u8],
) -> Option<Arc<[u8]>> {
    let header = Header {
        sender: Some(sender),
        recipient: Some(recipient),
        timestamp,
        op_code: Op::Letter as u8,
        payload_size: u16::try_from(payload.len()).ok()?,
    };
    let mut head = [0; HEADER_LEN];
    header.emit(&mut Writer::new(&mut head)).ok()?;
    let mut packet = Vec::with_capacity(header.packet_len());
    packet.extend_from_slice(&head);
    packet.extend_from_slice(payload);
    packet.extend_from_slice(signature);
    let (signed, _) = packet.split_last_chunk::<SIGNATURE_LEN>()?;
    let is_it = PacketId::of(&Backend::default().sha256(&[signed])) == id;
    (is_it && packet.len() == header.packet_len()).then(|| packet.into())
}
