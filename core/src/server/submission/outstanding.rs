//! What senders have pending in all mailboxes together.

use super::super::config::MailboxLimits;
use super::super::count::{BySender, Count, Filling, Most};
use super::super::output::Limit;
use super::super::report::Fullness;
use super::super::shard::Shard;
use super::super::storage::Snapshot;
use crate::id::UserId;

/// What each sender whom this shard owns has pending in all mailboxes, wherever those are. A letter
/// is counted in when it leaves its sender's owner shard, and out when the mail that tells its end comes
/// back there.
#[derive(Debug)]
pub(super) struct Outstanding {
    senders: BySender,
    letters: u64,
    bytes: u64,
    /// How full what each of them may have is.
    filling: Filling<UserId>,
}

const fn most(limits: &MailboxLimits) -> Most {
    (limits.sender_letters, limits.sender_bytes)
}

impl Outstanding {
    pub(super) fn new(shard: Shard, snapshot: &Snapshot, limits: &MailboxLimits) -> Self {
        let pending = snapshot.pending.iter().copied();
        let owned = pending.filter(|usage| shard.owns(usage.sender));
        let (letters, bytes) = owned.clone().fold((0, 0), |(letters, bytes): (u64, u64), usage| {
            (letters.saturating_add(usage.letters.into()), bytes.saturating_add(usage.bytes))
        });
        let senders: BySender = owned.collect();
        let mut filling = Filling::default();
        for (sender, count) in senders.iter() {
            filling.note(sender, count, most(limits));
        }
        Self { senders, letters, bytes, filling }
    }

    pub(super) fn of(&self, sender: UserId) -> Count {
        self.senders.of(sender)
    }

    /// Of all senders together: letters, and bytes of packets.
    pub(super) const fn total(&self) -> (u64, u64) {
        (self.letters, self.bytes)
    }

    /// How full what each sender may have is.
    pub(super) fn fullness(&self) -> Fullness {
        self.filling.fullness()
    }

    /// These are the limits from now on.
    pub(super) fn limits_have_changed(&mut self, limits: &MailboxLimits) {
        self.filling.judge_again(|_| most(limits));
    }

    /// Counts a letter in, or says which limit is against it.
    pub(super) fn admit(
        &mut self,
        limits: &MailboxLimits,
        sender: UserId,
        bytes: usize,
    ) -> Result<(), Limit> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let reached = [Limit::LettersPerSender, Limit::BytesPerSender];
        self.of(sender).admits(bytes, most(limits), reached)?;
        self.senders.add(sender, bytes);
        self.filling.note(sender, self.of(sender), most(limits));
        self.letters = self.letters.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Counts a letter out.
    pub(super) fn remove(&mut self, limits: &MailboxLimits, sender: UserId, bytes: u64) {
        self.senders.remove(sender, bytes);
        self.filling.note(sender, self.of(sender), most(limits));
        self.letters = self.letters.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
