//! A code on its way to its phone (PROTOCOL.md, "Registration"): the 200 waits a moment for word of
//! it, so that nobody is told to wait for a code that does not come.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use super::admission::Decision;
use super::connection::State;
use super::limits::Kept;
use super::output::{ConnId, OtpTicket};
use super::refuse::Refused;
use super::{Env, Server};
use crate::crypto::Provider;
use crate::id::PacketId;
use crate::wire::{ErrorCode, Op};

/// What a connection hears when its code has gone out, or has not.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) ticket: OtpTicket,
    /// The 200.
    pub(super) answer: Arc<[u8]>,
    /// The 100.
    pub(super) request: PacketId,
}

impl Sending {
    /// How long the 200 waits: most gateways that refuse do so sooner.
    pub(super) const PATIENCE: Duration = Duration::from_secs(3);
    /// When it makes sense to ask again.
    const COME_BACK: Duration = Duration::from_secs(30);
}

impl<P: Provider> Server<P> {
    /// The answer is held until it is known that the code went out, or for so long.
    pub(super) fn hold_grant(&mut self, env: &Env<'_>, conn: ConnId, sending: Sending) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            self.sending.insert(sending.ticket, conn);
            connection.since = env.now.instant;
            connection.state = State::Sending(Box::new(sending));
        }
        self.arm(env, conn);
    }

    /// A code is on its last way, which is not watched any more.
    pub fn otp_delivered(&mut self, env: &mut Env<'_>, ticket: OtpTicket) {
        if let Some(conn) = self.sending.remove(&ticket) {
            self.grant(env, conn);
        }
    }

    /// A code did not go out: it counts against nobody, and whoever asked can ask for another.
    pub fn otp_undeliverable(&mut self, ticket: OtpTicket) {
        if let Some((phone, prefix)) = self.otps.forget(ticket) {
            let (pair, phone) = (Kept::CodesForPair(phone, prefix), Kept::CodesForPhone(phone));
            for taken in [pair, phone, Kept::Codes] {
                self.limits.give_back(taken.key(&self.provider, &self.identity));
            }
        }
        self.refuse_grant(ticket);
    }

    /// Nobody knows whether a code went out: it is as good as none, and counts as sent.
    pub fn otp_lost(&mut self, ticket: OtpTicket) {
        self.otps.forget(ticket);
        self.refuse_grant(ticket);
    }

    /// Answers the 100 with its 200, if that is still due.
    pub(super) fn grant(&mut self, env: &Env<'_>, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if let State::Sending(sending) = &connection.state {
            let (ticket, answer) = (sending.ticket, sending.answer.clone());
            connection.state = State::Greeting;
            self.sending.remove(&ticket);
            self.answer_greeting(env, conn, Ok(answer));
            self.ready.push(conn);
        }
    }

    fn refuse_grant(&mut self, ticket: OtpTicket) {
        let Some(conn) = self.sending.remove(&ticket) else { return };
        let Some(connection) = self.connections.get(&conn) else { return };
        if let State::Sending(sending) = &connection.state {
            let request = sending.request;
            let refused = Refused::naming(ErrorCode::Busy, Op::RegistrationRequest, request);
            self.tell_in_turn(conn, Decision::Refusal(refused.after(Sending::COME_BACK)));
        }
    }
}
