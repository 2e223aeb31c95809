//! Mailboxes: how full they are, and handing letters over (PROTOCOL.md, "Flow control and
//! window"). The letters themselves lie in storage.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::config::MailboxLimits;
use super::mail::{Inquiry, Letter, Message};
use super::output::{ConnId, Output};
use super::pending::Count;
use super::room::Room;
use super::session::Session;
use super::storage::{ExpiredLetter, PendingLetter, QueueId, SenderUsage};
use super::storage_queue::Asker;
use super::{Env, Server};
use crate::crypto::Provider;
use crate::id::UserId;
use crate::wire::ErrorCode;

/// Something that needs the mailbox's counters.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A letter for it.
    Letter(Letter),
    /// A 105 by id from its owner.
    Question { inquiry: Inquiry, about: UserId },
}

/// How full one mailbox is.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Something until the counters are known.
    learning: Option<Box<Learning>>,
    total: Count,
    senders: HashMap<UserId, Count>,
    /// Letters accepted and not committed.
    uncommitted: usize,
    /// Letters may be counted that storage refused to delete when it counted, or that are gone.
    overcounts: bool,
}

/// What matters while storage counts.
#[derive(Debug)]
struct Learning {
    /// The turn at whose end storage is asked: it counts what that turn leaves.
    asked_in: u64,
    /// Removals that happened after storage was asked.
    removed: Vec<(QueueId, UserId, u64)>,
    waiting: Vec<Waiting>,
}

impl Mailbox {
    pub(super) fn empty() -> Self {
        Self {
            learning: None,
            total: Count::default(),
            senders: HashMap::new(),
            uncommitted: 0,
            overcounts: false,
        }
    }

    /// One that storage is asked to count at the end of the turn `asked_in`.
    pub(super) fn uncounted(asked_in: u64, overcounts: bool) -> Self {
        let learning = Learning { asked_in, removed: Vec::new(), waiting: Vec::new() };
        Self { learning: Some(Box::new(learning)), overcounts, ..Self::empty() }
    }

    /// Counts a letter in, or says why not.
    pub(super) fn admit(
        &mut self,
        limits: &MailboxLimits,
        sender: UserId,
        bytes: usize,
    ) -> Result<(), ErrorCode> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let pair = self.senders.get(&sender).copied().unwrap_or_default();
        let places = Room { capacity: limits.letters.into(), taken: self.total.letters.into() };
        let space = Room { capacity: limits.bytes, taken: self.total.bytes };
        let room = places.has_room(pair.letters.into(), 1)
            && space.has_room(pair.bytes, bytes)
            && pair.has_room(bytes, limits.pair_letters, limits.pair_bytes);
        if !room {
            return Err(ErrorCode::MailboxFull);
        }
        self.total.add(bytes);
        self.senders.entry(sender).or_default().add(bytes);
        self.uncommitted = self.uncommitted.saturating_add(1);
        Ok(())
    }

    /// A letter's commit has ended.
    pub(super) fn committed(&mut self) {
        self.uncommitted = self.uncommitted.saturating_sub(1);
    }

    /// Counts a letter out that is removed in this turn.
    pub(super) fn removed(&mut self, turn: u64, letter: QueueId, sender: UserId, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        match &mut self.learning {
            None => self.count_out(sender, bytes),
            Some(learning) if turn > learning.asked_in => {
                learning.removed.push((letter, sender, bytes));
            }
            Some(_) => {}
        }
    }

    /// Counts a letter out that storage has swept out, unless it is counted out already. Answers
    /// come in order, so if the counters are not known yet, they will come without it.
    pub(super) fn expired(&mut self, letter: &ExpiredLetter, is_counted_out: bool) {
        match &mut self.learning {
            Some(learning) => learning.removed.retain(|(id, ..)| *id != letter.queue_id),
            None if is_counted_out => {}
            None => self.count_out(letter.sender, letter.bytes),
        }
    }

    fn count_out(&mut self, sender: UserId, bytes: u64) {
        self.total.remove(bytes);
        if let Some(count) = self.senders.get_mut(&sender) {
            count.remove(bytes);
            if count.letters == 0 {
                self.senders.remove(&sender);
            }
        }
    }

    /// Takes in what storage has counted, and gives out what waits for it.
    fn learn(&mut self, usage: Vec<SenderUsage>) -> Vec<Waiting> {
        for SenderUsage { sender, letters, bytes } in usage {
            self.total.letters = self.total.letters.saturating_add(letters);
            self.total.bytes = self.total.bytes.saturating_add(bytes);
            self.senders.insert(sender, Count { letters, bytes });
        }
        let Some(learning) = self.learning.take() else { return Vec::new() };
        for (_, sender, bytes) in learning.removed {
            self.count_out(sender, bytes);
        }
        learning.waiting
    }

    /// Storage has refused to delete letters from it, or removed some by itself.
    pub(super) const fn overcounts(&mut self) {
        self.overcounts = true;
    }

    /// Whether no letter is in it or on its way there, if that is known.
    pub(super) fn is_empty(&self) -> Option<bool> {
        self.learning.is_none().then_some(self.total.letters == 0)
    }

    /// Whether its counters are known, and not too high for a while.
    #[cfg(feature = "testing")]
    pub(super) fn is_exact(&self) -> bool {
        self.learning.is_none() && !self.overcounts
    }

    #[cfg(feature = "testing")]
    pub(super) const fn total(&self) -> Count {
        self.total
    }

    /// How many senders have letters in it.
    #[cfg(feature = "testing")]
    pub(super) fn senders(&self) -> usize {
        self.senders.len()
    }

    #[cfg(feature = "testing")]
    pub(super) fn of(&self, sender: UserId) -> Count {
        self.senders.get(&sender).copied().unwrap_or_default()
    }

    /// Whether its counters can be forgotten until the next use.
    pub(super) fn is_at_rest(&self) -> bool {
        self.learning.is_none() && self.uncommitted == 0
    }
}

impl<P: Provider> Server<P> {
    /// Forgets counters that are too high, as soon as they would be right when they are learnt
    /// again.
    pub(super) fn recount_mailbox(&mut self, owner: UserId) {
        let Some(mailbox) = self.mailboxes.get_mut(owner) else { return };
        if mailbox.overcounts && mailbox.is_at_rest() && !self.storage.defers_deleting_from(owner) {
            self.mailboxes.forget(owner);
        }
    }

    /// Serves something that needs a mailbox's counters: now, or when they are known.
    pub(super) fn when_mailbox_is_known(
        &mut self,
        env: &mut Env<'_>,
        owner: UserId,
        waiting: Waiting,
    ) {
        match &mut self.mailboxes.open(owner, &mut self.storage).learning {
            Some(learning) => learning.waiting.push(waiting),
            None => self.serve(env, owner, waiting),
        }
    }

    fn serve(&mut self, env: &mut Env<'_>, owner: UserId, waiting: Waiting) {
        match waiting {
            Waiting::Letter(letter) => self.accept(env, letter),
            Waiting::Question { inquiry, about } => {
                let mailbox = self.mailboxes.get_mut(owner);
                if mailbox.is_some_and(|known| known.senders.contains_key(&about)) {
                    self.post_to_owner(about, Message::WhoIs { about, inquiry });
                } else {
                    self.inquiry_answered(env, inquiry, None);
                }
            }
        }
    }

    /// Storage has said how full a mailbox is.
    pub(super) fn mailbox_known(
        &mut self,
        env: &mut Env<'_>,
        owner: UserId,
        usage: Vec<SenderUsage>,
    ) {
        let waiting = self.mailboxes.get_mut(owner).map(|mailbox| mailbox.learn(usage));
        if let Some(conn) = self.sessions.get(&owner).copied() {
            self.hand_over(env, conn);
        }
        for waiting in waiting.into_iter().flatten() {
            self.serve(env, owner, waiting);
        }
    }

    /// Storage could not say it: what waits is refused, and the next use asks again. The owner's
    /// session, which waits for its letters, does so together with whatever storage could not take.
    pub(super) fn mailbox_unknown(&mut self, env: &mut Env<'_>, owner: UserId) {
        let Some(mailbox) = self.mailboxes.forget(owner) else { return };
        if self.sessions.contains_key(&owner) {
            self.retry_at = Some(env.now.instant.after(Self::RETRY));
        }
        let code = ErrorCode::StorageUnavailable;
        for waiting in mailbox.learning.into_iter().flat_map(|learning| learning.waiting) {
            match waiting {
                Waiting::Letter(letter) => self.turn_away(&letter, code),
                Waiting::Question { inquiry: Inquiry { conn, packet, .. }, .. } => {
                    let op = crate::wire::Op::KeyQuestion;
                    self.refuse(env, conn, super::refuse::Refused::naming(code, op, packet));
                    self.ready.push(conn);
                }
            }
        }
    }

    /// Hands over what the window has room for.
    pub(super) fn hand_over(&mut self, env: &mut Env<'_>, conn: ConnId) {
        let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) else {
            return;
        };
        if session.window.wants_more() {
            let user = session.user;
            self.fetch_letters(conn, user);
        }
        let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) else {
            return;
        };
        if let Some(count) = session.window.backlog_end() {
            self.notices.backlog_end(env.now.instant, conn, count);
        }
        self.arm(env, conn);
    }

    /// Asks for letters, unless there are none; if that is not known yet, once it is.
    fn fetch_letters(&mut self, conn: ConnId, owner: UserId) {
        let Some(is_empty) = self.mailboxes.open(owner, &mut self.storage).is_empty() else {
            return;
        };
        let session = self.connections.get_mut(&conn).and_then(|c| c.session_mut());
        let Some(session) = session else { return };
        if is_empty {
            session.window.nothing_lies_there();
        } else {
            let question = session.window.fetch(owner);
            self.storage.ask(Asker::Fetch(conn), question);
        }
    }

    /// Storage has brought letters for a session.
    pub(super) fn letters_fetched(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        letters: Vec<PendingLetter>,
        exhausted: bool,
    ) {
        let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) else {
            return;
        };
        for letter in letters {
            if self.storage.defers_deleting(letter.queue_id) {
                session.window.pass(letter.queue_id);
                continue;
            }
            session.window.give(&letter, env.now.instant);
            self.outputs.push_back(Output::Send { conn, packet: letter.packet });
        }
        session.window.fetched(exhausted);
        self.hand_over(env, conn);
    }

    /// A letter was accepted for a session's user: it goes straight out when it is the next.
    /// Whether storage can wait, because the client keeps up.
    pub(super) fn give_if_next(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        letter: &PendingLetter,
    ) -> bool {
        let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) else {
            return false;
        };
        // As long as storage is in trouble nothing goes out that it has not taken.
        let goes_out = if self.retry_at.is_some() {
            session.window.fall_behind();
            false
        } else {
            session.window.admits(letter)
        };
        let keeps_up = session.window.keeps_up();
        if goes_out {
            session.window.give(letter, env.now.instant);
            self.outputs.push_back(Output::Send { conn, packet: letter.packet.clone() });
        }
        self.hand_over(env, conn);
        goes_out && keeps_up
    }

    /// The confirmed session of a user who is here.
    pub(super) fn session_of(&mut self, user: UserId) -> Option<&mut Session> {
        let conn = self.sessions.get(&user)?;
        self.connections.get_mut(conn)?.session_mut()
    }
}
