//! The letters that a machine has in hand.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashMap;

use super::super::storage::{PendingLetter, QueueId, Ticket};
use super::letter::{After, Event, Location, Recipient, State};
use crate::id::{PacketId, UserId};
use crate::time::{Instant, UnixTime};

/// A letter, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letter {
    pub(super) queue_id: QueueId,
    pub(super) id: PacketId,
    pub(super) sender: UserId,
    pub(super) recipient: UserId,
    pub(super) accepted_at: UnixTime,
    /// Of its packet.
    pub(super) bytes: u64,
}

/// What an event has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) letter: Letter,
    pub(super) before: State,
    /// Whether it counts no more, and did before.
    pub(super) is_counted_out: bool,
}

/// The letters in hand, each with its state.
#[derive(Debug, Default)]
pub(super) struct InHand {
    letters: HashMap<QueueId, (Letter, State)>,
    /// Those that are held back, in the order of their places, with the moment at which they are to be
    /// stored.
    held_back: VecDeque<(Instant, Arc<PendingLetter>)>,
    /// Those that storage is yet to be told again to delete, mailbox by mailbox.
    deferred: BTreeSet<(UserId, QueueId)>,
    /// Those that are deleted, and the last question that may have been asked before.
    deleted: VecDeque<(Ticket, QueueId)>,
    /// The states that there were.
    #[cfg(feature = "testing")]
    seen: BTreeSet<State>,
}

impl Letter {
    pub(super) fn of(letter: &PendingLetter) -> Self {
        let PendingLetter { queue_id, id, sender, recipient, accepted_at, packet } = letter;
        let (queue_id, id, sender, recipient) = (*queue_id, *id, *sender, *recipient);
        let bytes = u64::try_from(packet.len()).unwrap_or(u64::MAX);
        Self { queue_id, id, sender, recipient, accepted_at: *accepted_at, bytes }
    }
}

impl InHand {
    /// How long a letter that its recipient has been given may stay out of storage.
    const HOLD: Duration = Duration::from_millis(2);

    /// A letter was accepted, and goes into the next batch.
    pub(super) fn accept(&mut self, letter: &PendingLetter, is_given: bool) {
        let recipient = if is_given { Recipient::IsGiven } else { Recipient::Waits };
        self.put(Letter::of(letter), State::new(Location::Storing, recipient));
    }

    /// A letter was accepted that its recipient has been given: it is held back.
    pub(super) fn hold_back(&mut self, letter: Arc<PendingLetter>, now: Instant) {
        self.put(Letter::of(&letter), State::new(Location::HeldBack, Recipient::IsGiven));
        self.held_back.push_back((now.after(Self::HOLD), letter));
    }

    /// A letter that lies in storage goes out.
    pub(super) fn hand_over(&mut self, letter: &PendingLetter) {
        if self.change(letter.queue_id, Event::HandedOver).is_none() {
            self.put(Letter::of(letter), State::new(Location::Stored, Recipient::IsGiven));
        }
    }

    /// Something happens to a letter. `None` if it is not in hand.
    pub(super) fn change(&mut self, letter: QueueId, event: Event) -> Option<Change> {
        let (letter, before) = *self.letters.get(&letter)?;
        let after = before.after(event);
        match after {
            After::InHand(state) => self.put(letter, state),
            After::OnlyStored | After::Gone => {
                self.letters.remove(&letter.queue_id);
            }
        }
        let deletion = (letter.recipient, letter.queue_id);
        if after == After::InHand(State::new(Location::DeletionDeferred, Recipient::Holds)) {
            self.deferred.insert(deletion);
        } else if before.location == Location::DeletionDeferred {
            self.deferred.remove(&deletion);
        }
        let is_counted_out = before.counts() && !after.counts();
        Some(Change { letter, before, is_counted_out })
    }

    /// Storage has thrown a letter out. Whether it counted until now: one that is not in hand only lay
    /// in storage, and did.
    pub(super) fn expire(&mut self, letter: QueueId) -> bool {
        self.change(letter, Event::Expired).is_none_or(|change| change.is_counted_out)
    }

    /// Whether its recipient holds a letter, so that it is not to be handed over again.
    pub(super) fn is_acknowledged(&self, letter: QueueId) -> bool {
        self.letters.get(&letter).is_some_and(|(_, state)| state.recipient == Recipient::Holds)
    }

    /// Whether this sender has written a letter in hand.
    pub(super) fn is_from(&self, letter: QueueId, sender: UserId) -> bool {
        self.letters.get(&letter).is_some_and(|(letter, _)| letter.sender == sender)
    }

    /// Takes back a letter that is held back: it is never stored.
    pub(super) fn take_back(&mut self, letter: QueueId) {
        let at = self.held_back.binary_search_by_key(&letter, |(_, held)| held.queue_id);
        if let Ok(at) = at {
            self.held_back.remove(at);
        }
    }

    /// The next letter that has been held back for long enough.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Arc<PendingLetter>> {
        self.held_back.front().filter(|(until, _)| *until <= now)?;
        let (_, letter) = self.held_back.pop_front()?;
        self.change(letter.queue_id, Event::Released);
        Some(letter)
    }

    /// When the next letter has been held back for long enough.
    pub(super) fn held_back_until(&self) -> Option<Instant> {
        self.held_back.front().map(|(until, _)| *until)
    }

    /// The session in which these letters were handed over is over. Gives out those that were held back
    /// for it.
    pub(super) fn session_ended(
        &mut self,
        recipient: UserId,
        letters: impl Iterator<Item = QueueId>,
    ) -> Vec<Arc<PendingLetter>> {
        for letter in letters {
            self.change(letter, Event::SessionEnded);
        }
        let mut released = Vec::new();
        self.held_back.retain(|(_, letter)| {
            let stays = letter.recipient != recipient;
            if !stays {
                released.push(letter.clone());
            }
            stays
        });
        released
    }

    /// A letter was deleted. Questions up to this one may have been asked before, and as long as the
    /// `oldest` without an answer is not later, the letter is remembered.
    pub(super) fn deleted(&mut self, letter: QueueId, last: Ticket, oldest: Option<Ticket>) {
        if self.change(letter, Event::Deleted).is_some() {
            self.deleted.push_back((last, letter));
            self.forget_deleted(oldest);
        }
    }

    /// Forgets the deleted letters that no answer can speak of any more.
    pub(super) fn forget_deleted(&mut self, oldest: Option<Ticket>) {
        while let Some((last, letter)) = self.deleted.front()
            && oldest.is_none_or(|oldest| oldest > *last)
        {
            self.letters.remove(letter);
            self.deleted.pop_front();
        }
    }

    /// Whether storage is yet to be told again to delete this letter of this recipient's.
    pub(super) fn defers_deleting(&self, owner: UserId, letter: QueueId) -> bool {
        self.deferred.contains(&(owner, letter))
    }

    /// Whether storage is yet to be told again to delete letters of this recipient's.
    pub(super) fn defers_deleting_from(&self, owner: UserId) -> bool {
        let first = self.deferred.range((owner, QueueId(0))..).next();
        first.is_some_and(|(recipient, _)| *recipient == owner)
    }

    /// Whether storage is yet to be told again to delete letters.
    pub(super) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// The letters that storage is to be told now to delete, mailbox by mailbox.
    pub(super) fn retry(&mut self) -> BTreeSet<(UserId, QueueId)> {
        let deferred = self.deferred.clone();
        for (_, letter) in &deferred {
            self.change(*letter, Event::Retried);
        }
        deferred
    }

    fn put(&mut self, letter: Letter, state: State) {
        #[cfg(feature = "testing")]
        {
            debug_assert!(State::POSSIBLE.contains(&state), "{state:?}");
            self.seen.insert(state);
        }
        self.letters.insert(letter.queue_id, (letter, state));
    }

    /// The letters in hand, with their states.
    #[cfg(feature = "testing")]
    pub(super) fn letters(&self) -> impl Iterator<Item = &(Letter, State)> {
        self.letters.values()
    }

    /// The state of a letter.
    #[cfg(feature = "testing")]
    pub(super) fn state(&self, letter: QueueId) -> Option<State> {
        self.letters.get(&letter).map(|(_, state)| *state)
    }

    /// The states that there were.
    #[cfg(feature = "testing")]
    pub(super) const fn seen(&self) -> &BTreeSet<State> {
        &self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: QueueId = QueueId(7);

    fn letter() -> PendingLetter {
        let user = |id| UserId::new(id).unwrap();
        PendingLetter {
            queue_id: PLACE,
            id: PacketId([7; 16]),
            sender: user(1),
            recipient: user(2),
            accepted_at: UnixTime::from_seconds(0),
            packet: Arc::from([0; 9]),
        }
    }

    #[test]
    fn a_deleted_letter_is_known_as_long_as_an_answer_may_speak_of_it() {
        let mut letters = InHand::default();
        letters.hand_over(&letter());
        letters.change(PLACE, Event::Acknowledged);
        letters.deleted(PLACE, Ticket(5), Some(Ticket(4)));
        for (oldest, is_known) in [(Some(4), true), (Some(5), true), (Some(8), false)] {
            letters.forget_deleted(oldest.map(Ticket));
            assert_eq!(letters.is_acknowledged(PLACE), is_known, "{oldest:?}");
        }
        letters.hand_over(&letter());
        letters.change(PLACE, Event::Acknowledged);
        letters.deleted(PLACE, Ticket(9), None);
        assert!(!letters.is_acknowledged(PLACE), "no answer is to come");
    }
}
