//! The way of a letter: from its sender's session to its recipient's mailbox, and the answer back
//! (PROTOCOL.md, "Letters", "Duplicates").

use alloc::sync::Arc;

use super::duplicates::Recent;
use super::mail::{Freed, Letter, Message};
use super::mailbox::Waiting;
use super::output::ConnId;
use super::refuse::Refused;
use super::shard::ShardId;
use super::storage::{PendingLetter, Write};
use super::window::Standing;
use super::{Env, Server};
use crate::crypto::{Provider, Unverified};
use crate::id::{PacketId, UserId};
use crate::limits::FRESHNESS_S;
use crate::wire::{ErrorCode, Op, Packet, Status};

impl<P: Provider> Server<P> {
    /// A 102 of a confirmed session.
    pub(super) fn letter(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        sender: UserId,
        packet: Packet<&[u8]>,
    ) -> Result<(), Refused> {
        if let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) {
            session.unanswered = session.unanswered.saturating_add(1);
        }
        let packet = Unverified::new(&self.provider, packet);
        let id = packet.id();
        let refused = |code| Refused::naming(code, Op::Letter, id);
        if usize::from(packet.header().payload_size) > self.config.max_letter {
            return Err(refused(ErrorCode::TooLarge));
        }
        let bad_signature = refused(ErrorCode::BadSignature);
        let key = self.directory.key(&self.provider, sender).ok_or(bad_signature)?;
        let packet = packet.verify(key).map_err(|_| bad_signature)?;
        let age = env.now.unix.minus(packet.header().timestamp.to_unix());
        if !(-FRESHNESS_S..=FRESHNESS_S).contains(&age) {
            return Err(refused(ErrorCode::StaleTimestamp));
        }
        let recent = self.duplicates.entry(sender).or_default();
        match recent.note(id, env.now.instant) {
            // The answer to the first copy will answer this one.
            Some(Recent::Pending { .. }) => return Ok(()),
            Some(Recent::Answered(status)) => {
                self.request_answered(conn, 1);
                self.notices.status(env.now.instant, sender, id, status);
                return Ok(());
            }
            None => {}
        }
        let recipient = packet.header().recipient;
        let Some(recipient) = recipient.filter(|to| *to != sender) else {
            recent_forget(self, sender, id);
            return Err(refused(ErrorCode::UnknownRecipient));
        };
        let bytes = packet.as_bytes().len();
        if let Err(code) = self.outstanding.admit(&self.config.mailbox, sender, bytes) {
            recent_forget(self, sender, id);
            return Err(refused(code));
        }
        let packet = Arc::from(packet.as_bytes());
        self.post_to_owner(recipient, Message::Letter(Letter { id, sender, recipient, packet }));
        Ok(())
    }

    /// Sorts the mail between owner shards until none is left.
    pub(super) fn sort_mail(&mut self, env: &mut Env<'_>) {
        while let Some(message) = self.mail.pop_front() {
            match message {
                Message::Letter(letter) => self.letter_arrived(env, letter),
                Message::Answer { sender, id, fate, freed } => {
                    self.count_out(sender, freed);
                    self.letter_answered(env, sender, id, fate);
                }
                Message::Delivered { sender, id, freed } => {
                    self.count_out(sender, freed);
                    self.settle(env, sender, id, Status::Delivered);
                }
                Message::Expired { sender, id, freed } => {
                    self.count_out(sender, freed);
                    self.settle(env, sender, id, Status::Expired);
                }
                Message::WhoHas { phone, inquiry } => self.phone_inquiry(&phone, inquiry),
                Message::WhoIs { about, inquiry } => self.user_inquiry(about, inquiry),
                Message::Known { inquiry, answer } => {
                    self.inquiry_answered(env, inquiry, answer);
                }
                Message::Welcome { user, phone, spki } => {
                    self.directory.welcome(user, phone, spki.clone());
                    self.post(ShardId::REGISTRAR, Message::Settled { user, phone, spki });
                }
                Message::Settled { user, phone, spki } => {
                    self.user_settled(user, phone, &spki);
                }
            }
        }
    }

    /// A letter reaches its recipient's owner shard.
    fn letter_arrived(&mut self, env: &mut Env<'_>, letter: Letter) {
        let recipient = letter.recipient;
        if self.directory.get(recipient).is_none() {
            self.turn_away(&letter, ErrorCode::UnknownRecipient);
        } else {
            self.when_mailbox_is_known(env, recipient, Waiting::Letter(letter));
        }
    }

    /// A letter does not get into its mailbox.
    pub(super) fn turn_away(&mut self, letter: &Letter, code: ErrorCode) {
        let Letter { id, sender, .. } = *letter;
        let freed = Some(size(&letter.packet));
        self.post_to_owner(sender, Message::Answer { sender, id, fate: Err(code), freed });
    }

    /// A letter of a sender whom this shard owns is pending no more.
    fn count_out(&mut self, sender: UserId, freed: Freed) {
        if let Some(bytes) = freed {
            self.outstanding.remove(sender, bytes);
        }
    }

    /// A letter reaches a mailbox whose counters are known.
    pub(super) fn accept(&mut self, env: &mut Env<'_>, letter: Letter) {
        let Letter { sender, recipient, .. } = letter;
        let absent = !self.sessions.contains_key(&recipient);
        let admitted = match self.mailboxes.get_mut(recipient) {
            _ if absent && self.disk_is_low => Err(ErrorCode::StorageUnavailable),
            Some(mailbox) => mailbox.admit(&self.config.mailbox, sender, letter.packet.len()),
            None => Err(ErrorCode::StorageUnavailable),
        };
        if let Err(code) = admitted {
            self.turn_away(&letter, code);
            return;
        }
        let Letter { id, packet, .. } = letter;
        let queue_id = self.storage.next_queue_id();
        let accepted_at = env.now.unix;
        let letter = PendingLetter { queue_id, id, sender, recipient, accepted_at, packet };
        let letter = Arc::new(letter);
        let conn = self.sessions.get(&recipient).copied();
        if conn.is_some_and(|conn| self.give_if_next(env, conn, &letter)) {
            self.storage.hold(letter, env.now.instant);
        } else {
            self.storage.write(Write::InsertLetter(letter));
        }
    }

    /// A letter is stored: it is acknowledged to its sender.
    pub(super) fn letter_stored(&mut self, letter: &PendingLetter) {
        let PendingLetter { id, sender, recipient, .. } = *letter;
        if let Some(mailbox) = self.mailboxes.get_mut(recipient) {
            mailbox.committed();
        }
        self.recount_mailbox(recipient);
        self.post_to_owner(
            sender,
            Message::Answer { sender, id, fate: Ok(Status::Stored), freed: None },
        );
    }

    /// A letter could not be stored: nothing was accepted. Its recipient may hold it all the same;
    /// then it is `counted_out`.
    pub(super) fn letter_lost(&mut self, letter: &PendingLetter, counted_out: bool) {
        let PendingLetter { id, sender, recipient, .. } = *letter;
        if let Some(mailbox) = self.mailboxes.get_mut(recipient) {
            mailbox.committed();
            if !counted_out {
                let bytes = letter.packet.len();
                mailbox.removed(self.storage.turn(), letter.queue_id, sender, bytes);
            }
        }
        self.recount_mailbox(recipient);
        if let Some(session) = self.session_of(recipient) {
            session.window.note(letter.queue_id, Standing::Lost);
        }
        let fate = Err(ErrorCode::StorageUnavailable);
        let freed = (!counted_out).then_some(size(&letter.packet));
        self.post_to_owner(sender, Message::Answer { sender, id, fate, freed });
    }

    fn letter_answered(
        &mut self,
        env: &mut Env<'_>,
        sender: UserId,
        id: PacketId,
        fate: Result<Status, ErrorCode>,
    ) {
        let recent = self.duplicates.get_mut(&sender);
        let copies = recent.and_then(|recent| match fate {
            Ok(status) => recent.answer(id, status),
            Err(_) => recent.forget(id),
        });
        let Some(conn) = self.sessions.get(&sender).copied() else { return };
        let copies = match copies {
            // Its recipient was quicker and has answered it.
            Some(0) => return,
            Some(copies) => copies,
            // One at least waits, however long ago it came.
            None => 1,
        };
        match fate {
            Ok(status) => {
                self.request_answered(conn, copies);
                self.notices.status(env.now.instant, sender, id, status);
            }
            Err(code) => {
                self.request_answered(conn, copies.saturating_sub(1));
                self.refuse(env, conn, Refused::naming(code, Op::Letter, id));
            }
        }
        self.ready.push(conn);
    }

    /// A later status of a letter, which as a rule has been answered.
    fn settle(&mut self, env: &Env<'_>, sender: UserId, id: PacketId, status: Status) {
        let recent = self.duplicates.get_mut(&sender);
        let copies = recent.and_then(|recent| recent.answer(id, status)).unwrap_or(0);
        let Some(conn) = self.sessions.get(&sender).copied() else { return };
        self.request_answered(conn, copies);
        self.notices.status(env.now.instant, sender, id, status);
        self.ready.push(conn);
    }
}

fn size(packet: &[u8]) -> u64 {
    u64::try_from(packet.len()).unwrap_or(u64::MAX)
}

fn recent_forget<P: Provider>(server: &mut Server<P>, sender: UserId, id: PacketId) {
    if let Some(recent) = server.duplicates.get_mut(&sender) {
        recent.forget(id);
    }
}
