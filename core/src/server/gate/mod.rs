//! The gate: connections, as long as nobody is known to be behind them, and how they end
//! (PROTOCOL.md, "Connections", "Limits and timers"; ARCHITECTURE.md, "The server").
//!
//! Bytes come in here, and packets go on. Whoever has no session waits here, and is refused here.

mod admission;
mod connection;
mod framing;
mod inboxes;
mod shared_refusals;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::ctx::Ctx;
use super::mail::Note;
use super::output::{ConnId, Event, OtpTicket, Output};
use super::peer::Peer;
use super::refused::Refused;
use super::shard::{Baggage, Shard, ShardId};
use super::share::Share;
use super::timers::Timers;
use crate::crypto::Provider;
use crate::id::{Nonce, PacketId, UserId};
use crate::time::Instant;
use crate::wire::{BuildError, ErrorCode, Header, Op, Writer};
use admission::Admission;
pub(super) use admission::Decision;
use connection::{Connection, Moving, Sending, State};
pub(super) use framing::{Request, Unread};
use inboxes::Inboxes;
use shared_refusals::SharedRefusals;

/// All connections of a shard.
pub(super) struct Gate {
    // Boxed: a table has empty places, and many users fill it.
    connections: HashMap<ConnId, Box<Connection>>,
    inboxes: Inboxes,
    timers: Timers<ConnId>,
    admission: Admission,
    share: Share,
    shared_refusals: SharedRefusals,
    /// Who waits to hear whether a code has gone out.
    sending: HashMap<OtpTicket, ConnId>,
    /// Connections that another shard is to serve.
    departing: Vec<ConnId>,
    /// Connections that got an answer, whose waiting packets may go on when the turn ends.
    ready: Vec<ConnId>,
    /// When the first bytes of this turn were handled.
    turn_since: Option<Instant>,
    stopping: Option<Stopping>,
}

/// How far an orderly stop has come.
#[derive(Clone, Copy, Debug)]
enum Stopping {
    /// What was read is being stored and acknowledged, until then at most.
    Until(Instant),
    /// Everybody has been told.
    Done,
}

/// Whose turn it is at the end of a turn of the machine.
pub(super) enum InTurn {
    /// It is to be told this.
    Decided(Decision),
    /// Its next packet is to be answered.
    Called,
}

impl Gate {
    /// A gate whose connections may leave so many bytes of packets that are not complete.
    pub(super) fn new(half_received_bytes: usize) -> Self {
        Self {
            connections: HashMap::new(),
            inboxes: Inboxes::new(half_received_bytes),
            timers: Timers::default(),
            admission: Admission::default(),
            share: Share::default(),
            shared_refusals: SharedRefusals::default(),
            sending: HashMap::new(),
            departing: Vec::new(),
            ready: Vec::new(),
            turn_since: None,
            stopping: None,
        }
    }

    pub(super) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// All of them, in their order.
    pub(super) fn connections(&self) -> Vec<ConnId> {
        let mut all: Vec<_> = self.connections.keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// Refusals that are said from now on are signed anew.
    pub(super) fn forget_shared_refusals(&mut self) {
        self.shared_refusals = SharedRefusals::default();
    }

    pub(super) fn peer(&self, conn: ConnId) -> Option<Peer> {
        self.connections.get(&conn).map(|connection| connection.peer)
    }

    pub(super) fn has(&self, conn: ConnId) -> bool {
        self.connections.contains_key(&conn)
    }

    // ---- Coming, moving and going ----

    /// A connection was accepted.
    pub(super) fn connected(&mut self, ctx: &mut Ctx<'_, impl Provider>, conn: ConnId, peer: Peer) {
        self.connections.insert(conn, Box::new(Connection::new(peer, ctx.now.instant)));
        if self.is_stopping() {
            ctx.tell(Note::End { conn, reason: None });
        }
        self.arm(ctx, conn);
    }

    /// A connection has come from another shard. What of it is unread comes as if it had just arrived.
    pub(super) fn moved_in(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        conn: ConnId,
        baggage: Baggage,
    ) -> Vec<u8> {
        let Baggage { peer, since, unread, session } = baggage;
        self.connected(ctx, conn, peer);
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.since = since;
        }
        if let Some((user, nonce)) = session {
            self.decide(conn, Decision::Session { user, nonce });
        }
        unread
    }

    /// When the turn ends, the connection goes to where its next packet is handled.
    fn send_off(&mut self, conn: ConnId, to: ShardId, session: Option<(UserId, Nonce)>) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.state = State::Moving(Moving { to, session });
            self.departing.push(conn);
        }
    }

    /// Passes connections on, with everything that has arrived and was not looked at.
    pub(super) fn depart(&mut self, ctx: &mut Ctx<'_, impl Provider>) {
        for conn in core::mem::take(&mut self.departing) {
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            let State::Moving(Moving { to, session }) = connection.state else { continue };
            let (peer, since) = (connection.peer, connection.since);
            let unread = self.inboxes.take(connection);
            self.forget(conn);
            let baggage = Baggage { peer, since, unread, session };
            ctx.give_out(Output::Move { conn, to, baggage });
        }
    }

    /// Forgets a connection. Whether there was one.
    pub(super) fn forget(&mut self, conn: ConnId) -> bool {
        let Some(mut connection) = self.connections.remove(&conn) else { return false };
        self.inboxes.wait_since(conn, &mut connection, None);
        self.inboxes.take(&mut connection);
        self.timers.disarm(conn, connection.armed);
        if let State::Sending(sending) = &connection.state {
            self.sending.remove(&sending.ticket);
        }
        true
    }

    /// The client sends no more than it has sent. Whether it waits for an answer before a session, for
    /// which nothing is to be signed any more.
    pub(super) fn waits_for_its_turn(&self, conn: ConnId) -> bool {
        self.connections.get(&conn).is_some_and(|connection| connection.waits_for_its_turn())
    }

    // ---- From bytes to packets ----

    /// Takes in bytes behind those that came earlier.
    pub(super) fn take_in<'b>(
        &mut self,
        now: Instant,
        conn: ConnId,
        bytes: &'b [u8],
    ) -> Option<Unread<'b>> {
        self.turn_since.get_or_insert(now);
        let connection = self.connections.get_mut(&conn)?;
        Some(Unread::new(self.inboxes.take(connection), bytes))
    }

    /// The next packet, if it is complete and it is its turn.
    pub(super) fn next<'u>(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        conn: ConnId,
        unread: &'u mut Unread<'_>,
        session_waits: bool,
    ) -> Option<(Request, &'u [u8])> {
        let connection = self.connections.get_mut(&conn)?;
        if session_waits || connection.must_wait() || self.stopping.is_some() {
            return None;
        }
        let framed = unread.frame().map_err(|_| ErrorCode::Malformed);
        let framed = framed.and_then(|frame| {
            frame
                .map(|(header, all)| Ok((Request::of(&connection.state, &header)?, header, all)))
                .transpose()
        });
        let (request, header, is_complete) = match framed {
            Ok(framed) => framed?,
            Err(code) => {
                ctx.tell(Note::Refuse { conn, refused: Refused::plain(code) });
                unread.discard();
                return None;
            }
        };
        if request.is_a_strangers() {
            let to = owner(ctx.shard, &header);
            if to != ctx.shard.id() {
                self.send_off(conn, to, None);
                return None;
            }
            if is_complete && !matches!(connection.state, State::Called) {
                self.stand_in_line(ctx, conn);
                return None;
            }
        }
        if !is_complete {
            return None;
        }
        if request.is_a_strangers() {
            connection.state = State::Greeting;
        }
        if request.is_of_a_session() {
            self.share.count_session_packet();
        }
        unread.take(header.packet_len()).map(|packet| (request, packet))
    }

    /// Keeps what could not be taken yet. Whether the line is busy with a large packet.
    pub(super) fn put_back(&mut self, now: Instant, conn: ConnId, unread: Unread<'_>) -> bool {
        let Some(connection) = self.connections.get_mut(&conn) else { return false };
        let has_grown = unread.has_grown();
        let rest = unread.into_rest();
        let since = connection.packet_since.filter(|_| has_grown).unwrap_or(now);
        let since = (!rest.is_empty()).then_some(since);
        self.inboxes.put(connection, rest);
        let is_busy = has_grown && connection.packet_grows(now);
        self.inboxes.wait_since(conn, connection, since);
        is_busy
    }

    /// Goes on with packets that had to wait, if what came before them is done, or has them wait.
    pub(super) fn resume(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        conn: ConnId,
        session_waits: bool,
    ) -> Option<Unread<'static>> {
        let connection = self.connections.get_mut(&conn)?;
        let waits = session_waits || connection.must_wait();
        let has_changed = connection.paused != waits;
        if has_changed {
            connection.paused = waits;
            ctx.give_out(Output::Reading { conn, on: !waits });
        }
        if !has_changed || waits {
            self.arm(ctx, conn);
            return None;
        }
        // A packet that waited has its time from now.
        let since = connection.packet_since.map(|_| ctx.now.instant);
        self.inboxes.wait_since(conn, connection, since);
        Some(Unread::new(self.inboxes.take(connection), &[]))
    }

    /// Bytes of packets that are not complete, or wait for their turn.
    pub(super) const fn half_received_bytes(&self) -> usize {
        self.inboxes.bytes()
    }

    /// The connection that has to go, when those that are not complete take too much memory.
    pub(super) fn to_be_shed(&self) -> Option<ConnId> {
        self.inboxes.to_be_shed()
    }

    // ---- Admission ----

    /// The connection's next packet is answered when all that came before it are.
    fn stand_in_line(&mut self, ctx: &mut Ctx<'_, impl Provider>, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if self.admission.stand_in_line(ctx.now.instant, conn) {
            connection.state = State::InLine;
        } else {
            ctx.tell(Note::Refuse { conn, refused: Refused::busy(Admission::COME_BACK) });
        }
    }

    /// Nobody stores more in line than whoever behaves may have sent.
    pub(super) fn check_unread(&self, ctx: &mut Ctx<'_, impl Provider>, conn: ConnId) {
        if self.admission.is_empty() {
            return;
        }
        let Some(connection) = self.connections.get(&conn) else { return };
        let is_too_long = connection.inbox.len() > Admission::MAX_UNREAD;
        if is_too_long && matches!(connection.state, State::InLine) {
            ctx.tell(Note::Refuse { conn, refused: Refused::plain(ErrorCode::Malformed) });
        }
    }

    /// What this turn may spend on each of the lines, in verifications.
    pub(super) fn share_of_this_turn(&mut self, now: Instant) -> u64 {
        self.share.of_this_turn(now)
    }

    /// Whose turn it is. Whoever is gone keeps nobody waiting.
    pub(super) fn next_in_turn(&mut self, now: Instant) -> Option<(ConnId, InTurn)> {
        while let Some(conn) = self.admission.next_decided() {
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            let State::Decided(decision) = connection.state else { continue };
            connection.state = State::Greeting;
            self.ready.push(conn);
            return Some((conn, InTurn::Decided(decision)));
        }
        while let Some((conn, is_late)) = self.admission.next_in_line(now) {
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            if is_late {
                let refused = Refused::busy(Admission::COME_BACK);
                return Some((conn, InTurn::Decided(Decision::Refusal(refused))));
            }
            connection.state = State::Called;
            return Some((conn, InTurn::Called));
        }
        None
    }

    /// Tells a connection what has been decided, when it is its turn.
    pub(super) fn decide(&mut self, conn: ConnId, decision: Decision) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.state = State::Decided(decision);
            self.admission.decided(conn);
        }
    }

    /// Gives a user whose signature has proved them a session, at their owner shard.
    pub(super) fn proved(&mut self, shard: Shard, conn: ConnId, user: UserId, nonce: Nonce) {
        if shard.owns(user) {
            self.decide(conn, Decision::Session { user, nonce });
        } else {
            self.send_off(conn, shard.owner_of(user), Some((user, nonce)));
        }
    }

    /// The next connection whose waiting packets may go on.
    pub(super) fn pop_ready(&mut self) -> Option<ConnId> {
        self.ready.pop()
    }

    // ---- Answers before a session ----

    /// Sends an answer to a client without a session.
    pub(super) fn answer(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        conn: ConnId,
        packet: Result<Arc<[u8]>, BuildError>,
    ) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        match packet {
            Ok(packet) => {
                ctx.send(conn, packet);
                connection.since = ctx.now.instant;
                self.arm(ctx, conn);
            }
            Err(_) => {
                ctx.event(Event::InternalError);
                ctx.tell(Note::End { conn, reason: None });
            }
        }
    }

    /// Sends the user a session that is to be confirmed.
    pub(super) fn offer(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        conn: ConnId,
        user: UserId,
        packet: Result<Arc<[u8]>, BuildError>,
    ) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.state = State::Offered(user);
        }
        self.answer(ctx, conn, packet);
    }

    /// The user has confirmed the session.
    pub(super) fn confirmed(&mut self, conn: ConnId, user: UserId) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.state = State::Active(user);
        }
    }

    /// A new user is being stored; what their client sends waits.
    pub(super) fn creating(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.state = State::Creating;
        }
    }

    /// Refuses a packet of a client without a session.
    pub(super) fn refuse(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        conn: ConnId,
        refused: Refused,
    ) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let now = ctx.now.instant;
        if refused.code == ErrorCode::SessionUnknown {
            connection.since = now;
        } else {
            ctx.tell(Note::End { conn, reason: None });
        }
        let packet = match refused.packet {
            Some(_) => clear_refusal(ctx, &refused),
            None => {
                let shared = SharedRefusals::rounded(refused);
                self.shared_refusals.get(&shared, now).map_or_else(
                    || {
                        let packet = clear_refusal(ctx, &shared)?;
                        self.shared_refusals.put(&shared, now, packet.clone());
                        Ok(packet)
                    },
                    Ok,
                )
            }
        };
        match packet {
            Ok(packet) => ctx.send(conn, packet),
            Err(_) => ctx.event(Event::InternalError),
        }
    }

    // ---- The 200 waits a moment for word of the code, so that nobody is told to wait for a code that
    // does not come (PROTOCOL.md, "Registration") ----

    /// The 200 is held until it is known that the code went out, or for so long.
    pub(super) fn hold_grant(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        conn: ConnId,
        ticket: OtpTicket,
        answer: Arc<[u8]>,
        request: PacketId,
    ) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            self.sending.insert(ticket, conn);
            connection.since = ctx.now.instant;
            connection.state = State::Sending(Sending { ticket, answer, request });
        }
        self.arm(ctx, conn);
    }

    /// The code is on its last way.
    pub(super) fn code_went_out(&mut self, ctx: &mut Ctx<'_, impl Provider>, ticket: OtpTicket) {
        if let Some(conn) = self.sending.remove(&ticket) {
            self.grant(ctx, conn);
        }
    }

    /// The code did not go out.
    pub(super) fn code_is_lost(&mut self, ticket: OtpTicket) {
        let Some(conn) = self.sending.remove(&ticket) else { return };
        let Some(connection) = self.connections.get(&conn) else { return };
        if let State::Sending(Sending { request, .. }) = connection.state {
            let refused = Refused::naming(ErrorCode::Busy, Op::RegistrationRequest, request);
            self.decide(conn, Decision::Refusal(refused.after(Sending::COME_BACK)));
        }
    }

    /// Answers the 100 with its 200, if that is still due.
    fn grant(&mut self, ctx: &mut Ctx<'_, impl Provider>, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if let State::Sending(Sending { ticket, answer, .. }) = &connection.state {
            let (ticket, answer) = (*ticket, answer.clone());
            connection.state = State::Greeting;
            self.sending.remove(&ticket);
            self.answer(ctx, conn, Ok(answer));
            self.ready.push(conn);
        }
    }

    // ---- Time, and the end ----

    /// When the next of its deadlines is due.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        let stop_by = match self.stopping {
            Some(Stopping::Until(by)) => Some(by),
            _ => None,
        };
        [stop_by, self.admission.wait_until(), self.timers.next()].into_iter().flatten().min()
    }

    /// A connection that has taken too long.
    pub(super) fn next_late(&mut self, ctx: &mut Ctx<'_, impl Provider>) -> Option<ConnId> {
        let now = ctx.now.instant;
        while let Some(conn) = self.timers.pop_due(now) {
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            connection.armed = None;
            if connection.deadline(&ctx.config.deadlines).is_none_or(|at| at > now) {
                self.arm(ctx, conn);
            } else if matches!(connection.state, State::Sending(_)) {
                self.grant(ctx, conn);
            } else {
                return Some(conn);
            }
        }
        None
    }

    /// When the first bytes of this turn were handled; now if none were. The next turn begins anew.
    pub(super) fn end_turn(&mut self, now: Instant) -> Instant {
        self.turn_since.take().unwrap_or(now)
    }

    /// The configuration has changed.
    pub(super) fn configure(&mut self, ctx: &Ctx<'_, impl Provider>) {
        self.inboxes.set_max_bytes(ctx.config.half_received_bytes);
    }

    /// Nothing more is read, and everybody is told by then.
    pub(super) fn stop(&mut self, by: Instant) {
        self.stopping = Some(Stopping::Until(by));
    }

    /// Whether nothing new is read and nobody is served any more.
    pub(super) const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Those who are to be told that the server stops, once that is due: all is `done`, or patience
    /// has ended.
    pub(super) fn stop_if_due(&mut self, now: Instant, done: bool) -> Option<Vec<ConnId>> {
        let Some(Stopping::Until(by)) = self.stopping else { return None };
        (done || by <= now).then(|| {
            self.stopping = Some(Stopping::Done);
            self.connections.keys().copied().collect()
        })
    }

    /// Sets a connection's deadline anew.
    fn arm(&mut self, ctx: &Ctx<'_, impl Provider>, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let deadline = connection.deadline(&ctx.config.deadlines);
        let deadline = deadline.map(|at| at.max(ctx.now.instant));
        self.timers.arm(conn, &mut connection.armed, deadline);
    }
}

/// The shard that handles a stranger's packet.
fn owner(shard: Shard, header: &Header) -> ShardId {
    match (Op::from_code(header.op_code), header.sender) {
        (Some(Op::ReconnectRequest), Some(user)) => shard.owner_of(user),
        _ => ShardId::REGISTRAR,
    }
}

fn clear_refusal(
    ctx: &mut Ctx<'_, impl Provider>,
    refused: &Refused,
) -> Result<Arc<[u8]>, BuildError> {
    ctx.issue(Op::Refusal, None, |_, out, _| {
        let mut writer = Writer::new(out);
        refused.body().emit(&mut writer)?;
        Ok(writer.position())
    })
}
