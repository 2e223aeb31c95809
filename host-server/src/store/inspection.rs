//! What an operator looks up in the storage of a running server, between two commits.

use waxwing_core::id::UserId;
use waxwing_core::server::storage::QueueId;

use super::{LetterSummary, MailboxSummary, Storage, StorageError, UserName, UserSummary};

/// Something to be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// A page of users behind this one; see [`super::Inspect::users`].
    Users(Option<UserId>),
    /// One user.
    User(UserName),
    /// A page of mailboxes behind that of this user; see [`super::Inspect::mailboxes`].
    Mailboxes(Option<UserId>),
    /// A page of the letters in a mailbox behind this place; see [`super::Inspect::letters`].
    Letters(UserId, QueueId),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The answer to [`Inspection::Users`] and to [`Inspection::User`].
    Users(Vec<UserSummary>),
    /// The answer to [`Inspection::Mailboxes`].
    Mailboxes(Vec<MailboxSummary>),
    /// The answer to [`Inspection::Letters`].
    Letters(Vec<LetterSummary>),
}

impl Inspection {
    /// Looks it up.
    pub(super) fn look(self, storage: &mut dyn Storage) -> Result<Finding, StorageError> {
        match self {
            Self::Users(after) => storage.users(after).map(Finding::Users),
            Self::User(name) => Ok(Finding::Users(storage.find_user(&name)?.into_iter().collect())),
            Self::Mailboxes(after) => storage.mailboxes(after).map(Finding::Mailboxes),
            Self::Letters(recipient, after) => {
                storage.letters(recipient, after).map(Finding::Letters)
            }
        }
    }
}
