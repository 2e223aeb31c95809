//! Storage that forgets everything with the process; for tests.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use waxwing_core::crypto::Digest;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::Shard;
use waxwing_core::server::storage::{
    AllowanceKey, Answer, Batch, ExpiredLetter, MOST_REMOVED, OwnLimits, PendingLetter, Question,
    QueueId, SenderUsage, Snapshot, StoredAllowance, StoredUser, Suspension, Write,
};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Status, StatusQuery};

use super::admin::{LETTERS_IN_A_PAGE, USERS_IN_A_PAGE};
use super::personal::{FOUND, FatePlace, LOOKED_AT, LetterPlace};
use super::{
    ApplyError, AsideLetter, Ban, BanChange, FateSummary, Inspect, KeepBans, LetterSummary,
    MailboxSummary, Ownership, Personal, SentLetter, Storage, StorageError, Stretch,
    SuspensionSummary, UserName, UserSummary, letter,
};
use crate::config::AddressRange;

/// Storage in memory. Clones share what they hold, so that a test can drop one with its server
/// and start the next server on another.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    out_of_order: bool,
    server_key: Option<Digest>,
    free_disk: Option<u64>,
    users: BTreeMap<UserId, User>,
    letters: BTreeMap<QueueId, Arc<PendingLetter>>,
    undelivered: HashMap<(UserId, PacketId), Undelivered>,
    resting: BTreeMap<UserId, UnixTime>,
    allowances: BTreeMap<AllowanceKey, UnixTime>,
    last_queue_id: QueueId,
    letters_missing_until: Option<UnixTime>,
    bans: BTreeMap<AddressRange, Ban>,
}

#[derive(Clone, Debug)]
struct User {
    stored: StoredUser,
    last_seen: Option<Timestamp>,
    suspended: Option<SuspensionSummary>,
    limits: OwnLimits,
}

#[derive(Clone, Debug)]
struct Undelivered {
    sender: UserId,
    removed_at: UnixTime,
}

impl MemoryStorage {
    /// Storage in which there is nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on nothing goes through, or everything again.
    pub fn set_out_of_order(&self, out_of_order: bool) {
        self.state().out_of_order = out_of_order;
    }

    /// What [`Storage::free_disk`] is to say.
    pub fn set_free_disk(&self, bytes: Option<u64>) {
        self.state().free_disk = bytes;
    }

    /// What it holds now, for [`MemoryStorage::restore`].
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { state: Arc::new(Mutex::new(self.state().clone())) }
    }

    /// An older state comes back. Until `letters_missing_until`, letters that are not there may be lost.
    pub fn restore(&self, copy: &Self, letters_missing_until: UnixTime) {
        let older = copy.state().clone();
        let mut state = self.state();
        let (out_of_order, free_disk) = (state.out_of_order, state.free_disk);
        let letters_missing_until = Some(letters_missing_until);
        *state = State { out_of_order, free_disk, letters_missing_until, ..older };
    }

    /// The letters with these places go undelivered.
    pub fn take_out(&self, letters: &[QueueId], now: UnixTime) {
        self.state().remove_undelivered(letters, now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn in_order(&self) -> Result<(), ApplyError> {
        if self.out_of_order {
            return Err(ApplyError::Unavailable("out of order".into()));
        }
        Ok(())
    }

    /// Whether every write can be done, so that doing them cannot stop half way.
    fn check(&self, batches: &[Arc<Batch>]) -> Result<(), &'static str> {
        let (mut ids, mut phones) = (HashSet::new(), HashSet::new());
        let (mut added, mut deleted) = (BTreeSet::new(), BTreeSet::new());
        for write in batches.iter().flat_map(|batch| &batch.writes) {
            match write {
                Write::CreateUser { id, phone, .. } => {
                    let taken = self.users.contains_key(id)
                        || self.users.values().any(|user| user.stored.phone == *phone);
                    if taken || !ids.insert(*id) || !phones.insert(*phone) {
                        return Err("id or phone is taken");
                    }
                }
                Write::ConfirmSession { user, .. } => {
                    if !self.users.contains_key(user) && !ids.contains(user) {
                        return Err("no such user");
                    }
                }
                Write::InsertLetter(letter) => {
                    let (id, recipient) = (letter.queue_id, letter.recipient);
                    if !self.users.contains_key(&recipient) && !ids.contains(&recipient) {
                        return Err("no such recipient");
                    }
                    let present = self.letters.contains_key(&id) && !deleted.contains(&id);
                    if present || !added.insert(id) || letter::columns(letter).is_none() {
                        return Err("not a new letter");
                    }
                }
                Write::DeleteLetters { recipient, letters } => {
                    for id in letters {
                        if self.letters.get(id).is_some_and(|l| l.recipient == *recipient) {
                            deleted.insert(*id);
                        }
                    }
                }
                Write::RemoveUser { user, .. } => {
                    let has_letters =
                        self.mailbox(*user).any(|letter| !deleted.contains(&letter.queue_id));
                    if !self.users.contains_key(user) || has_letters {
                        return Err("no user, or one with letters");
                    }
                }
                Write::Suspend { user, .. } | Write::SetLimits { user, .. } => {
                    if !self.users.contains_key(user) && !ids.contains(user) {
                        return Err("no such user");
                    }
                }
                Write::KeepAllowances(_) | Write::ForgetAllowances(_) | Write::Resume { .. } => {}
            }
        }
        Ok(())
    }

    fn write(&mut self, write: &Write) {
        match write {
            Write::CreateUser { id, phone, spki } => {
                let stored = StoredUser {
                    id: *id,
                    phone: *phone,
                    spki: (**spki).clone(),
                    session_key: None,
                };
                self.resting.remove(id);
                self.users.insert(
                    *id,
                    User { stored, last_seen: None, suspended: None, limits: OwnLimits::default() },
                );
            }
            Write::ConfirmSession { user, session_key, last_seen } => {
                if let Some(user) = self.users.get_mut(user) {
                    user.stored.session_key = Some(*session_key);
                    user.last_seen = Some(*last_seen);
                }
            }
            Write::InsertLetter(letter) => {
                self.last_queue_id = self.last_queue_id.max(letter.queue_id);
                self.letters.insert(letter.queue_id, letter.clone());
            }
            Write::DeleteLetters { recipient, letters } => {
                for id in letters {
                    if self.letters.get(id).is_some_and(|l| l.recipient == *recipient) {
                        self.letters.remove(id);
                    }
                }
            }
            Write::KeepAllowances(allowances) => {
                self.allowances.extend(allowances.iter().map(|left| (left.key, left.full_at)));
            }
            Write::ForgetAllowances(keys) => {
                for key in keys {
                    self.allowances.remove(key);
                }
            }
            Write::RemoveUser { user, now } => {
                self.users.remove(user);
                self.resting.insert(*user, *now);
            }
            Write::Suspend { user, until, reason, now } => {
                if let Some(user) = self.users.get_mut(user) {
                    let (since, reason) = (*now, reason.to_string());
                    user.suspended = Some(SuspensionSummary { since, until: *until, reason });
                }
            }
            Write::Resume { user } => {
                if let Some(user) = self.users.get_mut(user) {
                    user.suspended = None;
                }
            }
            Write::SetLimits { user, limits } => {
                if let Some(user) = self.users.get_mut(user) {
                    user.limits = *limits;
                }
            }
        }
    }

    fn mailbox(&self, recipient: UserId) -> impl Iterator<Item = &Arc<PendingLetter>> {
        self.letters.values().filter(move |letter| letter.recipient == recipient)
    }

    fn letters_after(
        &self,
        recipient: UserId,
        after: QueueId,
        max_letters: usize,
        max_bytes: usize,
    ) -> Answer {
        let mut letters: Vec<PendingLetter> = Vec::new();
        let mut bytes = 0;
        for letter in self.mailbox(recipient).filter(|letter| letter.queue_id > after) {
            bytes += letter.packet.len();
            let full = letters.len() >= max_letters || bytes > max_bytes;
            if full && !letters.is_empty() {
                return Answer::Letters { letters, damaged: Vec::new(), exhausted: false };
            }
            letters.push(PendingLetter::clone(letter));
        }
        Answer::Letters { letters, damaged: Vec::new(), exhausted: true }
    }

    fn fate(&self, asker: UserId, query: StatusQuery) -> (PacketId, Status) {
        let StatusQuery { recipient, letter } = query;
        let mut copies = self.mailbox(recipient).filter(|l| l.id == letter).peekable();
        let status = if copies.peek().is_some() {
            if copies.any(|l| l.sender == asker) { Status::Stored } else { Status::Unknown }
        } else {
            match self.undelivered.get(&(recipient, letter)) {
                Some(fate) if fate.sender == asker => Status::Expired,
                Some(_) => Status::Unknown,
                None => Status::Delivered,
            }
        };
        (letter, status)
    }

    fn remove_undelivered(&mut self, ids: &[QueueId], now: UnixTime) -> Vec<ExpiredLetter> {
        let letters: Vec<_> = ids.iter().filter_map(|id| self.letters.remove(id)).collect();
        for letter in &letters {
            let fate = Undelivered { sender: letter.sender, removed_at: now };
            self.undelivered.insert((letter.recipient, letter.id), fate);
        }
        let expired = |letter: &Arc<PendingLetter>| ExpiredLetter {
            queue_id: letter.queue_id,
            id: letter.id,
            sender: letter.sender,
            recipient: letter.recipient,
            bytes: letter.packet.len() as u64,
        };
        letters.iter().map(expired).collect()
    }

    fn expire(
        &mut self,
        shard: Shard,
        before: UnixTime,
        now: UnixTime,
        limit: usize,
    ) -> Vec<ExpiredLetter> {
        let mut old: Vec<_> = self
            .letters
            .values()
            .filter(|letter| shard.owns(letter.recipient) && letter.accepted_at < before)
            .map(|letter| (letter.accepted_at, letter.queue_id, letter.packet.len()))
            .collect();
        old.sort_unstable();
        let old = old.into_iter().map(|(_, id, bytes)| (id, bytes));
        self.remove_undelivered(&in_one_go(old, limit), now)
    }

    fn forget_suspensions(&mut self, now: UnixTime) {
        for user in self.users.values_mut() {
            user.suspended.take_if(|kept| kept.until.is_some_and(|until| until <= now));
        }
    }

    fn refers_to(&self, id: UserId) -> bool {
        self.letters.values().any(|letter| letter.sender == id)
            || self.undelivered.iter().any(|((to, _), fate)| *to == id || fate.sender == id)
    }

    fn summary(&self, user: &User) -> UserSummary {
        let id = user.stored.id;
        UserSummary {
            id,
            phone: user.stored.phone,
            spki: user.stored.spki.clone(),
            last_seen: user.last_seen,
            suspended: user.suspended.clone(),
            limits: user.limits,
        }
    }

    fn named(&self, name: &UserName) -> Option<&User> {
        match name {
            UserName::Id(id) => self.users.get(id),
            UserName::Phone(phone) => self.users.values().find(|u| u.stored.phone == *phone),
        }
    }
}

impl Storage for MemoryStorage {
    fn load(&mut self, rested_before: UnixTime) -> Result<Snapshot, StorageError> {
        let state = self.state();
        let resting = |(id, removed_at): (&UserId, &UnixTime)| {
            (*removed_at >= rested_before || state.refers_to(*id)).then_some(*id)
        };
        let allowance = |(key, full_at): (&AllowanceKey, &UnixTime)| StoredAllowance {
            key: *key,
            full_at: *full_at,
        };
        let suspension = |user: &User| {
            let until = user.suspended.as_ref()?.until;
            Some(Suspension { user: user.stored.id, until })
        };
        let own_limits = |user: &User| {
            (user.limits != OwnLimits::default()).then_some((user.stored.id, user.limits))
        };
        let recipients: BTreeSet<_> =
            state.letters.values().map(|letter| letter.recipient).collect();
        Ok(Snapshot {
            users: state.users.values().map(|user| user.stored.clone()).collect(),
            last_queue_id: state.last_queue_id,
            resting_ids: state.resting.iter().filter_map(resting).collect(),
            with_letters: Vec::from_iter(recipients),
            allowances: state.allowances.iter().map(allowance).collect(),
            pending: usage(state.letters.values()),
            suspensions: state.users.values().filter_map(suspension).collect(),
            own_limits: state.users.values().filter_map(own_limits).collect(),
            letters_missing_until: state.letters_missing_until,
        })
    }

    fn apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), ApplyError> {
        let mut state = self.state();
        state.in_order()?;
        state.check(batches).map_err(|why| ApplyError::Refused(why.into()))?;
        for write in batches.iter().flat_map(|batch| &batch.writes) {
            state.write(write);
        }
        Ok(())
    }

    fn answer(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        let mut state = self.state();
        state.in_order()?;
        Ok(match question {
            Question::Letters { recipient, after, max_letters, max_bytes } => {
                state.letters_after(*recipient, *after, *max_letters, *max_bytes)
            }
            Question::Usage { recipient } => Answer::Usage(usage(state.mailbox(*recipient))),
            Question::Fates { asker, letters } => {
                Answer::Fates(letters.iter().map(|query| state.fate(*asker, *query)).collect())
            }
            Question::Expire { shard, accepted_before, forget_before, now, limit } => {
                state.undelivered.retain(|_, fate| fate.removed_at >= *forget_before);
                state.forget_suspensions(*now);
                Answer::Expired(state.expire(*shard, *accepted_before, *now, *limit))
            }
            Question::TakeOut { recipient, accepted_before, now, limit } => {
                let old = state.mailbox(*recipient).filter(|l| l.accepted_at < *accepted_before);
                let old = in_one_go(old.map(|one| (one.queue_id, one.packet.len())), *limit);
                Answer::Expired(state.remove_undelivered(&old, *now))
            }
        })
    }

    fn check(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    fn free_disk(&self) -> Option<u64> {
        self.state().free_disk
    }

    fn tidy(&mut self) -> Result<bool, ApplyError> {
        Ok(true)
    }

    fn close(self: Box<Self>) -> Result<(), StorageError> {
        Ok(())
    }
}

impl Ownership for MemoryStorage {
    fn server_key(&self) -> Result<Option<Digest>, StorageError> {
        Ok(self.state().server_key)
    }

    fn set_server_key(&mut self, key: &Digest, _: UnixTime) -> Result<(), ApplyError> {
        let mut state = self.state();
        state.in_order()?;
        state.server_key = Some(*key);
        Ok(())
    }

    fn is_unused(&self) -> Result<bool, StorageError> {
        let state = self.state();
        Ok(state.users.is_empty() && state.resting.is_empty() && state.last_queue_id.0 == 0)
    }
}

impl KeepBans for MemoryStorage {
    fn bans(&mut self) -> Result<Vec<Ban>, StorageError> {
        Ok(self.state().bans.values().cloned().collect())
    }

    fn change_bans(&mut self, change: &BanChange) -> Result<(), ApplyError> {
        let mut state = self.state();
        state.in_order()?;
        match change {
            BanChange::Add(ban) => {
                state.bans.retain(|_, other| !other.is_over(ban.since));
                state.bans.insert(ban.range, ban.clone());
            }
            BanChange::Remove(range) => {
                state.bans.remove(range);
            }
        }
        Ok(())
    }
}

impl Inspect for MemoryStorage {
    fn users(&mut self, after: Option<UserId>) -> Result<Vec<UserSummary>, StorageError> {
        let state = self.state();
        let behind = state.users.iter().filter(|(id, _)| Some(**id) > after);
        Ok(behind.take(USERS_IN_A_PAGE).map(|(_, user)| state.summary(user)).collect())
    }

    fn find_user(&mut self, name: &UserName) -> Result<Option<UserSummary>, StorageError> {
        let state = self.state();
        Ok(state.named(name).map(|user| state.summary(user)))
    }

    fn mailboxes(
        &mut self,
        only: Option<UserId>,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<MailboxSummary, LetterPlace>, StorageError> {
        let state = self.state();
        let of_one = |owner| only.is_none_or(|only| owner == only);
        let mut letters: Vec<_> = state.letters.values().filter(|l| of_one(l.recipient)).collect();
        letters.retain(|letter| Some(place(letter)) > after);
        letters.sort_by_key(|letter| place(letter));
        letters.truncate(LOOKED_AT);
        let next = letters.last().filter(|_| letters.len() == LOOKED_AT).map(|l| place(l));
        let mut mailboxes: BTreeMap<UserId, MailboxSummary> = BTreeMap::new();
        for letter in letters {
            let (owner, oldest) = (letter.recipient, letter.accepted_at);
            let new = MailboxSummary { owner, letters: 0, bytes: 0, oldest };
            let mailbox = mailboxes.entry(owner).or_insert(new);
            mailbox.letters += 1;
            mailbox.bytes += letter.packet.len() as u64;
        }
        Ok(Stretch { found: mailboxes.into_values().collect(), next })
    }

    fn letters(
        &mut self,
        recipient: UserId,
        after: QueueId,
    ) -> Result<Vec<LetterSummary>, StorageError> {
        let state = self.state();
        let behind = state.mailbox(recipient).filter(|letter| letter.queue_id > after);
        let summary = |letter: &Arc<PendingLetter>| LetterSummary {
            queue_id: letter.queue_id,
            id: letter.id,
            sender: letter.sender,
            accepted_at: letter.accepted_at,
            bytes: letter.packet.len() as u64,
        };
        Ok(behind.take(LETTERS_IN_A_PAGE).map(summary).collect())
    }
}

impl Personal for MemoryStorage {
    fn letters_from(
        &mut self,
        sender: UserId,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<SentLetter, LetterPlace>, StorageError> {
        let state = self.state();
        let sent = state.letters.values().filter(|letter| letter.sender == sender);
        let mut sent: Vec<_> = sent.filter(|letter| Some(place(letter)) > after).collect();
        sent.sort_by_key(|letter| place(letter));
        let is_all = sent.len() <= FOUND;
        sent.truncate(FOUND);
        let next = sent.last().filter(|_| !is_all).map(|letter| place(letter));
        let summary = |letter: &Arc<PendingLetter>| SentLetter {
            queue_id: letter.queue_id,
            id: letter.id,
            recipient: letter.recipient,
            accepted_at: letter.accepted_at,
            bytes: letter.packet.len() as u64,
        };
        Ok(Stretch { found: sent.into_iter().map(summary).collect(), next })
    }

    fn fates_about(
        &mut self,
        user: UserId,
        after: Option<FatePlace>,
    ) -> Result<Stretch<FateSummary, FatePlace>, StorageError> {
        let state = self.state();
        let fates = state.undelivered.iter().map(|((recipient, id), fate)| FateSummary {
            id: *id,
            sender: fate.sender,
            recipient: *recipient,
            removed_at: fate.removed_at,
        });
        let fates = fates.filter(|fate| fate.sender == user || fate.recipient == user);
        let mut found: Vec<_> =
            fates.filter(|fate| Some((fate.recipient, fate.id)) > after).collect();
        found.sort_by_key(|fate| (fate.recipient, fate.id));
        let is_all = found.len() <= FOUND;
        found.truncate(FOUND);
        let next = found.last().filter(|_| !is_all).map(|fate| (fate.recipient, fate.id));
        Ok(Stretch { found, next })
    }

    /// What is in memory is not damaged.
    fn letters_aside(
        &mut self,
        _: UserId,
        _: QueueId,
    ) -> Result<Stretch<AsideLetter, QueueId>, StorageError> {
        Ok(Stretch { found: Vec::new(), next: None })
    }

    fn packet(&mut self, letter: QueueId) -> Result<Option<Arc<[u8]>>, StorageError> {
        Ok(self.state().letters.get(&letter).map(|letter| letter.packet.clone()))
    }

    fn forget_fates_from(
        &mut self,
        sender: UserId,
        _: Option<FatePlace>,
    ) -> Result<Option<FatePlace>, ApplyError> {
        let mut state = self.state();
        state.in_order()?;
        state.undelivered.retain(|_, fate| fate.sender != sender);
        Ok(None)
    }

    fn erase_rest(&mut self, _: UserId) -> Result<(), ApplyError> {
        self.state().in_order()
    }
}

/// The place of a letter among all, by mailbox.
fn place(letter: &PendingLetter) -> LetterPlace {
    (letter.recipient, letter.queue_id)
}

/// Those of these letters that are removed at once.
fn in_one_go(letters: impl Iterator<Item = (QueueId, usize)>, limit: usize) -> Vec<QueueId> {
    let mut before = 0;
    let in_one_go = letters.take(limit).take_while(|(_, bytes)| {
        let is_one = before < MOST_REMOVED;
        before += *bytes as u64;
        is_one
    });
    in_one_go.map(|(id, _)| id).collect()
}

/// What each sender has of these letters.
fn usage<'l>(letters: impl Iterator<Item = &'l Arc<PendingLetter>>) -> Vec<SenderUsage> {
    let mut usage: BTreeMap<UserId, SenderUsage> = BTreeMap::new();
    for letter in letters {
        let sender = letter.sender;
        let entry = usage.entry(sender).or_insert(SenderUsage { sender, letters: 0, bytes: 0 });
        entry.letters += 1;
        entry.bytes += letter.packet.len() as u64;
    }
    usage.into_values().collect()
}
