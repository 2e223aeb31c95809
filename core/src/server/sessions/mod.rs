//! Sessions: whose they are, what is sealed in them, and what their clients are told
//! (PROTOCOL.md, "Confirmation", "Sealing", "Acknowledgments", "Errors", "Closing").

mod answers;
mod notices;
mod session;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::accounts::Accounts;
use super::config::Rates;
use super::ctx::Ctx;
use super::mail::{Inquiry, Note};
use super::output::{ConnId, Event};
use super::refused::Refused;
use super::share::Budget;
use crate::crypto::{
    BLOCK_LEN, Provider, PublicKey, Rejected, SessionKey, SessionSeal, SharedTokens, Unverified,
    Verified,
};
use crate::id::{Nonce, PacketId, UserId};
use crate::limits::{MAX_STATUSES, MAX_TOKENS};
use crate::time::Instant;
use crate::wire::{
    BacklogSize, BacklogToken, BuildError, ClientReport, CloseReason, ErrorCode, Full, HeldLetters,
    KeyAnswer, KeyQuestion, Op, Packet, SessionGrant, Status, StatusQueries, StatusToken, Statuses,
    Successor, Writer,
};
use answers::{Answer, AnswerLine};
use notices::{Due, Notices};
use session::{Leaving, Line, Offer, Session};
use zeroize::Zeroizing;

/// All sessions of a shard, and those that are offered.
#[derive(Default)]
pub(super) struct Sessions {
    // Boxed: a table has empty places, and many users fill it.
    lines: HashMap<ConnId, Box<Line>>,
    /// The confirmed session of each user who has one.
    users: HashMap<UserId, ConnId>,
    answer_line: AnswerLine,
    notices: Notices,
    /// Connections that got an answer, whose waiting packets may go on when the turn ends.
    ready: Vec<ConnId>,
    /// Sessions whose client leaves, and when patience with them ends.
    leaving: BTreeSet<(Instant, ConnId)>,
}

/// What a session asks for, in a packet other than a letter.
pub(super) enum Asked<'p> {
    /// 105.
    Question(Inquiry, KeyQuestion),
    /// 203: letters that the client holds.
    Held(HeldLetters<'p>),
    /// 203: letters whose fate it wants to know.
    Queries(PacketId, StatusQueries<'p>),
    /// 222. Nothing more is to be done about it.
    Leave,
}

/// One receiver's block of a shared packet.
struct Token {
    conn: ConnId,
    block: [u8; BLOCK_LEN],
}

impl Sessions {
    /// Sessions that are confirmed.
    pub(super) fn count(&self) -> usize {
        self.users.len()
    }

    /// Whose confirmed session this is.
    pub(super) fn user(&self, conn: ConnId) -> Option<UserId> {
        self.session(conn).map(|session| session.user)
    }

    fn session(&self, conn: ConnId) -> Option<&Session> {
        match self.lines.get(&conn).map(|line| &**line) {
            Some(Line::Active(session)) => Some(session),
            _ => None,
        }
    }

    fn session_mut(&mut self, conn: ConnId) -> Option<&mut Session> {
        match self.lines.get_mut(&conn).map(|line| &mut **line) {
            Some(Line::Active(session)) => Some(session),
            _ => None,
        }
    }

    /// The confirmed session of a user: its connection, and when it was confirmed.
    pub(super) fn of(&self, user: UserId) -> Option<(ConnId, Instant)> {
        let conn = *self.users.get(&user)?;
        Some((conn, self.session(conn)?.since))
    }

    /// The configuration has changed; these rates were in it before.
    pub(super) fn configure(&mut self, ctx: &Ctx<'_, impl Provider>, before: &Rates) {
        let (rates, now) = (&ctx.config.rates, ctx.now.instant);
        for line in self.lines.values_mut() {
            if let Line::Active(session) = &mut **line {
                session.change_rates(before, rates, now);
            }
        }
    }

    /// Whether what the session's client sends has to wait.
    pub(super) fn must_wait(&self, conn: ConnId) -> bool {
        self.session(conn).is_some_and(Session::must_wait)
    }

    // ---- From an offer to a session, and its end ----

    /// Makes the 201 or 206 that offers the user a session. `None` if there is no such user.
    pub(super) fn offer<P: Provider>(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        accounts: &mut Accounts<P>,
        conn: ConnId,
        (user, nonce): (UserId, Nonce),
        op: Op,
    ) -> Option<Result<Arc<[u8]>, BuildError>> {
        let issue = accounts.next_issue(user)?;
        let session_key = SessionKey::generate(ctx.rng);
        let seal = SessionSeal::new(session_key.clone());
        self.lines.insert(conn, Box::new(Line::Offered(Offer { user, seal, nonce, issue })));
        Some(ctx.issue(op, Some(user), |provider, out, rng| {
            let mut block = Zeroizing::new([0; SessionGrant::LEN]);
            SessionGrant { session_key, nonce }.emit(&mut Writer::new(block.as_mut_slice()))?;
            let key = accounts.key(provider, user).ok_or(Rejected)?;
            let sealed = key.oaep_seal(rng, op.oaep_label(), block.as_slice())?;
            let mut writer = Writer::new(out);
            writer.put(&sealed)?;
            Ok(writer.position())
        }))
    }

    /// The packet after a 201 or 206: the confirmation, or the end. From the confirmation on it is the
    /// user's one session, and an older one ends.
    pub(super) fn confirmation<P: Provider>(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        accounts: &mut Accounts<P>,
        conn: ConnId,
        packet: Packet<&mut [u8]>,
    ) -> Result<(), Refused> {
        let malformed = Refused::plain(ErrorCode::Malformed);
        let bad_sequence = Refused::plain(ErrorCode::BadSequence);
        let line = self.lines.remove(&conn).map(|line| *line);
        let Some(Line::Offered(mut offer)) = line else { return Err(bad_sequence) };
        let user = offer.user;
        let key = accounts.key(ctx.provider, user).ok_or(bad_sequence)?;
        let packet: Verified<&mut [u8]> =
            Unverified::new(ctx.provider, packet).verify(key).map_err(|_| bad_sequence)?;
        let content = offer.seal.open(ctx.provider, packet).map_err(|_| bad_sequence)?;
        let ClientReport::Confirmation { window } =
            ClientReport::parse(content).map_err(|_| malformed)?
        else {
            return Err(Refused::plain(ErrorCode::UnexpectedOp));
        };
        if let Some(refused) = accounts.refusal(ctx, user) {
            return Err(refused);
        }
        if accounts.has_confirmed_later(user, offer.issue) {
            send_sealed(ctx, conn, user, &mut offer.seal, Op::Close, |writer| {
                CloseReason::TakenOver.emit(writer)
            });
            ctx.tell(Note::End { conn, reason: None });
            return Ok(());
        }
        if let Some(older) = self.users.insert(user, conn) {
            ctx.tell(Note::End { conn: older, reason: Some(CloseReason::TakenOver) });
        }
        accounts.confirmed(ctx, user, offer.issue, offer.seal.key());
        let session = Session::new(user, offer.seal, offer.nonce, ctx.now.instant);
        self.lines.insert(conn, Box::new(Line::Active(session)));
        ctx.tell(Note::Confirmed { conn, user, window });
        Ok(())
    }

    /// Tells a session's client why it ends.
    pub(super) fn say_goodbye(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        conn: ConnId,
        reason: CloseReason,
    ) {
        self.send_sealed(ctx, conn, Op::Close, |writer| reason.emit(writer));
    }

    /// Forgets a session, or an offer. Whose session it was.
    pub(super) fn forget(&mut self, conn: ConnId) -> Option<UserId> {
        let line = self.lines.remove(&conn)?;
        let Line::Active(Session { user, leaving, .. }) = *line else { return None };
        if let Some(leaving) = leaving {
            self.leaving.remove(&(leaving.until, conn));
        }
        if self.users.get(&user) == Some(&conn) {
            self.users.remove(&user);
        }
        Some(user)
    }

    // ---- What a session sends ----

    /// A letter has come.
    pub(super) fn letter_came(&mut self, conn: ConnId) {
        if let Some(session) = self.session_mut(conn) {
            session.asked();
        }
    }

    /// Opens a packet of a session other than a letter.
    pub(super) fn open<'p, P: Provider>(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        accounts: &mut Accounts<P>,
        conn: ConnId,
        op: Op,
        packet: Packet<&'p mut [u8]>,
    ) -> Result<Asked<'p>, Refused> {
        let packet = Unverified::new(ctx.provider, packet);
        let id = packet.id();
        let refused = |code| Refused::naming(code, op, id);
        let bad_sequence = refused(ErrorCode::BadSequence);
        let session = self.session_mut(conn).ok_or(bad_sequence)?;
        let key = accounts.key(ctx.provider, session.user).ok_or(bad_sequence)?;
        let packet = packet.verify(key).map_err(|_| bad_sequence)?;
        let content = session.seal.open(ctx.provider, packet).map_err(|_| bad_sequence)?;
        let malformed = |_| refused(ErrorCode::Malformed);
        match op {
            Op::KeyQuestion => {
                session.asked();
                let question = KeyQuestion::parse(content).map_err(malformed)?;
                let inquiry = Inquiry { asker: session.user, conn, packet: id };
                Ok(Asked::Question(inquiry, question))
            }
            Op::Acknowledgment => match ClientReport::parse(content).map_err(malformed)? {
                ClientReport::Held(held) => Ok(Asked::Held(held)),
                ClientReport::Queries(queries) => {
                    let rate = ctx.config.rates.status_queries;
                    let taken = session.status_queries.take(rate, ctx.now.instant);
                    taken.map_err(|wait| refused(ErrorCode::RateLimited).after(wait))?;
                    Ok(Asked::Queries(id, queries))
                }
                ClientReport::Confirmation { .. } => Err(refused(ErrorCode::UnexpectedOp)),
            },
            Op::Close => {
                CloseReason::parse(content).map_err(malformed)?;
                let until = ctx.now.instant.after(ctx.config.deadlines.leaving);
                session.leaving = Some(Leaving { until, horizon: ctx.storage.horizon() });
                self.leaving.insert((until, conn));
                Ok(Asked::Leave)
            }
            // A letter goes another way, and the gate lets no other op through.
            Op::Letter
            | Op::RegistrationRequest
            | Op::OtpProof
            | Op::ReconnectRequest
            | Op::RegistrationRejected
            | Op::OtpIssued
            | Op::SessionIssued
            | Op::KeyAnswer
            | Op::SessionRenewed
            | Op::Refusal
            | Op::BacklogEnd => Err(refused(ErrorCode::UnexpectedOp)),
        }
    }

    // ---- What one session alone is told ----

    /// Tells a session something, when it is its turn.
    fn answer(&mut self, ctx: &Ctx<'_, impl Provider>, conn: ConnId, answer: Answer) {
        if self.session_mut(conn).is_some_and(|session| session.answers.push(answer)) {
            self.stand_in_line(ctx, conn);
        }
    }

    fn stand_in_line(&mut self, ctx: &Ctx<'_, impl Provider>, conn: ConnId) {
        let rate = ctx.config.rates.answers;
        let at = self.session(conn).and_then(|session| session.answers.next_at(rate));
        if let Some(at) = at {
            self.answer_line.stand(at.max(ctx.now.instant), conn);
        }
    }

    /// Answers a 105, or says that there is nobody to know about.
    pub(super) fn key_answer(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        inquiry: Inquiry,
        answer: Option<Box<KeyAnswer>>,
    ) {
        let Inquiry { conn, packet, .. } = inquiry;
        match answer {
            Some(answer) => self.answer(ctx, conn, Answer::Key(answer)),
            None => ctx.tell(Note::Refuse { conn, refused: unknown(packet) }),
        }
    }

    /// Answers a 105 about the server, or says that its key stays. That is an answer as well: every client
    /// gets it once a day, and it counts as no refusal.
    pub(super) fn announced(
        &mut self,
        ctx: &Ctx<'_, impl Provider>,
        inquiry: Inquiry,
        successor: Option<Box<Successor>>,
    ) {
        let Inquiry { conn, packet, .. } = inquiry;
        let stays = || Answer::Refusal(unknown(packet));
        self.answer(ctx, conn, successor.map_or_else(stays, Answer::Successor));
    }

    /// Says what became of the letters that a session asked about.
    pub(super) fn fates(
        &mut self,
        ctx: &Ctx<'_, impl Provider>,
        conn: ConnId,
        fates: Vec<(PacketId, Status)>,
    ) {
        self.answer(ctx, conn, Answer::Fates(fates));
    }

    /// Refuses a packet of a session; after too many refusals it ends without a word.
    pub(super) fn refuse(&mut self, ctx: &Ctx<'_, impl Provider>, conn: ConnId, refused: Refused) {
        let (rate, now) = (ctx.config.rates.refusals, ctx.now.instant);
        let Some(session) = self.session_mut(conn) else { return };
        let is_one_too_many = session.refusals.take(rate, now).is_err();
        let answer = if is_one_too_many { Answer::End } else { Answer::Refusal(refused) };
        self.answer(ctx, conn, answer);
    }

    /// Tells the first of those who wait for it, at the end of a turn.
    pub(super) fn answer_in_turn(&mut self, ctx: &mut Ctx<'_, impl Provider>, share: u64) {
        let budget = Budget::new(share, ctx.identity.operations());
        while budget.is_left(ctx.identity.operations())
            && let Some(conn) = self.answer_line.take_due(ctx.now.instant)
        {
            self.answer_next(ctx, conn);
        }
    }

    fn answer_next(&mut self, ctx: &mut Ctx<'_, impl Provider>, conn: ConnId) {
        let (rate, now) = (ctx.config.rates.answers, ctx.now.instant);
        // Whoever is gone keeps nobody waiting.
        let Some(session) = self.session_mut(conn) else { return };
        let Some(answer) = session.answers.pop(rate, now) else { return };
        session.answered(answer.requests());
        self.stand_in_line(ctx, conn);
        match answer {
            Answer::Key(key) => {
                self.send_sealed(ctx, conn, Op::KeyAnswer, |writer| key.emit(writer));
            }
            Answer::Successor(successor) => {
                self.send_sealed(ctx, conn, Op::KeyAnswer, |writer| successor.emit(writer));
            }
            Answer::Fates(fates) => {
                self.send_sealed(ctx, conn, Op::Acknowledgment, |writer| {
                    Statuses::emit(writer, &fates)
                });
            }
            Answer::Refusal(refused) => {
                self.send_sealed(ctx, conn, Op::Refusal, |writer| refused.body().emit(writer));
                if refused.code.rule().ends_session {
                    ctx.tell(Note::End { conn, reason: None });
                }
            }
            Answer::End => ctx.tell(Note::End { conn, reason: None }),
        }
        self.ready.push(conn);
    }

    /// The next connection whose waiting packets may go on.
    pub(super) fn pop_ready(&mut self) -> Option<ConnId> {
        self.ready.pop()
    }

    // ---- What many sessions are told ----

    /// A sender is to hear a status of a letter, by which so many copies have their answer.
    pub(super) fn status(
        &mut self,
        ctx: &Ctx<'_, impl Provider>,
        sender: UserId,
        (id, status): (PacketId, Status),
        copies: usize,
    ) {
        let Some(conn) = self.users.get(&sender).copied() else { return };
        if let Some(session) = self.session_mut(conn) {
            session.answered(copies);
        }
        self.notices.status(ctx.now.instant, sender, id, status);
        self.ready.push(conn);
    }

    /// A sender's letter is refused; so many copies of it wait for that, and the refusal answers one.
    pub(super) fn unaccepted(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        sender: UserId,
        (id, code): (PacketId, ErrorCode),
        copies: usize,
    ) {
        let Some(conn) = self.users.get(&sender).copied() else { return };
        if let Some(session) = self.session_mut(conn) {
            session.answered(copies.saturating_sub(1));
        }
        let refused = Refused::naming(code, Op::Letter, id);
        ctx.tell(Note::Refuse { conn, refused });
        self.ready.push(conn);
    }

    /// The letters that lay in the mailbox when the session began have gone out.
    pub(super) fn backlog_end(&mut self, now: Instant, conn: ConnId, count: u32) {
        self.notices.backlog_end(now, conn, count);
    }

    /// Says everything that there is reason to say. Under load it waits for more, unless somebody
    /// leaves or the server `stops`.
    pub(super) fn flush(&mut self, ctx: &mut Ctx<'_, impl Provider>, stops: bool) {
        let the_end = stops || self.somebody_leaves();
        let Due { statuses, backlog_ends } = self.notices.take(ctx.now.instant, the_end);
        let mut tokens = Vec::new();
        for group in statuses.chunk_by(|(one, _, _), (other, _, _)| one == other) {
            let Some(conn) = group.first().and_then(|(user, _, _)| self.users.get(user)) else {
                continue;
            };
            let conn = *conn;
            // Whoever fills a packet of their own, or is alone, costs a signature anyway.
            if group.len() >= MAX_STATUSES || (group.len() > 1 && group.len() == statuses.len()) {
                let entries: Vec<_> = group.iter().map(|(_, id, status)| (*id, *status)).collect();
                for entries in entries.chunks(MAX_STATUSES) {
                    self.send_sealed(ctx, conn, Op::Acknowledgment, |writer| {
                        Statuses::emit(writer, entries)
                    });
                }
            } else {
                tokens.extend(group.iter().map(|(_, id, status)| Token {
                    conn,
                    block: StatusToken { letter: id.prefix(), status: *status }.to_block(),
                }));
            }
        }
        self.share(ctx, Op::Acknowledgment, &tokens);

        let mut tokens = Vec::new();
        for (conn, count) in backlog_ends {
            if let Some(session) = self.session(conn) {
                let block = BacklogToken::block(&session.nonce, BacklogSize(count));
                tokens.push(Token { conn, block });
            }
        }
        self.share(ctx, Op::BacklogEnd, &tokens);
    }

    fn share(&mut self, ctx: &mut Ctx<'_, impl Provider>, op: Op, tokens: &[Token]) {
        for tokens in tokens.chunks(MAX_TOKENS) {
            match self.shared_packet(ctx, op, tokens) {
                Ok(packet) => {
                    for group in tokens.chunk_by(|one, other| one.conn == other.conn) {
                        let Some(first) = group.first() else { continue };
                        ctx.send(first.conn, packet.clone());
                    }
                }
                Err(_) => ctx.event(Event::InternalError),
            }
        }
    }

    fn shared_packet(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        op: Op,
        tokens: &[Token],
    ) -> Result<Arc<[u8]>, BuildError> {
        ctx.issue(op, None, |provider, out, rng| {
            let mut shared = SharedTokens::new(rng, out)?;
            for token in tokens {
                if let Some(session) = self.session_mut(token.conn) {
                    shared.push(provider, session.seal.key(), token.block)?;
                }
            }
            Ok(shared.payload_len())
        })
    }

    // ---- Leaving ----

    /// Whether the client of a session leaves.
    pub(super) fn somebody_leaves(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Whether a session's client has said that it leaves.
    pub(super) fn leaves(&self, conn: ConnId) -> bool {
        self.session(conn).is_some_and(|session| session.leaving.is_some())
    }

    /// Answers a client's 222 once everything read before it is stored and acknowledged, or
    /// patience has ended.
    ///
    /// Nothing counts as stored while writes are `deferred`: they may be of the session.
    pub(super) fn farewell(&self, ctx: &mut Ctx<'_, impl Provider>, deferred: bool) {
        for (until, conn) in &self.leaving {
            let Some(session) = self.session(*conn) else { continue };
            let is_past = |leaving: Leaving| ctx.storage.is_past(leaving.horizon);
            let is_done = !session.is_open() && !deferred && session.leaving.is_some_and(is_past);
            if is_done || *until <= ctx.now.instant {
                let (conn, reason) = (*conn, Some(CloseReason::Leaving));
                ctx.tell(Note::End { conn, reason });
            }
        }
    }

    /// Whether a session is still to be told something.
    pub(super) fn any_is_open(&self) -> bool {
        self.users.values().any(|conn| self.session(*conn).is_some_and(Session::is_open))
    }

    /// When something is to be said.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        let leaving = self.leaving.first().map(|(until, _)| *until);
        let waits = [self.notices.wait_until(), self.answer_line.wait_until(), leaving];
        waits.into_iter().flatten().min()
    }

    /// Sends a sealed packet in a session.
    fn send_sealed(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        conn: ConnId,
        op: Op,
        content: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) {
        if let Some(session) = self.session_mut(conn)
            && !send_sealed(ctx, conn, session.user, &mut session.seal, op, content)
        {
            ctx.tell(Note::End { conn, reason: None });
        }
    }
}

/// That a 105 asks about nobody who may be known of.
const fn unknown(question: PacketId) -> Refused {
    Refused::naming(ErrorCode::UnknownUser, Op::KeyQuestion, question)
}

/// Sends a sealed packet under a session's key. Whether it could be made.
fn send_sealed(
    ctx: &mut Ctx<'_, impl Provider>,
    conn: ConnId,
    user: UserId,
    seal: &mut SessionSeal,
    op: Op,
    content: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> bool {
    let packet =
        ctx.issue(op, Some(user), |provider, out, rng| Ok(seal.seal(provider, rng, out, content)?));
    match packet {
        Ok(packet) => {
            ctx.send(conn, packet);
            true
        }
        Err(_) => {
            ctx.event(Event::InternalError);
            false
        }
    }
}
