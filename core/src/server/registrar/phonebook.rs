//! Which phones, keys and ids are taken: what the registrar has to know of all users, wherever they are
//! owned.

use alloc::vec;
use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use super::super::storage::Snapshot;
use crate::crypto::{Digest, Provider, Spki};
use crate::id::UserId;
use crate::phone::Phone;

/// Who has a phone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) user: UserId,
    key: Digest,
}

/// All phones, keys and ids that are taken. It changes only when storage has said that the change
/// is durable, but for what is held for a user being created.
#[derive(Debug)]
pub(super) struct Phonebook {
    phones: HashMap<Phone, Entry>,
    /// Digests of the users' keys.
    keys: HashSet<Digest>,
    /// Ids that somebody has, that rest, or that are held.
    taken: Vec<bool>,
    taken_count: usize,
    last_id: u16,
    /// Up to which of [`ALARMS`] the operator has been told.
    told: usize,
}

/// Of how many ids in a hundred the operator is told that they are taken.
const ALARMS: [u8; 2] = [80, 95];

impl Phonebook {
    pub(super) fn new<P: Provider>(provider: &P, snapshot: &Snapshot) -> Self {
        let mut book = Self {
            phones: HashMap::new(),
            keys: HashSet::new(),
            taken: vec![false; 1 << 16],
            taken_count: 0,
            last_id: 0,
            told: 0,
        };
        for user in &snapshot.users {
            let key = digest(provider, &user.spki);
            book.keys.insert(key);
            book.phones.insert(user.phone, Entry { user: user.id, key });
            book.last_id = book.last_id.max(user.id.get());
        }
        for id in snapshot.users.iter().map(|user| user.id).chain(snapshot.resting_ids.clone()) {
            book.mark(id, true);
        }
        book
    }

    fn mark(&mut self, id: UserId, taken: bool) {
        let Some(mark) = self.taken.get_mut(usize::from(id.get())) else { return };
        match (core::mem::replace(mark, taken), taken) {
            (false, true) => self.taken_count = self.taken_count.saturating_add(1),
            (true, false) => self.taken_count = self.taken_count.saturating_sub(1),
            _ => {}
        }
    }

    /// The highest of [`ALARMS`] that the ids taken have reached, once.
    pub(super) fn alarm(&mut self) -> Option<u8> {
        let used = self.taken_count.saturating_mul(100);
        let ids = usize::from(u16::MAX);
        let reached =
            ALARMS.iter().take_while(|share| used >= ids.saturating_mul((**share).into()));
        let reached = reached.count();
        let news = reached > self.told;
        self.told = self.told.max(reached);
        ALARMS.get(reached.checked_sub(1)?).copied().filter(|_| news)
    }

    pub(super) fn get(&self, phone: &Phone) -> Option<Entry> {
        self.phones.get(phone).copied()
    }

    /// Whether a user has this key.
    pub(super) fn has_key<P: Provider>(&self, provider: &P, spki: &Spki) -> bool {
        self.keys.contains(&digest(provider, spki))
    }

    /// Holds a free id and a key for a user whose creation is being stored. `None` when no id is
    /// left.
    pub(super) fn hold<P: Provider>(&mut self, provider: &P, spki: &Spki) -> Option<UserId> {
        let free = |id: &UserId| self.taken.get(usize::from(id.get())) == Some(&false);
        let above = self.last_id.saturating_add(1)..=u16::MAX;
        let id = above.chain(1..=self.last_id).filter_map(UserId::new).find(free)?;
        self.mark(id, true);
        self.keys.insert(digest(provider, spki));
        self.last_id = id.get();
        Some(id)
    }

    /// Gives back what [`Phonebook::hold`] held.
    pub(super) fn release<P: Provider>(&mut self, provider: &P, id: UserId, spki: &Spki) {
        self.mark(id, false);
        self.keys.remove(&digest(provider, spki));
    }

    /// A user is removed. The id rests: after the next start storage says for how long.
    pub(super) fn leave<P: Provider>(&mut self, provider: &P, phone: &Phone, spki: &Spki) {
        self.phones.remove(phone);
        self.keys.remove(&digest(provider, spki));
    }

    /// Ids that nobody has and that do not rest.
    pub(super) const fn free_ids(&self) -> usize {
        // The id 0 is nobody's.
        (u16::MAX as usize).saturating_sub(self.taken_count)
    }

    /// A held id has its user.
    pub(super) fn enter<P: Provider>(
        &mut self,
        provider: &P,
        user: UserId,
        phone: Phone,
        spki: &Spki,
    ) {
        self.phones.insert(phone, Entry { user, key: digest(provider, spki) });
    }
}

impl Entry {
    /// Whether this is the key of whoever has the phone.
    pub(super) fn has_key<P: Provider>(&self, provider: &P, spki: &Spki) -> bool {
        self.key == digest(provider, spki)
    }
}

fn digest<P: Provider>(provider: &P, spki: &Spki) -> Digest {
    provider.sha256(&[spki.as_bytes()])
}
