//! What one owner shard tells another (ARCHITECTURE.md, "Shards"). A letter from one user to another
//! crosses between two owner shards as a message and its fate comes back as one, whether these are of
//! one machine or of two.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::output::ConnId;
use crate::crypto::Spki;
use crate::id::{PacketId, UserId};
use crate::phone::Phone;
use crate::wire::{ErrorCode, KeyAnswer, Status};

/// A letter that its sender's owner shard has accepted for carriage.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) id: PacketId,
    pub(super) sender: UserId,
    pub(super) recipient: UserId,
    pub(super) packet: Arc<[u8]>,
}

/// A 105 that waits for its answer, at its asker's owner shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inquiry {
    pub(super) asker: UserId,
    pub(super) conn: ConnId,
    pub(super) packet: PacketId,
}

/// The bytes of a letter that is not pending any more, and which its sender's owner shard counts out now.
/// `None` if it is pending still, or counted out already.
pub(super) type Freed = Option<u64>;

/// A message between owner shards, which its carrier does not look into.
#[derive(Clone, Debug)]
pub struct Mail(pub(super) Message);

#[derive(Clone, Debug)]
pub(super) enum Message {
    /// To the recipient's owner shard: a letter.
    Letter(Letter),
    /// To the sender's owner shard: what became of a letter that waits for its first answer.
    Answer { sender: UserId, id: PacketId, fate: Result<Status, ErrorCode>, freed: Freed },
    /// To the sender's owner shard: the recipient holds the letter.
    Delivered { sender: UserId, id: PacketId, freed: Freed },
    /// To the sender's owner shard: the letter has expired.
    Expired { sender: UserId, id: PacketId, freed: Freed },
    /// To the registrar: whose phone is it?
    WhoHas { phone: Phone, inquiry: Inquiry },
    /// To the owner shard of `about`: what is known of them?
    WhoIs { about: UserId, inquiry: Inquiry },
    /// To the asker's owner shard: what is known.
    Known { inquiry: Inquiry, answer: Option<Box<KeyAnswer>> },
    /// From the registrar to a new user's owner shard: they exist.
    Welcome { user: UserId, phone: Phone, spki: Arc<Spki> },
    /// To the registrar: a new user's owner shard expects them, so others may hear of them.
    Settled { user: UserId, phone: Phone, spki: Arc<Spki> },
}
