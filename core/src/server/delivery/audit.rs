//! For the simulation: what the counters of mailboxes should say.

use alloc::vec::Vec;

use hashbrown::HashSet;

use super::super::count::Count;
use super::super::shard::Shard;
use super::super::storage::QueueId;
use super::super::storage_queue::StorageQueue;
use super::in_hand::{InHand, Letter};
use super::letter::{Location, Recipient, State};
use super::mailbox::Mailbox;
use super::mailboxes::Mailboxes;
use crate::id::UserId;

/// A letter that counts in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// Whose mailbox it is in.
    pub recipient: UserId,
    /// The id of the user who sent the letter.
    pub sender: UserId,
    /// The place of the letter in its mailbox.
    pub letter: QueueId,
    /// Bytes of its packet.
    pub bytes: u64,
}

/// What storage holds, and what it has done of which the server has or has not heard.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The letters in storage, and those that it has thrown out without having said so.
    pub letters: Vec<Counted>,
    /// Letters that it has thrown out, and has said so. How their own commit ended may be told later.
    pub thrown_out: Vec<QueueId>,
    /// Mailboxes from which it has refused to delete letters, and has not said so: what they should
    /// count is not settled.
    pub unsettled: Vec<UserId>,
}

/// The letters that count in the mailboxes of this shard, mailbox by mailbox and sender by sender.
pub(super) fn counting(in_hand: &InHand, shard: Shard, stored: &Stored) -> Vec<Counted> {
    let thrown_out: HashSet<QueueId> = stored.thrown_out.iter().copied().collect();
    let on_the_way = in_hand.letters().filter(|(_, state)| {
        matches!(state.location, Location::HeldBack | Location::Storing) && state.counts()
    });
    let on_the_way = on_the_way.map(|(letter, _)| Counted {
        recipient: letter.recipient,
        sender: letter.sender,
        letter: letter.queue_id,
        bytes: letter.bytes,
    });
    let counts = |letter: &&Counted| {
        let is_owned = shard.owns(letter.recipient);
        is_owned && in_hand.state(letter.letter).is_none_or(|state| state.counts())
    };
    let lying = stored.letters.iter().filter(counts).copied();
    let mut letters: Vec<Counted> = on_the_way.chain(lying).collect();
    letters.retain(|letter| !thrown_out.contains(&letter.letter));
    letters.sort_unstable();
    letters.dedup();
    letters
}

/// A mailbox whose counters are known and are not the sum of these letters; `None` when all are.
pub(super) fn miscounted(
    mailboxes: &Mailboxes,
    letters: &[Counted],
    unsettled: &[UserId],
) -> Option<UserId> {
    let is_wrong = |(owner, mailbox): &(UserId, &Mailbox)| {
        let begin = letters.partition_point(|letter| letter.recipient < *owner);
        let rest = letters.get(begin..).unwrap_or_default();
        let end = rest.partition_point(|letter| letter.recipient == *owner);
        let is_settled = !unsettled.contains(owner);
        is_settled && !is_sum(mailbox, rest.get(..end).unwrap_or_default())
    };
    mailboxes.known().find(is_wrong).map(|(owner, _)| owner)
}

/// Whose letter in hand is in a state in which nothing more would happen to it, or says something else
/// of its recipient than the window, which knows what is given; `None` when all are right.
pub(super) fn astray(
    in_hand: &InHand,
    storage: &StorageQueue,
    is_given: impl Fn(&Letter) -> bool,
) -> Option<UserId> {
    let is_right = |letter: &Letter, state: &State| {
        let goes_on = match state.location {
            Location::HeldBack => in_hand.held_back_until().is_some(),
            Location::Storing | Location::StoringNotDeleted | Location::Deleting => {
                storage.has_writes()
            }
            Location::DeletionDeferred => storage.is_in_trouble(),
            Location::Deleted => storage.oldest_question().is_some(),
            Location::Stored | Location::Refused | Location::Expired => true,
        };
        goes_on && is_given(letter) == (state.recipient == Recipient::IsGiven)
    };
    let astray = in_hand.letters().find(|(letter, state)| !is_right(letter, state));
    astray.map(|(letter, _)| letter.recipient)
}

/// A mailbox whose counters are too high and stay so, though nothing is being deleted from it.
pub(super) fn not_recounted(mailboxes: &Mailboxes, in_hand: &InHand) -> Option<UserId> {
    let being_deleted = in_hand.letters().filter(|(_, state)| {
        matches!(
            state.location,
            Location::StoringNotDeleted | Location::Deleting | Location::DeletionDeferred
        )
    });
    let owners: HashSet<UserId> = being_deleted.map(|(letter, _)| letter.recipient).collect();
    mailboxes.to_be_recounted().find(|owner| !owners.contains(owner))
}

/// Whether a mailbox's counters are the sum of these letters, which come sender by sender.
fn is_sum(mailbox: &Mailbox, letters: &[Counted]) -> bool {
    let (mut total, mut senders) = (Count::default(), 0);
    for letters in letters.chunk_by(|one, other| one.sender == other.sender) {
        let mut count = Count::default();
        letters.iter().for_each(|letter| count.add(letter.bytes));
        letters.iter().for_each(|letter| total.add(letter.bytes));
        let is_right =
            letters.first().is_some_and(|one| mailbox.by_sender().of(one.sender) == count);
        senders = usize::saturating_add(senders, is_right.into());
    }
    mailbox.total() == total && mailbox.by_sender().len() == senders
}
