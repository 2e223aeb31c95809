//! What all connections have sent of packets that are not complete, and how long they take.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::super::output::ConnId;
use super::connection::{Connection, State};
use crate::time::Instant;

/// The bytes in all inboxes together, and the connections of which part of a packet waits.
#[derive(Debug)]
pub(super) struct Inboxes {
    half_sent: BTreeSet<(Instant, ConnId)>,
    bytes: usize,
    max_bytes: usize,
}

impl Inboxes {
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self { half_sent: BTreeSet::new(), bytes: 0, max_bytes }
    }

    /// How many bytes they have together.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// From now on they may have so many bytes together.
    pub(super) const fn set_max_bytes(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
    }

    /// Takes out what is in a connection's inbox.
    pub(super) fn take(&mut self, connection: &mut Connection) -> Vec<u8> {
        self.bytes = self.bytes.saturating_sub(connection.inbox.len());
        core::mem::take(&mut connection.inbox)
    }

    /// Puts something into a connection's empty inbox.
    pub(super) fn put(&mut self, connection: &mut Connection, rest: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(rest.len());
        connection.inbox = rest;
    }

    /// Notes since when part of a packet waits for the rest. What stands in line is whole.
    pub(super) fn wait_since(
        &mut self,
        conn: ConnId,
        connection: &mut Connection,
        since: Option<Instant>,
    ) {
        let since = since.filter(|_| !matches!(connection.state, State::InLine));
        if let Some(since) = since.filter(|_| since != connection.packet_since) {
            connection.packet_begins(since);
        }
        if let Some(before) = core::mem::replace(&mut connection.packet_since, since) {
            self.half_sent.remove(&(before, conn));
        }
        self.half_sent.extend(since.map(|since| (since, conn)));
    }

    /// The connection that has taken longest, when all of them take too much memory.
    pub(super) fn to_be_shed(&self) -> Option<ConnId> {
        let is_too_much = self.bytes > self.max_bytes;
        self.half_sent.first().filter(|_| is_too_much).map(|(_, conn)| *conn)
    }
}
