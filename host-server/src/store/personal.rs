//! What is held about one person besides their account and their mailbox.

use std::sync::Arc;

use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::storage::QueueId;
use waxwing_core::time::UnixTime;

use super::{ApplyError, StorageError};

/// A letter of somebody's that waits for somebody else: nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentLetter {
    /// The place of the letter in its mailbox.
    pub queue_id: QueueId,
    /// The packet id of the letter.
    pub id: PacketId,
    /// The user for whom it waits.
    pub recipient: UserId,
    /// When the server accepted it.
    pub accepted_at: UnixTime,
    /// Bytes of the packet.
    pub bytes: u64,
}

/// That a letter was not delivered, as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FateSummary {
    /// The packet id of the letter.
    pub id: PacketId,
    /// The user who sent it.
    pub sender: UserId,
    /// The user who was to have it.
    pub recipient: UserId,
    /// When it was thrown out.
    pub removed_at: UnixTime,
}

/// A letter that was found damaged and set aside, as far as what is left of it makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsideLetter {
    /// The place that the letter had in its mailbox.
    pub queue_id: QueueId,
    /// The packet id of the letter.
    pub id: Option<PacketId>,
    /// The user who sent it.
    pub sender: Option<UserId>,
    /// The user who was to have it.
    pub recipient: Option<UserId>,
    /// When it was set aside.
    pub set_aside_at: UnixTime,
}

/// What was found on the way to a place, and whether there is more behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch<T, P> {
    /// Some of what is looked for, or nothing.
    pub found: Vec<T>,
    /// From where to go on; `None` at the end.
    pub next: Option<P>,
}

/// The place of a letter among all, by mailbox.
pub type LetterPlace = (UserId, QueueId);
/// The place of a fate among all.
pub type FatePlace = (UserId, PacketId);

/// What is held about one person. Nothing of it has an index, so it is looked for in stretches, each short
/// enough to be looked at between two commits.
pub trait Personal {
    /// Letters from `sender` that wait for others, in a stretch behind `after`, or from the first on.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn letters_from(
        &mut self,
        sender: UserId,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<SentLetter, LetterPlace>, StorageError>;

    /// Fates of letters from or to `user`, in a stretch behind `after`, or from the first on.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn fates_about(
        &mut self,
        user: UserId,
        after: Option<FatePlace>,
    ) -> Result<Stretch<FateSummary, FatePlace>, StorageError>;

    /// Letters from or to `user` that were set aside, in a stretch behind the place `after`.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn letters_aside(
        &mut self,
        user: UserId,
        after: QueueId,
    ) -> Result<Stretch<AsideLetter, QueueId>, StorageError>;

    /// The packet of a letter that waits; `None` if it waits no more, or is damaged.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn packet(&mut self, letter: QueueId) -> Result<Option<Arc<[u8]>>, StorageError>;

    /// Forgets what is left of a user who was removed, and sees to it that nothing of it can be read from
    /// files: fates of letters from the user, whom nobody can ask for any more, and letters from or to the
    /// user that were set aside. Fates of letters *to* the user stay: their senders have to be told. Whoever
    /// serves others meanwhile has it done by its two steps.
    ///
    /// # Errors
    /// As [`super::Storage::apply`]; and [`ApplyError::Unavailable`] as long as something can still be read
    /// from files. It can be repeated.
    fn erase(&mut self, user: UserId) -> Result<(), ApplyError> {
        let mut after = None;
        loop {
            after = self.forget_fates_from(user, after)?;
            if after.is_none() {
                return self.erase_rest(user);
            }
        }
    }

    /// The first step of [`Self::erase`]: forgets fates of letters from `sender` in a stretch behind `after`, or
    /// from the first on. Says where to go on; nothing at the end.
    ///
    /// # Errors
    /// As [`super::Storage::apply`].
    fn forget_fates_from(
        &mut self,
        sender: UserId,
        after: Option<FatePlace>,
    ) -> Result<Option<FatePlace>, ApplyError>;

    /// The last step of [`Self::erase`].
    ///
    /// # Errors
    /// As [`Self::erase`].
    fn erase_rest(&mut self, user: UserId) -> Result<(), ApplyError>;
}

/// Entries of a stretch that are looked at, at most.
pub(super) const LOOKED_AT: usize = 10_000;
/// Entries of a stretch that are found, at most.
pub(super) const FOUND: usize = 500;
/// Entries of a stretch that are forgotten, at most: a commit of more would be long.
pub(super) const FORGOTTEN: usize = 1_000;
