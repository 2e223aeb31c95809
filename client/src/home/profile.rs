//! A home as a messenger's profile: what a step changes is one transaction of the database.

use std::num::NonZeroU32;

use waxwing_core::client::LetterName;
use waxwing_core::crypto::{SessionKey, Spki};
use waxwing_core::envelope;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::MAX_QUERIES;
use waxwing_core::messenger::{
    self, Arrival, Head, Notice, Outgoing, Profile, Reason, Row, Sealed, Unreadable, Verdict, Who,
};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{ErrorCode, KeyAnswer, Status, StatusQuery, Successor};

use super::{
    Applied, Contact, Fate, HandedOver, Home, HomeError, LetterId, OpenLetter, OutboxId,
    PacketName, Recorded, ServerKeys, StoredLetter,
};

/// What the messenger of this home may store.
pub struct HomeProfile<'a> {
    home: &'a Home,
    notice: Box<dyn FnMut(Notice<'_>) + 'a>,
    /// What was lent last.
    contact: Option<(Contact, messenger::Contact)>,
    outgoing: Option<OpenLetter>,
    /// The walk over the heads of conversations that was begun last.
    heads: Vec<super::Head>,
    /// Some of the letters of the walk over those that are known as stored.
    stored: Vec<StoredLetter>,
    /// Letters that were recorded in this step, and how many of them were discarded.
    recorded: usize,
    discarded: usize,
}

impl<'a> HomeProfile<'a> {
    /// Of this home. What a person may want to know goes to `notice`.
    pub fn new(home: &'a Home, notice: impl FnMut(Notice<'_>) + 'a) -> Self {
        Self {
            home,
            notice: Box::new(notice),
            contact: None,
            outgoing: None,
            heads: Vec::new(),
            stored: Vec::new(),
            recorded: 0,
            discarded: 0,
        }
    }

    /// A fate as the home stores it. The contact that was lent last is the letter's sender.
    fn fate<'l>(
        &'l self,
        from: Option<Phone>,
        fate: &messenger::Fate<'l>,
        packet: &'l [u8],
    ) -> Fate<'l> {
        let contact = self.contact.as_ref().map(|(contact, _)| contact);
        match (*fate, from) {
            (messenger::Fate::Opened { uid, content }, Some(from)) => {
                Fate::Opened { from, uid, content }
            }
            (messenger::Fate::Held { by_changed_key }, Some(from)) => {
                let changed = contact.and_then(|contact| contact.changed.as_ref());
                let signed_with = changed.filter(|_| by_changed_key).map(|changed| &changed.spki);
                Fate::Held { from, packet, signed_with }
            }
            (messenger::Fate::Unreadable(why), from) => {
                let (error, is_signed) = (words(why), why.is_signed());
                Fate::Unreadable { from, error, is_signed, packet }
            }
            // Whoever opens or holds a letter knows whose it is.
            (_, None) => {
                let error = words(Unreadable::NoSender);
                Fate::Unreadable { from, error, is_signed: false, packet }
            }
        }
    }
}

/// Why a letter cannot be read, for the person.
const fn words(why: Unreadable) -> &'static str {
    match why {
        Unreadable::TooLarge => "the letter is larger than any letter may be",
        Unreadable::NoSender => "the server does not say who sent it",
        Unreadable::Damaged => "the packet is damaged",
        Unreadable::NotSigned => {
            "it is not signed with the key of that sender, so it is forged or damaged"
        }
        Unreadable::Envelope(envelope::Unreadable::UnknownVersion(_)) => {
            "the envelope is of a later version"
        }
        Unreadable::Envelope(envelope::Unreadable::UnknownSuite(_)) => {
            "the envelope is of a cipher suite that is not known here"
        }
        Unreadable::Envelope(envelope::Unreadable::DoesNotOpen) => "the letter does not open",
    }
}

/// The code of a reason, or, without one, what the person reads.
fn reason(why: Reason) -> (Option<u16>, String) {
    match why {
        Reason::SentAgain(_) => (None, String::new()),
        Reason::Code(code) => (Some(code), String::new()),
        Reason::NotBelieved(conflict) => (None, conflict.to_string()),
        Reason::KeyIsBad => (None, "the recipient's key is of no use".to_owned()),
        Reason::TooLarge => (Some(ErrorCode::TooLarge.code()), String::new()),
    }
}

fn row(id: i64) -> Result<Row, HomeError> {
    let row = u32::try_from(id).ok().and_then(NonZeroU32::new).map(Row);
    row.ok_or(HomeError::Database(rusqlite::Error::IntegralValueOutOfRange(0, id)))
}

const fn outbox_id(row: Row) -> OutboxId {
    OutboxId(row.0.get() as i64)
}

const fn letter_id(row: Row) -> LetterId {
    LetterId(row.0.get() as i64)
}

impl Profile for HomeProfile<'_> {
    const KEEPS_SUCCESSOR: bool = true;
    type Error = HomeError;

    fn begin(&mut self) -> Result<(), HomeError> {
        (self.recorded, self.discarded) = (0, 0);
        Ok(self.home.connection.execute_batch("BEGIN IMMEDIATE")?)
    }

    fn commit(&mut self) -> Result<(), HomeError> {
        self.home.connection.execute_batch("COMMIT")?;
        if self.recorded > 0 {
            tracing::debug!(letters = self.recorded, discarded = self.discarded, "stored");
        }
        Ok(())
    }

    fn roll_back(&mut self) {
        // It may have been done already; and when the process ends, it is done.
        let _ = self.home.connection.execute_batch("ROLLBACK");
    }

    fn contact(&mut self, who: Who<'_>) -> Result<Option<&messenger::Contact>, HomeError> {
        let contacts = self.home.contacts();
        let found = match who {
            Who::Phone(phone) => contacts.by_phone(phone),
            Who::User(user) => contacts.by_user_id(user),
            Who::Key(key) => contacts.by_key(key),
        }?;
        self.contact = found.map(|contact| {
            let known = contact.known();
            (contact, known)
        });
        Ok(self.contact.as_ref().map(|(_, known)| known))
    }

    fn note_key(
        &mut self,
        answer: &KeyAnswer,
        verdict: Verdict,
        now: UnixTime,
    ) -> Result<(), HomeError> {
        self.home.contacts().note(answer, verdict, now)
    }

    fn release_id(&mut self, phone: &Phone) -> Result<(), HomeError> {
        self.home.contacts().release_id(phone)
    }

    fn record(&mut self, letter: &Arrival<'_>) -> Result<(), HomeError> {
        let Arrival { id, sender, from, sent, now, ref fate, packet, .. } = *letter;
        let recorded = self.home.letters().record(&HandedOver {
            packet_id: id,
            sender,
            sent_at: sent.to_unix(),
            received_at: now,
            fate: self.fate(from, fate, packet),
        })?;
        self.recorded += 1;
        self.discarded += usize::from(recorded == Recorded::Discarded);
        Ok(())
    }

    fn head(&mut self, after: Option<Row>, now: UnixTime) -> Result<Option<Head>, HomeError> {
        if after.is_none() {
            self.heads = self.home.outbox().heads(now)?;
        }
        let after = after.map(outbox_id);
        let next = self.heads.partition_point(|head| Some(head.id) <= after);
        let head = self.heads.get(next);
        head.map(|head| Ok(Head { row: row(head.id.0)?, recipient: head.recipient, len: head.len }))
            .transpose()
    }

    fn outgoing(&mut self, letter: Row) -> Result<Option<Outgoing<'_>>, HomeError> {
        self.outgoing = self.home.outbox().open_letter(outbox_id(letter))?;
        Ok(self.outgoing.as_ref().map(|letter| Outgoing {
            uid: letter.uid,
            content: letter.writing.content(),
            sent: letter.packet.as_ref().map(|sent| (sent.bytes.as_slice(), sent.signed_at)),
        }))
    }

    fn note_sealed(&mut self, letter: Row, sealed: &Sealed<'_>) -> Result<bool, HomeError> {
        let Sealed { id, recipient, packet, signed_at, clock_was_off_s } = *sealed;
        let (outbox, letter) = (self.home.outbox(), outbox_id(letter));
        if clock_was_off_s != 0 {
            outbox.correct_date(letter, clock_was_off_s)?;
        }
        outbox.begin_sending(letter, &id, recipient, packet, signed_at)
    }

    fn postpone(&mut self, letter: Row, until: UnixTime, why: Reason) -> Result<(), HomeError> {
        let (code, text) = reason(why);
        self.home.outbox().postpone(outbox_id(letter), until, code, &text)
    }

    fn refuse(&mut self, letter: Row, why: Reason) -> Result<(), HomeError> {
        let (code, text) = reason(why);
        self.home.outbox().refuse(outbox_id(letter), code, &text).map(|_| ())
    }

    fn waiting(&mut self, to: &Phone, after: Option<Row>) -> Result<Option<Row>, HomeError> {
        let found = self.home.outbox().waiting(to, after.map(outbox_id))?;
        found.map(|id| row(id.0)).transpose()
    }

    fn seal_again(&mut self, to: &Phone) -> Result<(), HomeError> {
        self.home.outbox().seal_again(to)
    }

    fn sent_as(&mut self, packet: &PacketId) -> Result<Option<(Row, Phone)>, HomeError> {
        let found = self.home.outbox().sent_as(packet)?;
        found.map(|(id, recipient)| Ok((row(id.0)?, recipient))).transpose()
    }

    fn note_status(
        &mut self,
        letter: LetterName,
        status: Status,
        now: UnixTime,
    ) -> Result<Option<Row>, HomeError> {
        let name = match letter {
            LetterName::Whole(id) => PacketName::Full(id),
            LetterName::Prefix(prefix) => PacketName::Prefix(prefix),
        };
        let applied = self.home.outbox().apply(&[(name, status)], now)?;
        match applied.first() {
            Some(Applied::Risen(id, _) | Applied::Unchanged(id)) => row(id.0).map(Some),
            _ => Ok(None),
        }
    }

    fn stored(&mut self, after: Option<Row>) -> Result<Option<(Row, StatusQuery)>, HomeError> {
        // The walk stands still until the server may be asked again: what was read is kept.
        let after = after.map(outbox_id);
        let mut next = self.stored.partition_point(|letter| Some(letter.id) <= after);
        if after.is_none() || next == self.stored.len() {
            self.stored = self.home.outbox().stored(after, MAX_QUERIES)?;
            next = 0;
        }
        let letter = self.stored.get(next);
        letter.map(|letter| Ok((row(letter.id.0)?, letter.query))).transpose()
    }

    fn session_key(&mut self) -> Result<Option<SessionKey>, HomeError> {
        Ok(self.home.identity()?.and_then(|identity| identity.session_key))
    }

    fn note_session_key(&mut self, key: &SessionKey) -> Result<(), HomeError> {
        self.home.set_session_key(Some(key))
    }

    /// An account is registered before anybody holds its session.
    fn note_user(&mut self, _: UserId) -> Result<(), HomeError> {
        Ok(())
    }

    fn doubted(&mut self, after: Option<&Phone>) -> Result<Option<Phone>, HomeError> {
        self.home.letters().doubted(after)
    }

    fn held(
        &mut self,
        from: &Phone,
        after: Option<Row>,
        into: &mut [u8],
    ) -> Result<Option<(Row, usize)>, HomeError> {
        let Some(held) = self.home.letters().held(from, after.map(letter_id))? else {
            return Ok(None);
        };
        // What is kept has come over the wire, so it has room.
        let room = into.iter_mut().zip(&held.packet);
        room.for_each(|(to, from)| *to = *from);
        Ok(Some((row(held.id.0)?, held.packet.len())))
    }

    fn release(
        &mut self,
        letter: Row,
        from: &Phone,
        fate: &messenger::Fate<'_>,
        packet: &[u8],
        now: UnixTime,
    ) -> Result<(), HomeError> {
        let fate = self.fate(Some(*from), fate, packet);
        self.home.letters().release(letter_id(letter), &fate, now).map(|_| ())
    }

    fn is_successor_due(&mut self, now: UnixTime) -> Result<bool, HomeError> {
        self.home.is_successor_due(now)
    }

    fn note_successor(
        &mut self,
        successor: Option<&Successor>,
        now: UnixTime,
    ) -> Result<(), HomeError> {
        self.home.note_successor(successor, now)
    }

    fn succeed(&mut self) -> Result<(), HomeError> {
        self.home.succeed()
    }

    fn is_server_key(&mut self, key: &Spki) -> Result<bool, HomeError> {
        let keys = self.home.server_keys()?;
        Ok(keys.is_some_and(|ServerKeys { pinned, successor }| {
            pinned == *key || successor.is_some_and(|(successor, _)| successor == *key)
        }))
    }

    fn notice(&mut self, notice: Notice<'_>) {
        (self.notice)(notice);
    }
}
