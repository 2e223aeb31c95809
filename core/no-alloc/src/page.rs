//! A profile of one contact and one letter, on a page of the board's.

use core::num::NonZeroU32;

use waxwing_core::client::{LetterName, Novelty, SeenLetters};
use waxwing_core::crypto::{SessionKey, Spki};
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::messenger::{
    Arrival, Contact, Fate, Head, Notice, Outgoing, Profile, Reason, Row, Sealed, Verdict, Who,
};
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{KeyAnswer, Status, StatusQuery};

use crate::board::{board_load, board_show, phone};

pub(crate) type Seen = SeenLetters<16, 4>;

/// The page is not written.
pub(crate) struct WriteFailed;

pub(crate) struct Page {
    seen: Seen,
    pub(crate) peer: Option<Contact>,
    pub(crate) code: Option<Otp>,
    recipient: Phone,
    sent_to: Option<UserId>,
    id: PacketId,
    status: Status,
}

impl Page {
    pub(crate) fn open() -> Option<Self> {
        let mut stored = [0; Seen::ENCODED_LEN];
        board_load(&mut stored);
        let seen = Seen::decode(&stored).unwrap_or_default();
        let (recipient, id) = (phone()?, PacketId([0; 16]));
        let (peer, code, sent_to) = (None, None, None);
        Some(Self { seen, peer, code, recipient, sent_to, id, status: Status::Unknown })
    }
}

const ONLY: Row = Row(NonZeroU32::MIN);

impl Profile for Page {
    type Error = WriteFailed;

    fn begin(&mut self) -> Result<(), WriteFailed> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), WriteFailed> {
        let mut stored = [0; Seen::ENCODED_LEN];
        self.seen.encode(&mut stored).map_err(|_| WriteFailed)?;
        board_show(&stored);
        Ok(())
    }

    fn roll_back(&mut self) {
        board_show(b"rolled back");
    }

    fn contact(&mut self, who: Who<'_>) -> Result<Option<&Contact>, WriteFailed> {
        Ok(self.peer.as_ref().filter(|peer| match who {
            Who::Phone(phone) => peer.phone == *phone,
            Who::User(user) => peer.user == Some(user),
            Who::Key(key) => peer.spki == *key,
        }))
    }

    fn may_pin(&mut self, _: &Spki) -> bool {
        true
    }

    fn note_key(
        &mut self,
        answer: &KeyAnswer,
        verdict: Verdict,
        now: UnixTime,
    ) -> Result<(), WriteFailed> {
        let KeyAnswer { user, phone, spki } = answer;
        if *phone != self.recipient || verdict == Verdict::Change {
            board_show(phone.as_bytes());
            return Ok(());
        }
        self.peer = Some(Contact {
            phone: *phone,
            user: Some(*user),
            spki: spki.clone(),
            asked_at: Some(now),
            changed: None,
        });
        Ok(())
    }

    fn release_id(&mut self, phone: &Phone) -> Result<(), WriteFailed> {
        if let Some(peer) = self.peer.as_mut().filter(|peer| peer.phone == *phone) {
            peer.user = None;
        }
        Ok(())
    }

    fn record(&mut self, letter: &Arrival<'_>) -> Result<(), WriteFailed> {
        let (Fate::Opened { uid, content }, Some(from)) = (letter.fate, letter.from) else {
            board_show(b"unreadable");
            return Ok(());
        };
        if self.seen.admit(&from, &uid, letter.sent) == Novelty::New {
            match content {
                Content::Text(text) => board_show(text.as_bytes()),
                Content::ReadReceipt(uid) => board_show(&uid.0),
                Content::Unknown { body, .. } => board_show(body),
            }
        }
        Ok(())
    }

    fn head(&mut self, after: Option<Row>, _: UnixTime) -> Result<Option<Head>, WriteFailed> {
        let is_open = after.is_none() && self.status == Status::Unknown;
        Ok(is_open.then_some(Head { row: ONLY, recipient: self.recipient, len: 5 }))
    }

    fn outgoing(&mut self, _: Row) -> Result<Option<Outgoing<'_>>, WriteFailed> {
        Ok(Some(Outgoing { uid: Uid(self.id.0), content: Content::Text("hello"), sent: None }))
    }

    fn note_sealed(&mut self, _: Row, sealed: &Sealed<'_>) -> Result<bool, WriteFailed> {
        board_show(sealed.packet);
        (self.id, self.sent_to) = (sealed.id, Some(sealed.recipient));
        Ok(true)
    }

    fn postpone(&mut self, _: Row, until: UnixTime, _: Reason) -> Result<(), WriteFailed> {
        board_show(&until.as_seconds().to_le_bytes());
        Ok(())
    }

    fn refuse(&mut self, _: Row, _: Reason) -> Result<(), WriteFailed> {
        self.status = Status::Expired;
        Ok(())
    }

    fn waiting(&mut self, to: &Phone, after: Option<Row>) -> Result<Option<Row>, WriteFailed> {
        let is_waiting = after.is_none() && *to == self.recipient && self.sent_to.is_none();
        Ok(is_waiting.then_some(ONLY))
    }

    fn seal_again(&mut self, _: &Phone) -> Result<(), WriteFailed> {
        Ok(())
    }

    fn sent_as(&mut self, packet: &PacketId) -> Result<Option<(Row, Phone)>, WriteFailed> {
        Ok((*packet == self.id).then_some((ONLY, self.recipient)))
    }

    fn note_status(
        &mut self,
        letter: LetterName,
        status: Status,
        _: UnixTime,
    ) -> Result<Option<Row>, WriteFailed> {
        let is_ours = letter.prefix() == self.id.prefix();
        if is_ours {
            self.status = status.after(self.status);
        }
        Ok(is_ours.then_some(ONLY))
    }

    fn stored(&mut self, after: Option<Row>) -> Result<Option<(Row, StatusQuery)>, WriteFailed> {
        let is_stored = after.is_none() && self.status == Status::Stored;
        let recipient = self.sent_to.filter(|_| is_stored);
        Ok(recipient.map(|recipient| (ONLY, StatusQuery { recipient, letter: self.id })))
    }

    fn session_key(&mut self) -> Result<Option<SessionKey>, WriteFailed> {
        let mut key = [0; 32];
        board_load(&mut key);
        Ok(Some(SessionKey::from_bytes(&key)))
    }

    fn note_session_key(&mut self, key: &SessionKey) -> Result<(), WriteFailed> {
        board_show(key.expose());
        Ok(())
    }

    fn note_user(&mut self, user: UserId) -> Result<(), WriteFailed> {
        board_show(&user.get().to_le_bytes());
        Ok(())
    }

    fn notice(&mut self, notice: Notice<'_>) {
        match notice {
            Notice::Code(grant) => self.code.clone_from(&grant.otp),
            Notice::KeyChanged(phone) => board_show(phone.as_bytes()),
            _ => board_show(b"notice"),
        }
    }
}
