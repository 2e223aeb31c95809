//! Packets that end early: after every byte, with a FIN and with a reset.

use std::sync::Arc;

use waxwing_core::id::UserId;

use super::case::{Case, KINDS, Kind, Way};
use crate::peer::Peer;

/// `model` has had a session.
pub(super) fn cases(model: &mut Peer) -> Vec<Case> {
    KINDS.into_iter().flat_map(|kind| cut(kind, kind.make(model))).collect()
}

fn cut(kind: Kind, packet: Vec<u8>) -> impl Iterator<Item = Case> {
    let packet = Arc::new(packet);
    (0..packet.len()).flat_map(move |len| {
        let packet = packet.clone();
        [Way::ThenFin, Way::ThenReset].map(|way| {
            let packet = packet.clone();
            let make = move |peer: &mut Peer| {
                let mut bytes = packet.to_vec();
                // Somebody else's packet, up to where nobody can tell.
                if bytes[..2] != [0, 0] {
                    bytes[..2].copy_from_slice(&UserId::wire(peer.id).to_le_bytes());
                }
                bytes.truncate(len);
                bytes
            };
            Case::new(format!("{len} bytes of {kind:?} {way:?}"), kind.state(), make, &["end"])
                .by(way)
        })
    })
}
