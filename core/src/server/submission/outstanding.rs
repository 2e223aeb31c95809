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
pub(super) struct Outstanding(BySender);

impl Outstanding {
    pub(super) fn new(shard: Shard, snapshot: &Snapshot) -> Self {
        let pending = snapshot.pending.iter().copied();
        Self(pending.filter(|usage| shard.owns(usage.sender)).collect())
    }

    pub(super) fn of(&self, sender: UserId) -> Count {
        self.0.of(sender)
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
        self.0.add(sender, bytes);
        Ok(())
    }

    /// Counts a letter out.
    pub(super) fn remove(&mut self, sender: UserId, bytes: u64) {
        self.0.remove(sender, bytes);
    }
}
