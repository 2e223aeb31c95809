//! The components of a machine, and what goes between them.
//!
//! ```text
//! bytes ─▶ gate ─▶ router ─┬─▶ registrar    100, 101
//!                          ├─▶ accounts     106
//!                          ├─▶ sessions     the confirmation, 105, 203, 222
//!                          └─▶ submission   102 ─▶ mail ─▶ router ─▶ delivery ─▶ recipient
//! operator ─▶ router ─▶ administration
//! ```
//!
//! Each component owns its fields and knows no other, but for sessions, which ask accounts for keys.
//! What one of them gives reason to in another it leaves as a note or as mail (`mail.rs`), and the
//! router deals with it before anything else happens.

use alloc::sync::Arc;
use core::time::Duration;

use super::accounts::{Accounts, Reconnect};
use super::administration::Administration;
use super::config::Rates;
use super::ctx::{Ctx, Shared};
use super::delivery::Delivery;
use super::gate::{Decision, Gate, InTurn, Request, Unread};
use super::identity::Identity;
use super::mail::{Item, Mail, Message, Note};
use super::output::{AdministrationError, ConnId, Event, OtpOutcome, OtpTicket, Output};
use super::peer::Peer;
use super::refused::Refused;
use super::registrar::{Registrar, Verdict};
use super::report::{SessionPage, SessionSummary};
use super::sessions::{Asked, Sessions};
use super::shard::{Baggage, ShardId};
use super::share::Budget;
use super::storage::{Answer, Outcome, OwnLimits, Snapshot, Ticket, Write};
use super::storage_queue::Asker;
use super::submission::Submission;
use crate::crypto::{Provider, Spki};
use crate::id::{Nonce, UserId};
use crate::limits::MAX_CONTROL_PACKET;
use crate::phone::Phone;
use crate::time::{Instant, UnixTime};
use crate::wire::{CloseReason, ErrorCode, KeyQuestion, Op, Packet, Status};

/// When somebody who wants a code comes back to a server that is about to stop.
const WHILE_DRAINING: Duration = Duration::from_secs(60);

/// The components of a machine.
pub(super) struct Router<P: Provider> {
    pub(super) gate: Gate,
    /// Of the first shard alone.
    pub(super) registrar: Option<Registrar>,
    pub(super) accounts: Accounts<P>,
    pub(super) sessions: Sessions,
    pub(super) submission: Submission,
    pub(super) delivery: Delivery,
    administration: Administration,
}

impl<P: Provider> Router<P> {
    pub(super) fn new(shared: &mut Shared<P>, snapshot: &Snapshot) -> Self {
        let Shared { provider, config, shard, .. } = shared;
        let mut registrar = (shard.id() == ShardId::REGISTRAR)
            .then(|| Registrar::new(provider, snapshot, config.live_otps));
        let few_ids = registrar.as_mut().and_then(Registrar::few_ids_are_left);
        shared.out.extend(few_ids.map(Output::Event));
        Self {
            gate: Gate::new(shared.config.half_received_bytes),
            registrar,
            accounts: Accounts::new(shared.shard, snapshot),
            sessions: Sessions::default(),
            submission: Submission::new(shared.shard, snapshot, &shared.config.mailbox),
            delivery: Delivery::new(shared.shard, snapshot),
            administration: Administration::default(),
        }
    }

    // ---- Connections ----

    /// A connection was accepted.
    pub(super) fn connected(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId, peer: Peer) {
        self.gate.connected(ctx, conn, peer);
        self.route(ctx);
    }

    /// A connection has come from another shard.
    pub(super) fn moved_in(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId, baggage: Baggage) {
        let unread = self.gate.moved_in(ctx, conn, baggage);
        self.route(ctx);
        self.received(ctx, conn, &unread);
    }

    /// A client sends no more than it has sent.
    pub(super) fn hung_up(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId) {
        if self.gate.waits_for_its_turn(conn) {
            self.end(ctx, conn, None);
        }
    }

    /// A connection has ended.
    pub(super) fn disconnected(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId) {
        self.forget(ctx, conn, None);
    }

    // ---- Packets ----

    /// Bytes have arrived.
    pub(super) fn received(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId, bytes: &[u8]) {
        let now = ctx.now.instant;
        let Some(unread) = self.gate.take_in(now, conn, bytes) else { return };
        self.packets(ctx, conn, unread);
        self.gate.check_unread(ctx, conn);
        self.route(ctx);
        self.resume(ctx, conn);
        while let Some(conn) = self.gate.to_be_shed() {
            ctx.event(Event::Shed { conn });
            self.end(ctx, conn, None);
        }
        self.route(ctx);
    }

    /// Goes on with packets that had to wait, if what came before them is done.
    fn resume(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId) {
        while let Some(unread) = self.gate.resume(ctx, conn, self.sessions.must_wait(conn)) {
            self.packets(ctx, conn, unread);
        }
    }

    fn packets(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId, mut unread: Unread<'_>) {
        while let Some((request, packet)) =
            self.gate.next(ctx, conn, &mut unread, self.sessions.must_wait(conn))
        {
            if let Err(refused) = self.packet(ctx, conn, request, packet) {
                self.refuse(ctx, conn, refused);
            }
            self.route(ctx);
        }
        self.route(ctx);
        let line_is_busy = self.gate.put_back(ctx.now.instant, conn, unread);
        if let Some(user) = self.sessions.user(conn).filter(|_| line_is_busy) {
            self.delivery.line_is_busy(ctx.now.instant, user);
        }
    }

    fn packet(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        conn: ConnId,
        request: Request,
        bytes: &[u8],
    ) -> Result<(), Refused> {
        let malformed = Refused::plain(ErrorCode::Malformed);
        if let Request::Letter(user) = request {
            self.sessions.letter_came(conn);
            let packet = Packet::parse(bytes).map_err(|_| malformed)?;
            let key = self.accounts.key(ctx.provider, user);
            return self.submission.submit(ctx, user, key, packet);
        }
        // What is sealed is opened where it lies, so it needs a place of its own.
        let mut place = [0; MAX_CONTROL_PACKET];
        for (to, from) in place.iter_mut().zip(bytes) {
            *to = *from;
        }
        let place = place.get_mut(..bytes.len()).ok_or(malformed)?;
        let packet = Packet::parse(place).map_err(|_| malformed)?;
        match request {
            Request::Letter(_) => {}
            // Whoever gets a code now could not use it here.
            Request::Registration if self.administration.is_draining() => {
                return Err(Refused::busy(WHILE_DRAINING));
            }
            Request::Registration | Request::Proof => {
                let peer = self.gate.peer(conn).ok_or(malformed)?;
                let registrar = self.registrar.as_mut().ok_or(malformed)?;
                let verdict = match request {
                    Request::Registration => registrar.request(ctx, peer, packet)?,
                    _ => registrar.proof(ctx, conn, peer, packet)?,
                };
                match verdict {
                    Verdict::Answered(answer) => self.gate.answer(ctx, conn, answer),
                    Verdict::AnsweredLater { ticket, answer, request } => {
                        self.gate.hold_grant(ctx, conn, ticket, answer, request);
                    }
                    Verdict::Creating => self.gate.creating(conn),
                    Verdict::Proved { user, nonce } => {
                        self.gate.proved(ctx.shard, conn, user, nonce);
                    }
                }
            }
            Request::Reconnect => {
                let peer = self.gate.peer(conn).ok_or(malformed)?;
                match self.accounts.reconnect(ctx, peer, packet)? {
                    Reconnect::Proved { user, nonce } => {
                        self.offer(ctx, conn, (user, nonce), Op::SessionRenewed);
                    }
                    Reconnect::Replayed => {
                        ctx.event(Event::ReplayedReconnect { conn });
                        self.end(ctx, conn, None);
                    }
                }
            }
            Request::Confirmation(_) => {
                self.sessions.confirmation(ctx, &mut self.accounts, conn, packet)?;
            }
            Request::Session(user, op) => {
                match self.sessions.open(ctx, &mut self.accounts, conn, op, packet)? {
                    Asked::Question(inquiry, KeyQuestion::ById(about)) if about != user => {
                        self.delivery.question(ctx, inquiry, about);
                    }
                    Asked::Question(inquiry, question) => {
                        self.accounts.question(ctx, inquiry, question)?;
                    }
                    Asked::Held(held) => self.delivery.acknowledged(ctx, user, held),
                    Asked::Queries(packet, queries) => {
                        self.submission.status_queries(ctx, (user, conn, packet), queries);
                    }
                    Asked::Leave => {}
                }
            }
        }
        Ok(())
    }

    /// Offers somebody who has proved to be this user a session.
    fn offer(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId, who: (UserId, Nonce), op: Op) {
        if let Some(refused) = self.accounts.refusal(ctx, who.0) {
            return self.refuse(ctx, conn, refused);
        }
        let packet = self.sessions.offer(ctx, &mut self.accounts, conn, who, op);
        match packet {
            Some(packet) => self.gate.offer(ctx, conn, who.0, packet),
            // The user was removed in between.
            None => self.end(ctx, conn, None),
        }
    }

    // ---- Mail and notes ----

    /// Mail from another shard has arrived.
    pub(super) fn mail(&mut self, ctx: &mut Ctx<'_, P>, mail: Mail) {
        ctx.mail().arrived(mail.0);
        self.route(ctx);
    }

    /// Deals with mail and notes until none is left.
    fn route(&mut self, ctx: &mut Ctx<'_, P>) {
        while let Some(item) = ctx.mail().next() {
            match item {
                Item::Message(message) => self.message(ctx, message),
                Item::Note(note) => self.note(ctx, note),
            }
        }
    }

    fn message(&mut self, ctx: &mut Ctx<'_, P>, message: Message) {
        match message {
            Message::Letter(letter) => {
                let is_there = self.is_there(letter.recipient);
                self.delivery.letter_arrived(ctx, letter, is_there);
            }
            Message::Answer { sender, id, fate, freed } => {
                self.submission.answered(ctx, sender, id, fate, freed);
            }
            Message::Delivered { sender, id, freed } => {
                self.submission.settled(ctx, sender, id, Status::Delivered, freed);
            }
            Message::Expired { sender, id, freed } => {
                self.submission.settled(ctx, sender, id, Status::Expired, freed);
            }
            Message::WhoIs { about, inquiry } => self.accounts.who_is(ctx, about, inquiry),
            Message::Known { inquiry, answer } => self.sessions.key_answer(ctx, inquiry, answer),
            Message::Welcome { user, phone, spki } => {
                self.accounts.welcome(ctx, user, phone, spki);
            }
            Message::WhoHas { phone, inquiry } => {
                if let Some(registrar) = &self.registrar {
                    registrar.whose(ctx, &phone, inquiry);
                }
            }
            Message::Removed { phone, spki } => {
                if let Some(registrar) = &mut self.registrar {
                    registrar.removed(ctx.provider, &phone, &spki);
                }
            }
            Message::OwnAccount { user, is_own } => ctx.own_accounts.note(user, is_own),
            Message::Settled { user, phone, spki } => {
                if let Some(registrar) = &mut self.registrar {
                    registrar.settled(ctx, user, phone, &spki);
                }
            }
        }
    }

    fn note(&mut self, ctx: &mut Ctx<'_, P>, note: Note) {
        match note {
            Note::Refuse { conn, refused } => self.refuse(ctx, conn, refused),
            Note::End { conn, reason } => self.end(ctx, conn, reason),
            Note::Proved { conn, user, nonce } => self.gate.proved(ctx.shard, conn, user, nonce),
            Note::NotProved { conn, refused } => {
                self.gate.decide(conn, Decision::Refusal(refused));
            }
            Note::Confirmed { conn, user, window } => {
                self.gate.confirmed(conn, user);
                ctx.event(Event::SessionConfirmed { user, conn });
                self.delivery.begin(ctx, user, conn, window);
            }
            Note::Status { sender, id, status, copies } => {
                self.sessions.status(ctx, sender, (id, status), copies);
            }
            Note::Unaccepted { sender, id, code, copies } => {
                self.sessions.unaccepted(ctx, sender, (id, code), copies);
            }
            Note::BacklogEnd { conn, count } => {
                self.sessions.backlog_end(ctx.now.instant, conn, count);
            }
            Note::Announced { inquiry, successor } => {
                self.sessions.announced(ctx, inquiry, successor);
            }
            Note::Fates { conn, fates } => self.sessions.fates(ctx, conn, fates),
        }
    }

    // ---- Refusals and ends ----

    fn refuse(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId, refused: Refused) {
        if !self.gate.has(conn) {
            return;
        }
        ctx.event(Event::Refused { conn, code: refused.code });
        if self.sessions.user(conn).is_some() {
            self.sessions.refuse(ctx, conn, refused);
        } else {
            self.gate.refuse(ctx, conn, refused);
        }
    }

    fn time_out(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId) {
        ctx.event(Event::TimedOut { conn });
        self.end(ctx, conn, None);
    }

    /// Ends a connection, telling its client why if it has a session.
    fn end(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId, reason: Option<CloseReason>) {
        if let Some(reason) = reason {
            self.sessions.say_goodbye(ctx, conn, reason);
        }
        if self.forget(ctx, conn, reason) {
            ctx.give_out(Output::Close { conn });
        }
    }

    fn forget(&mut self, ctx: &mut Ctx<'_, P>, conn: ConnId, reason: Option<CloseReason>) -> bool {
        if let Some(user) = self.sessions.forget(conn) {
            ctx.event(Event::SessionEnded { user, reason });
            self.delivery.end(ctx, user);
        }
        self.gate.forget(conn)
    }

    // ---- Codes ----

    /// Until then no code would go out: whoever asks for one is told to come back, and nothing is counted
    /// against their phone.
    pub(super) fn set_codes_rest_until(&mut self, until: Option<Instant>) {
        if let Some(registrar) = &mut self.registrar {
            registrar.set_codes_rest_until(until);
        }
    }

    /// A code is on its last way, or did not go out.
    pub(super) fn otp_ended(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        ticket: OtpTicket,
        outcome: OtpOutcome,
    ) {
        let Some(registrar) = &mut self.registrar else { return };
        match outcome {
            OtpOutcome::Delivered => self.gate.code_went_out(ctx, ticket),
            OtpOutcome::Undeliverable => {
                registrar.undeliverable(ctx, ticket);
                self.gate.code_is_lost(ticket);
            }
            OtpOutcome::Lost => {
                registrar.lost(ticket);
                self.gate.code_is_lost(ticket);
            }
        }
        self.route(ctx);
    }

    // ---- Storage ----

    /// A batch has ended.
    pub(super) fn stored(&mut self, ctx: &mut Ctx<'_, P>, ticket: Ticket, outcome: Outcome) {
        let Some(batch) = ctx.storage.complete(ticket) else { return };
        for write in &batch.writes {
            match outcome {
                Outcome::Done => self.write_done(ctx, write),
                Outcome::Unavailable => self.write_failed(ctx, write),
            }
        }
        if outcome == Outcome::Unavailable {
            ctx.event(Event::StorageUnavailable);
            ctx.storage.in_trouble(ctx.now.instant);
        }
        if let Some(registrar) = &mut self.registrar {
            registrar.send_codes(ctx);
        }
        self.route(ctx);
    }

    fn write_done(&mut self, ctx: &mut Ctx<'_, P>, write: &Write) {
        match write {
            Write::CreateUser { id, phone, spki } => {
                let (user, phone, spki) = (*id, *phone, spki.clone());
                ctx.post_to_owner(user, Message::Welcome { user, phone, spki });
            }
            Write::InsertLetter(letter) => self.delivery.stored(ctx, letter),
            Write::DeleteLetters { recipient, letters } => {
                self.delivery.deleted(ctx, *recipient, letters);
            }
            Write::RemoveUser { user, .. } => self.user_removed(ctx, *user),
            Write::Suspend { user, .. } => self.administration.done(ctx, *user),
            Write::Resume { user } => {
                self.accounts.suspend(*user, None);
                self.administration.done(ctx, *user);
            }
            Write::SetLimits { user, limits } => {
                self.delivery.set_limits(ctx, *user, *limits);
                self.administration.done(ctx, *user);
            }
            Write::ConfirmSession { .. }
            | Write::KeepAllowances(_)
            | Write::ForgetAllowances(_) => {}
        }
    }

    fn write_failed(&mut self, ctx: &mut Ctx<'_, P>, write: &Write) {
        match write {
            Write::CreateUser { id, phone, spki } => {
                if let Some(registrar) = &mut self.registrar {
                    registrar.not_created(ctx, *id, *phone, spki);
                }
            }
            Write::InsertLetter(letter) => self.delivery.refused(ctx, letter),
            Write::DeleteLetters { recipient, letters } => {
                self.delivery.not_deleted(*recipient, letters);
            }
            Write::ConfirmSession { user, session_key, last_seen } => {
                self.accounts.key_not_stored(*user, *session_key, *last_seen);
            }
            Write::KeepAllowances(allowances) => {
                ctx.limits.not_kept(allowances.iter().map(|allowance| allowance.key));
            }
            Write::ForgetAllowances(keys) => ctx.limits.not_kept(keys.iter().copied()),
            Write::RemoveUser { user, .. } => self.not_administered(ctx, *user),
            Write::Suspend { user, .. } | Write::Resume { user } => {
                if let Some(before) = self.administration.suspension_before(*user) {
                    self.accounts.suspend(*user, before);
                }
                self.administration.failed(ctx, *user);
            }
            Write::SetLimits { user, .. } => self.administration.failed(ctx, *user),
        }
    }

    /// A question has its answer.
    pub(super) fn answered(&mut self, ctx: &mut Ctx<'_, P>, ticket: Ticket, answer: Answer) {
        let Some(asker) = ctx.storage.asker(ticket) else { return };
        match (asker, answer) {
            (Asker::Fetch(user, conn), Answer::Letters { letters, damaged, exhausted }) => {
                self.delivery.expired(ctx, &damaged);
                self.delivery.fetched(ctx, (user, conn), letters, exhausted);
            }
            (Asker::Fetch(user, conn), _) => {
                self.delivery.not_fetched(user, conn);
                ctx.storage.in_trouble(ctx.now.instant);
            }
            (Asker::Mailbox(owner), Answer::Usage(usage)) => {
                self.delivery.mailbox_known(ctx, owner, usage);
            }
            (Asker::Mailbox(owner), _) => self.delivery.mailbox_unknown(ctx, owner),
            (Asker::Fates(user, conn, _), Answer::Fates(fates)) => {
                self.submission.fates(ctx, user, conn, fates);
            }
            (Asker::Fates(_, conn, packet), _) => {
                let code = ErrorCode::StorageUnavailable;
                let refused = Refused::naming(code, Op::Acknowledgment, packet);
                self.refuse(ctx, conn, refused);
            }
            (Asker::Expiry, Answer::Expired(letters)) => {
                self.delivery.looked_for_expired(ctx, Some(&letters));
            }
            (Asker::Expiry, _) => self.delivery.looked_for_expired(ctx, None),
            (Asker::Administration(user), Answer::Expired(letters)) => {
                self.delivery.expired(ctx, &letters);
                self.administration.took_out(ctx, user, &letters);
            }
            (Asker::Administration(user), _) => self.not_administered(ctx, user),
        }
        self.delivery.answered(ctx);
        self.route(ctx);
    }

    // ---- What the operator asks for ----

    /// Begins to make an account of the server itself, if there is none yet.
    pub(super) fn enrol(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        phone: Phone,
        spki: &Spki,
    ) -> Result<UserId, AdministrationError> {
        let registrar = self.registrar.as_mut().ok_or(AdministrationError::NoSuchUser)?;
        registrar.enrol(ctx, phone, spki)
    }

    /// Begins to remove a user.
    pub(super) fn remove_user(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        user: UserId,
    ) -> Result<(), AdministrationError> {
        self.can_be_administered(user)?;
        let phone = *self.accounts.phone(user).ok_or(AdministrationError::NoSuchUser)?;
        self.end_session(ctx, user);
        self.accounts.withdraw(user);
        self.delivery.close_mailbox(ctx, user);
        self.administration.remove(ctx, user, phone);
        self.route(ctx);
        Ok(())
    }

    /// Begins to take letters out of a mailbox.
    pub(super) fn expire_letters(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        user: UserId,
        accepted_before: UnixTime,
    ) -> Result<(), AdministrationError> {
        self.can_be_administered(user)?;
        self.administration.expire(ctx, user, accepted_before);
        Ok(())
    }

    /// Keeps a user out: until a moment, or until the operator decides otherwise.
    pub(super) fn suspend(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        user: UserId,
        until: Option<UnixTime>,
        reason: Arc<str>,
    ) -> Result<(), AdministrationError> {
        self.can_be_administered(user)?;
        let before = self.accounts.suspension(user);
        self.accounts.suspend(user, Some(until));
        self.end_session(ctx, user);
        let write = Write::Suspend { user, until, reason, now: ctx.now.unix };
        self.administration.suspend(ctx, user, write, before);
        self.route(ctx);
        Ok(())
    }

    /// Lets a user in again, once storage has it.
    pub(super) fn end_suspension(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        user: UserId,
    ) -> Result<(), AdministrationError> {
        self.can_be_administered(user)?;
        let before = self.accounts.suspension(user);
        self.administration.suspend(ctx, user, Write::Resume { user }, before);
        Ok(())
    }

    /// Gives a user other limits, once storage has them.
    pub(super) fn set_limits(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        user: UserId,
        limits: OwnLimits,
    ) -> Result<(), AdministrationError> {
        self.can_be_administered(user)?;
        self.administration.set_limits(ctx, user, limits);
        Ok(())
    }

    /// Ends a user's session; its client is told to come back later. Whether there was one.
    pub(super) fn end_session(&mut self, ctx: &mut Ctx<'_, P>, user: UserId) -> bool {
        let Some((conn, _)) = self.sessions.of(user) else { return false };
        self.end(ctx, conn, Some(CloseReason::ServerStopping));
        self.route(ctx);
        true
    }

    /// Another key takes the place of the server's. What was begun under the one before is over, without
    /// a word: words would have to be signed for everybody at once. Sessions do not go on under it either: what a
    /// turn says to many is signed once, and with two keys it would be twice, while clients spread their return
    /// over some seconds by themselves (PROTOCOL.md, "Retry rules").
    pub(super) fn succeed(&mut self, ctx: &mut Ctx<'_, P>, next: Identity<P>) {
        for conn in self.gate.connections() {
            self.end(ctx, conn, None);
        }
        self.route(ctx);
        self.gate.forget_shared_refusals();
        ctx.identity.succeed(next);
    }

    /// Begins to end all sessions, evenly over a time, or gives those who are left another time.
    pub(super) fn drain(&mut self, ctx: &Ctx<'_, P>, over: Duration) {
        self.administration.drain(ctx.now.instant, over, self.sessions.count(), ctx.shard);
    }

    /// Ends no more sessions than have ended.
    pub(super) fn stop_draining(&mut self) {
        self.administration.stop_draining();
    }

    /// Ends the sessions whose turn it is while all are being sent away.
    fn send_away(&mut self, ctx: &mut Ctx<'_, P>) {
        let now = ctx.now.instant;
        while let Some(last) = self.administration.draining().and_then(|drain| drain.due(now)) {
            let next = self.next_with_a_session(last);
            if let Some(user) = next {
                self.end_session(ctx, user);
            }
            let left = self.sessions.count();
            match (self.administration.draining(), next) {
                (Some(drain), Some(user)) => drain.sent_away(user, left),
                (Some(drain), None) => drain.found_nobody(now),
                (None, _) => {}
            }
        }
    }

    /// The first user with a session behind `last`.
    fn next_with_a_session(&self, last: Option<UserId>) -> Option<UserId> {
        let first = last.map_or(Some(1), |last| last.get().checked_add(1))?;
        let mut ids = (first..=u16::MAX).filter_map(UserId::new);
        ids.find(|user| self.sessions.of(*user).is_some())
    }

    /// Some of the sessions, by user.
    pub(super) fn sessions(&self, after: Option<UserId>, now: Instant) -> SessionPage {
        let first = after.map_or(Some(1), |after| after.get().checked_add(1));
        let mut page = SessionPage::default();
        let Some(first) = first else { return page };
        for (seen, user) in (first..=u16::MAX).filter_map(UserId::new).enumerate() {
            if seen >= SessionPage::IDS || page.sessions.len() >= SessionPage::LEN {
                page.next = user.get().checked_sub(1).and_then(UserId::new);
                break;
            }
            page.sessions.extend(self.session(user, now));
        }
        page
    }

    fn session(&self, user: UserId, now: Instant) -> Option<SessionSummary> {
        let (conn, since) = self.sessions.of(user)?;
        Some(SessionSummary {
            user,
            phone: *self.accounts.phone(user)?,
            age: now.since(since),
            prefix: self.gate.peer(conn)?.prefix,
            unacknowledged: self.delivery.unacknowledged(user),
        })
    }

    fn can_be_administered(&self, user: UserId) -> Result<(), AdministrationError> {
        if self.administration.is_at_work_on(user) {
            return Err(AdministrationError::UnderWay);
        }
        self.is_there(user).map_err(|_| AdministrationError::NoSuchUser)
    }

    /// Whether letters can be for this user of this shard; if not, what their senders hear.
    fn is_there(&self, user: UserId) -> Result<(), ErrorCode> {
        if self.accounts.has(user) {
            Ok(())
        } else if self.administration.is_at_work_on(user) {
            // Nobody knows yet whether the user stays.
            Err(ErrorCode::StorageUnavailable)
        } else {
            Err(ErrorCode::UnknownRecipient)
        }
    }

    fn user_removed(&mut self, ctx: &mut Ctx<'_, P>, user: UserId) {
        self.administration.done(ctx, user);
        self.submission.forget(user);
        self.delivery.forget(user);
        if let Some((phone, spki)) = self.accounts.removed(user) {
            if phone.is_reserved() {
                ctx.post_to_all(&Message::OwnAccount { user, is_own: false });
            }
            ctx.post(ShardId::REGISTRAR, Message::Removed { phone, spki });
        }
    }

    fn not_administered(&mut self, ctx: &mut Ctx<'_, P>, user: UserId) {
        self.administration.failed(ctx, user);
        self.accounts.put_back(user);
    }

    // ---- Time ----

    /// When there is something to do.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        let waits = [
            self.gate.wait_until(),
            self.sessions.wait_until(),
            self.delivery.wait_until(),
            self.administration.wait_until(),
        ];
        waits.into_iter().flatten().min()
    }

    /// Time has passed.
    pub(super) fn timeout(&mut self, ctx: &mut Ctx<'_, P>) {
        let now = ctx.now.instant;
        self.send_away(ctx);
        while let Some(conn) = self.gate.next_late(ctx) {
            self.time_out(ctx, conn);
        }
        while let Some(conn) = self.delivery.next_late(ctx) {
            // Whoever leaves has a deadline of their own.
            if !self.sessions.leaves(conn) {
                self.end(ctx, conn, Some(CloseReason::NoProgress));
            }
        }
        if ctx.storage.take_retry(now) {
            ctx.limits.retry();
            if let Some(registrar) = &mut self.registrar {
                registrar.count_again();
            }
            self.accounts.retry(ctx);
            self.delivery.retry(ctx);
        }
        if self.delivery.expiry_is_due(now) {
            if let Some(registrar) = &mut self.registrar {
                registrar.forget_expired(now);
            }
            ctx.limits.forget_full(ctx.now);
            self.submission.forget_old(now);
            self.accounts.forget_suspensions(ctx.now.unix);
            self.delivery.expire(ctx);
        }
        self.route(ctx);
    }

    /// The configuration has changed; these rates were in it before.
    pub(super) fn configure(&mut self, ctx: &mut Ctx<'_, P>, before: &Rates) {
        self.gate.configure(ctx);
        if let Some(registrar) = &mut self.registrar {
            registrar.configure(ctx);
        }
        self.sessions.configure(ctx, before);
        self.submission.configure(ctx);
        self.delivery.configure(ctx);
    }

    /// Begins an orderly stop.
    pub(super) fn stop(&mut self, ctx: &Ctx<'_, P>) {
        self.gate.stop(ctx.now.instant.after(ctx.config.deadlines.leaving));
    }

    /// Ends the turn: what it gave reason to say is said, what it gave reason to store is given
    /// out, and the first of those who wait for it are let in, or answered.
    pub(super) fn end_turn(&mut self, ctx: &mut Ctx<'_, P>) {
        let now = ctx.now.instant;
        let share = self.gate.share_of_this_turn(now);
        self.let_in(ctx, share);
        self.sessions.answer_in_turn(ctx, share);
        self.route(ctx);
        while let Some(conn) = self.gate.pop_ready().or_else(|| self.sessions.pop_ready()) {
            self.resume(ctx, conn);
        }
        // A long turn must not count against acknowledgments that came while it lasted.
        let since = self.gate.end_turn(now);
        self.delivery.release_due(ctx, since);
        self.gate.depart(ctx);
        let a_code_waits = self.registrar.as_ref().is_some_and(Registrar::has_codes_to_count);
        ctx.limits.store(ctx.storage, ctx.now, a_code_waits);
        if let Some(registrar) = &mut self.registrar {
            registrar.counted_in(ctx.storage.horizon());
        }
        self.sessions.flush(ctx, self.gate.is_stopping());
        let deferred = self.delivery.defers_writes() || self.accounts.defers_writes();
        self.sessions.farewell(ctx, deferred);
        let owes_storage = deferred || self.delivery.holds_back();
        self.route(ctx);
        let is_stopping = self.gate.is_stopping();
        ctx.storage.gather(now, self.sessions.somebody_leaves() || is_stopping);
        ctx.flush_storage();
        // All sessions are looked through for this, so only when it matters.
        let is_done =
            is_stopping && !owes_storage && ctx.storage.is_idle() && !self.sessions.any_is_open();
        if let Some(conns) = self.gate.stop_if_due(now, is_done) {
            for conn in conns {
                self.end(ctx, conn, Some(CloseReason::ServerStopping));
            }
            ctx.give_out(Output::Stopped);
        }
    }

    /// Lets in the first of those who wait for it.
    fn let_in(&mut self, ctx: &mut Ctx<'_, P>, share: u64) {
        let mut budget = Budget::new(share, ctx.identity.operations());
        while budget.is_left(ctx.identity.operations())
            && let Some((conn, in_turn)) = self.gate.next_in_turn(ctx.now.instant)
        {
            match in_turn {
                InTurn::Decided(Decision::Session { user, nonce }) => {
                    self.offer(ctx, conn, (user, nonce), Op::SessionIssued);
                }
                InTurn::Decided(Decision::Refusal(refused)) => {
                    budget.count_verification();
                    self.refuse(ctx, conn, refused);
                }
                InTurn::Called => {
                    budget.count_verification();
                    self.resume(ctx, conn);
                }
            }
            self.route(ctx);
        }
    }
}
