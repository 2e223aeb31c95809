//! A messenger's profile in memory: what is durable, what a transaction has changed, and commits
//! that fail.

use core::num::NonZeroU32;

use waxwing_core::client::LetterName;
use waxwing_core::crypto::SessionKey;
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::messenger::{
    Arrival, Contact, Fate, Head, Notice, Outgoing, Profile, Reason, Row, Sealed, Unreadable,
    Verdict, Who,
};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{KeyAnswer, Status, StatusQuery};

/// What outlives a crash. A test may change it between any two steps, as another process would.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub contacts: Vec<Contact>,
    /// Ids that came with changed keys.
    pub changed_ids: Vec<(Phone, UserId)>,
    pub outbox: Vec<Written>,
    pub letters: Vec<Received>,
    pub user: Option<UserId>,
    pub session_key: Option<SessionKey>,
}

/// A letter that was written here.
#[derive(Clone, Debug)]
pub struct Written {
    pub row: Row,
    pub uid: Uid,
    pub recipient: Phone,
    pub text: String,
    pub state: State,
    pub status: Status,
    pub not_before: UnixTime,
    pub packets: Vec<(PacketId, UserId)>,
    pub packet: Option<(Vec<u8>, UnixTime)>,
    pub stored_as: Option<(PacketId, UserId)>,
}

/// How far a letter has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Waiting,
    Sent,
    Answered,
    Refused(Reason),
}

/// A letter that has come.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: PacketId,
    pub row: Row,
    pub from: Option<Phone>,
    pub says: Says,
    packet: Vec<u8>,
}

/// What a letter that has come says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    Text(Uid, String),
    Other(Uid),
    Unreadable(Unreadable),
    Held { by_changed_key: bool },
}

impl Says {
    fn of(fate: &Fate<'_>) -> Self {
        match fate {
            Fate::Opened { uid, content: Content::Text(text) } => {
                Self::Text(*uid, (*text).to_owned())
            }
            Fate::Opened { uid, .. } => Self::Other(*uid),
            Fate::Unreadable(why) => Self::Unreadable(*why),
            Fate::Held { by_changed_key } => Self::Held { by_changed_key: *by_changed_key },
        }
    }

    fn uid(&self) -> Option<Uid> {
        match self {
            Self::Text(uid, _) | Self::Other(uid) => Some(*uid),
            _ => None,
        }
    }
}

impl Stored {
    /// Queues a text.
    pub fn write(&mut self, uid: Uid, recipient: Phone, text: &str) -> Row {
        let row = next_row(self.outbox.last().map(|letter| letter.row));
        self.outbox.push(Written {
            row,
            uid,
            recipient,
            text: text.to_owned(),
            state: State::Waiting,
            status: Status::Unknown,
            not_before: UnixTime::from_seconds(0),
            packets: Vec::new(),
            packet: None,
            stored_as: None,
        });
        row
    }

    /// What can be read, in the order of its coming.
    pub fn texts(&self) -> Vec<&str> {
        let says = self.letters.iter().map(|letter| &letter.says);
        let texts = says.filter_map(|says| match says {
            Says::Text(_, text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    fn letter(&mut self, row: Row) -> Option<&mut Written> {
        self.outbox.iter_mut().find(|letter| letter.row == row)
    }

    fn open_letter(&mut self, row: Row) -> Option<&mut Written> {
        self.letter(row).filter(|letter| matches!(letter.state, State::Waiting | State::Sent))
    }
}

fn next_row(last: Option<Row>) -> Row {
    last.map_or(Row(NonZeroU32::MIN), |Row(at)| Row(at.saturating_add(1)))
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
    /// This letter is gone when it has been sealed.
    pub gone_when_sealed: Option<Row>,
    pub notices: Vec<String>,
    /// The code that has come in band.
    pub code: Option<Otp>,
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

    fn change(&mut self) -> &mut Stored {
        assert!(self.before.is_some(), "a change outside of a transaction");
        &mut self.stored
    }
}

impl Profile for MemoryProfile {
    type Error = DiskFull;

    fn begin(&mut self) -> Result<(), DiskFull> {
        assert!(self.before.is_none(), "two transactions at once");
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

    fn note_key(
        &mut self,
        answer: &KeyAnswer,
        verdict: Verdict,
        now: UnixTime,
    ) -> Result<(), DiskFull> {
        let KeyAnswer { user, phone, spki } = answer.clone();
        let stored = self.change();
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
        if let Some(contact) = self.change().contacts.iter_mut().find(|one| one.phone == *phone) {
            contact.user = None;
        }
        Ok(())
    }

    fn record(&mut self, letter: &Arrival<'_>) -> Result<(), DiskFull> {
        self.letters_in_step += 1;
        let stored = self.change();
        let says = Says::of(&letter.fate);
        let is_known = stored.letters.iter().any(|known| {
            known.id == letter.id
                || known.from == letter.from
                    && known.says.uid().is_some_and(|uid| Some(uid) == says.uid())
        });
        if !is_known {
            let row = next_row(stored.letters.last().map(|letter| letter.row));
            let (id, from, packet) = (letter.id, letter.from, letter.packet.to_vec());
            stored.letters.push(Received { id, row, from, says, packet });
        }
        Ok(())
    }

    fn head(&mut self, after: Option<Row>, now: UnixTime) -> Result<Option<Head>, DiskFull> {
        let Stored { outbox, contacts, .. } = &self.stored;
        let is_open = |letter: &&Written| matches!(letter.state, State::Waiting | State::Sent);
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
                .map(|(packet, at)| (packet.as_slice(), *at)),
        }))
    }

    fn note_sealed(&mut self, letter: Row, sealed: &Sealed<'_>) -> Result<bool, DiskFull> {
        if self.gone_when_sealed == Some(letter) {
            self.change().outbox.retain(|written| written.row != letter);
        }
        let Some(letter) = self.change().open_letter(letter) else { return Ok(false) };
        letter.state = State::Sent;
        letter.packets.push((sealed.id, sealed.recipient));
        letter.packet = Some((sealed.packet.to_vec(), sealed.signed_at));
        Ok(true)
    }

    fn postpone(&mut self, letter: Row, until: UnixTime, _: Reason) -> Result<(), DiskFull> {
        if let Some(letter) = self.change().open_letter(letter) {
            (letter.state, letter.not_before) = (State::Waiting, until);
        }
        Ok(())
    }

    fn refuse(&mut self, letter: Row, why: Reason) -> Result<(), DiskFull> {
        if let Some(letter) = self.change().open_letter(letter) {
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
        for letter in &mut self.change().outbox {
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
        for written in &mut self.change().outbox {
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
        self.change().session_key = Some(key.clone());
        Ok(())
    }

    fn note_user(&mut self, user: UserId) -> Result<(), DiskFull> {
        self.change().user = Some(user);
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
        let letters = &mut self.change().letters;
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

    fn notice(&mut self, notice: Notice<'_>) {
        if let Notice::Code(grant) = notice {
            self.code.clone_from(&grant.otp);
        }
        self.notices.push(format!("{notice:?}"));
    }
}
