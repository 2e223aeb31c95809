//! What the server machine asks of storage (PROTOCOL.md, "Duplicates"; ARCHITECTURE.md, "Storage").
//!
//! The machine never calls storage. It gives out [`Batch`]es of writes and [`Question`]s, and is
//! told later how they ended. The contract of whoever carries them out:
//!
//! - **Order.** Batches and questions take effect in the order in which they were given out.
//!   How they ended is told in that order too, batches and questions each for themselves: the two
//!   may overtake each other. *Unavailable* may overtake everything.
//! - **Atomic and durable.** A batch is done as a whole, surviving a power cut, or not at all.
//!   Several batches may share one commit.
//! - **No lies.** [`Outcome::Unavailable`] means that nothing of the batch has happened, and that
//!   nothing of it will. While that is not certain, nothing is told: an outcome may come late. Where it
//!   can never be said (a failed fsync), the process has to stop.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::shard::Shard;
use crate::crypto::Spki;
use crate::id::{PacketId, UserId};
use crate::phone::Phone;
use crate::time::{Timestamp, UnixTime};
use crate::wire::{Status, StatusQuery};

/// A letter's place in the order of its mailbox; grows for ever, and is nobody else's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u64);

/// A letter that waits for its recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct PendingLetter {
    /// The place of the letter in its mailbox.
    pub queue_id: QueueId,
    /// The packet id of the letter.
    pub id: PacketId,
    /// The id of the user who sent it.
    pub sender: UserId,
    /// The id of the user who is to have it.
    pub recipient: UserId,
    /// When the server accepted it; its life counts from here.
    pub accepted_at: UnixTime,
    /// The whole packet, byte for byte.
    pub packet: Arc<[u8]>,
}

impl core::fmt::Debug for PendingLetter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { queue_id, id, sender, recipient, accepted_at: _, packet } = self;
        let bytes = packet.len();
        write!(f, "letter {} {id} ({sender:?} to {recipient:?}, {bytes} bytes)", queue_id.0)
    }
}

/// The last confirmed session key of a user, encrypted for storage: `IV ‖ CBC(wrap key; key)`.
pub type WrappedKey = [u8; 64];

/// Names what is counted, and whose it is, without saying it: a phone or an address is hashed under
/// a key that storage does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllowanceKey(pub [u8; 16]);

/// What is left of an allowance that a restart must not fill up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredAllowance {
    /// What is counted, and of whom.
    pub key: AllowanceKey,
    /// When all that was taken will have come back.
    pub full_at: UnixTime,
}

/// A registered user, as loaded at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredUser {
    /// The id of the user.
    pub id: UserId,
    /// The phone of the user.
    pub phone: Phone,
    /// The public key of the user.
    pub spki: Spki,
    /// The key of the last confirmed session; `None` before the first.
    pub session_key: Option<WrappedKey>,
}

/// A user whom the operator keeps out, as loaded at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// The id of the user.
    pub user: UserId,
    /// When it ends by itself; `None` for never.
    pub until: Option<UnixTime>,
}

/// How much may wait for one user, as far as that is not what the configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnLimits {
    /// Letters; `None` for as many as for everybody.
    pub letters: Option<u32>,
    /// Bytes of their packets; `None` for as many as for everybody.
    pub bytes: Option<u64>,
}

/// What a server machine starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// All users, in any order.
    pub users: Vec<StoredUser>,
    /// The highest queue id ever given out.
    pub last_queue_id: QueueId,
    /// Ids without a user that must not be given to a new one yet.
    pub resting_ids: Vec<UserId>,
    /// All users for whom letters wait, in any order. The mailboxes of all others are taken for
    /// empty, and nobody but the machines puts anything into one while they run.
    pub with_letters: Vec<UserId>,
    /// All allowances, in any order.
    pub allowances: Vec<StoredAllowance>,
    /// What every sender with something pending has in all mailboxes together.
    pub pending: Vec<SenderUsage>,
    /// All suspensions, in any order; those whose time is over may be among them.
    pub suspensions: Vec<Suspension>,
    /// Users with limits of their own, in any order.
    pub own_limits: Vec<(UserId, OwnLimits)>,
    /// An older state has come back: until this moment, a letter that is not there may be one that was
    /// lost, and never delivered.
    pub letters_missing_until: Option<UnixTime>,
}

/// How long after an older state has come back a letter that is not there may be one that was lost. As long as
/// fates are remembered, after which no client believes an answer about an older letter (PROTOCOL.md,
/// "Acknowledgments").
pub const LETTERS_MISSING: Duration = Duration::from_hours(30 * 24);

/// One change of what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// A new user. The machine has seen to it that id, phone and key are free.
    CreateUser {
        /// The id of the user.
        id: UserId,
        /// The phone of the user.
        phone: Phone,
        /// The public key of the user.
        spki: Arc<Spki>,
    },
    /// A session was confirmed.
    ConfirmSession {
        /// The user who has confirmed the session.
        user: UserId,
        /// The key of the session, encrypted for storage.
        session_key: WrappedKey,
        /// When the session was confirmed.
        last_seen: Timestamp,
    },
    /// A letter was accepted.
    InsertLetter(Arc<PendingLetter>),
    /// A recipient holds these letters. Those that are gone already do no harm.
    DeleteLetters {
        /// The user in whose mailbox the letters lie.
        recipient: UserId,
        /// The places of the letters.
        letters: Vec<QueueId>,
    },
    /// This is what is left of these allowances, whatever was known of them before.
    KeepAllowances(Vec<StoredAllowance>),
    /// Nothing is taken of these allowances any more. Those that are not known do no harm.
    ForgetAllowances(Vec<AllowanceKey>),
    /// A user is removed, whose mailbox is empty. The id is given to nobody for a while.
    RemoveUser {
        /// The user who is removed.
        user: UserId,
        /// The moment from which the id rests.
        now: UnixTime,
    },
    /// A user is kept out, whatever was known of that before. It ends with the user.
    Suspend {
        /// The user who is kept out.
        user: UserId,
        /// When it ends by itself; `None` for never.
        until: Option<UnixTime>,
        /// Why, as the operator has said it; for the operator alone.
        reason: Arc<str>,
        /// When it began.
        now: UnixTime,
    },
    /// A user is not kept out any more. One who was not does no harm.
    Resume {
        /// The user who may come in.
        user: UserId,
    },
    /// A user has these limits of their own, whatever they were before. They end with the user.
    SetLimits {
        /// The user for whom letters wait.
        user: UserId,
        /// None of them: as the configuration says.
        limits: OwnLimits,
    },
}

/// Names a batch or a question, so that its end can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Changes that happen together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Comes back with the outcome.
    pub ticket: Ticket,
    /// The changes, in order.
    pub writes: Vec<Write>,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it has happened and survives a power cut.
    Done,
    /// None of it has happened (disk full, locked); later ones may succeed.
    Unavailable,
}

/// Something to be looked up, or swept out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The oldest letters for `recipient` above `after`, in order: at most `max_letters`, and
    /// no more than `max_bytes` of packets, but at least one if there is any.
    Letters {
        /// The user whose mailbox it is.
        recipient: UserId,
        /// The last letter that is known already.
        after: QueueId,
        /// Letters at most.
        max_letters: usize,
        /// Bytes of packets at most.
        max_bytes: usize,
    },
    /// How full is this mailbox?
    Usage {
        /// The user whose mailbox it is.
        recipient: UserId,
    },
    /// What became of these letters of `asker`'s?
    Fates {
        /// The user who asks.
        asker: UserId,
        /// The letters that the question is about.
        letters: Vec<StatusQuery>,
    },
    /// For the users of a shard, and within [`MOST_REMOVED`]: remove up to `limit` of the oldest letters accepted before `accepted_before`, remember
    /// their fate, forget fates older than `forget_before` and suspensions that are over at `now`, and say which
    /// letters went.
    Expire {
        /// Whose users' letters.
        shard: Shard,
        /// Letters from before this moment go.
        accepted_before: UnixTime,
        /// Fates from before this moment are forgotten.
        forget_before: UnixTime,
        /// The moment to remember as the one of expiry.
        now: UnixTime,
        /// How many at most.
        limit: usize,
    },
    /// Remove letters from one mailbox that were accepted before `accepted_before`, in the order of
    /// their places, up to `limit` of them and within [`MOST_REMOVED`]; remember that they were not delivered,
    /// and say which went.
    TakeOut {
        /// The user whose mailbox it is.
        recipient: UserId,
        /// Letters from before this moment go.
        accepted_before: UnixTime,
        /// The moment to remember as the one of expiry.
        now: UnixTime,
        /// How many at most.
        limit: usize,
    },
}

/// Storage need remove no more letters in one go as soon as their packets have so many bytes: a commit would be
/// long, and on a disk that is nearly full there may be no room for it.
pub const MOST_REMOVED: u64 = 1 << 20;

/// Whether there may be more letters to remove behind these, of which there were to be `limit` at most.
#[must_use]
pub fn may_be_more(removed: &[ExpiredLetter], limit: usize) -> bool {
    let bytes = removed.iter().fold(0_u64, |bytes, letter| bytes.saturating_add(letter.bytes));
    removed.len() >= limit || bytes >= MOST_REMOVED
}

/// A question with its ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Comes back with the answer.
    pub ticket: Ticket,
    /// The question itself.
    pub question: Question,
}

/// What one sender has pending, in one mailbox or in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderUsage {
    /// The id of the user who sent the letters.
    pub sender: UserId,
    /// How many letters are pending.
    pub letters: u32,
    /// How many bytes the packets of these letters have.
    pub bytes: u64,
}

/// A letter that was removed undelivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiredLetter {
    /// The place that the letter had in its mailbox.
    pub queue_id: QueueId,
    /// The packet id of the letter.
    pub id: PacketId,
    /// The id of the user who sent it.
    pub sender: UserId,
    /// The id of the user who was to have it.
    pub recipient: UserId,
    /// Bytes of the packet.
    pub bytes: u64,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The answer to [`Question::Letters`].
    Letters {
        /// Oldest first.
        letters: Vec<PendingLetter>,
        /// Letters of the mailbox that are not what was stored any more. They have been removed
        /// undelivered, and that is their remembered fate.
        damaged: Vec<ExpiredLetter>,
        /// Whether the mailbox had none beyond these.
        exhausted: bool,
    },
    /// To [`Question::Usage`]: every sender with something pending.
    Usage(Vec<SenderUsage>),
    /// To [`Question::Fates`], one for each, in order: [`Status::Stored`] while it is pending
    /// and from the asker; [`Status::Unknown`] when it, or its remembered fate, is from somebody
    /// else; [`Status::Expired`] when that is its remembered fate; else [`Status::Delivered`].
    Fates(Vec<(PacketId, Status)>),
    /// The answer to [`Question::Expire`] and [`Question::TakeOut`]: the letters that were removed.
    Expired(Vec<ExpiredLetter>),
    /// Storage does not answer now.
    Unavailable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_may_be_more_behind_as_many_letters_or_bytes_as_go_at_once() {
        let user = UserId::new(1).unwrap();
        let letter = |bytes| ExpiredLetter {
            queue_id: QueueId(1),
            id: PacketId([0; 16]),
            sender: user,
            recipient: user,
            bytes,
        };
        let removed = [letter(300), letter(MOST_REMOVED - 301)];
        assert!(!may_be_more(&removed, 3) && may_be_more(&removed, 2));
        assert!(may_be_more(&[letter(300), letter(MOST_REMOVED - 300)], 3));
        assert!(!may_be_more(&[], 1));
    }
}
