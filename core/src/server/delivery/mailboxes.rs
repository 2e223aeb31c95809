//! The mailboxes of a shard, and which of them storage has to count before they are used.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use super::super::config::MailboxLimits;
use super::super::count::{Filling, Most};
use super::super::output::Limit;
use super::super::report::Fullness;
use super::super::shard::Shard;
use super::super::storage::{OwnLimits, Question, QueueId, SenderUsage, Snapshot};
use super::super::storage_queue::{Asker, StorageQueue};
use super::mailbox::{Mailbox, Waiting};
use crate::id::UserId;

/// How full the mailboxes are, as far as it matters now.
#[derive(Debug)]
pub(super) struct Mailboxes {
    // Boxed: a table has empty places, and many users fill it.
    open: HashMap<UserId, Box<Mailbox>>,
    /// Those not open in which letters may lie. All others have been empty since the start.
    uncounted: HashSet<UserId>,
    /// Limits of those who have their own.
    own_limits: HashMap<UserId, OwnLimits>,
    /// How full they are, those that are not open as they were when they were.
    filling: Filling<UserId>,
    /// How full what one sender may have in one of them is: by its owner, and by the sender.
    pairs: Filling<(UserId, u16)>,
}

/// A letter that is in a mailbox no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone {
    pub(super) queue_id: QueueId,
    pub(super) recipient: UserId,
    pub(super) sender: UserId,
    pub(super) bytes: u64,
}

const fn most_of_all(limits: &MailboxLimits) -> Most {
    (limits.letters, limits.bytes)
}

const fn most_of_pair(limits: &MailboxLimits) -> Most {
    (limits.pair_letters, limits.pair_bytes)
}

impl Mailboxes {
    pub(super) fn new(shard: Shard, snapshot: &Snapshot) -> Self {
        let with_letters = snapshot.with_letters.iter().copied();
        let uncounted = with_letters.filter(|owner| shard.owns(*owner)).collect();
        let own_limits = snapshot.own_limits.iter().copied();
        let own_limits = own_limits.filter(|(owner, _)| shard.owns(*owner)).collect();
        Self {
            open: HashMap::new(),
            uncounted,
            own_limits,
            filling: Filling::default(),
            pairs: Filling::default(),
        }
    }

    /// What may wait for a user, where `all` is what may wait for everybody.
    fn limits(&self, owner: UserId, all: &MailboxLimits) -> MailboxLimits {
        let own = self.own_limits.get(&owner).copied().unwrap_or_default();
        MailboxLimits {
            letters: own.letters.unwrap_or(all.letters),
            bytes: own.bytes.unwrap_or(all.bytes),
            ..all.clone()
        }
    }

    /// A user has these limits from now on, where `all` are those of everybody. What waits beyond them stays.
    pub(super) fn set_limits(&mut self, owner: UserId, limits: OwnLimits, all: &MailboxLimits) {
        if limits == OwnLimits::default() {
            self.own_limits.remove(&owner);
        } else {
            self.own_limits.insert(owner, limits);
        }
        self.limits_have_changed(all);
        self.note_total(owner, all);
    }

    /// These are the limits of everybody from now on.
    pub(super) fn limits_have_changed(&mut self, all: &MailboxLimits) {
        let mut filling = core::mem::take(&mut self.filling);
        filling.judge_again(|owner| most_of_all(&self.limits(*owner, all)));
        self.filling = filling;
        self.pairs.judge_again(|_| most_of_pair(all));
    }

    /// Counts a letter into a mailbox that is in use, or says which limit is against it; `None` if the mailbox
    /// is not in use.
    pub(super) fn admit(
        &mut self,
        (owner, sender): (UserId, UserId),
        bytes: usize,
        all: &MailboxLimits,
    ) -> Option<Result<(), Limit>> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let limits = self.limits(owner, all);
        let admitted = self.get_mut(owner)?.admit(&limits, sender, bytes);
        self.note(owner, sender, all);
        Some(admitted)
    }

    /// A letter was acknowledged or refused by storage in this turn.
    pub(super) fn removed(&mut self, turn: u64, letter: Gone, all: &MailboxLimits) {
        let Gone { queue_id, recipient, sender, bytes } = letter;
        match self.get_mut(recipient) {
            Some(mailbox) => {
                mailbox.removed(turn, queue_id, sender, bytes);
                self.note(recipient, sender, all);
            }
            None => self.removed_unseen(letter, all),
        }
    }

    /// Storage has thrown a letter out, which `counted` until now.
    pub(super) fn expired(&mut self, letter: Gone, counted: bool, all: &MailboxLimits) {
        let Gone { queue_id, recipient, sender, bytes } = letter;
        match self.get_mut(recipient) {
            Some(mailbox) => {
                mailbox.expired(queue_id, sender, bytes, counted);
                self.note(recipient, sender, all);
            }
            None if counted => self.removed_unseen(letter, all),
            None => {}
        }
    }

    /// Storage has counted a mailbox. Gives out what waits for that.
    pub(super) fn learn(
        &mut self,
        owner: UserId,
        usage: Vec<SenderUsage>,
        all: &MailboxLimits,
    ) -> Vec<Waiting> {
        let Some(mailbox) = self.open.get_mut(&owner) else { return Vec::new() };
        let waiting = mailbox.learn(usage);
        self.forget_filling(owner);
        self.note_total(owner, all);
        let Self { open, pairs, .. } = self;
        let senders = open.get(&owner).into_iter().flat_map(|mailbox| mailbox.by_sender().iter());
        for (sender, count) in senders {
            pairs.note((owner, sender.get()), count, most_of_pair(all));
        }
        waiting
    }

    /// How full they are, and what one sender has in one of them.
    pub(super) fn fullness(&self) -> (Fullness, Fullness) {
        (self.filling.fullness(), self.pairs.fullness())
    }

    fn known_mailbox(&self, owner: UserId) -> Option<&Mailbox> {
        self.open.get(&owner).map(Box::as_ref).filter(|mailbox| mailbox.is_known())
    }

    fn note(&mut self, owner: UserId, sender: UserId, all: &MailboxLimits) {
        self.note_total(owner, all);
        if let Some(mailbox) = self.known_mailbox(owner) {
            let count = mailbox.by_sender().of(sender);
            self.pairs.note((owner, sender.get()), count, most_of_pair(all));
        }
    }

    fn note_total(&mut self, owner: UserId, all: &MailboxLimits) {
        if let Some(total) = self.known_mailbox(owner).map(Mailbox::total) {
            let most = most_of_all(&self.limits(owner, all));
            self.filling.note(owner, total, most);
        }
    }

    fn removed_unseen(&mut self, letter: Gone, all: &MailboxLimits) {
        let Gone { recipient, sender, bytes, .. } = letter;
        let most = most_of_all(&self.limits(recipient, all));
        self.filling.removed(recipient, bytes, most);
        self.pairs.removed((recipient, sender.get()), bytes, most_of_pair(all));
    }

    fn forget_filling(&mut self, owner: UserId) {
        self.filling.forget(owner);
        for pair in self.pairs.among((owner, 0)..=(owner, u16::MAX)) {
            self.pairs.forget(pair);
        }
    }

    /// A mailbox that is in use.
    pub(super) fn get_mut(&mut self, owner: UserId) -> Option<&mut Mailbox> {
        self.open.get_mut(&owner).map(Box::as_mut)
    }

    /// A mailbox whose counters are, or will be, known. It `overcounts` if storage is yet to delete
    /// letters from it.
    pub(super) fn open(
        &mut self,
        owner: UserId,
        storage: &mut StorageQueue,
        overcounts: bool,
    ) -> &mut Mailbox {
        let Self { open, uncounted, .. } = self;
        open.entry(owner).or_insert_with(|| {
            Box::new(if uncounted.remove(&owner) {
                storage.ask(Asker::Mailbox(owner), Question::Usage { recipient: owner });
                Mailbox::uncounted(storage.turn(), overcounts)
            } else {
                Mailbox::empty()
            })
        })
    }

    /// Those whose counters are known, and meant to be exact.
    #[cfg(feature = "testing")]
    pub(super) fn known(&self) -> impl Iterator<Item = (UserId, &Mailbox)> {
        let open = self.open.iter().map(|(owner, mailbox)| (*owner, &**mailbox));
        open.filter(|(_, mailbox)| mailbox.is_exact())
    }

    /// Those whose counters are too high, and would be right if they were learnt again now.
    #[cfg(feature = "testing")]
    pub(super) fn to_be_recounted(&self) -> impl Iterator<Item = UserId> {
        let open = self.open.iter().filter(|(_, mailbox)| mailbox.is_to_be_recounted());
        open.map(|(owner, _)| *owner)
    }

    /// Letters that wait until the counters of their mailboxes are known: senders, and bytes of packets.
    #[cfg(feature = "testing")]
    pub(super) fn waiting(&self) -> impl Iterator<Item = (UserId, u64)> {
        self.open.values().flat_map(|mailbox| mailbox.waiting())
    }

    /// Forgets what is known: the next use asks.
    pub(super) fn forget(&mut self, owner: UserId) -> Option<Box<Mailbox>> {
        let mailbox = self.open.remove(&owner)?;
        self.uncounted.insert(owner);
        Some(mailbox)
    }

    /// A user is removed, and with them the mailbox.
    pub(super) fn remove(&mut self, owner: UserId) {
        self.open.remove(&owner);
        self.uncounted.remove(&owner);
        self.own_limits.remove(&owner);
        self.forget_filling(owner);
    }

    /// Forgets those that nothing is under way for, unless their owners are here.
    pub(super) fn forget_at_rest(&mut self, is_here: impl Fn(UserId) -> bool) {
        let Self { open, uncounted, .. } = self;
        open.retain(|owner, mailbox| {
            let stays = is_here(*owner) || !mailbox.is_at_rest();
            if !stays {
                uncounted.insert(*owner);
            }
            stays
        });
    }
}
