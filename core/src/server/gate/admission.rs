//! Whose turn it is to be let in (ARCHITECTURE.md, "Machines without I/O").
//!
//! A 100, 101 or 106 costs up to two private-key operations, each as much as sixteen letters. Were
//! it answered as soon as it is there, a thousand people who come back at once would keep those
//! who write to one another waiting until the last of them had a session. So they stand in line,
//! and the end of a turn lets in the first of them, as many as its share allows (`share.rs`).
//! Those whose answer waited for something else, such as storage, have stood in line already, and come
//! first.

use alloc::collections::VecDeque;
use core::time::Duration;

use super::super::output::ConnId;
use super::super::refused::Refused;
use crate::id::{Nonce, UserId};
use crate::limits::MAX_UNAUTHENTICATED_PACKET;
use crate::time::Instant;

/// What has been decided about a 100 or a 101, and is to be signed.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) enum Decision {
    /// The user is to have a session.
    Session { user: UserId, nonce: Nonce },
    /// It is refused.
    Refusal(Refused),
}

/// Connections whose next 100, 101 or 106 is there as a whole.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// In the order in which they came, and when that was.
    line: VecDeque<(Instant, ConnId)>,
    /// Those that are only to be told what has been decided.
    decided: VecDeque<ConnId>,
}

impl Admission {
    /// The longest line.
    const CAPACITY: usize = 16_384;
    /// The longest wait. A client does not wait for much longer, and whoever has gone without a
    /// word should not cost a private-key operation.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// When to come back, for those who could not be let in.
    pub(super) const COME_BACK: Duration = Duration::from_secs(5);
    /// Bytes of a connection in line: the packet, and one more that may follow.
    pub(super) const MAX_UNREAD: usize = 2 * MAX_UNAUTHENTICATED_PACKET;

    /// Whether nobody stands in line.
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Takes a place in line, if there is one.
    pub(super) fn stand_in_line(&mut self, now: Instant, conn: ConnId) -> bool {
        let has_room = self.line.len() < Self::CAPACITY;
        if has_room {
            self.line.push_back((now, conn));
        }
        has_room
    }

    /// A connection is only to be told what has been decided.
    pub(super) fn decided(&mut self, conn: ConnId) {
        self.decided.push_back(conn);
    }

    /// The next that is to be told what has been decided.
    pub(super) fn next_decided(&mut self) -> Option<ConnId> {
        self.decided.pop_front()
    }

    /// The first of the line, and whether it has waited for too long.
    pub(super) fn next_in_line(&mut self, now: Instant) -> Option<(ConnId, bool)> {
        let (since, conn) = self.line.pop_front()?;
        Some((conn, now.since(since) >= Self::PATIENCE))
    }

    /// When the next of them is to be let in.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        let nobody_waits = self.line.is_empty() && self.decided.is_empty();
        (!nobody_waits).then(Instant::default)
    }
}
