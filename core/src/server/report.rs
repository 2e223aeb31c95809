//! What an operator can see of a machine.

use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashSet;

use super::peer::AddressPrefix;
use super::storage::{Snapshot, Write};
use crate::id::UserId;
use crate::phone::Phone;

/// The state of a machine in numbers. All of them are of this shard alone. What is counted is counted
/// since the machine began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Connections that are open, sessions included.
    pub connections: usize,
    /// Sessions that are confirmed.
    pub sessions: usize,
    /// Users whom this shard owns, but for accounts of the server itself.
    pub users: usize,
    /// Users of these whom the operator keeps out.
    pub suspended: usize,
    /// Bytes of packets that have not come as a whole, or wait for their turn.
    pub half_received_bytes: usize,
    /// Letters that are pending, of senders whom this shard owns, but for accounts of the server itself.
    pub pending_letters: u64,
    /// Bytes of their packets.
    pub pending_bytes: u64,
    /// How full the mailboxes are of users whom this shard owns.
    pub mailboxes: Fullness,
    /// How full what one sender may have in one of these mailboxes is.
    pub pairs: Fullness,
    /// How full what senders whom this shard owns may have in all mailboxes together is.
    pub senders: Fullness,
    /// Batches that storage has and has not carried out.
    pub unsettled_batches: usize,
    /// How long ago the oldest of them was given out; `None` if there is none.
    pub oldest_unsettled: Option<Duration>,
    /// Questions that storage has and has not answered.
    pub open_questions: usize,
    /// Whether storage has refused something that is yet to be tried again.
    pub storage_is_in_trouble: bool,
    /// One-time passwords that can still go out today. The registrar alone knows it.
    pub codes_left: Option<u32>,
    /// Ids that a new user can get. The registrar alone knows it.
    pub free_ids: Option<usize>,
    /// Letters that senders whom this shard owns have handed in. Accounts of the server itself are no
    /// senders here, and no recipients below.
    pub handed_in: HandedIn,
    /// What became of letters to users whom this shard owns.
    pub outcomes: Outcomes,
    /// One-time passwords, where this shard is the registrar.
    pub codes: Codes,
    /// Operations with the private key of the server.
    pub private_operations: PrivateOperations,
}

/// How full things are that hold so many letters, or bytes of them, and no more. Of mailboxes, those count that
/// somebody has used since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fullness {
    /// How full the fullest is, in percent; 0 if none is half full.
    pub fullest_percent: u8,
    /// How many are at least [`Self::NEARLY`] percent full.
    pub nearly_full: usize,
}

impl Fullness {
    /// What is so full, in percent, is nearly full.
    pub const NEARLY: u8 = 80;
}

/// Letters that senders have handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandedIn {
    /// Letters that went on to the mailbox of their recipient.
    pub submitted: u64,
    /// Copies of letters that had come a short time before.
    pub repeated: u64,
    /// Letters that were refused, here or at the mailbox.
    pub refused: u64,
}

/// What became of letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Letters that storage has taken.
    pub stored: u64,
    /// Letters that their recipients acknowledged.
    pub delivered: u64,
    /// Those of them that were acknowledged so quickly that they were never stored.
    pub forwarded: u64,
    /// Letters that were thrown out undelivered.
    pub expired: u64,
    /// How long letters took from their acceptance to their acknowledgment.
    pub times: DeliveryTimes,
}

/// How long letters took, in classes. Storage remembers seconds, and so the times are in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryTimes {
    counts: [u64; Self::CLASSES],
    sum: u64,
}

impl DeliveryTimes {
    const CLASSES: usize = 10;
    /// The upper ends of all classes but the last, which has none, in seconds.
    pub const ENDS: [u64; Self::CLASSES - 1] =
        [1, 10, 60, 600, 3_600, 21_600, 86_400, 604_800, 2_592_000];

    pub(super) fn count(&mut self, seconds: u64) {
        let class = Self::ENDS.iter().filter(|end| **end < seconds).count();
        if let Some(count) = self.counts.get_mut(class) {
            *count = count.saturating_add(1);
        }
        self.sum = self.sum.saturating_add(seconds);
    }

    /// How many letters are in each class, the quickest first.
    #[must_use]
    pub const fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The seconds of all letters together.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }
}

/// What became of one-time passwords, as far as the machine knows it. Whoever delivers them knows which
/// went out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codes {
    /// Codes that were told in the answer itself.
    pub in_band: u64,
    /// Codes with which somebody became a user.
    pub used: u64,
    /// Wrong guesses at codes.
    pub wrong: u64,
    /// Requests for which no code was made, because none would have gone out.
    pub held_back: u64,
}

/// Operations with the private key of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrivateOperations {
    /// Seals that were opened with it.
    pub opened: u64,
    /// Packets that were signed with it.
    pub signed: u64,
}

/// Accounts of the server itself, whichever shard owns them. They are no people: they, and the letters
/// between them, are left out of all counts, and nobody else can write to them.
#[derive(Clone, Debug, Default)]
pub struct OwnAccounts(HashSet<UserId>);

impl OwnAccounts {
    /// Those that are stored.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        let own = snapshot.users.iter().filter(|user| user.phone.is_reserved());
        Self(own.map(|user| user.id).collect())
    }

    /// This user is one from now on, or no more.
    pub(super) fn note(&mut self, user: UserId, is_own: bool) {
        if is_own {
            self.0.insert(user);
        } else {
            self.0.remove(&user);
        }
    }

    /// What a write changes of them, for whoever stores it.
    pub fn follow(&mut self, write: &Write) {
        match write {
            Write::CreateUser { id, phone, .. } => self.note(*id, phone.is_reserved()),
            Write::RemoveUser { user, .. } => self.note(*user, false),
            _ => {}
        }
    }

    /// Whether this user is one.
    #[must_use]
    pub fn has(&self, user: UserId) -> bool {
        self.0.contains(&user)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = UserId> {
        self.0.iter().copied()
    }
}

/// A session, as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    /// Whose session it is.
    pub user: UserId,
    /// The phone of the user.
    pub phone: Phone,
    /// How long ago it was confirmed.
    pub age: Duration,
    /// The network that its connection comes from.
    pub prefix: AddressPrefix,
    /// Letters that its client was given and has not acknowledged.
    pub unacknowledged: usize,
}

/// Some of the sessions of a machine, by user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPage {
    /// The sessions, in the order of their users.
    pub sessions: Vec<SessionSummary>,
    /// The user behind whom the next page begins; `None` when there is none.
    pub next: Option<UserId>,
}

impl SessionPage {
    /// Sessions in a page, at most.
    pub const LEN: usize = 500;
    /// Ids that are looked at for one page, at most: it must not take long.
    pub(super) const IDS: usize = 5_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_up_to_the_end_of_its_class() {
        let mut times = DeliveryTimes::default();
        [0, 1, 2, 10, 11, 2_592_000, 2_592_001].into_iter().for_each(|time| times.count(time));
        assert_eq!(times.counts(), [2, 2, 1, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(times.sum(), 24 + 2 * 2_592_000 + 1);
    }
}
