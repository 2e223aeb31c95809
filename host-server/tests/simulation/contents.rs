//! What is in a storage that is memory, as the checks look at it.

use waxwing_core::id::UserId;
use waxwing_core::server::storage::{
    Answer, Batch, PendingLetter, Question, QueueId, SenderUsage, StoredUser, Ticket, Write,
};
use waxwing_core::server::{Counted, Stored};
use waxwing_core::time::UnixTime;
use waxwing_server::store::{MemoryStorage, Storage};

/// A storage with these users.
pub(crate) fn of(users: impl Iterator<Item = StoredUser>) -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    let create = |user: StoredUser| Write::CreateUser {
        id: user.id,
        phone: user.phone,
        spki: user.spki.into(),
    };
    let batch = Batch { ticket: Ticket(0), writes: users.map(create).collect() };
    storage.apply(&[batch.into()]).unwrap();
    storage
}

/// How many letters wait, for everyone.
pub(crate) fn pending_letters(storage: &MemoryStorage) -> u32 {
    let all = storage.clone().load(UnixTime::default()).unwrap().pending;
    all.iter().map(|usage| usage.letters).sum()
}

/// All letters of these users' mailboxes.
pub(crate) fn letters(storage: &MemoryStorage, users: &[UserId]) -> Vec<PendingLetter> {
    let of_user = |user: &UserId| {
        let (after, max_letters, max_bytes) = (QueueId(0), usize::MAX, usize::MAX);
        let question = Question::Letters { recipient: *user, after, max_letters, max_bytes };
        match storage.clone().answer(&question) {
            Ok(Answer::Letters { letters, .. }) => letters,
            other => panic!("it is memory: {other:?}"),
        }
    };
    users.iter().flat_map(of_user).collect()
}

/// The same, for the audit of a server machine.
pub(crate) fn stored(storage: &MemoryStorage, users: &[UserId]) -> Stored {
    let counted = |letter: PendingLetter| Counted {
        recipient: letter.recipient,
        sender: letter.sender,
        letter: letter.queue_id,
        bytes: letter.packet.len() as u64,
    };
    let letters = letters(storage, users).into_iter().map(counted).collect();
    Stored { letters, ..Stored::default() }
}

/// What `sender` has in all mailboxes.
pub(crate) fn usage_of(storage: &MemoryStorage, sender: UserId) -> (u32, u64) {
    let all = storage.clone().load(UnixTime::default()).unwrap().pending;
    let of_sender = all.iter().find(|usage| usage.sender == sender);
    of_sender.map_or((0, 0), |SenderUsage { letters, bytes, .. }| (*letters, *bytes))
}
