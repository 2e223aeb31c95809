//! Whose turn it is to be let in (ARCHITECTURE.md, "Machines without I/O").
//!
//! A 100, 101 or 106 costs up to two private-key operations, each as much as sixteen letters. Were
//! it answered as soon as it is there, a thousand people who come back at once would keep those
//! who write to one another waiting until the last of them had a session. So they stand in line,
//! and the end of a turn lets in the first of them, as many as its share allows ([`super::share`]).
//! Those whose answer waited for something else, such as storage, have stood in line already, and come
//! first.

use alloc::collections::VecDeque;
use core::time::Duration;

use super::connection::State;
use super::output::ConnId;
use super::refuse::Refused;
use super::share::Share;
use super::{Env, Server};
use crate::crypto::Provider;
use crate::id::{Nonce, UserId};
use crate::limits::MAX_UNAUTHENTICATED_PACKET;
use crate::time::Instant;
use crate::wire::{ErrorCode, Op};

/// Connections whose next 100, 101 or 106 is there as a whole.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// In the order in which they came, and when that was.
    line: VecDeque<(Instant, ConnId)>,
    /// Those that are only to be told what has been decided.
    decided: VecDeque<ConnId>,
}

/// What has been decided about a 100 or a 101, and is to be signed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Decision {
    /// The user is to have a session.
    Session { user: UserId, nonce: Nonce },
    /// It is refused.
    Refusal(Refused),
}

impl Admission {
    /// The longest line.
    const CAPACITY: usize = 16_384;
    /// The longest wait. A client does not wait for much longer, and whoever has gone without a
    /// word should not cost a private-key operation.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// When to come back, for those who could not be let in.
    const COME_BACK: Duration = Duration::from_secs(5);
    /// Bytes of a connection in line: the packet, and one more that may follow.
    const MAX_UNREAD: usize = 2 * MAX_UNAUTHENTICATED_PACKET;

    /// When the next of them is to be let in.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        let nobody_waits = self.line.is_empty() && self.decided.is_empty();
        (!nobody_waits).then(Instant::default)
    }
}

impl<P: Provider> Server<P> {
    /// The connection's next packet is answered when all that came before it are.
    pub(super) fn stand_in_line(&mut self, env: &mut Env<'_>, conn: ConnId) {
        if self.admission.line.len() >= Admission::CAPACITY {
            self.refuse(env, conn, Refused::busy(Admission::COME_BACK));
        } else if let Some(connection) = self.connections.get_mut(&conn) {
            connection.state = State::InLine;
            self.admission.line.push_back((env.now.instant, conn));
        }
    }

    /// Nobody stores more in line than whoever behaves may have sent.
    pub(super) fn check_luggage(&mut self, env: &mut Env<'_>, conn: ConnId) {
        if self.admission.line.is_empty() {
            return;
        }
        let Some(connection) = self.connections.get(&conn) else { return };
        if matches!(connection.state, State::InLine)
            && connection.inbox.len() > Admission::MAX_UNREAD
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

    /// Tells a connection what has been decided, when it is its turn.
    pub(super) fn tell_in_turn(&mut self, conn: ConnId, decision: Decision) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.state = State::Decided(decision);
            self.admission.decided.push_back(conn);
        }
    }

    /// Lets in the first of the line, at the end of a turn.
    pub(super) fn let_in(&mut self, env: &mut Env<'_>, share: u64) {
        let before = self.identity.operations();
        // Each costs a verification, or hardly more if its signature is bad.
        let mut verified: u64 = 0;
        loop {
            let operations = self.identity.operations().saturating_sub(before);
            if Share::cost_of(operations).saturating_add(verified) >= share {
                break;
            }
            if let Some(conn) = self.admission.decided.pop_front() {
                self.tell_decision(env, conn);
                continue;
            }
            let Some((since, conn)) = self.admission.line.pop_front() else { break };
            // Whoever is gone keeps nobody waiting.
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            if env.now.instant.since(since) < Admission::PATIENCE {
                connection.state = State::Called;
                self.resume(env, conn);
            } else {
                self.refuse(env, conn, Refused::busy(Admission::COME_BACK));
            }
            verified = verified.saturating_add(1);
        }
    }

    fn tell_decision(&mut self, env: &mut Env<'_>, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let State::Decided(decision) = connection.state else { return };
        connection.state = State::Greeting;
        match decision {
            Decision::Session { user, nonce } => {
                self.offer_session(env, conn, user, nonce, Op::SessionIssued);
            }
            Decision::Refusal(refused) => self.refuse(env, conn, refused),
        }
        self.ready.push(conn);
    }
}
