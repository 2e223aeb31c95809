//! What an operator does to users while no server runs.

use waxwing_core::crypto::Spki;
use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;
use waxwing_core::time::{Timestamp, UnixTime};

use super::{ApplyError, StorageError};

/// How an operator names a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserName {
    /// The user who has this id.
    Id(UserId),
    /// The user who has this phone.
    Phone(Phone),
}

impl std::str::FromStr for UserName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('+') {
            return Phone::parse(text.as_bytes())
                .map(Self::Phone)
                .map_err(|_| "a phone is + and 7 to 15 digits, the first not 0");
        }
        text.parse()
            .ok()
            .and_then(UserId::new)
            .map(Self::Id)
            .ok_or("neither an id (1 to 65535) nor a phone (+ and 7 to 15 digits)")
    }
}

/// One user, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSummary {
    /// The id of the user.
    pub id: UserId,
    /// The phone of the user.
    pub phone: Phone,
    /// The public key of the user.
    pub spki: Spki,
    /// When a session was last confirmed; `None` if never.
    pub last_seen: Option<Timestamp>,
    /// Letters that wait for the user.
    pub pending_letters: u64,
    /// Bytes of their packets.
    pub pending_bytes: u64,
}

/// What a removal took away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovedUser {
    /// The id, which rests now.
    pub id: UserId,
    /// The phone, which is free now.
    pub phone: Phone,
    /// Letters to the user that nobody will get; their senders will be told so when they ask.
    pub undelivered: u64,
}

/// Users, to look at and to remove.
pub trait UserAdmin {
    /// All users by id.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn list_users(&mut self) -> Result<Vec<UserSummary>, StorageError>;

    /// One user, if there is such a one.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn find_user(&mut self, name: &UserName) -> Result<Option<UserSummary>, StorageError>;

    /// Removes a user, if there is such a one. Letters from the user stay where they are.
    ///
    /// # Errors
    /// As [`super::Storage::apply`].
    fn remove_user(
        &mut self,
        name: &UserName,
        now: UnixTime,
    ) -> Result<Option<RemovedUser>, ApplyError>;
}
