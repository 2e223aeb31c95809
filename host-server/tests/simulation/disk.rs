//! Storage that outlives the server, and fails now and then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use waxwing_core::crypto::Digest;
use waxwing_core::id::UserId;
use waxwing_core::server::storage::{
    Answer, Batch, Question, QueueId, SenderUsage, Snapshot, StoredUser, Ticket, Write,
};
use waxwing_core::server::{Counted, Stored};
use waxwing_core::time::UnixTime;
use waxwing_server::store::{
    ApplyError, AsideLetter, Ban, BanChange, FatePlace, FateSummary, Inspect, KeepBans,
    LetterPlace, LetterSummary, MailboxSummary, MemoryStorage, Ownership, Personal, SentLetter,
    Storage, StorageError, Stretch, UserName, UserSummary,
};
use waxwing_testkit::simulation::{Dice, Seeded};

/// What is durable, and how it behaves. Clones share it.
#[derive(Clone)]
pub(crate) struct Disk {
    durable: MemoryStorage,
    is_bad: Arc<AtomicBool>,
    /// Whether it may fail in a way that nobody can tell what has happened.
    pub(crate) may_break: bool,
    dice: Arc<Mutex<Seeded>>,
}

/// How a call ends.
enum Fault {
    None,
    Unavailable,
    Refused,
    Broken { has_happened: bool },
}

impl Disk {
    pub(crate) fn new(seed: u64, users: impl Iterator<Item = StoredUser>) -> Self {
        let mut durable = MemoryStorage::new();
        let create = |user: StoredUser| Write::CreateUser {
            id: user.id,
            phone: user.phone,
            spki: user.spki.into(),
        };
        let batch = Batch { ticket: Ticket(0), writes: users.map(create).collect() };
        durable.apply(&[batch.into()]).unwrap();
        let dice = Arc::new(Mutex::new(Seeded::new(!seed)));
        Self { durable, is_bad: Arc::default(), may_break: false, dice }
    }

    /// From now on it fails now and then, or not any more.
    pub(crate) fn set_bad(&self, is_bad: bool) {
        self.is_bad.store(is_bad, Ordering::Relaxed);
    }

    /// What is durable now.
    pub(crate) fn backup(&self) -> MemoryStorage {
        self.durable.copy()
    }

    /// An older state comes back.
    pub(crate) fn restore(&self, backup: &MemoryStorage, letters_missing_until: UnixTime) {
        self.durable.restore(backup, letters_missing_until);
    }

    /// How much is free.
    pub(crate) fn set_free(&self, bytes: u64) {
        self.durable.set_free_disk(Some(bytes));
    }

    /// Letters that wait, for everyone.
    pub(crate) fn pending_letters(&self) -> u32 {
        let all = self.durable.clone().load(UnixTime::default()).unwrap().pending;
        all.iter().map(|usage| usage.letters).sum()
    }

    /// All letters of these users' mailboxes.
    pub(crate) fn stored(&mut self, users: &[UserId]) -> Stored {
        let letters = users.iter().flat_map(|user| {
            let (after, max_letters, max_bytes) = (QueueId(0), usize::MAX, usize::MAX);
            let question = Question::Letters { recipient: *user, after, max_letters, max_bytes };
            let Ok(Answer::Letters { letters, .. }) = self.durable.answer(&question) else {
                panic!("it is memory")
            };
            letters
        });
        let letters = letters.map(|letter| Counted {
            recipient: letter.recipient,
            sender: letter.sender,
            letter: letter.queue_id,
            bytes: letter.packet.len() as u64,
        });
        Stored { letters: letters.collect(), ..Stored::default() }
    }

    /// What `sender` has in all mailboxes.
    pub(crate) fn usage_of(&mut self, sender: UserId) -> (u32, u64) {
        let all = self.durable.load(UnixTime::default()).unwrap().pending;
        let of_sender = all.iter().find(|usage| usage.sender == sender);
        of_sender.map_or((0, 0), |SenderUsage { letters, bytes, .. }| (*letters, *bytes))
    }

    fn fault(&self, is_group: bool) -> Fault {
        if !self.is_bad.load(Ordering::Relaxed) {
            return Fault::None;
        }
        let mut dice = self.dice.lock().unwrap();
        match dice.roll(24) {
            0..6 => Fault::Unavailable,
            6..10 => Fault::Refused,
            // Each of them alone may go through.
            10..14 if is_group => Fault::Refused,
            14 if self.may_break => Fault::Broken { has_happened: dice.roll(2) == 0 },
            _ => Fault::None,
        }
    }
}

impl Inspect for Disk {
    fn users(&mut self, after: Option<UserId>) -> Result<Vec<UserSummary>, StorageError> {
        self.durable.users(after)
    }

    fn find_user(&mut self, name: &UserName) -> Result<Option<UserSummary>, StorageError> {
        self.durable.find_user(name)
    }

    fn mailboxes(&mut self, after: Option<UserId>) -> Result<Vec<MailboxSummary>, StorageError> {
        self.durable.mailboxes(after)
    }

    fn letters(
        &mut self,
        recipient: UserId,
        after: QueueId,
    ) -> Result<Vec<LetterSummary>, StorageError> {
        self.durable.letters(recipient, after)
    }
}

impl Personal for Disk {
    fn letters_from(
        &mut self,
        sender: UserId,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<SentLetter, LetterPlace>, StorageError> {
        self.durable.letters_from(sender, after)
    }

    fn fates_about(
        &mut self,
        user: UserId,
        after: Option<FatePlace>,
    ) -> Result<Stretch<FateSummary, FatePlace>, StorageError> {
        self.durable.fates_about(user, after)
    }

    fn letters_aside(
        &mut self,
        user: UserId,
        after: QueueId,
    ) -> Result<Stretch<AsideLetter, QueueId>, StorageError> {
        self.durable.letters_aside(user, after)
    }

    fn packet(&mut self, letter: QueueId) -> Result<Option<Arc<[u8]>>, StorageError> {
        self.durable.packet(letter)
    }

    fn erase(&mut self, user: UserId) -> Result<(), ApplyError> {
        self.durable.erase(user)
    }
}

impl KeepBans for Disk {
    fn bans(&mut self) -> Result<Vec<Ban>, StorageError> {
        self.durable.bans()
    }

    fn change_bans(&mut self, change: &BanChange) -> Result<(), ApplyError> {
        self.durable.change_bans(change)
    }
}

impl Ownership for Disk {
    fn server_key(&self) -> Result<Option<Digest>, StorageError> {
        self.durable.server_key()
    }

    fn set_server_key(&mut self, key: &Digest, now: UnixTime) -> Result<(), ApplyError> {
        self.durable.set_server_key(key, now)
    }

    fn is_unused(&self) -> Result<bool, StorageError> {
        self.durable.is_unused()
    }
}

impl Storage for Disk {
    fn load(&mut self, rested_before: UnixTime) -> Result<Snapshot, StorageError> {
        self.durable.load(rested_before)
    }

    fn apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), ApplyError> {
        match self.fault(batches.len() > 1) {
            Fault::None => self.durable.apply(batches),
            Fault::Unavailable => Err(ApplyError::Unavailable("a fault".into())),
            Fault::Refused => Err(ApplyError::Refused("a fault".into())),
            Fault::Broken { has_happened } => {
                if has_happened {
                    self.durable.apply(batches)?;
                }
                Err(ApplyError::Fatal("a fault".into()))
            }
        }
    }

    fn answer(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        match self.fault(false) {
            Fault::None => self.durable.answer(question),
            _ => Err(ApplyError::Unavailable("a fault".into())),
        }
    }

    fn check(&mut self) -> Result<(), StorageError> {
        self.durable.check()
    }

    fn free_disk(&self) -> Option<u64> {
        self.durable.free_disk()
    }

    fn tidy(&mut self) -> Result<bool, ApplyError> {
        self.durable.tidy()
    }

    fn close(self: Box<Self>) -> Result<(), StorageError> {
        Ok(())
    }
}
