//! What one owner shard tells another (ARCHITECTURE.md, "Shards"), and what one component of a
//! machine tells another. A letter from one user to another crosses between two owner shards as a
//! message and its fate comes back as one, whether these are of one machine or of two.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::output::{ConnId, Output};
use super::refused::Refused;
use super::shard::{Shard, ShardId};
use crate::crypto::Spki;
use crate::id::{Nonce, PacketId, UserId};
use crate::phone::Phone;
use crate::wire::{CloseReason, ErrorCode, KeyAnswer, Status, Successor};

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

#[cfg(feature = "testing")]
impl Mail {
    /// For the simulation: the sender for whom this counts as long as it is on its way, and the bytes.
    #[must_use]
    pub fn pending(&self) -> Option<(UserId, u64)> {
        match &self.0 {
            Message::Letter(Letter { sender, packet, .. }) => Some((*sender, packet.len() as u64)),
            Message::Answer { sender, freed, .. }
            | Message::Delivered { sender, freed, .. }
            | Message::Expired { sender, freed, .. } => freed.map(|bytes| (*sender, bytes)),
            _ => None,
        }
    }
}

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
    /// To the registrar: a user is removed, so phone and key are free.
    Removed { phone: Phone, spki: Arc<Spki> },
    /// To all shards: the user is an account of the server itself, or no more.
    OwnAccount { user: UserId, is_own: bool },
    /// To the registrar: a new user's owner shard expects them, so others may hear of them.
    Settled { user: UserId, phone: Phone, spki: Arc<Spki> },
}

/// A note from one component to another of the same machine.
#[derive(Debug)]
pub(super) enum Note {
    /// A packet of this connection is refused.
    Refuse { conn: ConnId, refused: Refused },
    /// The connection is over. Its client is told why if it has a session.
    End { conn: ConnId, reason: Option<CloseReason> },
    /// From the registrar: the user has proved who they are, and is to have a session.
    Proved { conn: ConnId, user: UserId, nonce: Nonce },
    /// From the registrar: a proof came to nothing.
    NotProved { conn: ConnId, refused: Refused },
    /// A session was confirmed: its user takes so many letters at once.
    Confirmed { conn: ConnId, user: UserId, window: u8 },
    /// What a sender is to hear of a letter. So many copies of it have their answer by this.
    Status { sender: UserId, id: PacketId, status: Status, copies: usize },
    /// A letter is refused. So many copies of it have their answer by this.
    Unaccepted { sender: UserId, id: PacketId, code: ErrorCode, copies: usize },
    /// The letters that lay in a mailbox when the session began have gone out.
    BacklogEnd { conn: ConnId, count: u32 },
    /// Which key is announced to follow the server's, for a session that has asked.
    Announced { inquiry: Inquiry, successor: Option<Box<Successor>> },
    /// What became of the letters that a session asked about.
    Fates { conn: ConnId, fates: Vec<(PacketId, Status)> },
}

/// What waits to be dealt with on this machine.
#[derive(Debug)]
pub(super) enum Item {
    Message(Message),
    Note(Note),
}

/// Mail and notes that are yet to be dealt with on this machine.
#[derive(Debug, Default)]
pub(super) struct MailQueue(VecDeque<Item>);

impl MailQueue {
    /// Leaves mail for a shard: here if it is this one, else it is given out.
    pub(super) fn post(
        &mut self,
        here: Shard,
        out: &mut VecDeque<Output>,
        to: ShardId,
        message: Message,
    ) {
        if to == here.id() {
            self.arrived(message);
        } else {
            out.push_back(Output::Mail { to, mail: Mail(message) });
        }
    }

    /// A message for this shard has arrived.
    pub(super) fn arrived(&mut self, message: Message) {
        self.0.push_back(Item::Message(message));
    }

    pub(super) fn note(&mut self, note: Note) {
        self.0.push_back(Item::Note(note));
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        self.0.pop_front()
    }
}
