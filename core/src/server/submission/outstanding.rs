//! What senders have pending in all mailboxes together.

use super::super::config::MailboxLimits;
use super::super::count::{BySender, Count};
use super::super::shard::Shard;
use super::super::storage::Snapshot;
use crate::id::UserId;
use crate::wire::ErrorCode;

/// What each sender whom this shard owns has pending in all mailboxes, wherever those are. A letter
/// is counted in when it leaves its sender's owner shard, and out when the mail that tells its end comes
/// back there.
#[derive(Debug)]
pub(super) struct Outstanding {
    senders: BySender,
    letters: u64,
    bytes: u64,
}

impl Outstanding {
    pub(super) fn new(shard: Shard, snapshot: &Snapshot) -> Self {
        let pending = snapshot.pending.iter().copied();
        let owned = pending.filter(|usage| shard.owns(usage.sender));
        let (letters, bytes) = owned.clone().fold((0, 0), |(letters, bytes): (u64, u64), usage| {
            (letters.saturating_add(usage.letters.into()), bytes.saturating_add(usage.bytes))
        });
        Self { senders: owned.collect(), letters, bytes }
    }

    pub(super) fn of(&self, sender: UserId) -> Count {
        self.senders.of(sender)
    }

    /// Of all senders together: letters, and bytes of packets.
    pub(super) const fn total(&self) -> (u64, u64) {
        (self.letters, self.bytes)
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
        self.senders.add(sender, bytes);
        self.letters = self.letters.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Counts a letter out.
    pub(super) fn remove(&mut self, sender: UserId, bytes: u64) {
        self.senders.remove(sender, bytes);
        self.letters = self.letters.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
