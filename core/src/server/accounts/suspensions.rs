//! Users whom the operator keeps out.

use hashbrown::HashMap;

use super::super::shard::Shard;
use super::super::storage::Snapshot;
use crate::id::UserId;
use crate::time::UnixTime;

/// Suspensions of users whom this shard owns. One whose time is over has no effect.
#[derive(Debug, Default)]
pub(super) struct Suspensions {
    ends: HashMap<UserId, Option<UnixTime>>,
}

impl Suspensions {
    pub(super) fn new(shard: Shard, snapshot: &Snapshot) -> Self {
        let owned = snapshot.suspensions.iter().filter(|suspension| shard.owns(suspension.user));
        Self { ends: owned.map(|suspension| (suspension.user, suspension.until)).collect() }
    }

    /// How many there are, with those whose time is over and which are not forgotten yet.
    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Whether the user is kept out.
    pub(super) fn keep_out(&self, user: UserId, now: UnixTime) -> bool {
        self.ends.get(&user).is_some_and(|until| until.is_none_or(|until| until > now))
    }

    /// The suspension of a user, if there is one: when it ends, or that nobody has said when.
    pub(super) fn get(&self, user: UserId) -> Option<Option<UnixTime>> {
        self.ends.get(&user).copied()
    }

    /// The user is suspended like that from now on, or not any more.
    pub(super) fn set(&mut self, user: UserId, suspension: Option<Option<UnixTime>>) {
        match suspension {
            Some(until) => self.ends.insert(user, until),
            None => self.ends.remove(&user),
        };
    }

    /// Forgets those whose time is over.
    pub(super) fn forget_over(&mut self, now: UnixTime) {
        self.ends.retain(|_, until| until.is_none_or(|until| until > now));
    }
}
