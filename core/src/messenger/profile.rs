//! What a messenger keeps where it outlives the process, and what it says.

use core::num::NonZeroU32;

use super::keys::{Conflict, Verdict};
use crate::client::LetterName;
use crate::crypto::{SessionKey, Spki};
use crate::envelope::{self, Content};
use crate::id::{PacketId, Uid, UserId};
use crate::phone::Phone;
use crate::time::{Timestamp, UnixTime};
use crate::wire::{KeyAnswer, OtpGrant, Status, StatusQuery, Successor};

/// The place of a letter among those that were written, or among those that are held back: places
/// ascend in the order in which letters were written, or came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Row(pub NonZeroU32);

/// What outlives the process: contacts, letters in and out, the session's key.
///
/// The messenger calls [`Profile::begin`] before the first change of a step and
/// [`Profile::commit`] at its end. Changes between the two are durable together or not at all;
/// what was read may be older than `begin`. Nothing that goes to the server, acknowledgments
/// included, goes there before its commit.
///
/// Others may change what is stored between any two steps: a row that is not there any more is
/// nothing to fail for. An error ends the step: the messenger calls [`Profile::roll_back`], and the
/// connection has to be given up, so that the server hands over again what was not acknowledged.
pub trait Profile {
    /// Whether it keeps the key that follows the server's. A messenger whose profile keeps none does not
    /// ask for one, and refuses the server as soon as that has another key.
    const KEEPS_SUCCESSOR: bool = false;

    /// Why nothing can be stored.
    type Error;

    /// The changes that follow are one.
    ///
    /// # Errors
    /// When nothing can be changed now.
    fn begin(&mut self) -> Result<(), Self::Error>;

    /// Makes the changes durable.
    ///
    /// # Errors
    /// When they are not; [`Profile::roll_back`] follows.
    fn commit(&mut self) -> Result<(), Self::Error>;

    /// Forgets the changes since [`Profile::begin`].
    fn roll_back(&mut self);

    /// The person that `who` names.
    ///
    /// # Errors
    /// When it cannot be read.
    fn contact(&mut self, who: Who<'_>) -> Result<Option<&Contact>, Self::Error>;

    /// Whether a key that the server gives out may be pinned, or wait to be. One with a small factor
    /// may not, since anybody can compute its private half. Finding that takes 13 KiB of flash: a
    /// device that has no room for them says `true`.
    fn may_pin(&mut self, key: &Spki) -> bool {
        !key.has_small_factor()
    }

    /// Stores what the server says about a key, as `verdict` tells. One who has room for a few
    /// contacts only may leave a new one out.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn note_key(
        &mut self,
        answer: &KeyAnswer,
        verdict: Verdict,
        now: UnixTime,
    ) -> Result<(), Self::Error>;

    /// Takes the id from a contact, whose key stays.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn release_id(&mut self, phone: &Phone) -> Result<(), Self::Error>;

    /// Stores a letter, or recognises that it was here before: its sender and uid are those of an
    /// earlier one that opened, or its packet id is. Either way it is acknowledged after the commit.
    ///
    /// # Errors
    /// When it cannot be stored; then it comes again.
    fn record(&mut self, letter: &Arrival<'_>) -> Result<(), Self::Error>;

    /// The first letter, after the row `after`, of each conversation whose letters are not all
    /// answered: if that first one may go out now, and the recipient's key is not in question. Rows
    /// come in their order. `now` is by the caller's own clock, as in [`Profile::postpone`]. A letter
    /// that has gone out and waits for its answer is named like the others: the messenger knows that
    /// it is on its way.
    ///
    /// # Errors
    /// When it cannot be read.
    fn head(&mut self, after: Option<Row>, now: UnixTime) -> Result<Option<Head>, Self::Error>;

    /// What a letter says that has no answer; `None` when it has one, or was given up.
    ///
    /// # Errors
    /// When it cannot be read.
    fn outgoing(&mut self, letter: Row) -> Result<Option<Outgoing<'_>>, Self::Error>;

    /// Stores as what a letter goes out. `false` when it was given up, or answered, in the meantime:
    /// the packet is thrown away.
    ///
    /// # Errors
    /// When it cannot be stored; the packet is thrown away.
    fn note_sealed(&mut self, letter: Row, sealed: &Sealed<'_>) -> Result<bool, Self::Error>;

    /// A letter without an answer is not sent before `until`, by the caller's own clock. On a device
    /// whose clock begins anew at each start it is not to be stored: see the [module](super).
    ///
    /// # Errors
    /// When it cannot be stored.
    fn postpone(&mut self, letter: Row, until: UnixTime, why: Reason) -> Result<(), Self::Error>;

    /// A letter without an answer is not to be sent any more. The person has to be told, and what
    /// they wrote stays: only they know whether it is to be tried again, and the messenger does so
    /// as soon as [`Profile::head`] names it once more. Where nobody can be asked, a new session is
    /// the time for that: an account that is missing today may be there then.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn refuse(&mut self, letter: Row, why: Reason) -> Result<(), Self::Error>;

    /// The first letter to `to`, after the row `after`, that waits to be sent.
    ///
    /// # Errors
    /// When it cannot be read.
    fn waiting(&mut self, to: &Phone, after: Option<Row>) -> Result<Option<Row>, Self::Error>;

    /// What was sent to `to` without an answer is sealed anew before it goes out again.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn seal_again(&mut self, to: &Phone) -> Result<(), Self::Error>;

    /// The letter that went out as this packet, and to whom.
    ///
    /// # Errors
    /// When it cannot be read.
    fn sent_as(&mut self, packet: &PacketId) -> Result<Option<(Row, Phone)>, Self::Error>;

    /// Stores what the server says of a letter: what is known never goes down
    /// ([`Status::after`]). Gives back which letter that is, if it is one of ours.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn note_status(
        &mut self,
        letter: LetterName,
        status: Status,
        now: UnixTime,
    ) -> Result<Option<Row>, Self::Error>;

    /// The first letter, after the row `after`, of which the server has said that it has stored it,
    /// and nothing since.
    ///
    /// # Errors
    /// When it cannot be read.
    fn stored(&mut self, after: Option<Row>) -> Result<Option<(Row, StatusQuery)>, Self::Error>;

    /// The key of the last session, if it has been proven.
    ///
    /// # Errors
    /// When it cannot be read.
    fn session_key(&mut self) -> Result<Option<SessionKey>, Self::Error>;

    /// Stores the key of this session, which the server has proven to know. One who always asks for
    /// a session in the long form may leave it.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn note_session_key(&mut self, key: &SessionKey) -> Result<(), Self::Error>;

    /// Stores the id that the server has given to this account, which had none.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn note_user(&mut self, user: UserId) -> Result<(), Self::Error>;

    /// The first phone, after `after`, with a held letter of which the server has yet to say
    /// whether its sender's key has changed. Who holds no letters back has none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn doubted(&mut self, _after: Option<&Phone>) -> Result<Option<Phone>, Self::Error> {
        Ok(None)
    }

    /// Copies the first letter of `from`, after the row `after`, that is held back to the front of
    /// `into`, and says how long it is. One that is known to be signed with another key than the
    /// pinned one is passed over.
    ///
    /// # Errors
    /// When it cannot be read.
    fn held(
        &mut self,
        _from: &Phone,
        _after: Option<Row>,
        _into: &mut [u8],
    ) -> Result<Option<(Row, usize)>, Self::Error> {
        Ok(None)
    }

    /// Stores what has become of a letter that was held back; it may be held back still.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn release(
        &mut self,
        _letter: Row,
        _from: &Phone,
        _fate: &Fate<'_>,
        _packet: &[u8],
        _now: UnixTime,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Whether the server is to be asked now for the key that follows its own. Once a day is enough.
    ///
    /// # Errors
    /// When it cannot be read.
    fn is_successor_due(&mut self, _now: UnixTime) -> Result<bool, Self::Error> {
        Ok(false)
    }

    /// Stores the key that the server has announced, or that it announces none, in place of what it
    /// has said before; and when that was. The pinned key itself counts as none.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn note_successor(
        &mut self,
        _successor: Option<&Successor>,
        _now: UnixTime,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    /// The server has used the successor that is stored: it is pinned from now on, and the key before
    /// it counts for nothing any more. If there is none, another process has stored that already.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn succeed(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Whether this key is pinned as the server's, or is the successor that is stored. It need not know
    /// the one of [`Account::server`](super::Account::server).
    ///
    /// # Errors
    /// When it cannot be read.
    fn is_server_key(&mut self, _key: &Spki) -> Result<bool, Self::Error> {
        Ok(false)
    }

    /// Something that a person may want to know. It may be said although the step is rolled back, and
    /// is no part of it. Only a registration depends on one: on [`Notice::Code`].
    fn notice(&mut self, _notice: Notice<'_>) {}
}

/// How a contact is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// The contact with this phone.
    Phone(&'a Phone),
    /// By id: whose it is, or else with whose changed key it came.
    User(UserId),
    /// The contact for whom this key is pinned.
    Key(&'a Spki),
}

/// Somebody whose key is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The phone of the contact.
    pub phone: Phone,
    /// The id at the server; `None` when it was given to somebody else.
    pub user: Option<UserId>,
    /// The key that is pinned for the phone.
    pub spki: Spki,
    /// When the server last answered for this phone.
    pub asked_at: Option<UnixTime>,
    /// Another key that the server gives out for this phone, until a person accepts it. The id that
    /// came with it is the profile's to keep: by it, too, the contact is looked for ([`Who::User`]).
    pub changed: Option<Spki>,
}

impl Contact {
    /// Seconds after which the server is asked again.
    const ASK_AFTER_S: i64 = 24 * 60 * 60;

    /// The id to send to; `None` while the key is in question or the id is gone.
    #[must_use]
    pub const fn sendable(&self) -> Option<UserId> {
        if self.changed.is_some() { None } else { self.user }
    }

    /// Whether the server should be asked before a letter goes out: once a day, so that one
    /// which starts to lie is noticed, and whenever the id is not known.
    #[must_use]
    pub fn is_question_due(&self, now: UnixTime) -> bool {
        // A clock that went back must not put the question off for years.
        let asked_today =
            self.asked_at.is_some_and(|at| (0..Self::ASK_AFTER_S).contains(&now.minus(at)));
        self.user.is_none() || !asked_today
    }
}

/// A letter that has come.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The packet id of the letter.
    pub id: PacketId,
    /// The id that the header names as the sender.
    pub sender: UserId,
    /// Whose id that is; `None` when the server does not say. A letter that has opened has one.
    pub from: Option<Phone>,
    /// The time in its header.
    pub sent: Timestamp,
    /// Now, by the server's clock.
    pub now: UnixTime,
    /// Bytes of the packet.
    pub len: usize,
    /// What was made of it.
    pub fate: Fate<'a>,
    /// The packet as it came; empty where there is no memory to keep it beside the opened one.
    pub packet: &'a [u8],
}

/// What was made of a letter.
#[derive(Clone, Copy, Debug)]
pub enum Fate<'a> {
    /// It opened under its sender's pinned key.
    Opened {
        /// Its name.
        uid: Uid,
        /// What it says.
        content: Content<'a>,
    },
    /// It cannot be read.
    Unreadable(Unreadable),
    /// It is not signed with its sender's pinned key, and may be right all the same.
    Held {
        /// Whether it is signed with [`Contact::changed`]; else the server has yet to say whether
        /// there is a changed key at all.
        by_changed_key: bool,
    },
}

/// Why a letter cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unreadable {
    /// It is larger than the letter buffer.
    TooLarge,
    /// The server does not say who sent it.
    NoSender,
    /// It is no packet, or the sender's pinned key is none.
    Damaged,
    /// It is not signed with the sender's key: forged, or damaged.
    NotSigned,
    /// It is signed rightly, and does not open.
    Envelope(envelope::Unreadable),
}

impl Unreadable {
    /// Whether the letter is signed with the pinned key of its sender all the same.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Envelope(_))
    }
}

/// The letter of a conversation that is to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The row in which the profile keeps the letter.
    pub row: Row,
    /// The phone of the recipient.
    pub recipient: Phone,
    /// Bytes of what it says.
    pub len: u32,
}

/// A letter to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Its name; the same however often it is sealed.
    pub uid: Uid,
    /// What the letter says to its recipient.
    pub content: Content<'a>,
    /// The packet that it went out as without an answer, and when that was signed: it goes out
    /// again byte for byte while it is fresh. Without one the letter is sealed anew.
    pub sent: Option<(&'a [u8], UnixTime)>,
}

/// As what a letter goes out.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// The packet's id. A letter may have several, and a word about any of them counts: a device keeps
    /// the last few, each with its recipient.
    pub id: PacketId,
    /// The id that the packet is addressed to.
    pub recipient: UserId,
    /// All bytes of the packet, header and signature included.
    pub packet: &'a [u8],
    /// The time in its header.
    pub signed_at: UnixTime,
    /// By how many seconds the clock was wrong that dated the letter, if that is known and matters.
    pub clock_was_off_s: i64,
}

/// Why a letter is put off or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// The server refuses, with this code, and the letter goes out again at once: nobody who waits
    /// for it need be told.
    SentAgain(u16),
    /// The server refuses, with this code.
    Code(u16),
    /// What the server says about the recipient's key is not believed.
    NotBelieved(Conflict),
    /// The recipient's pinned key is none.
    KeyIsBad,
    /// The letter is larger than the transmit buffer.
    TooLarge,
}

/// What a person may want to know.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Notice<'a> {
    /// A session is open.
    SessionOpen,
    /// This machine's clock is so many seconds behind the server's. It is said once.
    ClockIsOff(i64),
    /// So many letters were pending, and all have come.
    BacklogEnd(u32),
    /// The server says that somebody's key is another one than it was.
    KeyChanged(&'a Phone),
    /// The server says something about this phone's key that contradicts what is pinned.
    NotBelieved(&'a Phone, Conflict),
    /// The code that [`crate::client::Client::request_otp`] asked for is on its way, or in here.
    Code(&'a OtpGrant),
    /// The phone has an account, under another key if no code was ever proved with this one. Nothing
    /// more comes on this connection.
    PhoneTaken,
}
