//! The mailboxes of a shard, and which of them storage has to count before they are used.

use alloc::boxed::Box;

use hashbrown::{HashMap, HashSet};

use super::super::config::MailboxLimits;
use super::super::shard::Shard;
use super::super::storage::{OwnLimits, Question, Snapshot};
use super::super::storage_queue::{Asker, StorageQueue};
use super::mailbox::Mailbox;
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
}

impl Mailboxes {
    pub(super) fn new(shard: Shard, snapshot: &Snapshot) -> Self {
        let with_letters = snapshot.with_letters.iter().copied();
        let uncounted = with_letters.filter(|owner| shard.owns(*owner)).collect();
        let own_limits = snapshot.own_limits.iter().copied();
        let own_limits = own_limits.filter(|(owner, _)| shard.owns(*owner)).collect();
        Self { open: HashMap::new(), uncounted, own_limits }
    }

    /// What may wait for a user, where `all` is what may wait for everybody.
    pub(super) fn limits(&self, owner: UserId, all: &MailboxLimits) -> MailboxLimits {
        let own = self.own_limits.get(&owner).copied().unwrap_or_default();
        MailboxLimits {
            letters: own.letters.unwrap_or(all.letters),
            bytes: own.bytes.unwrap_or(all.bytes),
            ..all.clone()
        }
    }

    /// A user has these limits from now on. What waits beyond them stays.
    pub(super) fn set_limits(&mut self, owner: UserId, limits: OwnLimits) {
        if limits == OwnLimits::default() {
            self.own_limits.remove(&owner);
        } else {
            self.own_limits.insert(owner, limits);
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
