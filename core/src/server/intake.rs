//! From bytes to packets to whoever handles them (PROTOCOL.md, "Order of checks": frame, then
//! size, op and state; the rest is the handlers').

use super::connection::State;
use super::output::{ConnId, Output};
use super::refuse::Refused;
use super::{Env, Server};
use crate::crypto::{Provider, RSA_LEN};
use crate::id::UserId;
use crate::limits::{MAX_CONTROL_PACKET, MAX_UNAUTHENTICATED_PACKET};
use crate::time::Instant;
use crate::wire::{ErrorCode, Frame, Header, Op, OtpProof, Packet, ReconnectForm, deframe};

/// Who is to handle a packet.
enum Handler {
    Registration,
    Proof,
    Reconnect,
    Confirmation(UserId),
    Letter(UserId),
    Session(UserId, Op),
}

impl<P: Provider> Server<P> {
    /// Bytes have arrived. They may end anywhere.
    pub fn received(&mut self, env: &mut Env<'_>, conn: ConnId, bytes: &[u8]) {
        self.turn_since.get_or_insert(env.now.instant);
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if connection.inbox.is_empty() {
            let taken = self.packets(env, conn, bytes);
            self.keep(env, conn, bytes.get(taken..).unwrap_or_default());
        } else {
            connection.inbox.extend_from_slice(bytes);
            self.half_received = self.half_received.saturating_add(bytes.len());
            self.work_through_inbox(env, conn);
        }
        self.check_luggage(env, conn);
        self.sort_mail(env);
        self.resume(env, conn);
        self.shed_half_received(env);
    }

    /// Goes on with packets that had to wait, if what came before them is done.
    pub(super) fn resume(&mut self, env: &mut Env<'_>, conn: ConnId) {
        while let Some(connection) = self.connections.get_mut(&conn) {
            let waits = connection.must_wait();
            if connection.paused == waits {
                break;
            }
            connection.paused = waits;
            self.outputs.push_back(Output::Reading { conn, on: !waits });
            if !waits {
                // A packet that waited has its time from now.
                let since = connection.packet_since.map(|_| env.now.instant);
                self.set_packet_since(conn, since);
                self.work_through_inbox(env, conn);
            }
        }
        self.arm(env, conn);
    }

    fn work_through_inbox(&mut self, env: &mut Env<'_>, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let mut inbox = core::mem::take(&mut connection.inbox);
        self.half_received = self.half_received.saturating_sub(inbox.len());
        let taken = self.packets(env, conn, &inbox);
        inbox.drain(..taken.min(inbox.len()));
        if let Some(connection) = self.connections.get_mut(&conn) {
            self.half_received = self.half_received.saturating_add(inbox.len());
            let since = connection.packet_since.filter(|_| taken == 0);
            let since = (!inbox.is_empty()).then(|| since.unwrap_or(env.now.instant));
            // What has been dealt with must not be kept: only what is there is counted.
            inbox.shrink_to_fit();
            connection.inbox = inbox;
            if taken == 0 {
                connection.packet_grows(env.now.instant);
            }
            self.set_packet_since(conn, since);
        }
    }

    fn keep(&mut self, env: &Env<'_>, conn: ConnId, rest: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&conn)
            && !rest.is_empty()
        {
            connection.inbox = rest.to_vec();
            self.half_received = self.half_received.saturating_add(rest.len());
            self.set_packet_since(conn, Some(env.now.instant));
        }
    }

    /// Handles the packets at the front of a stream and says how many bytes they were.
    fn packets(&mut self, env: &mut Env<'_>, conn: ConnId, stream: &[u8]) -> usize {
        let mut rest = stream;
        loop {
            let Some(connection) = self.connections.get(&conn) else { return stream.len() };
            if connection.must_wait() || self.is_stopping() {
                break;
            }
            let (header, complete) = match deframe(rest) {
                Ok(Frame::Partial) => break,
                Ok(Frame::Started(header)) => (header, false),
                Ok(Frame::Complete(header)) => (header, true),
                Err(_) => {
                    self.refuse(env, conn, Refused::plain(ErrorCode::Malformed));
                    return stream.len();
                }
            };
            let handler = match self.handler(conn, &header) {
                Ok(handler) => handler,
                Err(code) => {
                    self.refuse(env, conn, Refused::plain(code));
                    return stream.len();
                }
            };
            if matches!(handler, Handler::Registration | Handler::Proof | Handler::Reconnect) {
                let to = self.shard_for(&header);
                if to != self.shard.id() {
                    self.send_off(conn, to, None);
                    break;
                }
                if complete && !self.take_call(conn) {
                    self.stand_in_line(env, conn);
                    break;
                }
            }
            let Some((packet, tail)) = rest.split_at_checked(header.packet_len()) else { break };
            if !complete {
                break;
            }
            if matches!(handler, Handler::Letter(_) | Handler::Session(..)) {
                self.share.count_session_packet();
            }
            if let Err(refused) = self.packet(env, conn, &handler, packet) {
                self.refuse(env, conn, refused);
            }
            self.sort_mail(env);
            rest = tail;
        }
        stream.len().saturating_sub(rest.len())
    }

    /// Whether such a packet has a place here, told from its header alone.
    fn handler(&self, conn: ConnId, header: &Header) -> Result<Handler, ErrorCode> {
        let connection = self.connections.get(&conn).ok_or(ErrorCode::UnexpectedOp)?;
        let op = Op::from_code(header.op_code).ok_or(ErrorCode::UnknownOp)?;
        let handler = match (&connection.state, op) {
            (State::Greeting | State::Called, Op::RegistrationRequest) => Handler::Registration,
            (State::Greeting | State::Called, Op::OtpProof) => Handler::Proof,
            (State::Greeting | State::Called, Op::ReconnectRequest) => Handler::Reconnect,
            (State::Offered(offer), Op::Acknowledgment) => Handler::Confirmation(offer.user),
            (State::Active(session), Op::Letter) => Handler::Letter(session.user),
            (State::Active(session), Op::KeyQuestion | Op::Acknowledgment | Op::Close) => {
                Handler::Session(session.user, op)
            }
            _ => return Err(ErrorCode::UnexpectedOp),
        };
        let payload = usize::from(header.payload_size);
        let (from, to) = (header.sender, header.recipient);
        let is_sound = match handler {
            Handler::Registration => (from, to) == (None, None) && payload == RSA_LEN,
            Handler::Proof => (from, to) == (None, None) && payload == OtpProof::PAYLOAD_LEN,
            Handler::Reconnect => {
                let is_known = [RSA_LEN, ReconnectForm::SHORT_LEN].contains(&payload);
                from.is_some() && to.is_none() && is_known
            }
            Handler::Confirmation(user) => {
                let is_small = header.packet_len() <= MAX_UNAUTHENTICATED_PACKET;
                from == Some(user) && to.is_none() && is_small
            }
            Handler::Letter(user) => from == Some(user),
            Handler::Session(user, _) => from == Some(user) && to.is_none(),
        };
        match handler {
            _ if !is_sound => Err(ErrorCode::Malformed),
            Handler::Session(..) if header.packet_len() > MAX_CONTROL_PACKET => {
                Err(ErrorCode::BadSequence)
            }
            _ => Ok(handler),
        }
    }

    fn packet(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        handler: &Handler,
        bytes: &[u8],
    ) -> Result<(), Refused> {
        let malformed = |_| Refused::plain(ErrorCode::Malformed);
        if let Handler::Letter(user) = handler {
            let packet = Packet::parse(bytes).map_err(malformed)?;
            return self.letter(env, conn, *user, packet);
        }
        // What is sealed is opened where it lies, so it needs a place of its own.
        let mut place = [0; MAX_CONTROL_PACKET];
        for (to, from) in place.iter_mut().zip(bytes) {
            *to = *from;
        }
        let place = place.get_mut(..bytes.len()).unwrap_or_default();
        let packet = Packet::parse(place).map_err(malformed)?;
        match handler {
            Handler::Registration => self.registration_request(env, conn, packet),
            Handler::Proof => self.otp_proof(env, conn, packet),
            Handler::Reconnect => self.reconnect_request(env, conn, packet),
            Handler::Confirmation(_) => self.confirmation(env, conn, packet),
            Handler::Session(user, op) => self.session_packet(env, conn, *user, *op, packet),
            Handler::Letter(_) => Ok(()),
        }
    }

    /// Notes since when part of a packet waits for the rest. What stands in line is whole.
    pub(super) fn set_packet_since(&mut self, conn: ConnId, since: Option<Instant>) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let since = since.filter(|_| !matches!(connection.state, State::InLine));
        if let Some(since) = since.filter(|_| since != connection.packet_since) {
            connection.packet_begins(since);
        }
        if let Some(before) = core::mem::replace(&mut connection.packet_since, since) {
            self.half_sent.remove(&(before, conn));
        }
        self.half_sent.extend(since.map(|since| (since, conn)));
    }

    /// When half-received packets take too much memory, the one that has taken longest goes.
    fn shed_half_received(&mut self, env: &mut Env<'_>) {
        while self.half_received > self.config.half_received_bytes {
            let Some((_, conn)) = self.half_sent.first().copied() else { break };
            self.outputs.push_back(Output::Event(super::Event::TimedOut { conn }));
            self.end_session(env, conn, None);
        }
    }
}
