//! Whose turn it is to be let in (ARCHITECTURE.md, "Machines without I/O").
//!
//! A 100, 101 or 106 costs up to two private-key operations, each as much as sixteen letters. Were
//! it answered as soon as it is there, a thousand people who come back at once would keep those
//! who write to one another waiting until the last of them had a session. So they stand in line,
//! and the end of a turn lets in the first of them: one at least, and more as long as they cost
//! less than what sessions had done in the same turn, or while no session speaks.

use alloc::collections::VecDeque;
use core::time::Duration;

use super::connection::State;
use super::output::ConnId;
use super::refuse::Refused;
use super::{Env, Server};
use crate::crypto::Provider;
use crate::limits::MAX_UNAUTHENTICATED_PACKET;
use crate::time::Instant;
use crate::wire::ErrorCode;

/// Connections whose next 100, 101 or 106 is there as a whole, and what sessions had done.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// In the order in which they came, and when that was.
    line: VecDeque<(Instant, ConnId)>,
    /// Packets of sessions in this turn, each of which cost a verification.
    session_packets: u64,
    /// The last turn that had some.
    sessions_spoke: Option<Instant>,
}

impl Arrivals {
    /// What a private-key operation costs, in verifications.
    const PRIVATE_KEY_OPERATION: u64 = 16;
    /// So many are done in a turn while no session speaks: more and smaller turns would cost more
    /// system calls.
    const WHILE_SESSIONS_REST: u64 = 16;
    /// Sessions that have been silent for so long are not about to speak.
    const REST: Duration = Duration::from_millis(20);
    /// The longest line.
    const CAPACITY: usize = 16_384;
    /// The longest wait. A client does not wait for much longer, and whoever has gone without a
    /// word should not cost a private-key operation.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// When to come back, for those who could not be let in.
    const COME_BACK: Duration = Duration::from_secs(5);
    /// Bytes of a connection in line: the packet, and one more that may follow.
    const MAX_UNREAD: usize = 2 * MAX_UNAUTHENTICATED_PACKET;

    pub(super) fn count_session_packet(&mut self) {
        self.session_packets = self.session_packets.saturating_add(1);
    }

    /// What this turn may spend on them, in verifications. The next turn is counted anew.
    fn allowance(&mut self, now: Instant) -> u64 {
        let spent = core::mem::take(&mut self.session_packets);
        if spent > 0 {
            self.sessions_spoke = Some(now);
        }
        if self.sessions_spoke.is_some_and(|at| now.since(at) < Self::REST) {
            spent.max(Self::PRIVATE_KEY_OPERATION)
        } else {
            Self::PRIVATE_KEY_OPERATION.saturating_mul(Self::WHILE_SESSIONS_REST)
        }
    }

    /// When the next of them is to be let in.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        (!self.line.is_empty()).then(Instant::default)
    }
}

impl<P: Provider> Server<P> {
    /// The connection's next packet is answered when all that came before it are.
    pub(super) fn stand_in_line(&mut self, env: &mut Env<'_>, conn: ConnId) {
        if self.arrivals.line.len() >= Arrivals::CAPACITY {
            self.refuse(env, conn, Refused::busy(Arrivals::COME_BACK));
        } else if let Some(connection) = self.connections.get_mut(&conn) {
            connection.state = State::InLine;
            self.arrivals.line.push_back((env.now.instant, conn));
        }
    }

    /// Nobody stores more in line than whoever behaves may have sent.
    pub(super) fn check_luggage(&mut self, env: &mut Env<'_>, conn: ConnId) {
        if self.arrivals.line.is_empty() {
            return;
        }
        let Some(connection) = self.connections.get(&conn) else { return };
        if matches!(connection.state, State::InLine)
            && connection.inbox.len() > Arrivals::MAX_UNREAD
        {
            self.refuse(env, conn, Refused::plain(ErrorCode::Malformed));
        }
    }

    /// Whether the connection's next packet is to be answered now. It is so once.
    pub(super) fn take_call(&mut self, conn: ConnId) -> bool {
        let Some(connection) = self.connections.get_mut(&conn) else { return false };
        let is_called = matches!(connection.state, State::Called);
        if is_called {
            connection.state = State::Greeting;
        }
        is_called
    }

    /// Lets in the first of the line, at the end of a turn.
    pub(super) fn let_in(&mut self, env: &mut Env<'_>) {
        let allowance = self.arrivals.allowance(env.now.instant);
        let before = self.identity.operations();
        // Each costs a verification, or hardly more if its signature is bad.
        let mut verified: u64 = 0;
        loop {
            let operations = self.identity.operations().saturating_sub(before);
            let spent = operations.saturating_mul(Arrivals::PRIVATE_KEY_OPERATION);
            if spent.saturating_add(verified) >= allowance {
                break;
            }
            let Some((since, conn)) = self.arrivals.line.pop_front() else { break };
            // Whoever is gone keeps nobody waiting.
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            if env.now.instant.since(since) < Arrivals::PATIENCE {
                connection.state = State::Called;
                self.resume(env, conn);
            } else {
                self.refuse(env, conn, Refused::busy(Arrivals::COME_BACK));
            }
            verified = verified.saturating_add(1);
        }
    }
}
