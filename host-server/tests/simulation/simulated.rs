//! What every simulated storage does: it is memory, and what goes wrong is its own.

use std::sync::Arc;
use std::time::Duration;

use waxwing_core::crypto::Digest;
use waxwing_core::id::UserId;
use waxwing_core::server::storage::{Answer, Batch, Question, QueueId, Snapshot};
use waxwing_core::time::UnixTime;
use waxwing_server::store::{
    ApplyError, AsideLetter, Ban, BanChange, FatePlace, FateSummary, Inspect, KeepBans,
    LetterPlace, LetterSummary, MailboxSummary, MemoryStorage, Ownership, Personal, Resolved,
    SentLetter, Storage, StorageError, Stretch, UserName, UserSummary,
};

/// How a simulated storage takes changes and questions.
pub(crate) trait Behaviour: Send {
    /// What it holds.
    fn durable(&self) -> MemoryStorage;

    /// As in [`Storage::load`].
    fn load(&mut self, rested_before: UnixTime) -> Result<Snapshot, StorageError> {
        self.durable().load(rested_before)
    }

    /// As in [`Storage::apply`].
    fn apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), ApplyError>;

    /// As in [`Storage::answer`].
    fn answer(&mut self, question: &Question) -> Result<Answer, ApplyError>;

    /// As in [`Storage::resolve`].
    fn resolve(&mut self) -> Result<Option<Resolved>, ApplyError> {
        panic!("nothing is unclear")
    }

    /// As in [`Storage::beat_interval`].
    fn beat_interval(&self) -> Option<Duration> {
        None
    }

    /// As in [`Storage::close`].
    fn close(&mut self) {}
}

/// A storage with this behaviour.
pub(crate) struct Simulated<B>(pub(crate) B);

impl<B: Behaviour> Inspect for Simulated<B> {
    fn users(&mut self, after: Option<UserId>) -> Result<Vec<UserSummary>, StorageError> {
        self.0.durable().users(after)
    }

    fn find_user(&mut self, name: &UserName) -> Result<Option<UserSummary>, StorageError> {
        self.0.durable().find_user(name)
    }

    fn mailboxes(
        &mut self,
        only: Option<UserId>,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<MailboxSummary, LetterPlace>, StorageError> {
        self.0.durable().mailboxes(only, after)
    }

    fn letters(
        &mut self,
        recipient: UserId,
        after: QueueId,
    ) -> Result<Vec<LetterSummary>, StorageError> {
        self.0.durable().letters(recipient, after)
    }
}

impl<B: Behaviour> Personal for Simulated<B> {
    fn letters_from(
        &mut self,
        sender: UserId,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<SentLetter, LetterPlace>, StorageError> {
        self.0.durable().letters_from(sender, after)
    }

    fn fates_about(
        &mut self,
        user: UserId,
        after: Option<FatePlace>,
    ) -> Result<Stretch<FateSummary, FatePlace>, StorageError> {
        self.0.durable().fates_about(user, after)
    }

    fn letters_aside(
        &mut self,
        user: UserId,
        after: QueueId,
    ) -> Result<Stretch<AsideLetter, QueueId>, StorageError> {
        self.0.durable().letters_aside(user, after)
    }

    fn packet(&mut self, letter: QueueId) -> Result<Option<Arc<[u8]>>, StorageError> {
        self.0.durable().packet(letter)
    }

    fn forget_fates_from(
        &mut self,
        sender: UserId,
        after: Option<FatePlace>,
    ) -> Result<Option<FatePlace>, ApplyError> {
        self.0.durable().forget_fates_from(sender, after)
    }

    fn erase_rest(&mut self, user: UserId) -> Result<(), ApplyError> {
        self.0.durable().erase_rest(user)
    }
}

impl<B: Behaviour> KeepBans for Simulated<B> {
    fn bans(&mut self) -> Result<Vec<Ban>, StorageError> {
        self.0.durable().bans()
    }

    fn change_bans(&mut self, change: &BanChange) -> Result<(), ApplyError> {
        self.0.durable().change_bans(change)
    }
}

impl<B: Behaviour> Ownership for Simulated<B> {
    fn server_key(&self) -> Result<Option<Digest>, StorageError> {
        self.0.durable().server_key()
    }

    fn set_server_key(&mut self, key: &Digest, now: UnixTime) -> Result<(), ApplyError> {
        self.0.durable().set_server_key(key, now)
    }

    fn is_unused(&self) -> Result<bool, StorageError> {
        self.0.durable().is_unused()
    }
}

impl<B: Behaviour> Storage for Simulated<B> {
    fn load(&mut self, rested_before: UnixTime) -> Result<Snapshot, StorageError> {
        self.0.load(rested_before)
    }

    fn apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), ApplyError> {
        self.0.apply(batches)
    }

    fn answer(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        self.0.answer(question)
    }

    fn resolve(&mut self) -> Result<Option<Resolved>, ApplyError> {
        self.0.resolve()
    }

    fn beat_interval(&self) -> Option<Duration> {
        self.0.beat_interval()
    }

    fn check(&mut self) -> Result<(), StorageError> {
        self.0.durable().check()
    }

    fn free_disk(&self) -> Option<u64> {
        self.0.durable().free_disk()
    }

    fn tidy(&mut self) -> Result<bool, ApplyError> {
        self.0.durable().tidy()
    }

    fn close(mut self: Box<Self>) -> Result<(), StorageError> {
        self.0.close();
        Ok(())
    }
}
