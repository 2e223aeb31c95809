//! Which users this shard owns, and their keys.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use hashbrown::HashMap;

use super::super::shard::Shard;
use super::super::storage::{Snapshot, StoredUser, WrappedKey};
use crate::crypto::{Provider, Spki};
use crate::id::UserId;
use crate::phone::Phone;
use crate::wire::KeyAnswer;

/// One user, as the server knows them.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) phone: Phone,
    pub(super) spki: Arc<Spki>,
    /// The key of the last confirmed session, wrapped.
    pub(super) session_key: Option<WrappedKey>,
    /// The number of the next 201 or 206.
    pub(super) next_issue: u64,
    /// The number of the session confirmed last.
    pub(super) confirmed_issue: u64,
}

impl User {
    fn new(phone: Phone, spki: Arc<Spki>, session_key: Option<WrappedKey>) -> Self {
        Self { phone, spki, session_key, next_issue: 1, confirmed_issue: 0 }
    }
}

/// The users whom this shard owns. Users come and go for good only when storage has said that it is
/// durable.
pub(super) struct Directory<P: Provider> {
    users: HashMap<UserId, User>,
    /// Users who are being removed.
    withdrawn: HashMap<UserId, User>,
    parsed: KeyCache<P>,
}

impl<P: Provider> Directory<P> {
    pub(super) fn new(shard: Shard, snapshot: &Snapshot) -> Self {
        let owned = snapshot.users.iter().filter(|user| shard.owns(user.id));
        let user = |StoredUser { id, phone, spki, session_key }: &StoredUser| {
            (*id, User::new(*phone, Arc::new(spki.clone()), *session_key))
        };
        let users = owned.map(user).collect();
        Self { users, withdrawn: HashMap::new(), parsed: KeyCache::default() }
    }

    pub(super) fn get(&self, id: UserId) -> Option<&User> {
        self.users.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: UserId) -> Option<&mut User> {
        self.users.get_mut(&id)
    }

    /// The user's key, parsed.
    pub(super) fn key(&mut self, provider: &P, id: UserId) -> Option<&P::PublicKey> {
        let spki = &self.users.get(&id)?.spki;
        self.parsed.get(id, || provider.public_key(spki).ok())
    }

    /// What a 204 says of a user.
    pub(super) fn answer(&self, id: UserId) -> Option<KeyAnswer> {
        let user = self.users.get(&id)?;
        Some(KeyAnswer { user: id, phone: user.phone, spki: (*user.spki).clone() })
    }

    /// A user is to be removed, and is not there until that is decided.
    pub(super) fn withdraw(&mut self, id: UserId) {
        self.withdrawn.extend(self.users.remove_entry(&id));
    }

    /// A user who was withdrawn is there again.
    pub(super) fn put_back(&mut self, id: UserId) {
        self.users.extend(self.withdrawn.remove_entry(&id));
    }

    /// A user who was withdrawn is removed.
    pub(super) fn removed(&mut self, id: UserId) -> Option<User> {
        self.withdrawn.remove(&id)
    }

    /// How many users this shard owns.
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// This shard owns a new user from now on.
    pub(super) fn welcome(&mut self, id: UserId, phone: Phone, spki: Arc<Spki>) {
        self.users.insert(id, User::new(phone, spki, None));
    }
}

/// Parsed public keys, the least recently parsed thrown out first. Parsing again is cheap; a
/// parsed key of every user would not be.
struct KeyCache<P: Provider> {
    keys: HashMap<UserId, P::PublicKey>,
    order: VecDeque<UserId>,
}

impl<P: Provider> Default for KeyCache<P> {
    fn default() -> Self {
        Self { keys: HashMap::new(), order: VecDeque::new() }
    }
}

impl<P: Provider> KeyCache<P> {
    const CAPACITY: usize = 4_096;

    fn get(
        &mut self,
        id: UserId,
        parse: impl FnOnce() -> Option<P::PublicKey>,
    ) -> Option<&P::PublicKey> {
        if !self.keys.contains_key(&id) {
            if self.order.len() >= Self::CAPACITY
                && let Some(oldest) = self.order.pop_front()
            {
                self.keys.remove(&oldest);
            }
            self.keys.insert(id, parse()?);
            self.order.push_back(id);
        }
        self.keys.get(&id)
    }
}
