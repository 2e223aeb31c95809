//! Bans, as they are stored.

use waxwing_core::time::UnixTime;

use super::{ApplyError, StorageError};
use crate::config::AddressRange;

/// Nobody is served who connects from these addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// The addresses, in the one form that a range has ([`AddressRange::network`]).
    pub range: AddressRange,
    /// When it began.
    pub since: UnixTime,
    /// When it ends; `None` for never.
    pub until: Option<UnixTime>,
    /// Whether the server has set it by itself, and no operator.
    pub is_automatic: bool,
    /// Why, for operators.
    pub reason: String,
}

impl Ban {
    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self, now: UnixTime) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// A change of the bans that are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BanChange {
    /// A new one, in the place of one of the same range. Those that are over when it begins are
    /// forgotten.
    Add(Ban),
    /// The one of this range is no more.
    Remove(AddressRange),
}

/// Bans, to keep.
pub trait KeepBans {
    /// All of them, also those that are over.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn bans(&mut self) -> Result<Vec<Ban>, StorageError>;

    /// Changes them.
    ///
    /// # Errors
    /// As [`super::Storage::apply`].
    fn change_bans(&mut self, change: &BanChange) -> Result<(), ApplyError>;
}
