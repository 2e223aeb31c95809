//! What an operator looks up in the storage of a running server, between two commits.

use std::sync::Arc;

use waxwing_core::id::UserId;
use waxwing_core::server::storage::QueueId;

use super::{
    AsideLetter, FatePlace, FateSummary, LetterPlace, LetterSummary, MailboxSummary, SentLetter,
    Storage, StorageError, Stretch, UserName, UserSummary,
};

/// Something to be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// A page of users behind this one; see [`super::Inspect::users`].
    Users(Option<UserId>),
    /// One user.
    User(UserName),
    /// A stretch of mailboxes, or of the one of this user; see [`super::Inspect::mailboxes`].
    Mailboxes(Option<UserId>, Option<LetterPlace>),
    /// A page of the letters in a mailbox behind this place; see [`super::Inspect::letters`].
    Letters(UserId, QueueId),
    /// A stretch of letters from a user; see [`super::Personal::letters_from`].
    SentLetters(UserId, Option<LetterPlace>),
    /// A stretch of fates about a user; see [`super::Personal::fates_about`].
    Fates(UserId, Option<FatePlace>),
    /// A stretch of letters about a user that were set aside; see [`super::Personal::letters_aside`].
    Aside(UserId, QueueId),
    /// The packet of a letter.
    Packet(QueueId),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The answer to [`Inspection::Users`] and to [`Inspection::User`].
    Users(Vec<UserSummary>),
    /// The answer to [`Inspection::Mailboxes`].
    Mailboxes(Stretch<MailboxSummary, LetterPlace>),
    /// The answer to [`Inspection::Letters`].
    Letters(Vec<LetterSummary>),
    /// The answer to [`Inspection::SentLetters`].
    SentLetters(Stretch<SentLetter, LetterPlace>),
    /// The answer to [`Inspection::Fates`].
    Fates(Stretch<FateSummary, FatePlace>),
    /// The answer to [`Inspection::Aside`].
    Aside(Stretch<AsideLetter, QueueId>),
    /// The answer to [`Inspection::Packet`].
    Packet(Option<Arc<[u8]>>),
}

impl Inspection {
    /// Looks it up.
    ///
    /// # Errors
    /// When storage cannot be read.
    pub fn look(self, storage: &mut dyn Storage) -> Result<Finding, StorageError> {
        match self {
            Self::Users(after) => storage.users(after).map(Finding::Users),
            Self::User(name) => Ok(Finding::Users(storage.find_user(&name)?.into_iter().collect())),
            Self::Mailboxes(only, after) => storage.mailboxes(only, after).map(Finding::Mailboxes),
            Self::Letters(recipient, after) => {
                storage.letters(recipient, after).map(Finding::Letters)
            }
            Self::SentLetters(sender, after) => {
                storage.letters_from(sender, after).map(Finding::SentLetters)
            }
            Self::Fates(user, after) => storage.fates_about(user, after).map(Finding::Fates),
            Self::Aside(user, after) => storage.letters_aside(user, after).map(Finding::Aside),
            Self::Packet(letter) => storage.packet(letter).map(Finding::Packet),
        }
    }
}
