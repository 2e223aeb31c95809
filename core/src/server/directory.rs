//! Who is registered: phones, ids, keys.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::storage::{Snapshot, StoredUser, WrappedKey};
use crate::crypto::{Digest, Provider, Spki};
use crate::id::UserId;
use crate::phone::Phone;

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

/// All users, and which ids, phones and keys are taken. It changes only when storage has said
/// that the change is durable.
pub(super) struct Directory<P: Provider> {
    users: HashMap<UserId, User>,
    phones: HashMap<Phone, UserId>,
    /// Digests of the users' keys, and of the server's.
    keys: HashSet<Digest>,
    /// Ids that nobody has and nobody may get: resting, or promised to a user being created.
    held_ids: HashSet<UserId>,
    last_id: u16,
    parsed: KeyCache<P>,
}

impl<P: Provider> Directory<P> {
    pub(super) fn new(provider: &P, server_key: &Spki, snapshot: Snapshot) -> Self {
        let mut directory = Self {
            users: HashMap::new(),
            phones: HashMap::new(),
            keys: HashSet::new(),
            held_ids: snapshot.resting_ids.into_iter().collect(),
            last_id: 0,
            parsed: KeyCache::default(),
        };
        directory.keys.insert(key_digest(provider, server_key));
        for StoredUser { id, phone, spki, session_key } in snapshot.users {
            directory.last_id = directory.last_id.max(id.get());
            directory.insert(provider, id, User::new(phone, Arc::new(spki), session_key));
        }
        directory
    }

    fn insert(&mut self, provider: &P, id: UserId, user: User) {
        self.keys.insert(key_digest(provider, &user.spki));
        self.phones.insert(user.phone, id);
        self.users.insert(id, user);
    }

    pub(super) fn get(&self, id: UserId) -> Option<&User> {
        self.users.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: UserId) -> Option<&mut User> {
        self.users.get_mut(&id)
    }

    pub(super) fn by_phone(&self, phone: &Phone) -> Option<(UserId, &User)> {
        let id = *self.phones.get(phone)?;
        Some((id, self.users.get(&id)?))
    }

    /// Whether a user or the server has this key.
    pub(super) fn has_key(&self, provider: &P, spki: &Spki) -> bool {
        self.keys.contains(&key_digest(provider, spki))
    }

    /// The user's key, parsed.
    pub(super) fn key(&mut self, provider: &P, id: UserId) -> Option<&P::PublicKey> {
        let spki = &self.users.get(&id)?.spki;
        self.parsed.get(id, || provider.public_key(spki).ok())
    }

    /// Holds a free id and a key for a user whose creation is being stored. `None` when no id
    /// is left.
    pub(super) fn hold(&mut self, provider: &P, spki: &Spki) -> Option<UserId> {
        let free = |id: &UserId| !self.users.contains_key(id) && !self.held_ids.contains(id);
        let above = self.last_id.saturating_add(1)..=u16::MAX;
        let id = above.chain(1..=self.last_id).filter_map(UserId::new).find(free)?;
        self.held_ids.insert(id);
        self.keys.insert(key_digest(provider, spki));
        self.last_id = id.get();
        Some(id)
    }

    /// Gives back what [`Directory::hold`] held.
    pub(super) fn release(&mut self, provider: &P, id: UserId, spki: &Spki) {
        self.held_ids.remove(&id);
        self.keys.remove(&key_digest(provider, spki));
    }

    /// The creation is durable.
    pub(super) fn created(&mut self, provider: &P, id: UserId, phone: Phone, spki: Arc<Spki>) {
        self.held_ids.remove(&id);
        self.insert(provider, id, User::new(phone, spki, None));
    }
}

fn key_digest<P: Provider>(provider: &P, spki: &Spki) -> Digest {
    provider.sha256(&[spki.as_bytes()])
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
