//! `waxwing packet verify`: signatures under a public key that is given as a file.

use std::path::Path;

use waxwing_core::crypto::{Provider, Unverified};
use waxwing_core::wire::{Frame, Packet, deframe};

use super::{Console, read_packets};
use crate::backend::provider;
use crate::exit::Failure;
use crate::keys::read_server_key;

pub(super) fn run(file: &Path, key: &Path, console: &mut Console<'_>) -> Result<(), Failure> {
    let unusable = |_| Failure::Config(format!("{} cannot be used", key.display()));
    let key = provider().public_key(&read_server_key(key)?).map_err(unusable)?;
    let bytes = read_packets(file, console)?;
    let (mut rest, mut bad) = (&bytes[..], 0);
    while !rest.is_empty() || bytes.is_empty() {
        let Ok(Frame::Complete(header)) = deframe(rest) else {
            let at = bytes.len() - rest.len();
            return Err(Failure::General(format!("no whole packet at byte {at}")));
        };
        let (packet, tail) = rest.split_at(header.packet_len());
        let packet = Packet::parse(packet).map_err(|error| Failure::General(error.to_string()))?;
        let packet = Unverified::new(&provider(), packet);
        let (id, op) = (packet.id(), header.op_code);
        let verdict = if packet.verify(&key).is_ok() { "holds" } else { "does not hold" };
        bad += usize::from(verdict != "holds");
        writeln!(console.output, "{id} {op} {verdict}")?;
        rest = tail;
    }
    match bad {
        0 => Ok(()),
        _ => Err(Failure::Untrusted("not signed with this key".into())),
    }
}
