//! The memory as a messenger's profile: one contact, one letter out, and of letters in nothing but
//! their uids. What comes is shown, not kept.

use core::num::NonZeroU32;

use waxwing_core::client::{LetterName, Novelty};
use waxwing_core::crypto::{SessionKey, Spki};
use waxwing_core::envelope::Content;
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::messenger::{
    Arrival, Contact, Fate, Head, Notice, Outgoing, Profile, Reason, Row, Sealed, Unreadable,
    Verdict, Who,
};
use waxwing_core::phone::Phone;
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{ErrorCode, KeyAnswer, Status, StatusQuery};

use super::{Attempt, Memory, Step};
use crate::board::decimal;
use crate::flash::WriteFailed;

/// The device's own letter.
const ONLY: Row = Row(NonZeroU32::MIN);

impl Profile for Memory {
    type Error = WriteFailed;

    fn begin(&mut self) -> Result<(), WriteFailed> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), WriteFailed> {
        if self.step.is_changed {
            self.save()?;
        }
        self.board.print(&self.step.lines);
        self.settled += self.step.settled;
        self.step = Step::default();
        Ok(())
    }

    fn roll_back(&mut self) {
        self.step = Step::default();
        if !self.load() {
            self.board.fail("the flash cannot be read");
        }
    }

    fn contact(&mut self, who: Who<'_>) -> Result<Option<&Contact>, WriteFailed> {
        let changed_user = self.page.changed_user;
        Ok(self.page.contact.as_ref().filter(|contact| match who {
            Who::Phone(phone) => contact.phone == *phone,
            Who::User(user) => [contact.user, changed_user].contains(&Some(user)),
            Who::Key(key) => contact.spki == *key,
        }))
    }

    /// There is no room for the search for small factors.
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
        if *phone != self.page.peer {
            self.stranger = Some(*phone);
            return Ok(());
        }
        let contact = self.page.contact.get_or_insert_with(|| Contact {
            phone: *phone,
            user: None,
            spki: spki.clone(),
            asked_at: None,
            changed: None,
        });
        contact.asked_at = Some(now);
        if verdict == Verdict::Change {
            (contact.changed, self.page.changed_user) = (Some(spki.clone()), Some(*user));
        } else {
            (contact.user, contact.changed, self.page.changed_user) = (Some(*user), None, None);
        }
        if verdict == Verdict::Pin {
            self.step.line(&["key of ", &short(phone), " pinned"]);
        }
        self.step.is_changed = true;
        Ok(())
    }

    fn release_id(&mut self, phone: &Phone) -> Result<(), WriteFailed> {
        let contact = self.page.contact.as_mut().filter(|contact| contact.phone == *phone);
        if let Some(contact) = contact {
            (contact.user, self.step.is_changed) = (None, true);
        }
        Ok(())
    }

    /// Whatever cannot be shown is said, and acknowledged all the same: a device has no place to
    /// hold a letter back, and nothing may stop the queue.
    fn record(&mut self, letter: &Arrival<'_>) -> Result<(), WriteFailed> {
        let step = &mut self.step;
        step.settled += 1;
        match letter.fate {
            Fate::Opened { uid, content } => {
                match self.page.seen.admit(&self.page.peer, &uid, letter.sent) {
                    Novelty::New => {
                        step.is_changed = true;
                        step.line(&["letter: ", beginning(content)]);
                    }
                    Novelty::Duplicate => step.line(&["a letter came again"]),
                    Novelty::TooOld => step.line(&["a letter is too old to tell from a replay"]),
                }
            }
            Fate::Unreadable(Unreadable::TooLarge) => {
                let len = &mut [0; 10];
                let len = decimal(letter.len as u32, len);
                step.line(&["a letter of ", len, " bytes is too large to keep"]);
            }
            Fate::Unreadable(Unreadable::NoSender) => match self.stranger.take() {
                Some(phone) => {
                    step.line(&["a letter of ", &short(&phone), " is not for this device"]);
                }
                None => step.line(&["a letter of nobody whom the server names"]),
            },
            Fate::Unreadable(Unreadable::Damaged | Unreadable::NotSigned)
            | Fate::Held { by_changed_key: false } => {
                step.line(&["a letter that its sender has not signed"]);
            }
            Fate::Held { by_changed_key: true } => {
                step.line(&["a letter under the peer's new key, which nobody has accepted"]);
            }
            Fate::Unreadable(Unreadable::Envelope(_)) => {
                step.line(&["a letter that cannot be opened"]);
            }
        }
        Ok(())
    }

    fn head(&mut self, after: Option<Row>, now: UnixTime) -> Result<Option<Head>, WriteFailed> {
        let may_go = match self.attempt {
            Attempt::Waiting(until) => until <= now,
            Attempt::Sent => true,
            Attempt::Refused => false,
        };
        let is_in_question =
            self.page.contact.as_ref().is_some_and(|contact| contact.changed.is_some());
        let letter = self.unanswered().filter(|_| after.is_none() && may_go && !is_in_question);
        let head = |len| Head { row: ONLY, recipient: self.page.peer, len };
        Ok(letter.map(|letter| head(letter.text.len() as u32)))
    }

    fn outgoing(&mut self, _: Row) -> Result<Option<Outgoing<'_>>, WriteFailed> {
        // There is no room for the packet: it is sealed anew, under the same uid.
        Ok(self.unanswered().map(|letter| Outgoing {
            uid: letter.uid,
            content: Content::Text(&letter.text),
            sent: None,
        }))
    }

    fn note_sealed(&mut self, _: Row, sealed: &Sealed<'_>) -> Result<bool, WriteFailed> {
        let Some(letter) = &mut self.page.outgoing else { return Ok(false) };
        if letter.packets.is_full() {
            letter.packets.remove(0);
        }
        let _ = letter.packets.push((sealed.id, sealed.recipient));
        self.attempt = Attempt::Sent;
        self.step.is_changed = true;
        self.step.line(&["own letter: sent"]);
        Ok(true)
    }

    fn postpone(&mut self, _: Row, until: UnixTime, why: Reason) -> Result<(), WriteFailed> {
        if self.unanswered().is_some() {
            self.attempt = Attempt::Waiting(until);
            self.step.line(&["refused: ", name(why)]);
        }
        Ok(())
    }

    fn refuse(&mut self, _: Row, why: Reason) -> Result<(), WriteFailed> {
        if self.unanswered().is_none() {
            return Ok(());
        }
        self.step.line(&["refused: ", name(why)]);
        if is_final(why) {
            self.page.outgoing = None;
            self.step.is_changed = true;
            self.step.line(&["own letter: given up"]);
        } else {
            self.attempt = Attempt::Refused;
            self.step.line(&["own letter: kept for the next session"]);
        }
        Ok(())
    }

    fn waiting(&mut self, to: &Phone, after: Option<Row>) -> Result<Option<Row>, WriteFailed> {
        let is_waiting = after.is_none()
            && *to == self.page.peer
            && matches!(self.attempt, Attempt::Waiting(_))
            && self.unanswered().is_some();
        Ok(is_waiting.then_some(ONLY))
    }

    /// It is always sealed anew.
    fn seal_again(&mut self, _: &Phone) -> Result<(), WriteFailed> {
        Ok(())
    }

    fn sent_as(&mut self, packet: &PacketId) -> Result<Option<(Row, Phone)>, WriteFailed> {
        let mut packets = self.page.outgoing.iter().flat_map(|letter| &letter.packets);
        Ok(packets.any(|(id, _)| id == packet).then_some((ONLY, self.page.peer)))
    }

    fn note_status(
        &mut self,
        letter: LetterName,
        status: Status,
        _: UnixTime,
    ) -> Result<Option<Row>, WriteFailed> {
        let Some(outgoing) = &mut self.page.outgoing else { return Ok(None) };
        let is_meant = |(id, _): &(PacketId, UserId)| match letter {
            LetterName::Whole(whole) => *id == whole,
            LetterName::Prefix(prefix) => id.prefix() == prefix,
        };
        let Some(at) = outgoing.packets.iter().position(is_meant) else { return Ok(None) };
        let known = outgoing.status;
        outgoing.status = status.after(known);
        if outgoing.status != known {
            // The last one is the one that is asked about.
            let last = outgoing.packets.len() - 1;
            outgoing.packets.swap(at, last);
            let status = match outgoing.status {
                Status::Unknown => "unknown",
                Status::Stored => "stored",
                Status::Delivered => "delivered",
                Status::Expired => "expired",
            };
            self.step.line(&["own letter: ", status]);
            self.step.is_changed = true;
        }
        Ok(Some(ONLY))
    }

    fn stored(&mut self, after: Option<Row>) -> Result<Option<(Row, StatusQuery)>, WriteFailed> {
        let letter = self.page.outgoing.as_ref();
        let letter = letter.filter(|letter| after.is_none() && letter.status == Status::Stored);
        let packet = letter.and_then(|letter| letter.packets.last());
        Ok(packet.map(|(letter, recipient)| {
            (ONLY, StatusQuery { recipient: *recipient, letter: *letter })
        }))
    }

    /// The device always asks for a session in the long form, so no session's key lies in its flash.
    fn session_key(&mut self) -> Result<Option<SessionKey>, WriteFailed> {
        Ok(None)
    }

    fn note_session_key(&mut self, _: &SessionKey) -> Result<(), WriteFailed> {
        Ok(())
    }

    fn note_user(&mut self, user: UserId) -> Result<(), WriteFailed> {
        (self.page.user, self.page.code, self.step.is_changed) = (Some(user), None, true);
        self.step.line(&["registered"]);
        Ok(())
    }

    fn notice(&mut self, notice: Notice<'_>) {
        match notice {
            Notice::SessionOpen => {
                self.board.say(&["in a session"]);
                if !matches!(self.attempt, Attempt::Waiting(_)) {
                    self.attempt = Attempt::AT_ONCE;
                }
            }
            // Its own clock begins in 1970.
            Notice::ClockIsOff(offset_s) => {
                let time = Timestamp::from_unix(self.board.now().unix.shifted(offset_s));
                self.board.say(&["the clock says ", time.as_str()]);
            }
            Notice::BacklogEnd(count) => {
                self.board.say(&["backlog: ", decimal(count, &mut [0; 10])]);
            }
            Notice::KeyChanged(_) => {
                self.board.say(&[
                    "the peer's key has changed: nothing is read or sent under the new one",
                ]);
            }
            Notice::NotBelieved(phone, _) => {
                self.board.say(&[
                    "what the server says about the key of ",
                    &short(phone),
                    " is not believed",
                ]);
            }
            Notice::Code(grant) => {
                self.code.clone_from(&grant.otp);
                if self.code.is_none() {
                    self.board.fail("the code goes elsewhere, and nobody can type it here");
                }
            }
            // It never asks for a code when it may have proved one.
            Notice::PhoneTaken => self.board.fail("the phone has an account with another key"),
        }
    }
}

/// Whether trying again would not help, whatever happens to the recipient.
fn is_final(why: Reason) -> bool {
    match why {
        Reason::Code(code) => code == ErrorCode::TooLarge.code(),
        Reason::TooLarge | Reason::KeyIsBad => true,
        Reason::SentAgain(_) | Reason::NotBelieved(_) => false,
    }
}

fn name(why: Reason) -> &'static str {
    match why {
        Reason::Code(code) | Reason::SentAgain(code) => {
            ErrorCode::from_code(code).map_or("unknown code", ErrorCode::name)
        }
        Reason::NotBelieved(_) => "what the server says about the peer's key is not believed",
        Reason::KeyIsBad => "the peer's key is of no use",
        Reason::TooLarge => "it is larger than the transmit buffer",
    }
}

/// As much of a letter as fits a line.
fn beginning(content: Content<'_>) -> &str {
    match content {
        Content::Text(text) => {
            let end = text.char_indices().map(|(at, _)| at).nth(40).unwrap_or(text.len());
            &text[..end]
        }
        Content::ReadReceipt(_) => "a read receipt",
        Content::Unknown { .. } => "of an unknown kind",
    }
}

/// A phone number of which only the ends are shown.
pub(crate) fn short(phone: &Phone) -> heapless::String<8> {
    let text = phone.as_str();
    let mut short = heapless::String::new();
    let _ = short.push_str(&text[..3]);
    let _ = short.push('…');
    let _ = short.push_str(&text[text.len() - 2..]);
    short
}
