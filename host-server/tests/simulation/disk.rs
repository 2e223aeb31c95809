//! Storage that outlives the server, and fails now and then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use waxwing_core::server::storage::{Answer, Batch, Question, StoredUser};
use waxwing_core::time::UnixTime;
use waxwing_server::store::{ApplyError, MemoryStorage, Storage};
use waxwing_testkit::simulation::{Dice, Seeded};

use crate::contents;
use crate::simulated::Behaviour;

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
        let durable = contents::of(users);
        let dice = Arc::new(Mutex::new(Seeded::new(!seed)));
        Self { durable, is_bad: Arc::default(), may_break: false, dice }
    }

    /// From now on it fails now and then, or not any more.
    pub(crate) fn set_bad(&self, is_bad: bool) {
        self.is_bad.store(is_bad, Ordering::Relaxed);
    }

    /// A copy of what is durable now.
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

    /// What is durable now.
    pub(crate) fn contents(&self) -> MemoryStorage {
        self.durable.clone()
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

impl Behaviour for Disk {
    fn durable(&self) -> MemoryStorage {
        self.durable.clone()
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
}
