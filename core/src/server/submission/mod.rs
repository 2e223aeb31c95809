//! Submission: what senders hand in, and what they hear of it (PROTOCOL.md, "Letters",
//! "Duplicates"). All of it happens at the sender's owner shard.

mod duplicates;
mod outstanding;

use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::config::MailboxLimits;
use super::ctx::Ctx;
use super::mail::{Freed, Letter, Message, Note};
use super::output::{ConnId, Event};
use super::refused::Refused;
use super::report::{Fullness, HandedIn};
use super::shard::Shard;
use super::storage::{Question, Snapshot};
use super::storage_queue::Asker;
use crate::crypto::{Provider, Unverified};
use crate::id::{PacketId, UserId};
use crate::limits::FRESHNESS_S;
use crate::time::{Instant, UnixTime};
use crate::wire::{ErrorCode, Op, Packet, Status, StatusQueries};
use duplicates::{Duplicates, Recent};
use outstanding::Outstanding;

/// What the senders whom a shard owns have handed in.
#[derive(Debug)]
pub(super) struct Submission {
    duplicates: HashMap<UserId, Duplicates>,
    outstanding: Outstanding,
    handed_in: HandedIn,
    /// As in [`Snapshot`].
    letters_missing_until: Option<UnixTime>,
}

/// What became of a 102 that is not refused.
enum Taken {
    /// It goes to its recipient's owner shard.
    Submitted,
    /// It had come before.
    Repeated,
}

impl Submission {
    pub(super) fn new(shard: Shard, snapshot: &Snapshot, limits: &MailboxLimits) -> Self {
        let outstanding = Outstanding::new(shard, snapshot, limits);
        let letters_missing_until = snapshot.letters_missing_until;
        let (duplicates, handed_in) = (HashMap::new(), HandedIn::default());
        Self { duplicates, outstanding, handed_in, letters_missing_until }
    }

    /// What a sender has pending in all mailboxes together: letters, and bytes of packets.
    pub(super) fn pending_from(&self, sender: UserId) -> (u32, u64) {
        let count = self.outstanding.of(sender);
        (count.letters, count.bytes)
    }

    /// A 102 of the session's user, who has this key: it goes to its recipient's owner shard.
    pub(super) fn submit<P: Provider>(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        sender: UserId,
        key: Option<&P::PublicKey>,
        packet: Packet<&[u8]>,
    ) -> Result<(), Refused> {
        let taken = self.take_in(ctx, sender, key, packet);
        if ctx.own_accounts.has(sender) {
            return taken.map(|_| ());
        }
        let HandedIn { submitted, repeated, refused } = &mut self.handed_in;
        let count = match taken {
            Ok(Taken::Submitted) => submitted,
            Ok(Taken::Repeated) => repeated,
            Err(_) => refused,
        };
        *count = count.saturating_add(1);
        taken.map(|_| ())
    }

    fn take_in<P: Provider>(
        &mut self,
        ctx: &mut Ctx<'_, P>,
        sender: UserId,
        key: Option<&P::PublicKey>,
        packet: Packet<&[u8]>,
    ) -> Result<Taken, Refused> {
        let packet = Unverified::new(ctx.provider, packet);
        let id = packet.id();
        let refused = |code| Refused::naming(code, Op::Letter, id);
        if usize::from(packet.header().payload_size) > ctx.config.max_letter {
            return Err(refused(ErrorCode::TooLarge));
        }
        let bad_signature = refused(ErrorCode::BadSignature);
        let packet = packet.verify(key.ok_or(bad_signature)?).map_err(|_| bad_signature)?;
        let age = ctx.now.unix.minus(packet.header().timestamp.to_unix());
        if !(-FRESHNESS_S..=FRESHNESS_S).contains(&age) {
            return Err(refused(ErrorCode::StaleTimestamp));
        }
        let duplicates = self.duplicates.entry(sender).or_default();
        match duplicates.note(id, ctx.now.instant) {
            // The answer to the first copy will answer this one.
            Some(Recent::Pending { .. }) => return Ok(Taken::Repeated),
            Some(Recent::Answered(status)) => {
                ctx.tell(Note::Status { sender, id, status, copies: 1 });
                return Ok(Taken::Repeated);
            }
            None => {}
        }
        let recipient = packet.header().recipient.filter(|to| {
            // Strangers have nothing to say to an account of the server itself.
            *to != sender && (!ctx.own_accounts.has(*to) || ctx.own_accounts.has(sender))
        });
        let recipient = recipient.ok_or(ErrorCode::UnknownRecipient);
        let bytes = packet.as_bytes().len();
        let admitted = recipient.and_then(|recipient| {
            let admitted = self.outstanding.admit(&ctx.config.mailbox, sender, bytes);
            admitted.map(|()| recipient).map_err(|limit| {
                ctx.event(Event::LimitReached { limit });
                ErrorCode::MailboxFull
            })
        });
        let recipient = admitted.map_err(|code| {
            duplicates.forget(id);
            refused(code)
        })?;
        let packet = Arc::from(packet.as_bytes());
        ctx.post_to_owner(recipient, Message::Letter(Letter { id, sender, recipient, packet }));
        Ok(Taken::Submitted)
    }

    /// The first answer to a letter: its status, or why it is refused.
    pub(super) fn answered(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        sender: UserId,
        id: PacketId,
        fate: Result<Status, ErrorCode>,
        freed: Freed,
    ) {
        self.count_out(ctx, sender, freed);
        if fate.is_err() && !ctx.own_accounts.has(sender) {
            self.handed_in.refused = self.handed_in.refused.saturating_add(1);
        }
        let duplicates = self.duplicates.get_mut(&sender);
        let copies = duplicates.and_then(|duplicates| match fate {
            Ok(status) => duplicates.answer(id, status),
            Err(_) => duplicates.forget(id),
        });
        // One copy at least waits, however long ago it came.
        let copies = copies.unwrap_or(1);
        if copies == 0 {
            // Its recipient was quicker and has answered it.
            return;
        }
        ctx.tell(match fate {
            Ok(status) => Note::Status { sender, id, status, copies },
            Err(code) => Note::Unaccepted { sender, id, code, copies },
        });
    }

    /// A later status of a letter, which as a rule has been answered.
    pub(super) fn settled(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        sender: UserId,
        id: PacketId,
        status: Status,
        freed: Freed,
    ) {
        self.count_out(ctx, sender, freed);
        let duplicates = self.duplicates.get_mut(&sender);
        let copies = duplicates.and_then(|duplicates| duplicates.answer(id, status)).unwrap_or(0);
        ctx.tell(Note::Status { sender, id, status, copies });
    }

    /// A letter of a sender whom this shard owns is pending no more.
    fn count_out(&mut self, ctx: &Ctx<'_, impl Provider>, sender: UserId, freed: Freed) {
        if let Some(bytes) = freed {
            self.outstanding.remove(&ctx.config.mailbox, sender, bytes);
        }
    }

    /// A session wants to know what became of letters that its user has sent.
    pub(super) fn status_queries(
        &self,
        ctx: &mut Ctx<'_, impl Provider>,
        (asker, conn, packet): (UserId, ConnId, PacketId),
        queries: StatusQueries<'_>,
    ) {
        let letters = queries.collect();
        ctx.storage.ask(Asker::Fates(asker, conn, packet), Question::Fates { asker, letters });
    }

    /// Storage has said what became of the letters that a session asked about.
    pub(super) fn fates(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        asker: UserId,
        conn: ConnId,
        mut fates: Vec<(PacketId, Status)>,
    ) {
        let may_be_lost = self.letters_missing_until.is_some_and(|until| ctx.now.unix <= until);
        let mut duplicates = self.duplicates.get_mut(&asker);
        for (id, status) in &mut fates {
            // A letter that storage does not know may be on its way there.
            let mut is_on_its_way =
                || duplicates.as_mut().is_some_and(|known| known.is_pending(*id));
            if *status == Status::Delivered && (may_be_lost || is_on_its_way()) {
                *status = Status::Unknown;
            }
        }
        ctx.tell(Note::Fates { conn, fates });
    }

    /// A user is removed.
    pub(super) fn forget(&mut self, user: UserId) {
        self.duplicates.remove(&user);
    }

    /// What all senders of this shard have pending, in all mailboxes: letters, and bytes of packets.
    pub(super) const fn pending(&self) -> (u64, u64) {
        self.outstanding.total()
    }

    /// How full what each sender may have pending is.
    pub(super) fn fullness(&self) -> Fullness {
        self.outstanding.fullness()
    }

    /// The configuration has changed.
    pub(super) fn configure(&mut self, ctx: &Ctx<'_, impl Provider>) {
        self.outstanding.limits_have_changed(&ctx.config.mailbox);
    }

    /// What all senders of this shard have handed in.
    pub(super) const fn handed_in(&self) -> HandedIn {
        self.handed_in
    }

    /// Forgets duplicates that are too old to matter.
    pub(super) fn forget_old(&mut self, now: Instant) {
        self.duplicates.retain(|_, duplicates| !duplicates.is_over(now));
    }
}
