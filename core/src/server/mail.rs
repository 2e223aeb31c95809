//! What one home tells another. A user's session, mailbox and recent letters live at the user's
//! home shard; a letter from one user to another crosses between two homes as a message and its
//! fate comes back as one. With a single shard they meet in the same queue.

use alloc::sync::Arc;

use crate::id::{PacketId, UserId};
use crate::wire::{ErrorCode, Status};

/// A letter that its sender's home has accepted for carriage.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) id: PacketId,
    pub(super) sender: UserId,
    pub(super) recipient: UserId,
    pub(super) packet: Arc<[u8]>,
}

/// A message between homes.
#[derive(Clone, Debug)]
pub(super) enum Mail {
    /// To the recipient's home: a letter.
    Letter(Letter),
    /// To the sender's home: what became of a letter that waits for its first answer.
    Answer { sender: UserId, id: PacketId, fate: Result<Status, ErrorCode> },
    /// To the sender's home: the recipient holds the letter.
    Delivered { sender: UserId, id: PacketId },
    /// To the sender's home: the letter has expired.
    Expired { sender: UserId, id: PacketId },
}
