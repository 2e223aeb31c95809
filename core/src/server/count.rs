//! How many letters count somewhere, and of how many bytes.

use hashbrown::HashMap;

use super::storage::SenderUsage;
use crate::id::UserId;

/// Pending letters, of one sender or of all together, in one mailbox or in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) letters: u32,
    pub(super) bytes: u64,
}

impl Count {
    pub(super) fn add(&mut self, bytes: u64) {
        self.letters = self.letters.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(super) fn remove(&mut self, bytes: u64) {
        self.letters = self.letters.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) const fn has_room(self, bytes: u64, letters_max: u32, bytes_max: u64) -> bool {
        self.letters < letters_max && self.bytes.saturating_add(bytes) <= bytes_max
    }
}

/// What each sender has pending, in one mailbox or in all.
#[derive(Debug, Default)]
pub(super) struct BySender {
    /// Nobody who has nothing pending.
    senders: HashMap<UserId, Count>,
}

impl FromIterator<SenderUsage> for BySender {
    fn from_iter<I: IntoIterator<Item = SenderUsage>>(usage: I) -> Self {
        let count = |SenderUsage { sender, letters, bytes }| (sender, Count { letters, bytes });
        Self { senders: usage.into_iter().map(count).collect() }
    }
}

impl BySender {
    /// What this sender has pending.
    pub(super) fn of(&self, sender: UserId) -> Count {
        self.senders.get(&sender).copied().unwrap_or_default()
    }

    /// Counts a letter in.
    pub(super) fn add(&mut self, sender: UserId, bytes: u64) {
        self.senders.entry(sender).or_default().add(bytes);
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

    /// Whether this sender has something pending.
    pub(super) fn contains(&self, sender: UserId) -> bool {
        self.senders.contains_key(&sender)
    }

    /// How many senders have something pending.
    #[cfg(feature = "testing")]
    pub(super) fn len(&self) -> usize {
        self.senders.len()
    }
}
