//! Bytes on their way to the server.

use std::collections::BTreeMap;

use waxwing_core::server::ConnId;

use super::dice::Dice;
use crate::backend::Paper;
use crate::world::Sim;

/// What was sent and has not arrived. The other way is the world's: what a device does not listen
/// to is on its way.
#[derive(Default)]
pub(super) struct Network {
    streams: BTreeMap<ConnId, Vec<u8>>,
}

impl Network {
    pub(super) fn push(&mut self, conn: ConnId, bytes: &[u8]) {
        self.streams.entry(conn).or_default().extend_from_slice(bytes);
    }

    /// Some bytes of some connection arrive: others may have been sent before.
    pub(super) fn deliver_some(&mut self, dice: &mut dyn Dice, world: &mut Sim<Paper>) {
        let Some(conn) = self.any(dice) else { return };
        let len = self.streams[&conn].len();
        let count = match dice.roll(4) {
            0 => 1 + dice.roll(len),
            1 => 1 + dice.roll(len.min(300)),
            _ => len,
        };
        self.deliver(world, conn, count);
    }

    /// Everything on a connection arrives.
    pub(super) fn deliver_all_of(&mut self, world: &mut Sim<Paper>, conn: ConnId) {
        self.deliver(world, conn, usize::MAX);
    }

    /// Everything arrives.
    pub(super) fn deliver_all(&mut self, world: &mut Sim<Paper>) {
        while let Some(conn) = self.streams.keys().next().copied() {
            self.deliver_all_of(world, conn);
        }
    }

    /// One bit of what is on its way falls over; on which connection.
    pub(super) fn flip(&mut self, dice: &mut dyn Dice) -> Option<ConnId> {
        let conn = self.any(dice)?;
        let stream = self.streams.get_mut(&conn)?;
        let at = dice.roll(stream.len());
        stream[at] ^= 1 << dice.roll(8);
        Some(conn)
    }

    /// The connection is cut.
    pub(super) fn cut(&mut self, conn: ConnId) {
        self.streams.remove(&conn);
    }

    /// All connections are.
    pub(super) fn cut_all(&mut self) {
        self.streams.clear();
    }

    fn any(&self, dice: &mut dyn Dice) -> Option<ConnId> {
        if self.streams.is_empty() {
            return None;
        }
        self.streams.keys().nth(dice.roll(self.streams.len())).copied()
    }

    fn deliver(&mut self, world: &mut Sim<Paper>, conn: ConnId, count: usize) {
        let Some(mut stream) = self.streams.remove(&conn) else { return };
        if world.is_closed(conn) {
            return;
        }
        let later = stream.split_off(count.min(stream.len()));
        world.send(conn, &stream);
        if !later.is_empty() {
            self.streams.insert(conn, later);
        }
    }
}
