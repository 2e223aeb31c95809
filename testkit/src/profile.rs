//! A messenger's profile in memory: what is durable, what a transaction has changed, and commits
//! that fail.

use core::num::NonZeroU32;
use std::collections::BTreeSet;
use std::sync::Arc;

use waxwing_core::client::LetterName;
use waxwing_core::crypto::{SessionKey, Spki};
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::messenger::{
    Arrival, Contact, Fate, Head, Notice, Outgoing, Profile, Reason, Row, Sealed, Unreadable,
    Verdict, Who,
};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{KeyAnswer, Status, StatusQuery, Successor};

/// What outlives a crash. A test may change it between any two steps, as another process would.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub contacts: Vec<Contact>,
    /// Ids that came with changed keys.
    pub changed_ids: Vec<(Phone, UserId)>,
    pub outbox: Vec<Written>,
    pub letters: Vec<Received>,
    /// People whose letters are acknowledged and not kept.
    pub blocked: BTreeSet<Phone>,
    /// Packets whose letter was taken in, kept or not: they may be acknowledged.
    pub taken: BTreeSet<PacketId>,
    /// Letters that have come once more.
    pub duplicates: usize,
    pub user: Option<UserId>,
    pub session_key: Option<SessionKey>,
    /// The server's key, once it is not the one that the process has started with.
    pub server_key: Option<Spki>,
    /// What follows it.
    pub successor: Option<Successor>,
    /// When the server has said that.
    pub successor_asked: Option<UnixTime>,
    /// The place that was given out last: none is given out twice.
    last_row: u32,
}

/// A letter that was written here.
#[derive(Clone, Debug)]
pub struct Written {
    pub row: Row,
    pub uid: Uid,
    pub recipient: Phone,
    pub text: Arc<str>,
    pub state: State,
    pub status: Status,
    pub not_before: UnixTime,
    /// Why it was put off last.
    pub put_off: Option<Reason>,
    pub packets: Vec<(PacketId, UserId)>,
    pub packet: Option<(Arc<[u8]>, UnixTime)>,
    /// How wrong the clock was by which the letter was written, as far as that is known.
    pub clock_was_off_s: i64,
    pub stored_as: Option<(PacketId, UserId)>,
}

impl Written {
    /// Whether it has no answer, and is to be sent.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Waiting | State::Sent)
    }
}

/// How far a letter has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Waiting,
    Sent,
    Answered,
    Refused(Reason),
    /// Somebody at this home does not want it to be sent any more.
    GivenUp,
}

/// A letter that has come.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: PacketId,
    pub row: Row,
    pub from: Option<Phone>,
    /// Bytes of the packet, which may not be kept.
    pub len: usize,
    pub says: Says,
    packet: Arc<[u8]>,
}

/// What a letter that has come says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    Text(Uid, Arc<str>),
    Other(Uid),
    /// It was deleted, and is recognised when it comes again.
    Deleted(Uid),
    Unreadable(Unreadable),
    Held {
        by_changed_key: bool,
    },
}

impl Says {
    fn of(fate: &Fate<'_>) -> Self {
        match fate {
            Fate::Opened { uid, content: Content::Text(text) } => Self::Text(*uid, (*text).into()),
            Fate::Opened { uid, .. } => Self::Other(*uid),
            Fate::Unreadable(why) => Self::Unreadable(*why),
            Fate::Held { by_changed_key } => Self::Held { by_changed_key: *by_changed_key },
        }
    }

    /// Its name, if it was opened.
    pub fn uid(&self) -> Option<Uid> {
        match self {
            Self::Text(uid, _) | Self::Other(uid) | Self::Deleted(uid) => Some(*uid),
            _ => None,
        }
    }
}

impl Stored {
    /// Queues a text.
    pub fn write(&mut self, uid: Uid, recipient: Phone, text: &str) -> Row {
        let row = self.next_row();
        self.outbox.push(Written {
            row,
            uid,
            recipient,
            text: text.into(),
            state: State::Waiting,
            status: Status::Unknown,
            not_before: UnixTime::from_seconds(0),
            put_off: None,
            packets: Vec::new(),
            packet: None,
            clock_was_off_s: 0,
            stored_as: None,
        });
        row
    }

    /// A letter without an answer is not sent, or not again. Whether there is such a letter.
    pub fn give_up(&mut self, row: Row) -> bool {
        let letter = self.open_letter(row);
        letter.map(|letter| letter.state = State::GivenUp).is_some()
    }

    /// Letters that were put off may be tried now.
    pub fn hurry(&mut self) {
        for letter in &mut self.outbox {
            letter.not_before = UnixTime::from_seconds(0);
        }
    }

    /// Everything from and to somebody goes, but letters without an answer. What had been opened is
    /// recognised when it comes again.
    pub fn delete_with(&mut self, phone: &Phone) {
        self.outbox.retain(|letter| letter.recipient != *phone || letter.is_open());
        self.letters.retain_mut(|letter| {
            if letter.from == Some(*phone) {
                let Some(uid) = letter.says.uid() else { return false };
                letter.says = Says::Deleted(uid);
            }
            true
        });
    }

    /// The person accepts the changed key of a contact. Letters that are held back for it are to be
    /// judged anew.
    pub fn accept_key(&mut self, phone: &Phone) {
        let changed = self.contacts.iter_mut().filter(|one| one.phone == *phone);
        for contact in changed {
            let Some(spki) = contact.changed.take() else { continue };
            let id = self.changed_ids.iter().find(|(of, _)| of == phone);
            (contact.spki, contact.user) = (spki, id.map(|(_, user)| *user));
        }
        self.changed_ids.retain(|(of, _)| of != phone);
    }

    /// What can be read, in the order of its coming.
    pub fn texts(&self) -> Vec<&str> {
        let says = self.letters.iter().map(|letter| &letter.says);
        let texts = says.filter_map(|says| match says {
            Says::Text(_, text) => Some(&**text),
            _ => None,
        });
        texts.collect()
    }

    fn next_row(&mut self) -> Row {
        self.last_row += 1;
        Row(NonZeroU32::new(self.last_row).unwrap())
    }

    fn letter(&mut self, row: Row) -> Option<&mut Written> {
        self.outbox.iter_mut().find(|letter| letter.row == row)
    }

    fn open_letter(&mut self, row: Row) -> Option<&mut Written> {
        self.letter(row).filter(|letter| letter.is_open())
    }
}

/// The disk does not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskFull;

/// A profile in memory.
#[derive(Default)]
pub struct MemoryProfile {
    pub stored: Stored,
    before: Option<Stored>,
    /// Transactions that were committed.
    pub commits: usize,
    /// Letters that the last transaction took.
    pub letters_in_step: usize,
    /// The commit with this number fails.
    pub fails_at: Option<usize>,
    /// So many transactions, changes and commits go well, and the next one fails.
    pub fails_after: Option<usize>,
    /// This letter is gone when it has been sealed.
    pub gone_when_sealed: Option<Row>,
    pub notices: Vec<String>,
    /// The code that has come in band.
    pub code: Option<Otp>,
    /// The server is asked for the key that follows its own, in sessions that begin so many seconds
    /// after it has last answered.
    pub asks_server_after_s: Option<i64>,
    /// Keys with small factors are refused. The keys of the cheap backends have some.
    pub refuses_weak_keys: bool,
}

impl MemoryProfile {
    /// The process dies: what was not committed is gone.
    pub fn crash(&mut self) {
        self.roll_back();
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.before.is_some()
    }

    /// What was committed: all that another process sees.
    pub fn committed(&self) -> &Stored {
        self.before.as_ref().unwrap_or(&self.stored)
    }

    /// What another process may change now: nothing while a transaction is open.
    pub fn from_another_process(&mut self) -> Option<&mut Stored> {
        if self.is_open() { None } else { Some(&mut self.stored) }
    }

    fn change(&mut self) -> Result<&mut Stored, DiskFull> {
        assert!(self.before.is_some(), "a change outside of a transaction");
        self.take_room()?;
        Ok(&mut self.stored)
    }

    fn take_room(&mut self) -> Result<(), DiskFull> {
        self.fails_after = match self.fails_after {
            Some(0) => {
                self.fails_after = None;
                return Err(DiskFull);
            }
            left => left.map(|left| left - 1),
        };
        Ok(())
    }
}

impl Profile for MemoryProfile {
    const KEEPS_SUCCESSOR: bool = true;
    type Error = DiskFull;

    fn begin(&mut self) -> Result<(), DiskFull> {
        assert!(self.before.is_none(), "two transactions at once");
        self.take_room()?;
        self.before = Some(self.stored.clone());
        self.letters_in_step = 0;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), DiskFull> {
        assert!(self.before.is_some(), "no transaction to commit");
        if self.fails_at == Some(self.commits) {
            self.fails_at = None;
            return Err(DiskFull);
        }
        self.take_room()?;
        self.before = None;
        self.commits += 1;
        Ok(())
    }

    fn roll_back(&mut self) {
        if let Some(before) = self.before.take() {
            self.stored = before;
        }
    }

    fn contact(&mut self, who: Who<'_>) -> Result<Option<&Contact>, DiskFull> {
        let Stored { contacts, changed_ids, .. } = &self.stored;
        let by = |is_meant: &dyn Fn(&Contact) -> bool| contacts.iter().find(|one| is_meant(one));
        Ok(match who {
            Who::Phone(phone) => by(&|one| one.phone == *phone),
            Who::Key(key) => by(&|one| one.spki == *key),
            Who::User(user) => by(&|one| one.user == Some(user))
                .or_else(|| by(&|one| changed_ids.contains(&(one.phone, user)))),
        })
    }

    fn may_pin(&mut self, key: &Spki) -> bool {
        !(self.refuses_weak_keys && key.has_small_factor())
    }

    fn note_key(
        &mut self,
        answer: &KeyAnswer,
        verdict: Verdict,
        now: UnixTime,
    ) -> Result<(), DiskFull> {
        let KeyAnswer { user, phone, spki } = answer.clone();
        let stored = self.change()?;
        if verdict == Verdict::Pin {
            let (user, asked_at) = (Some(user), Some(now));
            stored.contacts.push(Contact { phone, user, spki, asked_at, changed: None });
            return Ok(());
        }
        stored.changed_ids.retain(|(of, _)| *of != phone);
        let contact = stored.contacts.iter_mut().find(|one| one.phone == phone).unwrap();
        contact.asked_at = Some(now);
        if verdict == Verdict::Confirm {
            (contact.user, contact.changed) = (Some(user), None);
        } else {
            contact.changed = Some(spki);
            stored.changed_ids.push((phone, user));
        }
        Ok(())
    }

    fn release_id(&mut self, phone: &Phone) -> Result<(), DiskFull> {
        if let Some(contact) = self.change()?.contacts.iter_mut().find(|one| one.phone == *phone) {
            contact.user = None;
        }
        Ok(())
    }

    fn record(&mut self, letter: &Arrival<'_>) -> Result<(), DiskFull> {
        self.letters_in_step += 1;
        let stored = self.change()?;
        stored.taken.insert(letter.id);
        if letter.from.is_some_and(|from| stored.blocked.contains(&from)) {
            return Ok(());
        }
        let says = Says::of(&letter.fate);
        let is_known = stored.letters.iter().any(|known| {
            known.id == letter.id
                || known.from == letter.from
                    && known.says.uid().is_some_and(|uid| Some(uid) == says.uid())
        });
        if is_known {
            stored.duplicates += 1;
        } else {
            let row = stored.next_row();
            let &Arrival { id, from, len, packet, .. } = letter;
            stored.letters.push(Received { id, row, from, len, says, packet: packet.into() });
        }
        Ok(())
    }

    fn head(&mut self, after: Option<Row>, now: UnixTime) -> Result<Option<Head>, DiskFull> {
        let Stored { outbox, contacts, .. } = &self.stored;
        let is_open = |letter: &&Written| letter.is_open();
        let is_head = |letter: &&Written| {
            let mut open = outbox.iter().filter(is_open);
            open.find(|first| first.recipient == letter.recipient).unwrap().row == letter.row
        };
        let is_held = |letter: &&Written| {
            contacts.iter().any(|one| one.phone == letter.recipient && one.changed.is_some())
        };
        let mut heads = outbox.iter().filter(is_open).filter(is_head);
        let head = heads.find(|letter| {
            Some(letter.row) > after && letter.not_before <= now && !is_held(letter)
        });
        Ok(head.map(|letter| Head {
            row: letter.row,
            recipient: letter.recipient,
            len: letter.text.len() as u32,
        }))
    }

    fn outgoing(&mut self, letter: Row) -> Result<Option<Outgoing<'_>>, DiskFull> {
        Ok(self.stored.open_letter(letter).map(|letter| Outgoing {
            uid: letter.uid,
            content: Content::Text(&letter.text),
            sent: letter
                .packet
                .as_ref()
                .filter(|_| letter.state == State::Sent)
                .map(|(packet, at)| (&**packet, *at)),
        }))
    }

    fn note_sealed(&mut self, letter: Row, sealed: &Sealed<'_>) -> Result<bool, DiskFull> {
        if self.gone_when_sealed == Some(letter) {
            self.change()?.outbox.retain(|written| written.row != letter);
        }
        let Some(letter) = self.change()?.open_letter(letter) else { return Ok(false) };
        letter.state = State::Sent;
        letter.packets.push((sealed.id, sealed.recipient));
        letter.packet = Some((sealed.packet.into(), sealed.signed_at));
        letter.clock_was_off_s = sealed.clock_was_off_s;
        Ok(true)
    }

    fn postpone(&mut self, letter: Row, until: UnixTime, why: Reason) -> Result<(), DiskFull> {
        if let Some(letter) = self.change()?.open_letter(letter) {
            (letter.state, letter.not_before) = (State::Waiting, until);
            letter.put_off = Some(why);
        }
        Ok(())
    }

    fn refuse(&mut self, letter: Row, why: Reason) -> Result<(), DiskFull> {
        if let Some(letter) = self.change()?.open_letter(letter) {
            letter.state = State::Refused(why);
        }
        Ok(())
    }

    fn waiting(&mut self, to: &Phone, after: Option<Row>) -> Result<Option<Row>, DiskFull> {
        let mut waiting = self.stored.outbox.iter().filter(|letter| {
            letter.state == State::Waiting && letter.recipient == *to && Some(letter.row) > after
        });
        Ok(waiting.next().map(|letter| letter.row))
    }

    fn seal_again(&mut self, to: &Phone) -> Result<(), DiskFull> {
        for letter in &mut self.change()?.outbox {
            if letter.recipient == *to && letter.state == State::Sent {
                letter.state = State::Waiting;
            }
        }
        Ok(())
    }

    fn sent_as(&mut self, packet: &PacketId) -> Result<Option<(Row, Phone)>, DiskFull> {
        let is_meant = |letter: &&Written| letter.packets.iter().any(|(id, _)| id == packet);
        let found = self.stored.outbox.iter().find(is_meant);
        Ok(found.map(|letter| (letter.row, letter.recipient)))
    }

    fn note_status(
        &mut self,
        letter: LetterName,
        status: Status,
        _: UnixTime,
    ) -> Result<Option<Row>, DiskFull> {
        for written in &mut self.change()?.outbox {
            let is_meant = |(id, _): &&(PacketId, UserId)| match letter {
                LetterName::Whole(whole) => *id == whole,
                LetterName::Prefix(prefix) => id.prefix() == prefix,
            };
            if let Some(packet) = written.packets.iter().find(is_meant).copied() {
                written.status = status.after(written.status);
                if status != Status::Unknown {
                    written.state = State::Answered;
                }
                if status == Status::Stored {
                    written.stored_as.get_or_insert(packet);
                }
                return Ok(Some(written.row));
            }
        }
        Ok(None)
    }

    fn stored(&mut self, after: Option<Row>) -> Result<Option<(Row, StatusQuery)>, DiskFull> {
        let mut stored = self
            .stored
            .outbox
            .iter()
            .filter(|letter| letter.status == Status::Stored && Some(letter.row) > after);
        Ok(stored.find_map(|written| {
            let (letter, recipient) = written.stored_as?;
            Some((written.row, StatusQuery { recipient, letter }))
        }))
    }

    fn session_key(&mut self) -> Result<Option<SessionKey>, DiskFull> {
        Ok(self.stored.session_key.clone())
    }

    fn note_session_key(&mut self, key: &SessionKey) -> Result<(), DiskFull> {
        self.change()?.session_key = Some(key.clone());
        Ok(())
    }

    fn note_user(&mut self, user: UserId) -> Result<(), DiskFull> {
        self.change()?.user = Some(user);
        Ok(())
    }

    fn doubted(&mut self, after: Option<&Phone>) -> Result<Option<Phone>, DiskFull> {
        let doubted = |letter: &Received| {
            letter.from.filter(|_| letter.says == Says::Held { by_changed_key: false })
        };
        let doubted = self.stored.letters.iter().filter_map(doubted);
        Ok(doubted.filter(|phone| Some(phone) > after).min())
    }

    fn held(
        &mut self,
        from: &Phone,
        after: Option<Row>,
        into: &mut [u8],
    ) -> Result<Option<(Row, usize)>, DiskFull> {
        let mut held = self.stored.letters.iter().filter(|letter| {
            letter.from == Some(*from)
                && matches!(letter.says, Says::Held { .. })
                && Some(letter.row) > after
        });
        Ok(held.next().map(|letter| {
            into[..letter.packet.len()].copy_from_slice(&letter.packet);
            (letter.row, letter.packet.len())
        }))
    }

    fn release(
        &mut self,
        letter: Row,
        from: &Phone,
        fate: &Fate<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<(), DiskFull> {
        let says = Says::of(fate);
        let letters = &mut self.change()?.letters;
        let is_known = letters.iter().any(|known| {
            known.from == Some(*from) && known.says.uid().is_some_and(|uid| Some(uid) == says.uid())
        });
        if is_known {
            letters.retain(|known| known.row != letter);
        } else if let Some(held) = letters.iter_mut().find(|held| held.row == letter) {
            held.says = says;
        }
        Ok(())
    }

    fn is_successor_due(&mut self, now: UnixTime) -> Result<bool, DiskFull> {
        let Some(pause) = self.asks_server_after_s else { return Ok(false) };
        let is_due = |at: UnixTime| !(0..pause).contains(&now.minus(at));
        Ok(self.stored.successor_asked.is_none_or(is_due))
    }

    fn note_successor(
        &mut self,
        successor: Option<&Successor>,
        now: UnixTime,
    ) -> Result<(), DiskFull> {
        let stored = self.change()?;
        let is_pinned = |next: &&Successor| stored.server_key.as_ref() == Some(&next.spki);
        stored.successor = successor.filter(|next| !is_pinned(next)).cloned();
        stored.successor_asked = Some(now);
        Ok(())
    }

    fn succeed(&mut self) -> Result<(), DiskFull> {
        let stored = self.change()?;
        if let Some(successor) = stored.successor.take() {
            stored.server_key = Some(successor.spki);
        }
        Ok(())
    }

    fn is_server_key(&mut self, key: &Spki) -> Result<bool, DiskFull> {
        let Stored { server_key, successor, .. } = &self.stored;
        let is_successor = successor.as_ref().is_some_and(|next| next.spki == *key);
        Ok(server_key.as_ref() == Some(key) || is_successor)
    }

    fn notice(&mut self, notice: Notice<'_>) {
        if let Notice::Code(grant) = notice {
            self.code.clone_from(&grant.otp);
        }
        self.notices.push(format!("{notice:?}"));
    }
}
