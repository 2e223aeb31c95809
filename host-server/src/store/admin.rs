//! What an operator looks at, and does to users while no server runs.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use waxwing_core::crypto::Spki;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::{Answer, Batch, OwnLimits, Question, QueueId, Ticket, Write};
use waxwing_core::time::{Timestamp, UnixTime};

use super::personal::{LetterPlace, Stretch};
use super::{ApplyError, Storage, StorageError};

/// How an operator names a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum UserName {
    /// The user who has this id.
    Id(UserId),
    /// The user who has this phone.
    Phone(Phone),
}

/// What an operator would write, with the whole phone.
impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Phone(phone) => f.write_str(phone.as_str()),
        }
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for UserName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
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
    /// Whether the operator keeps the user out.
    pub suspended: Option<SuspensionSummary>,
    /// What may wait for the user, as far as that is not what the configuration says.
    pub limits: OwnLimits,
}

/// That a user is kept out, as an operator sees it. Its time may be over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspensionSummary {
    /// When it began.
    pub since: UnixTime,
    /// When it ends by itself; `None` for never.
    pub until: Option<UnixTime>,
    /// What the operator has said why.
    pub reason: String,
}

/// One mailbox, or some letters of one, as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxSummary {
    /// The user whose mailbox it is.
    pub owner: UserId,
    /// Letters that wait in it.
    pub letters: u64,
    /// Bytes of their packets.
    pub bytes: u64,
    /// When the first of them was accepted.
    pub oldest: UnixTime,
}

impl MailboxSummary {
    /// More letters of the same mailbox were counted.
    pub fn add(&mut self, more: &Self) {
        self.letters += more.letters;
        self.bytes += more.bytes;
    }
}

/// One letter that waits, as an operator sees it: nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterSummary {
    /// The place of the letter in its mailbox.
    pub queue_id: QueueId,
    /// The packet id of the letter.
    pub id: PacketId,
    /// The user who sent it.
    pub sender: UserId,
    /// When the server accepted it.
    pub accepted_at: UnixTime,
    /// Bytes of the packet.
    pub bytes: u64,
}

/// Users, mailboxes and letters, to look at. Pages are short, so that a running server can look
/// something up between two commits.
pub trait Inspect {
    /// Some users behind `after`, or from the first on, by id.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn users(&mut self, after: Option<UserId>) -> Result<Vec<UserSummary>, StorageError>;

    /// One user, if there is such a one.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn find_user(&mut self, name: &UserName) -> Result<Option<UserSummary>, StorageError>;

    /// How many letters wait for whom, in a stretch of them behind `after`, or from the first on, by the ids of
    /// recipients. A mailbox that goes on behind the stretch is in the next one again, with what it has there.
    /// With `only`, the letters of other mailboxes are left out.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn mailboxes(
        &mut self,
        only: Option<UserId>,
        after: Option<LetterPlace>,
    ) -> Result<Stretch<MailboxSummary, LetterPlace>, StorageError>;

    /// Some letters of a mailbox behind `after`, in the order of their places.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn letters(
        &mut self,
        recipient: UserId,
        after: QueueId,
    ) -> Result<Vec<LetterSummary>, StorageError>;
}

/// Users of a page, at most.
pub(super) const USERS_IN_A_PAGE: usize = 500;
/// Letters of a page, at most.
pub(super) const LETTERS_IN_A_PAGE: usize = 500;

/// Letters that are removed in one go, at most.
const REMOVED_AT_ONCE: usize = 1_000;

/// Removes a user who is there, while no server runs: as a server does it, first the letters that wait for them, some
/// at a time, and then the user. Letters from the user stay where they are. Says how many letters were removed, whose
/// senders will be told so when they ask, and how it ended. It can be repeated.
pub fn remove_user(
    storage: &mut (impl Storage + ?Sized),
    user: UserId,
    now: UnixTime,
) -> (u64, Result<(), ApplyError>) {
    let mut undelivered = 0;
    let removed = empty_mailbox(storage, user, now, &mut undelivered).and_then(|()| {
        let writes = vec![Write::RemoveUser { user, now }];
        storage.apply(&[Arc::new(Batch { ticket: Ticket(0), writes })])
    });
    (undelivered, removed.map_err(|error| error.examined(storage)))
}

fn empty_mailbox(
    storage: &mut (impl Storage + ?Sized),
    recipient: UserId,
    now: UnixTime,
    removed: &mut u64,
) -> Result<(), ApplyError> {
    let accepted_before = UnixTime::from_seconds(i64::MAX);
    let question = Question::TakeOut { recipient, accepted_before, now, limit: REMOVED_AT_ONCE };
    loop {
        match storage.answer(&question)? {
            Answer::Expired(letters) if !letters.is_empty() => *removed += letters.len() as u64,
            _ => return Ok(()),
        }
    }
}
