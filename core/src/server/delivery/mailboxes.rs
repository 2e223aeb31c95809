//! The mailboxes of a shard, and which of them storage has to count before they are used.

use alloc::boxed::Box;

use hashbrown::{HashMap, HashSet};

use super::super::shard::Shard;
use super::super::storage::{Question, Snapshot};
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
}

impl Mailboxes {
    pub(super) fn new(shard: Shard, snapshot: &Snapshot) -> Self {
        let with_letters = snapshot.with_letters.iter().copied();
        let uncounted = with_letters.filter(|owner| shard.owns(*owner)).collect();
        Self { open: HashMap::new(), uncounted }
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
        let Self { open, uncounted } = self;
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
    }

    /// Forgets those that nothing is under way for, unless their owners are here.
    pub(super) fn forget_at_rest(&mut self, is_here: impl Fn(UserId) -> bool) {
        let Self { open, uncounted } = self;
        open.retain(|owner, mailbox| {
            let stays = is_here(*owner) || !mailbox.is_at_rest();
            if !stays {
                uncounted.insert(*owner);
            }
            stays
        });
    }
}
