//! Every limit of frequency that is not a connection's own.
//!
//! Those that protect phones, and the search for them, are *kept*: they are in storage, too, so that a
//! restart gives nobody anything back. There they go by the civil clock, which is all that a restart
//! leaves. A clock that was set meanwhile costs a limit its period at most, or what was taken of it.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use super::config::Rates;
use super::identity::Identity;
use super::limiter::{Allowance, Limiter, Rate};
use super::output::Limit;
use super::peer::AddressPrefix;
use super::shard::{Shard, ShardId};
use super::storage::{AllowanceKey, StoredAllowance, Write};
use super::storage_queue::StorageQueue;
use crate::crypto::Provider;
use crate::id::UserId;
use crate::phone::Phone;
use crate::time::{Instant, Now};

/// Something of which an allowance is kept, and whose it is.
#[derive(Clone, Copy)]
pub(super) enum Kept {
    /// How many 100s come from an address prefix.
    Requests(AddressPrefix),
    /// How many 101s come from an address prefix.
    Proofs(AddressPrefix),
    /// How many new codes go to a phone because of an address prefix.
    CodesForPair(Phone, AddressPrefix),
    /// How many new codes go to a phone.
    CodesForPhone(Phone),
    /// New codes, on the whole server.
    Codes,
    /// How many wrong codes come from an address prefix.
    WrongCodesFrom(AddressPrefix),
    /// Wrong codes, on the whole server.
    WrongCodes,
    /// How many 105s by phone come from a user.
    Lookups(UserId),
}

impl Kept {
    const KINDS: usize = 8;

    /// The number under which storage knows the kind: never another's, and below [`Self::KINDS`].
    const fn kind(&self) -> u8 {
        match self {
            Self::Requests(_) => 0,
            Self::Proofs(_) => 1,
            Self::CodesForPair(..) => 2,
            Self::CodesForPhone(_) => 3,
            Self::Codes => 4,
            Self::WrongCodesFrom(_) => 5,
            Self::WrongCodes => 6,
            Self::Lookups(_) => Self::LOOKUPS,
        }
    }

    const LOOKUPS: u8 = 7;

    /// By kind.
    const fn rates(rates: &Rates) -> [Rate; Self::KINDS] {
        [
            rates.registrations,
            rates.proofs,
            rates.otps_per_pair,
            rates.otps_per_phone,
            rates.otps,
            rates.guesses_per_prefix,
            rates.guesses,
            rates.questions,
        ]
    }

    /// What the operator hears of when there is none left; those of the whole server have events of
    /// their own.
    pub(super) const fn limit(&self) -> Option<Limit> {
        Some(match self {
            Self::Requests(_) => Limit::Registrations,
            Self::Proofs(_) => Limit::Proofs,
            Self::CodesForPair(..) => Limit::CodesPerPhoneAndPrefix,
            Self::CodesForPhone(_) => Limit::CodesPerPhone,
            Self::WrongCodesFrom(_) => Limit::WrongCodesPerPrefix,
            Self::Lookups(_) => Limit::Lookups,
            Self::Codes | Self::WrongCodes => return None,
        })
    }

    /// Its name in storage: the kind, and a user's id or a hash of whatever else it is about.
    pub(super) fn key<P: Provider>(&self, provider: &P, identity: &Identity<P>) -> AllowanceKey {
        let kind = [self.kind()];
        let hash = |one, two| identity.name(provider, [&kind, one, two]).0;
        let hash = match self {
            Self::Requests(prefix) | Self::Proofs(prefix) | Self::WrongCodesFrom(prefix) => {
                hash(prefix.as_bytes(), &[])
            }
            Self::CodesForPair(phone, prefix) => hash(prefix.as_bytes(), phone.as_bytes()),
            Self::CodesForPhone(phone) => hash(phone.as_bytes(), &[]),
            Self::Codes | Self::WrongCodes => [0; 32],
            Self::Lookups(user) => {
                let [low, high] = user.get().to_le_bytes();
                let mut id = [0; 32];
                (id[0], id[1]) = (low, high);
                id
            }
        };
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(kind.iter().chain(&hash)) {
            *to = *from;
        }
        AllowanceKey(key)
    }
}

/// Where an allowance is counted.
fn is_counted_at(shard: Shard, AllowanceKey(key): &AllowanceKey) -> bool {
    let [kind, low, high, ..] = *key;
    match UserId::new(u16::from_le_bytes([low, high])) {
        Some(user) if kind == Kept::LOOKUPS => shard.owns(user),
        _ => shard.id() == ShardId::REGISTRAR,
    }
}

#[derive(Debug)]
pub(super) struct Limits {
    /// By kind.
    kept: [Limiter<AllowanceKey>; Kept::KINDS],
    /// Of these, storage does not know what is left.
    changed: BTreeSet<AllowanceKey>,
    /// Of these, it knows it by a clock that has been set since, or by another rate.
    misdated: BTreeSet<AllowanceKey>,
    /// Of these, it was told and has not taken it.
    refused: BTreeSet<AllowanceKey>,
    /// Of these nothing is taken any more, and storage does not know it.
    forgotten: BTreeSet<AllowanceKey>,
    /// The civil clock, in seconds above the other; what is stored goes by it.
    civil_offset_s: Option<i64>,
    pub(super) otp_alarms: Allowance,
    pub(super) reconnects: Limiter<(UserId, AddressPrefix)>,
    pub(super) registration_work: Allowance,
    pub(super) reconnect_work: Allowance,
}

impl Limits {
    /// How often the operator hears that something is used up, while it trickles back.
    pub(super) const ALARMS: Rate = Rate::new(1, Duration::from_secs(3_600));
    /// Of what storage can forget, and of what it has to learn anew when the clock was set, it is told
    /// so many in a turn. A turn has a hundred times fewer that are new.
    const AT_ONCE: usize = 1_000;
    /// Clocks that run apart by so much in the time between two looks have been set.
    const SET_S: u64 = 5;

    pub(super) fn new(rates: &Rates, shard: Shard, stored: &[StoredAllowance], now: Now) -> Self {
        let mut limits = Self {
            kept: Kept::rates(rates).map(Limiter::new),
            changed: BTreeSet::new(),
            misdated: BTreeSet::new(),
            refused: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            civil_offset_s: None,
            otp_alarms: Allowance::default(),
            reconnects: Limiter::new(rates.reconnects),
            registration_work: Allowance::default(),
            reconnect_work: Allowance::default(),
        };
        for allowance in stored.iter().filter(|stored| is_counted_at(shard, &stored.key)) {
            limits.load(allowance, now);
        }
        limits
    }

    /// The rates have changed. What was taken stays taken; of what is kept, storage learns anew what is
    /// left, as it goes by when that will have come back.
    pub(super) fn configure(&mut self, before: &Rates, rates: &Rates, now: Instant) {
        for (limiter, rate) in self.kept.iter_mut().zip(Kept::rates(rates)) {
            if limiter.change_rate(rate, now) {
                self.misdated.extend(limiter.keys());
            }
        }
        self.reconnects.change_rate(rates.reconnects, now);
        let Self { registration_work, reconnect_work, .. } = self;
        registration_work.change_rate(before.registration_work, rates.registration_work, now);
        reconnect_work.change_rate(before.reconnect_work, rates.reconnect_work, now);
    }

    fn load(&mut self, stored: &StoredAllowance, now: Now) {
        let StoredAllowance { key, full_at } = stored;
        let ahead = u64::try_from(full_at.minus(now.unix)).unwrap_or(0);
        let Some(limiter) = self.limiter(*key) else { return };
        if !limiter.load(*key, Duration::from_secs(ahead), now.instant) {
            self.forgotten.insert(*key);
        }
    }

    fn limiter(&mut self, key: AllowanceKey) -> Option<&mut Limiter<AllowanceKey>> {
        let AllowanceKey([kind, ..]) = key;
        self.kept.get_mut(usize::from(kind))
    }

    /// Takes one, or says how long until there is one.
    pub(super) fn take(&mut self, key: AllowanceKey, now: Instant) -> Result<(), Duration> {
        if let Some(limiter) = self.limiter(key) {
            limiter.take(key, now)?;
            self.changed.insert(key);
        }
        Ok(())
    }

    /// One that was taken was not used.
    pub(super) fn give_back(&mut self, key: AllowanceKey) {
        if let Some(limiter) = self.limiter(key) {
            limiter.give_back(&key);
            self.changed.insert(key);
        }
    }

    /// Whether there is one to take.
    pub(super) fn check(&mut self, key: AllowanceKey, now: Instant) -> Result<(), Duration> {
        self.limiter(key).map_or(Ok(()), |limiter| limiter.check(&key, now))
    }

    /// How many there are to take.
    pub(super) fn left(&self, key: AllowanceKey, now: Instant) -> u32 {
        let AllowanceKey([kind, ..]) = key;
        self.kept.get(usize::from(kind)).map_or(0, |limiter| limiter.left(&key, now))
    }

    /// Gives storage what is left of limits: with this turn's batch if somebody waits for it.
    pub(super) fn store(&mut self, storage: &mut StorageQueue, now: Now, somebody_waits: bool) {
        let forgettable = self.forgettable();
        if !forgettable.is_empty() {
            storage.write_later(Write::ForgetAllowances(forgettable), now.instant);
        }
        let changes = self.changes(now);
        if !changes.is_empty() && somebody_waits {
            storage.write(Write::KeepAllowances(changes));
        } else if !changes.is_empty() {
            storage.write_later(Write::KeepAllowances(changes), now.instant);
        }
    }

    /// What is left of all allowances of which storage does not know it.
    fn changes(&mut self, now: Now) -> Vec<StoredAllowance> {
        let mut changed = core::mem::take(&mut self.changed);
        changed.extend(Self::some_of(&mut self.misdated));
        let left = |key: AllowanceKey| {
            let full_at = self.limiter(key)?.full_at(&key)?;
            let ahead = full_at.since(now.instant).as_micros().div_ceil(1_000_000);
            let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
            Some(StoredAllowance { key, full_at: now.unix.shifted(ahead) })
        };
        changed.into_iter().filter_map(left).collect()
    }

    /// Allowances that storage can forget, some of them.
    fn forgettable(&mut self) -> Vec<AllowanceKey> {
        let mut forgotten = core::mem::take(&mut self.forgotten);
        let some = Self::some_of(&mut forgotten);
        self.forgotten = forgotten;
        // Something may have been taken of them again.
        let is_full = |key: &AllowanceKey| {
            self.limiter(*key).is_some_and(|limiter| limiter.full_at(key).is_none())
        };
        some.into_iter().filter(is_full).collect()
    }

    fn some_of(keys: &mut BTreeSet<AllowanceKey>) -> BTreeSet<AllowanceKey> {
        let rest = keys.iter().nth(Self::AT_ONCE).copied();
        let rest = rest.map_or_else(BTreeSet::new, |rest| keys.split_off(&rest));
        core::mem::replace(keys, rest)
    }

    /// Storage has not taken what is left of these, or that they can be forgotten.
    pub(super) fn not_kept(&mut self, keys: impl Iterator<Item = AllowanceKey>) {
        self.refused.extend(keys);
    }

    /// Storage is to be told again what it did not take.
    pub(super) fn retry(&mut self) {
        for key in core::mem::take(&mut self.refused) {
            let is_taken_of = self.limiter(key).is_some_and(|l| l.full_at(&key).is_some());
            let again = if is_taken_of { &mut self.changed } else { &mut self.forgotten };
            again.insert(key);
        }
    }

    /// Whether storage has taken everything that it has said something of.
    pub(super) fn are_kept(&self) -> bool {
        self.refused.is_empty()
    }

    /// Forgets whoever has nothing taken.
    pub(super) fn forget_full(&mut self, now: Now) {
        self.reconnects.forget_full(now.instant);
        self.reconnects.dropped().clear();
        for limiter in &mut self.kept {
            limiter.forget_full(now.instant);
            self.forgotten.extend(limiter.dropped().drain(..));
        }
        self.follow_the_clock(now);
    }

    /// What is stored goes by the civil clock. When that was set, all of it is stored anew.
    fn follow_the_clock(&mut self, now: Now) {
        let running = i64::try_from(now.instant.as_millis() / 1_000).unwrap_or(i64::MAX);
        let offset = now.unix.as_seconds().saturating_sub(running);
        let before = self.civil_offset_s.replace(offset);
        if before.is_some_and(|before| before.abs_diff(offset) > Self::SET_S) {
            self.misdated.extend(self.kept.iter().flat_map(Limiter::keys));
        }
    }
}
