//! What comes out of the server machine.

use alloc::sync::Arc;

use super::mail::Mail;
use super::shard::{Baggage, ShardId};
use super::storage::{Ask, Batch};
use crate::id::UserId;
use crate::phone::{Otp, Phone};
use crate::wire::{CloseReason, ErrorCode};

/// A connection, as the caller names it. A name is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Something for the caller to do, in the order in which it comes out.
#[derive(Debug)]
#[must_use]
pub enum Output {
    /// Write these bytes to the connection, after all before them.
    Send {
        /// The connection to write to.
        conn: ConnId,
        /// One whole packet; the same bytes may go to many.
        packet: Arc<[u8]>,
    },
    /// Stop reading from the connection, or go on.
    Reading {
        /// The connection that it is about.
        conn: ConnId,
        /// Whether to read.
        on: bool,
    },
    /// Close the connection once what was sent has been written. The machine has forgotten it.
    Close {
        /// The connection to close.
        conn: ConnId,
    },
    /// Give this to another shard's [`super::Server::mail`]. What is given out for a shard,
    /// connections included, has to arrive there in this order.
    Mail {
        /// The shard that the mail is for.
        to: ShardId,
        /// The mail, to be handed over as it is.
        mail: Mail,
    },
    /// Take the connection, with whatever of it is unread or unsent, to another shard's
    /// [`super::Server::moved_in`], and read from it there. This machine has forgotten it.
    Move {
        /// The connection that moves.
        conn: ConnId,
        /// The shard that owns the connection from now on.
        to: ShardId,
        /// What the machine knows of the connection; it goes with it.
        baggage: Baggage,
    },
    /// Make these changes durable and answer with [`super::Server::stored`].
    Store(Arc<Batch>),
    /// Look this up and answer with [`super::Server::answered`].
    Ask(Ask),
    /// Bring the code to the phone, and say how that went with [`super::Server::otp_ended`].
    DeliverOtp {
        /// Names the attempt, in what the caller says about it later.
        ticket: OtpTicket,
        /// The phone to which the code goes.
        phone: Phone,
        /// The code itself.
        otp: Otp,
    },
    /// Something worth a line in the log.
    Event(Event),
    /// What the operator has asked for, by a method of [`super::Operator`], has ended.
    Administered {
        /// The user whom it is about.
        user: UserId,
        /// How it has ended.
        outcome: Administered,
    },
    /// After [`super::Server::stop`]: everything is stored and said.
    Stopped,
}

/// How something has ended that the operator has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Administered {
    /// The user is removed: id, phone and key are nobody's.
    Removed {
        /// The phone, with which somebody can register again.
        phone: Phone,
        /// Letters to the user that nobody gets. Their senders are told that they have expired.
        undelivered: u64,
    },
    /// The letters have expired.
    Expired {
        /// How many there were.
        letters: u64,
    },
    /// What was decided about the user is durable.
    Stored,
    /// An account of the server itself is there.
    Enrolled {
        /// Its id.
        user: UserId,
    },
    /// Storage could not do it. The user is there as before, and so are all letters but those that have
    /// expired by then.
    NotDone {
        /// Letters that have expired.
        letters: u64,
    },
}

/// Why something that the operator has asked for is not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdministrationError {
    /// The machine owns no such user.
    NoSuchUser,
    /// Something else that the operator has asked for is being done to this user.
    UnderWay,
    /// The phone is this user's, under another key.
    PhoneTaken(UserId),
    /// A newcomer with this phone and key would be refused for this.
    Refused(ErrorCode),
}

/// Names a one-time password on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OtpTicket(pub u64);

/// How it went with a one-time password on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtpOutcome {
    /// It is on its last way, which is not watched any more.
    Delivered,
    /// It did not go out: it counts against nobody, and whoever asked can ask for another.
    Undeliverable,
    /// Nobody knows whether it went out: it is as good as none, and counts as sent.
    Lost,
}

/// Something worth a line in the log. No phone, code, key or payload is ever in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A user came to be.
    Registered {
        /// The user who has registered.
        user: UserId,
    },
    /// A session was confirmed.
    SessionConfirmed {
        /// The user whose session it is.
        user: UserId,
        /// The connection on which it happened.
        conn: ConnId,
    },
    /// A user's session has ended.
    SessionEnded {
        /// The user whose session it was.
        user: UserId,
        /// Why, when the server or the client said so.
        reason: Option<CloseReason>,
    },
    /// A packet was refused.
    Refused {
        /// The connection on which it happened.
        conn: ConnId,
        /// The code of the refusal.
        code: ErrorCode,
    },
    /// A connection was closed because it took too long.
    TimedOut {
        /// The connection that was closed.
        conn: ConnId,
    },
    /// A connection was closed because packets that are not complete took too much memory: its own was the
    /// slowest.
    Shed {
        /// The connection that was closed.
        conn: ConnId,
    },
    /// A 106 that was answered before came again; its connection was closed.
    ReplayedReconnect {
        /// The connection on which it came.
        conn: ConnId,
    },
    /// Somebody was refused for the sake of a limit that people may share.
    LimitReached {
        /// The limit that was reached.
        limit: Limit,
    },
    /// So many wrong codes have come today that each new code has one attempt only.
    GuessingSuspected,
    /// The last code of the day has gone out: until some time has passed, nobody gets one.
    CodesSpent,
    /// So many ids in a hundred are taken: users have them, or they rest. Without a free one nobody
    /// can register.
    IdsRunOut {
        /// How many ids in a hundred, at least.
        percent: u8,
    },
    /// Letters were removed undelivered.
    Expired {
        /// How many letters were removed.
        letters: usize,
    },
    /// Storage did not answer; what needed it was refused, or will be tried again.
    StorageUnavailable,
    /// The server's own key or a buffer refused: a bug or broken hardware.
    InternalError,
}

/// A limit that an operator may have set too low for the people who are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// 100s from one address prefix.
    Registrations,
    /// 101s from one address prefix.
    Proofs,
    /// Codes for one phone from one address prefix.
    CodesPerPhoneAndPrefix,
    /// Codes for one phone.
    CodesPerPhone,
    /// Wrong codes from one address prefix.
    WrongCodesPerPrefix,
    /// Key questions of one user.
    Lookups,
    /// 106s of one user from one address prefix.
    Reconnects,
    /// Private-key operations for 100s and 101s.
    RegistrationWork,
    /// Private-key operations for 106s.
    ReconnectWork,
    /// Letters in a mailbox.
    LettersPerMailbox,
    /// Bytes in a mailbox.
    BytesPerMailbox,
    /// Letters from one sender in one mailbox.
    LettersPerPair,
    /// Bytes from one sender in one mailbox.
    BytesPerPair,
    /// Letters from one sender in all mailboxes.
    LettersPerSender,
    /// Bytes from one sender in all mailboxes.
    BytesPerSender,
}

impl Limit {
    /// Every limit.
    pub const ALL: &[Self] = &[
        Self::Registrations,
        Self::Proofs,
        Self::CodesPerPhoneAndPrefix,
        Self::CodesPerPhone,
        Self::WrongCodesPerPrefix,
        Self::Lookups,
        Self::Reconnects,
        Self::RegistrationWork,
        Self::ReconnectWork,
        Self::LettersPerMailbox,
        Self::BytesPerMailbox,
        Self::LettersPerPair,
        Self::BytesPerPair,
        Self::LettersPerSender,
        Self::BytesPerSender,
    ];
}
