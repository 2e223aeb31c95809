//! What senders have pending in all mailboxes together.

use hashbrown::HashMap;

use super::super::config::MailboxLimits;
use super::super::count::Count;
use super::super::shard::Shard;
use super::super::storage::{SenderUsage, Snapshot};
use crate::id::UserId;
use crate::wire::ErrorCode;

/// What each sender whom this shard owns has pending in all mailboxes, wherever those are. A letter
/// is counted in when it leaves its sender's owner shard, and out when the mail that tells its end comes
/// back there.
#[derive(Debug)]
pub(super) struct Outstanding {
    /// Nobody who has nothing pending.
    senders: HashMap<UserId, Count>,
}

impl Outstanding {
    pub(super) fn new(shard: Shard, snapshot: &Snapshot) -> Self {
        let owned = snapshot.pending.iter().filter(|usage| shard.owns(usage.sender));
        let count = |usage: &SenderUsage| Count { letters: usage.letters, bytes: usage.bytes };
        Self { senders: owned.map(|usage| (usage.sender, count(usage))).collect() }
    }

    pub(super) fn of(&self, sender: UserId) -> Count {
        self.senders.get(&sender).copied().unwrap_or_default()
    }

    /// Counts a letter in, or says why not.
    pub(super) fn admit(
        &mut self,
        limits: &MailboxLimits,
        sender: UserId,
        bytes: usize,
    ) -> Result<(), ErrorCode> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if !self.of(sender).has_room(bytes, limits.sender_letters, limits.sender_bytes) {
            return Err(ErrorCode::MailboxFull);
        }
        self.senders.entry(sender).or_default().add(bytes);
        Ok(())
    }

    /// Counts a letter out.
    pub(super) fn remove(&mut self, sender: UserId, bytes: u64) {
        if let Some(count) = self.senders.get_mut(&sender) {
            count.remove(bytes);
            if count.letters == 0 {
                self.senders.remove(&sender);
            }
        }
    }
}
