//! The places of letters in the order of their mailboxes.

use super::super::shard::Shard;
use super::super::storage::QueueId;

/// Gives out places. Shards take turns, so that none gives out the place of another.
#[derive(Debug)]
pub(super) struct Places {
    shard: Shard,
    last: QueueId,
}

impl Places {
    /// Goes on after the last place that any shard has given out.
    pub(super) const fn new(shard: Shard, last: QueueId) -> Self {
        Self { shard, last }
    }

    /// The next letter's place.
    pub(super) fn next(&mut self) -> QueueId {
        let (index, count) = (u64::from(self.shard.id().0), u64::from(self.shard.count()));
        let next = self.last.0.saturating_add(1);
        let past = next.checked_rem(count).unwrap_or(0);
        let wait = if index < past { index.saturating_add(count) } else { index };
        self.last = QueueId(next.saturating_add(wait.saturating_sub(past)));
        self.last
    }

    /// The place of the letter accepted last.
    pub(super) const fn last(&self) -> QueueId {
        self.last
    }
}
