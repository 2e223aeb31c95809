//! For the simulation: what the counters of mailboxes should say.

use alloc::vec::Vec;

use hashbrown::HashSet;

use super::Server;
use super::mailbox::Mailbox;
use super::pending::Count;
use super::storage::QueueId;
use crate::crypto::Provider;
use crate::id::UserId;

/// A letter that counts in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// Whose mailbox it is in.
    pub recipient: UserId,
    /// Who sent it.
    pub sender: UserId,
    /// Its place.
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

impl<P: Provider> Server<P> {
    /// A mailbox of this shard whose counters are known and are not those of the letters that storage
    /// holds or the server has in hand; `None` when all are right.
    pub fn miscounted(&self, stored: &Stored) -> Option<UserId> {
        let mut gone: HashSet<QueueId> = self.storage.deleting(&[]);
        gone.extend(self.expiring.iter().flatten());
        gone.extend(&stored.thrown_out);
        let in_hand = self.storage.letters().map(|letter| Counted {
            recipient: letter.recipient,
            sender: letter.sender,
            letter: letter.queue_id,
            bytes: letter.packet.len() as u64,
        });
        let owned = stored.letters.iter().filter(|letter| self.shard.owns(letter.recipient));
        let counts = in_hand.chain(owned.copied()).filter(|letter| !gone.contains(&letter.letter));
        let mut letters: Vec<Counted> = counts.collect();
        letters.sort_unstable();
        letters.dedup();
        let is_wrong = |(owner, mailbox): &(UserId, &Mailbox)| {
            let begin = letters.partition_point(|letter| letter.recipient < *owner);
            let rest = letters.get(begin..).unwrap_or_default();
            let end = rest.partition_point(|letter| letter.recipient == *owner);
            let is_settled = !stored.unsettled.contains(owner);
            is_settled && !mailbox.counts(rest.get(..end).unwrap_or_default())
        };
        self.mailboxes.known().find(is_wrong).map(|(owner, _)| owner)
    }
}

impl Mailbox {
    /// Whether its counters are the sum of these letters, which come sender by sender.
    fn counts(&self, letters: &[Counted]) -> bool {
        let (mut total, mut senders) = (Count::default(), 0);
        for letters in letters.chunk_by(|one, other| one.sender == other.sender) {
            let mut count = Count::default();
            letters.iter().for_each(|letter| count.add(letter.bytes));
            letters.iter().for_each(|letter| total.add(letter.bytes));
            let is_right = letters.first().is_some_and(|one| self.of(one.sender) == count);
            senders = usize::saturating_add(senders, is_right.into());
        }
        self.total() == total && self.senders() == senders
    }
}
