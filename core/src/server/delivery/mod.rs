//! Delivery: from the recipient's owner shard into the mailbox, to the recipient, and out of the
//! mailbox (PROTOCOL.md, "Flow control and window", "Acknowledgments", "Limits and timers").

#[cfg(feature = "testing")]
mod audit;
mod in_hand;
mod letter;
mod mailbox;
mod mailboxes;
mod places;
mod window;

use alloc::boxed::Box;
#[cfg(feature = "testing")]
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashMap;

#[cfg(feature = "testing")]
pub use self::{
    audit::{Counted, Stored},
    letter::State as LetterState,
};

use super::ctx::Ctx;
use super::mail::{Freed, Inquiry, Letter, Message, Note};
use super::output::{ConnId, Event};
use super::refused::Refused;
use super::report::{Fullness, Outcomes};
use super::shard::Shard;
use super::storage::{
    ExpiredLetter, OwnLimits, PendingLetter, Question, QueueId, SenderUsage, Snapshot, Write,
    may_be_more,
};
use super::storage_queue::Asker;
#[cfg(feature = "testing")]
use super::storage_queue::StorageQueue;
use super::timers::Timers;
use crate::crypto::Provider;
use crate::id::UserId;
use crate::time::Instant;
use crate::wire::{ErrorCode, HeldLetters, Op, Status};
use in_hand::{Change, InHand};
use letter::{Event as LetterEvent, Location, Recipient};
use mailbox::Waiting;
use mailboxes::{Gone, Mailboxes};
use places::Places;
use window::Window;

/// The mailboxes of a shard, and who empties them.
#[derive(Debug)]
pub(super) struct Delivery {
    mailboxes: Mailboxes,
    in_hand: InHand,
    places: Places,
    // Boxed: a table has empty places, and many users fill it.
    readers: HashMap<UserId, Box<Reader>>,
    /// When readers have kept letters for too long.
    timers: Timers<UserId>,
    expire_at: Instant,
    /// Whether storage looks for letters that have expired.
    expiring: bool,
    disk_is_low: bool,
    outcomes: Outcomes,
}

/// A user who has a session.
#[derive(Debug)]
struct Reader {
    conn: ConnId,
    window: Window,
    /// The deadline that the timers know.
    armed: Option<Instant>,
}

impl Delivery {
    /// Letters that expire in one go, at most.
    const EXPIRE_AT_ONCE: usize = 1_000;
    /// An expiry that is always due would leave no turn for anything else.
    const SHORTEST_EXPIRY_INTERVAL: Duration = Duration::from_millis(1);

    pub(super) fn new(shard: Shard, snapshot: &Snapshot) -> Self {
        Self {
            mailboxes: Mailboxes::new(shard, snapshot),
            in_hand: InHand::default(),
            places: Places::new(shard, snapshot.last_queue_id),
            readers: HashMap::new(),
            timers: Timers::default(),
            expire_at: Instant::default(),
            expiring: false,
            disk_is_low: false,
            outcomes: Outcomes::default(),
        }
    }

    pub(super) const fn set_disk_is_low(&mut self, low: bool) {
        self.disk_is_low = low;
    }

    // ---- A letter comes in ----

    /// A letter reaches its recipient's owner shard, where there is such a user, or not.
    pub(super) fn letter_arrived(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        letter: Letter,
        is_there: Result<(), ErrorCode>,
    ) {
        match is_there {
            Ok(()) => self.when_mailbox_is_known(ctx, letter.recipient, Waiting::Letter(letter)),
            Err(code) => turn_away(ctx, &letter, code),
        }
    }

    /// Serves something that needs a mailbox's counters: now, or when they are known.
    fn when_mailbox_is_known(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        owner: UserId,
        waiting: Waiting,
    ) {
        let overcounts = self.in_hand.defers_deleting_from(owner);
        let mailbox = self.mailboxes.open(owner, ctx.storage, overcounts);
        if let Some(waiting) = mailbox.wait(waiting) {
            self.serve(ctx, owner, waiting);
        }
    }

    fn serve(&mut self, ctx: &mut Ctx<'_, impl Provider>, owner: UserId, waiting: Waiting) {
        match waiting {
            Waiting::Letter(letter) => self.accept(ctx, letter),
            Waiting::Question { inquiry, about } => {
                let mailbox = self.mailboxes.get_mut(owner);
                if mailbox.is_some_and(|known| known.has_from(about)) {
                    ctx.post_to_owner(about, Message::WhoIs { about, inquiry });
                } else {
                    ctx.post_to_owner(owner, Message::Known { inquiry, answer: None });
                }
            }
        }
    }

    /// A 105 by id: a user may ask about whoever has letters in the user's mailbox, or among those that
    /// were handed over. The latter may be there no more: storage has refused them, or thrown them out.
    pub(super) fn question(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        inquiry: Inquiry,
        about: UserId,
    ) {
        let has_been_given = self.readers.get(&inquiry.asker).is_some_and(|reader| {
            reader.window.unacknowledged().any(|letter| self.in_hand.is_from(letter, about))
        });
        if has_been_given {
            ctx.post_to_owner(about, Message::WhoIs { about, inquiry });
        } else {
            self.when_mailbox_is_known(ctx, inquiry.asker, Waiting::Question { inquiry, about });
        }
    }

    /// A letter reaches a mailbox whose counters are known: it is accepted, or turned away.
    fn accept(&mut self, ctx: &mut Ctx<'_, impl Provider>, letter: Letter) {
        let Letter { sender, recipient, .. } = letter;
        let is_absent = !self.readers.contains_key(&recipient);
        let mut admitted = None;
        if !(is_absent && self.disk_is_low) {
            let (pair, bytes) = ((recipient, sender), letter.packet.len());
            admitted = self.mailboxes.admit(pair, bytes, &ctx.config.mailbox);
        }
        match admitted {
            Some(Ok(())) => {}
            Some(Err(limit)) => {
                ctx.event(Event::LimitReached { limit });
                turn_away(ctx, &letter, ErrorCode::MailboxFull);
                return;
            }
            None => {
                turn_away(ctx, &letter, ErrorCode::StorageUnavailable);
                return;
            }
        }
        let Letter { id, packet, .. } = letter;
        let (queue_id, accepted_at) = (self.places.next(), ctx.now.unix);
        let letter = PendingLetter { queue_id, id, sender, recipient, accepted_at, packet };
        let letter = Arc::new(letter);
        let (is_given, can_wait) = self.give_if_next(ctx, &letter);
        if is_given && can_wait {
            self.in_hand.hold_back(letter, ctx.now.instant);
        } else {
            self.in_hand.accept(&letter, is_given);
            ctx.storage.write(Write::InsertLetter(letter));
        }
    }

    /// A letter that was accepted goes straight out when its reader is here, and it is the next.
    /// Whether it does, and whether storage can wait, because the client keeps up.
    fn give_if_next(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        letter: &PendingLetter,
    ) -> (bool, bool) {
        let Some(reader) = self.readers.get_mut(&letter.recipient) else { return (false, false) };
        // As long as storage is in trouble nothing goes out that it has not taken.
        let goes_out = if ctx.storage.is_in_trouble() {
            reader.window.fall_behind();
            false
        } else {
            reader.window.admits(letter)
        };
        let keeps_up = reader.window.keeps_up();
        if goes_out {
            reader.window.give(letter, ctx.now.instant);
            ctx.send(reader.conn, letter.packet.clone());
        }
        self.hand_over(ctx, letter.recipient);
        (goes_out, keeps_up)
    }

    // ---- A letter goes out ----

    /// A user has a new session, whose client takes so many letters at once. An older one has ended.
    pub(super) fn begin(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
        conn: ConnId,
        window: u8,
    ) {
        let window = Window::new(window, self.places.last(), ctx.now.instant);
        self.readers.insert(user, Box::new(Reader { conn, window, armed: None }));
        self.hand_over(ctx, user);
    }

    /// A user's session is over. The next one finds in storage what this one did not acknowledge.
    pub(super) fn end(&mut self, ctx: &mut Ctx<'_, impl Provider>, user: UserId) {
        let Some(reader) = self.readers.remove(&user) else { return };
        self.timers.disarm(user, reader.armed);
        let released = self.in_hand.session_ended(user, reader.window.unacknowledged());
        released.into_iter().for_each(|letter| ctx.storage.write(Write::InsertLetter(letter)));
    }

    /// Hands over what the window has room for.
    fn hand_over(&mut self, ctx: &mut Ctx<'_, impl Provider>, user: UserId) {
        let Some(reader) = self.readers.get_mut(&user) else { return };
        if reader.window.wants_more() {
            let overcounts = self.in_hand.defers_deleting_from(user);
            match self.mailboxes.open(user, ctx.storage, overcounts).is_empty() {
                // Once it is known whether there are letters.
                None => {}
                Some(true) => reader.window.nothing_lies_there(),
                Some(false) => {
                    let question = reader.window.fetch(user);
                    ctx.storage.ask(Asker::Fetch(user, reader.conn), question);
                }
            }
        }
        if let Some(count) = reader.window.backlog_end() {
            ctx.tell(Note::BacklogEnd { conn: reader.conn, count });
        }
        let deadline = reader.window.deadline(&ctx.config.deadlines);
        let deadline = deadline.map(|at| at.max(ctx.now.instant));
        self.timers.arm(user, &mut reader.armed, deadline);
    }

    /// Storage has brought letters for a session.
    pub(super) fn fetched(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        (user, conn): (UserId, ConnId),
        letters: Vec<PendingLetter>,
        exhausted: bool,
    ) {
        let Some(reader) = self.readers.get_mut(&user) else { return };
        if reader.conn != conn {
            return;
        }
        for letter in letters {
            if self.in_hand.is_acknowledged(letter.queue_id) {
                reader.window.pass(letter.queue_id);
                continue;
            }
            reader.window.give(&letter, ctx.now.instant);
            self.in_hand.hand_over(&letter);
            ctx.send(conn, letter.packet);
        }
        reader.window.fetched(exhausted);
        self.hand_over(ctx, user);
    }

    /// Storage has not brought letters. They are fetched together with whatever it could not do.
    pub(super) fn not_fetched(&mut self, user: UserId, conn: ConnId) {
        if let Some(reader) = self.readers.get_mut(&user).filter(|reader| reader.conn == conn) {
            reader.window.fetched(false);
        }
    }

    /// Storage has said how full a mailbox is.
    pub(super) fn mailbox_known(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        owner: UserId,
        usage: Vec<SenderUsage>,
    ) {
        let waiting = self.mailboxes.learn(owner, usage, &ctx.config.mailbox);
        self.hand_over(ctx, owner);
        for waiting in waiting {
            self.serve(ctx, owner, waiting);
        }
        // What storage counted may have been deleted since.
        self.recount_mailbox(owner);
    }

    /// Storage could not say it: what waits is refused, and the next use asks again. The owner's
    /// session, which waits for its letters, does so together with whatever storage could not do.
    pub(super) fn mailbox_unknown(&mut self, ctx: &mut Ctx<'_, impl Provider>, owner: UserId) {
        let Some(mailbox) = self.mailboxes.forget(owner) else { return };
        if self.readers.contains_key(&owner) {
            ctx.storage.in_trouble(ctx.now.instant);
        }
        turn_away_all(ctx, mailbox.into_waiting());
    }

    // ---- A user who goes ----

    /// A user who has no session any more is to be removed. What waits for the mailbox must not get
    /// into it.
    pub(super) fn close_mailbox(&mut self, ctx: &mut Ctx<'_, impl Provider>, owner: UserId) {
        if let Some(mailbox) = self.mailboxes.get_mut(owner) {
            turn_away_all(ctx, mailbox.take_waiting());
        }
    }

    /// A user is removed.
    pub(super) fn forget(&mut self, user: UserId) {
        self.mailboxes.remove(user);
    }

    /// A user has these limits from now on.
    pub(super) fn set_limits(
        &mut self,
        ctx: &Ctx<'_, impl Provider>,
        user: UserId,
        limits: OwnLimits,
    ) {
        self.mailboxes.set_limits(user, limits, &ctx.config.mailbox);
    }

    /// How full the mailboxes are, and what one sender has in one of them.
    pub(super) fn fullness(&self) -> (Fullness, Fullness) {
        self.mailboxes.fullness()
    }

    /// What became of letters.
    pub(super) const fn outcomes(&self) -> Outcomes {
        self.outcomes
    }

    /// Letters that a user has been given and has not acknowledged.
    pub(super) fn unacknowledged(&self, user: UserId) -> usize {
        self.readers.get(&user).map_or(0, |reader| reader.window.unacknowledged().count())
    }

    // ---- What becomes of a letter ----

    /// A letter is acknowledged, or its commit has ended: it is counted out if it does not count any
    /// more. Gives the bytes that its sender has pending no more. How a letter is counted out that
    /// expires is in [`Self::expired`].
    fn happens(
        &mut self,
        ctx: &Ctx<'_, impl Provider>,
        letter: QueueId,
        event: LetterEvent,
    ) -> Option<(Change, Freed)> {
        let change = self.in_hand.change(letter, event)?;
        let in_hand::Letter { queue_id, sender, recipient, bytes, .. } = change.letter;
        if change.is_counted_out {
            let gone = Gone { queue_id, recipient, sender, bytes };
            self.mailboxes.removed(ctx.storage.turn(), gone, &ctx.config.mailbox);
        }
        Some((change, change.is_counted_out.then_some(bytes)))
    }

    /// The client of a session holds these letters.
    pub(super) fn acknowledged(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
        held: HeldLetters<'_>,
    ) {
        let now = ctx.now.instant;
        let Some(reader) = self.readers.get_mut(&user) else { return };
        let held: Vec<_> = held.filter_map(|id| reader.window.acknowledge(id, now)).collect();
        let counts = counts(ctx, user);
        for letter in held {
            let Some((change, freed)) = self.happens(ctx, letter, LetterEvent::Acknowledged) else {
                continue;
            };
            match change.before.location {
                Location::Expired => continue,
                Location::HeldBack => {
                    self.outcomes.forwarded = self.outcomes.forwarded.saturating_add(counts);
                    self.in_hand.take_back(letter);
                    self.commit_ended(user);
                }
                Location::Storing | Location::Stored => ctx.storage.delete(user, letter),
                _ => {}
            }
            let in_hand::Letter { sender, id, accepted_at, .. } = change.letter;
            self.outcomes.delivered = self.outcomes.delivered.saturating_add(counts);
            let took = ctx.now.unix.minus(accepted_at);
            if counts > 0 {
                // A clock that was set back meanwhile.
                self.outcomes.times.count(u64::try_from(took).unwrap_or_default());
            }
            ctx.post_to_owner(sender, Message::Delivered { sender, id, freed });
        }
        self.recount_mailbox(user);
        self.hand_over(ctx, user);
    }

    /// A letter is stored: its sender hears of it, unless its recipient was quicker.
    pub(super) fn stored(&mut self, ctx: &mut Ctx<'_, impl Provider>, letter: &PendingLetter) {
        self.outcomes.stored = self.outcomes.stored.saturating_add(counts(ctx, letter.recipient));
        self.commit_answered(ctx, letter, LetterEvent::Stored, Ok(Status::Stored));
    }

    /// A letter could not be stored: nothing was accepted. Its recipient may hold it all the same.
    pub(super) fn refused(&mut self, ctx: &mut Ctx<'_, impl Provider>, letter: &PendingLetter) {
        let fate = Err(ErrorCode::StorageUnavailable);
        self.commit_answered(ctx, letter, LetterEvent::Refused, fate);
    }

    fn commit_answered(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        letter: &PendingLetter,
        event: LetterEvent,
        fate: Result<Status, ErrorCode>,
    ) {
        let PendingLetter { queue_id, id, sender, recipient, .. } = *letter;
        self.commit_ended(recipient);
        let happened = self.happens(ctx, queue_id, event);
        if self.in_hand.defers_deleting(recipient, queue_id) {
            self.deletion_is_deferred(recipient);
            ctx.storage.in_trouble(ctx.now.instant);
        }
        self.recount_mailbox(recipient);
        if let Some((Change { before, .. }, freed)) = happened
            && before.location == Location::Storing
            && before.recipient != Recipient::Holds
        {
            ctx.post_to_owner(sender, Message::Answer { sender, id, fate, freed });
        }
    }

    fn commit_ended(&mut self, recipient: UserId) {
        if let Some(mailbox) = self.mailboxes.get_mut(recipient) {
            mailbox.committed();
        }
    }

    /// Letters are deleted.
    pub(super) fn deleted(
        &mut self,
        ctx: &Ctx<'_, impl Provider>,
        recipient: UserId,
        letters: &[QueueId],
    ) {
        let (last, oldest) = (ctx.storage.last_ticket(), ctx.storage.oldest_question());
        for letter in letters {
            self.in_hand.deleted(*letter, last, oldest);
        }
        self.recount_mailbox(recipient);
    }

    /// Letters could not be deleted: storage is told again.
    pub(super) fn not_deleted(&mut self, recipient: UserId, letters: &[QueueId]) {
        for letter in letters {
            self.in_hand.change(*letter, LetterEvent::NotDeleted);
        }
        // What was not stored cannot be deleted, and does not count.
        if self.in_hand.defers_deleting_from(recipient) {
            self.deletion_is_deferred(recipient);
        }
    }

    /// Storage holds letters of this mailbox that do not count any more.
    fn deletion_is_deferred(&mut self, recipient: UserId) {
        if let Some(mailbox) = self.mailboxes.get_mut(recipient) {
            mailbox.overcounts();
        }
    }

    /// A question has its answer: what was deleted before it was asked can be forgotten.
    pub(super) fn answered(&mut self, ctx: &Ctx<'_, impl Provider>) {
        self.in_hand.forget_deleted(ctx.storage.oldest_question());
    }

    /// Storage has thrown letters out, for their age or for damage.
    pub(super) fn expired(&mut self, ctx: &mut Ctx<'_, impl Provider>, letters: &[ExpiredLetter]) {
        for letter in letters {
            let ExpiredLetter { queue_id, id, sender, recipient, bytes } = *letter;
            let counted = self.in_hand.expire(queue_id);
            let gone = Gone { queue_id, recipient, sender, bytes };
            self.mailboxes.expired(gone, counted, &ctx.config.mailbox);
            if counted {
                self.outcomes.expired =
                    self.outcomes.expired.saturating_add(counts(ctx, recipient));
                ctx.post_to_owner(sender, Message::Expired { sender, id, freed: Some(bytes) });
            }
        }
    }

    /// Forgets counters that are too high, as soon as they would be right when they are learnt
    /// again.
    fn recount_mailbox(&mut self, owner: UserId) {
        let Some(mailbox) = self.mailboxes.get_mut(owner) else { return };
        if mailbox.is_to_be_recounted() && !self.in_hand.defers_deleting_from(owner) {
            self.mailboxes.forget(owner);
        }
    }

    // ---- Time ----

    /// When something has been held back for long enough, a reader has kept letters for too long, or
    /// letters are to expire.
    pub(super) fn wait_until(&self) -> Option<Instant> {
        let held_back = self.in_hand.held_back_until();
        [Some(self.expire_at), held_back, self.timers.next()].into_iter().flatten().min()
    }

    /// Letters that were held back for long enough by then are to be stored.
    pub(super) fn release_due(&mut self, ctx: &mut Ctx<'_, impl Provider>, then: Instant) {
        while let Some(letter) = self.in_hand.pop_due(then) {
            ctx.storage.write(Write::InsertLetter(letter));
        }
    }

    /// Something large is coming in from a user: an acknowledgment may be behind it.
    pub(super) fn line_is_busy(&mut self, now: Instant, user: UserId) {
        if let Some(reader) = self.readers.get_mut(&user) {
            reader.window.line_is_busy(now);
        }
    }

    /// The session of a user who has kept letters for too long without acknowledging any.
    pub(super) fn next_late(&mut self, ctx: &Ctx<'_, impl Provider>) -> Option<ConnId> {
        let now = ctx.now.instant;
        while let Some(user) = self.timers.pop_due(now) {
            let Some(reader) = self.readers.get_mut(&user) else { continue };
            reader.armed = None;
            let deadline = reader.window.deadline(&ctx.config.deadlines);
            if deadline.is_some_and(|at| at <= now) {
                return Some(reader.conn);
            }
            self.timers.arm(user, &mut reader.armed, deadline);
        }
        None
    }

    /// The configuration has changed.
    pub(super) fn configure(&mut self, ctx: &Ctx<'_, impl Provider>) {
        let next = ctx.now.instant.after(Self::expiry_interval(ctx));
        self.expire_at = self.expire_at.min(next);
        self.mailboxes.limits_have_changed(&ctx.config.mailbox);
    }

    fn expiry_interval(ctx: &Ctx<'_, impl Provider>) -> Duration {
        ctx.config.expiry_interval.max(Self::SHORTEST_EXPIRY_INTERVAL)
    }

    /// Tries again what storage could not do.
    pub(super) fn retry(&mut self, ctx: &mut Ctx<'_, impl Provider>) {
        for (recipient, letter) in self.in_hand.retry() {
            ctx.storage.delete(recipient, letter);
        }
        let users: Vec<_> = self.readers.keys().copied().collect();
        for user in users {
            self.hand_over(ctx, user);
        }
    }

    /// Whether storage is to be told something again that it could not do.
    pub(super) fn defers_writes(&self) -> bool {
        self.in_hand.has_deferred()
    }

    /// Whether letters are held back from storage.
    pub(super) fn holds_back(&self) -> bool {
        self.in_hand.held_back_until().is_some()
    }

    /// Whether it is time to look for what has expired.
    pub(super) fn expiry_is_due(&self, now: Instant) -> bool {
        self.expire_at <= now
    }

    /// Has storage look for letters that have expired, and forgets counters that nobody needs.
    pub(super) fn expire(&mut self, ctx: &mut Ctx<'_, impl Provider>) {
        self.expire_at = ctx.now.instant.after(Self::expiry_interval(ctx));
        if !self.in_hand.has_deferred() {
            let readers = &self.readers;
            self.mailboxes.forget_at_rest(|owner| readers.contains_key(&owner));
        }
        if core::mem::replace(&mut self.expiring, true) {
            return;
        }
        let before = |life: Duration| {
            let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
            ctx.now.unix.shifted(seconds.saturating_neg())
        };
        let question = Question::Expire {
            shard: ctx.shard,
            accepted_before: before(ctx.config.letter_life),
            forget_before: before(ctx.config.fate_life),
            now: ctx.now.unix,
            limit: Self::EXPIRE_AT_ONCE,
        };
        ctx.storage.ask(Asker::Expiry, question);
    }

    /// Storage has looked for letters that have expired; `None` if it could not.
    pub(super) fn looked_for_expired(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        letters: Option<&[ExpiredLetter]>,
    ) {
        self.expiring = false;
        let letters = letters.unwrap_or_default();
        if !letters.is_empty() {
            ctx.event(Event::Expired { letters: letters.len() });
            self.expired(ctx, letters);
        }
        if may_be_more(letters, Self::EXPIRE_AT_ONCE) {
            self.expire_at = ctx.now.instant;
        }
    }

    // ---- For the simulation ----

    /// What counts for senders in the mailboxes of this shard: letter by letter, its sender and the
    /// bytes of its packet. An error is somebody whose mailbox has other counters than its letters make,
    /// or of whom a letter is in hand in a state that is wrong.
    #[cfg(feature = "testing")]
    pub(super) fn audit(
        &self,
        shard: Shard,
        storage: &StorageQueue,
        stored: &Stored,
    ) -> Result<Vec<(UserId, u64)>, UserId> {
        let letters = audit::counting(&self.in_hand, shard, stored);
        let miscounted = audit::miscounted(&self.mailboxes, &letters, &stored.unsettled);
        let is_given = |letter: &in_hand::Letter| {
            let reader = self.readers.get(&letter.recipient);
            reader
                .is_some_and(|reader| reader.window.unacknowledged().any(|l| l == letter.queue_id))
        };
        let astray = || audit::astray(&self.in_hand, storage, is_given);
        let not_recounted = || audit::not_recounted(&self.mailboxes, &self.in_hand);
        if let Some(owner) = miscounted.or_else(astray).or_else(not_recounted) {
            return Err(owner);
        }
        Ok(letters
            .iter()
            .map(|letter| (letter.sender, letter.bytes))
            .chain(self.mailboxes.waiting())
            .collect())
    }

    /// The states of letters in hand that there were.
    #[cfg(feature = "testing")]
    pub(super) const fn letter_states(&self) -> &BTreeSet<LetterState> {
        self.in_hand.seen()
    }
}

/// What a letter to this user adds to the counts: nothing if it is for an account of the server itself.
fn counts(ctx: &Ctx<'_, impl Provider>, recipient: UserId) -> u64 {
    u64::from(!ctx.own_accounts.has(recipient))
}

/// Storage does not say how full the mailbox is that these wait for.
fn turn_away_all(ctx: &mut Ctx<'_, impl Provider>, all: Vec<Waiting>) {
    let code = ErrorCode::StorageUnavailable;
    for waiting in all {
        match waiting {
            Waiting::Letter(letter) => turn_away(ctx, &letter, code),
            Waiting::Question { inquiry: Inquiry { conn, packet, .. }, .. } => {
                let refused = Refused::naming(code, Op::KeyQuestion, packet);
                ctx.tell(Note::Refuse { conn, refused });
            }
        }
    }
}

/// A letter does not get into its mailbox.
fn turn_away(ctx: &mut Ctx<'_, impl Provider>, letter: &Letter, code: ErrorCode) {
    let Letter { id, sender, .. } = *letter;
    let freed = u64::try_from(letter.packet.len()).ok();
    ctx.post_to_owner(sender, Message::Answer { sender, id, fate: Err(code), freed });
}
