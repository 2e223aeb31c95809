//! What the server keeps, behind one trait (ARCHITECTURE.md, "Storage").
//!
//! [`SqliteStorage`] is the one that survives a power cut; [`MemoryStorage`] serves tests. Both
//! pass `tests/storage_contract.rs`. [`StorageThread`] carries out for a server machine what it
//! asks, off the event loop.

mod admin;
mod bans;
mod engine;
mod error;
mod free_ids;
mod inspection;
mod interrupt;
mod letter;
mod memory;
#[cfg(feature = "postgres")]
pub mod moving;
mod personal;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod shared;
mod sqlite;
mod thread;
mod turn;
mod unclear;

use std::sync::Arc;
use std::time::Duration;

use waxwing_core::server::storage::{Answer, Batch, Question, Snapshot};
use waxwing_core::time::UnixTime;

pub use admin::{
    Inspect, LetterSummary, MailboxSummary, SuspensionSummary, UserName, UserSummary, remove_user,
};
pub use bans::{Ban, BanChange, KeepBans};
#[cfg(feature = "postgres")]
pub use engine::adopt;
pub use engine::{
    Contents, Copied, Copier, Engine, Looked, Named, NotUndone, Opened, Opening, Ownership, Pages,
    Restoration, Schema, SecondCopy, Standby, Undone, Use, examine, expect_confirmed,
    look_at_pages, open, place, restore, schema, second_copy, undo_restore, why_refused,
};
pub use error::{ApplyError, Details, StorageError};
pub use inspection::{Finding, Inspection};
pub use interrupt::Interrupt;
pub use memory::MemoryStorage;
pub use personal::{
    AsideLetter, FatePlace, FateSummary, LetterPlace, Personal, SentLetter, Stretch,
};
pub use sqlite::{Salvage, SqliteError, SqliteOptions, SqliteStorage};
pub use thread::{Inspector, Outlet, StorageClient, StorageThread, ThreadOptions};
pub use turn::{CommitCounts, Commits, Done, Failed, Job, Reports, StorageTurns, TurnOptions};

/// What has become of something unclear ([`ApplyError::Unclear`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// All of it has happened, and survives. If it was a question, this is the answer.
    Done(Option<Answer>),
    /// Nothing of it has happened, and nothing of it ever will.
    NotDone,
}

/// Where users and pending letters live.
///
/// The contract is the one of [`waxwing_core::server::storage`]: calls take effect in order, and
/// what [`Storage::apply`] has confirmed survives a power cut.
pub trait Storage: Inspect + Personal + KeepBans + Ownership + Send {
    /// What a server machine starts from. Ids of users removed before `rested_before` are free
    /// again unless a letter or a fate still refers to them.
    ///
    /// # Errors
    /// When it cannot be read, or does not make sense.
    fn load(&mut self, rested_before: UnixTime) -> Result<Snapshot, StorageError>;

    /// Carries out all batches in one commit, in order: either all of them or nothing. Without batches
    /// it shows that the server lives ([`Storage::beat_interval`]).
    ///
    /// # Errors
    /// Says what that means for these batches and for later ones; see [`ApplyError`].
    fn apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), ApplyError>;

    /// Answers a question; never with [`Answer::Unavailable`], which is what the caller makes
    /// of an error that is not fatal.
    ///
    /// # Errors
    /// As [`Storage::apply`].
    fn answer(&mut self, question: &Question) -> Result<Answer, ApplyError>;

    /// What has become of the last thing that was [unclear](ApplyError::Unclear). Until that is known,
    /// nothing else is asked of the storage. It takes a few milliseconds at most, because everybody else
    /// wants to hear meanwhile that nothing can be done: `None` says that the answer is under way, and that
    /// it is to be called again.
    ///
    /// # Errors
    /// [`ApplyError::Unclear`] and [`ApplyError::Away`]: it cannot be said now, and is to be asked
    /// again after a pause. Else as [`Storage::apply`].
    fn resolve(&mut self) -> Result<Option<Resolved>, ApplyError> {
        Err(ApplyError::Fatal("nothing is unclear in a storage that always knows".into()))
    }

    /// After how long without a commit a storage that several servers can reach is to be shown that this
    /// one lives, so that no other takes it over. `None`: nobody else can.
    fn beat_interval(&self) -> Option<Duration> {
        None
    }

    /// Reads everything and looks for damage. Slow.
    ///
    /// # Errors
    /// Names the damage.
    fn check(&mut self) -> Result<(), StorageError>;

    /// Bytes that new letters may still take up, where that can be said.
    fn free_disk(&self) -> Option<u64>;

    /// Work that can wait for a quiet moment: nothing of what was deleted is in any file of the storage
    /// afterwards. Whether it is done; a copy that is being made, or another reader, can stand in the way.
    ///
    /// # Errors
    /// As [`Storage::apply`]; nothing that was confirmed is lost by it.
    fn tidy(&mut self) -> Result<bool, ApplyError>;

    /// Puts everything in order and lets go. What there is no room for now is left to the next start.
    ///
    /// # Errors
    /// When that fails. What was confirmed is safe all the same.
    fn close(self: Box<Self>) -> Result<(), StorageError>;
}
