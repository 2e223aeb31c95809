//! One deadline per connection, in one ordered set.

use alloc::collections::BTreeSet;

use super::output::ConnId;
use crate::time::Instant;

/// Deadlines that are armed. A connection re-arms when its deadline moves forward only; one
/// that moved back is noticed when the old one comes due.
#[derive(Debug, Default)]
pub(super) struct Timers {
    armed: BTreeSet<(Instant, ConnId)>,
}

impl Timers {
    /// Replaces a connection's deadline.
    pub(super) fn rearm(&mut self, conn: ConnId, from: Option<Instant>, to: Option<Instant>) {
        if let Some(at) = from {
            self.armed.remove(&(at, conn));
        }
        if let Some(at) = to {
            self.armed.insert((at, conn));
        }
    }

    /// The next deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.armed.first().map(|(at, _)| *at)
    }

    /// Takes out one connection whose deadline has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<ConnId> {
        let (at, conn) = *self.armed.first()?;
        if at > now {
            return None;
        }
        self.armed.remove(&(at, conn));
        Some(conn)
    }
}
