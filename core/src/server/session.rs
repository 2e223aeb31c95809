//! A confirmed session: what its client may send, and what becomes of it
//! (PROTOCOL.md, "Letters", "Directory", "Acknowledgments", "Closing").

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::answers::{Answer, Answers};
use super::config::Deadlines;
use super::limiter::Allowance;
use super::limits::Kept;
use super::mail::{Inquiry, Message};
use super::mailbox::Waiting;
use super::output::{ConnId, Event, Output};
use super::refuse::Refused;
use super::shard::ShardId;
use super::storage::{Question, Write};
use super::storage_queue::Asker;
use super::window::{HandedOver, Standing, Window};
use super::{Env, Server};
use crate::crypto::{Provider, SessionSeal, Unverified, Verified};
use crate::id::{Nonce, PacketId, UserId};
use crate::limits::MAX_UNANSWERED;
use crate::phone::Phone;
use crate::time::{Instant, Timestamp};
use crate::wire::{
    ClientReport, CloseReason, ErrorCode, HeldLetters, KeyAnswer, KeyQuestion, Op, Packet, Status,
    StatusQueries,
};

pub(super) struct Session {
    pub(super) user: UserId,
    pub(super) seal: SessionSeal,
    /// The nonce of the request that opened it: what a shared 255 names.
    pub(super) nonce: Nonce,
    /// Letters and questions without an answer.
    pub(super) unanswered: usize,
    pub(super) window: Window,
    status_queries: Allowance,
    /// What it is to be told.
    pub(super) answers: Answers,
    /// The client has said that it leaves.
    pub(super) leaving: Option<Leaving>,
}

/// A client's 222 that waits for all that was read before it.
#[derive(Clone, Copy)]
pub(super) struct Leaving {
    pub(super) since: Instant,
    /// The last batch that holds a write of this session.
    pub(super) horizon: u64,
}

impl Session {
    pub(super) fn new(user: UserId, seal: SessionSeal, nonce: Nonce, window: Window) -> Self {
        Self {
            user,
            seal,
            nonce,
            unanswered: 0,
            window,
            status_queries: Allowance::default(),
            answers: Answers::default(),
            leaving: None,
        }
    }

    /// Whether it is still to be told something.
    pub(super) fn is_open(&self) -> bool {
        self.unanswered > 0 || !self.answers.is_empty()
    }

    pub(super) fn must_wait(&self) -> bool {
        self.unanswered >= MAX_UNANSWERED || self.answers.are_enough() || self.leaving.is_some()
    }

    pub(super) fn deadline(&self, deadlines: &Deadlines) -> Option<Instant> {
        let stalled = self.window.deadline(deadlines);
        let leaving = self.leaving.map(|leaving| leaving.since.after(deadlines.leaving));
        [stalled, leaving].into_iter().flatten().min()
    }
}

impl<P: Provider> Server<P> {
    /// A packet of a confirmed session other than a letter.
    pub(super) fn session_packet(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        user: UserId,
        op: Op,
        packet: Packet<&mut [u8]>,
    ) -> Result<(), Refused> {
        let packet = Unverified::new(&self.provider, packet);
        let id = packet.id();
        let bad_sequence = Refused::naming(ErrorCode::BadSequence, op, id);
        let key = self.directory.key(&self.provider, user).ok_or(bad_sequence)?;
        let packet: Verified<&mut [u8]> = packet.verify(key).map_err(|_| bad_sequence)?;
        let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) else {
            return Ok(());
        };
        let content = session.seal.open(&self.provider, packet).map_err(|_| bad_sequence)?;
        let malformed = |_| Refused::naming(ErrorCode::Malformed, op, id);
        match op {
            Op::KeyQuestion => {
                session.unanswered = session.unanswered.saturating_add(1);
                let question = KeyQuestion::parse(content).map_err(malformed)?;
                self.key_question(env, conn, user, id, question)
            }
            Op::Acknowledgment => match ClientReport::parse(content).map_err(malformed)? {
                ClientReport::Held(held) => {
                    self.letters_held(env, conn, user, held);
                    Ok(())
                }
                ClientReport::Queries(queries) => self.status_queries(env, conn, user, id, queries),
                ClientReport::Confirmation { .. } => {
                    Err(Refused::naming(ErrorCode::UnexpectedOp, op, id))
                }
            },
            Op::Close => {
                CloseReason::parse(content).map_err(malformed)?;
                let horizon = self.storage.horizon();
                session.leaving = Some(Leaving { since: env.now.instant, horizon });
                self.leaving.push(conn);
                Ok(())
            }
            _ => Err(Refused::naming(ErrorCode::UnexpectedOp, op, id)),
        }
    }

    fn key_question(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        asker: UserId,
        packet: PacketId,
        question: KeyQuestion,
    ) -> Result<(), Refused> {
        let inquiry = Inquiry { asker, conn, packet };
        match question {
            KeyQuestion::ByPhone(phone) => {
                self.take(Kept::Lookups(asker), env.now.instant).map_err(|wait| {
                    Refused::naming(ErrorCode::RateLimited, Op::KeyQuestion, packet).after(wait)
                })?;
                self.post(ShardId::REGISTRAR, Message::WhoHas { phone, inquiry });
            }
            KeyQuestion::ById(id) if id == asker => self.user_inquiry(id, inquiry),
            KeyQuestion::ById(about) => {
                // Only about senders in one's own mailbox, and its counters may yet be loading.
                self.when_mailbox_is_known(env, asker, Waiting::Question { inquiry, about });
            }
        }
        Ok(())
    }

    /// At the registrar: whose phone is it?
    pub(super) fn phone_inquiry(&mut self, phone: &Phone, inquiry: Inquiry) {
        match self.phonebook.get(phone).map(|entry| entry.user) {
            Some(about) => self.post_to_owner(about, Message::WhoIs { about, inquiry }),
            None => self.post_to_owner(inquiry.asker, Message::Known { inquiry, answer: None }),
        }
    }

    /// At the owner shard of `about`: what is known of them?
    pub(super) fn user_inquiry(&mut self, about: UserId, inquiry: Inquiry) {
        let answer = self.directory.answer(about).map(Box::new);
        self.post_to_owner(inquiry.asker, Message::Known { inquiry, answer });
    }

    /// Answers a 105, or says that there is nobody to know about.
    pub(super) fn inquiry_answered(
        &mut self,
        env: &mut Env<'_>,
        inquiry: Inquiry,
        answer: Option<Box<KeyAnswer>>,
    ) {
        let Inquiry { conn, packet, .. } = inquiry;
        if let Some(answer) = answer {
            self.answer_session(env, conn, Answer::Key(answer));
        } else {
            let unknown = Refused::naming(ErrorCode::UnknownUser, Op::KeyQuestion, packet);
            self.refuse(env, conn, unknown);
        }
    }

    fn letters_held(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        user: UserId,
        held: HeldLetters<'_>,
    ) {
        let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) else {
            return;
        };
        let now = env.now.instant;
        let held: Vec<_> = held.filter_map(|id| session.window.acknowledge(id, now)).collect();
        for letter in held {
            let HandedOver { sender, id, queue_id, bytes, standing, .. } = letter;
            if standing == Standing::Expired {
                continue;
            }
            if standing == Standing::Pending {
                if let Some(counted_out) = &mut self.expiring {
                    counted_out.insert(queue_id);
                }
                let was_held = self.storage.take_held(queue_id);
                if !was_held {
                    self.storage.delete(user, queue_id);
                }
                if let Some(mailbox) = self.mailboxes.get_mut(user) {
                    if was_held {
                        mailbox.committed();
                    }
                    mailbox.removed(self.storage.turn(), queue_id, sender, bytes);
                }
            }
            let freed = u64::try_from(bytes).ok().filter(|_| standing == Standing::Pending);
            self.post_to_owner(sender, Message::Delivered { sender, id, freed });
        }
        self.recount_mailbox(user);
        self.hand_over(env, conn);
    }

    fn status_queries(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        asker: UserId,
        packet: PacketId,
        queries: StatusQueries<'_>,
    ) -> Result<(), Refused> {
        let rate = self.config.rates.status_queries;
        let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) else {
            return Ok(());
        };
        session.status_queries.take(rate, env.now.instant).map_err(|wait| {
            Refused::naming(ErrorCode::RateLimited, Op::Acknowledgment, packet).after(wait)
        })?;
        let letters: Vec<_> = queries.collect();
        self.storage.ask(Asker::Fates(conn, packet), Question::Fates { asker, letters });
        Ok(())
    }

    /// Storage has said what became of the letters that a session asked about.
    pub(super) fn tell_fates(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        mut fates: Vec<(PacketId, Status)>,
    ) {
        let session = self.connections.get_mut(&conn).and_then(|c| c.session_mut());
        let Some(asker) = session.map(|session| session.user) else { return };
        if let Some(recent) = self.duplicates.get_mut(&asker) {
            // A letter that storage does not know may be on its way there.
            for (id, status) in &mut fates {
                if *status == Status::Delivered && recent.is_pending(*id) {
                    *status = Status::Unknown;
                }
            }
        }
        self.answer_session(env, conn, Answer::Fates(fates));
    }

    /// So many requests of the session have their answer.
    pub(super) fn request_answered(&mut self, conn: ConnId, count: usize) {
        if let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) {
            session.unanswered = session.unanswered.saturating_sub(count);
        }
    }

    /// The client has proved that it holds the session key: from here on it is the user's one
    /// session, and an older one ends.
    pub(super) fn confirmed(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        offer: super::connection::Offer,
        window: u8,
    ) {
        let super::connection::Offer { user, mut seal, nonce, issue } = offer;
        let newest = self.directory.get(user).map_or(0, |known| known.confirmed_issue);
        if newest > issue {
            self.send_sealed_with(env, conn, user, &mut seal, Op::Close, |writer| {
                CloseReason::TakenOver.emit(writer)
            });
            self.drop_connection(conn);
            return;
        }
        if let Some(older) = self.sessions.insert(user, conn) {
            self.end_session(env, older, Some(CloseReason::TakenOver));
        }
        if let Ok(wrapped) = self.identity.wrap(&self.provider, env.rng, seal.key()) {
            let last_seen = Timestamp::from_unix(env.now.unix);
            let write = Write::ConfirmSession { user, session_key: wrapped, last_seen };
            self.storage.write_later(write, env.now.instant);
            if let Some(known) = self.directory.get_mut(user) {
                known.session_key = Some(wrapped);
                known.confirmed_issue = issue;
            }
        }
        let handover = Window::new(window, self.storage.last_queue_id(), env.now.instant);
        if let Some(connection) = self.connections.get_mut(&conn) {
            let session = Session::new(user, seal, nonce, handover);
            connection.state = super::connection::State::Active(Box::new(session));
        }
        self.outputs.push_back(Output::Event(Event::SessionConfirmed { user, conn }));
        self.hand_over(env, conn);
    }
}
