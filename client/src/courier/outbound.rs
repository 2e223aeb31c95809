//! Letters that go out (PROTOCOL.md, "Letters", "Duplicates", "Retry rules"). Whatever is sent is
//! stored first: its uid when the person wrote it, its packet before the first byte.

use waxwing_core::client::{Addressee, RefusalNotice, RequestError};
use waxwing_core::crypto::Provider;
use waxwing_core::envelope::Fingerprint;
use waxwing_core::limits::{FRESHNESS_S, MAX_QUERIES};
use waxwing_core::phone::Phone;
use waxwing_core::refusal::Reaction;
use waxwing_core::wire::{ErrorCode, StatusQuery};

use super::Courier;
use crate::clock;
use crate::exit::Failure;
use crate::home::{OpenLetter, OutboxId, StoredLetter};

/// Letters without an answer at a time; the server allows twice as many requests.
const IN_FLIGHT: usize = 64;
/// How often a letter is signed again because of its timestamp.
const SIGN_AGAIN: u8 = 3;
/// Seconds before a letter stops being fresh, in which it is not sent as it was.
const FRESHNESS_MARGIN_S: i64 = 60;
/// Seconds until a letter that was refused for now is tried again.
pub(super) const RETRY_S: u16 = 30;

impl Courier<'_> {
    /// Sends what lies in the outbox, as far as there is room.
    pub(super) fn send_outbox(&mut self) -> Result<(), Failure> {
        if !self.session.unanswered_were_sent {
            self.session.unanswered_were_sent = true;
            for letter in self.home.outbox().unanswered()? {
                self.send_again(&letter)?;
            }
        }
        let room = IN_FLIGHT.saturating_sub(self.in_flight.len());
        if room == 0 {
            return Ok(());
        }
        for letter in self.home.outbox().waiting(clock::now(), room)? {
            if !self.send(&letter)? {
                break;
            }
        }
        Ok(())
    }

    /// A letter whose answer never came: byte for byte while fresh, else sealed and signed anew
    /// under its old name.
    fn send_again(&mut self, letter: &OpenLetter) -> Result<(), Failure> {
        let server_time = clock::now().shifted(self.clock_offset_s);
        if let Some(packet) = &letter.packet
            && server_time.minus(packet.signed_at).abs() < FRESHNESS_S - FRESHNESS_MARGIN_S
            && let Some(link) = &mut self.link
            && let Ok(parsed) = waxwing_core::wire::Packet::parse(packet.bytes.as_slice())
        {
            let id = waxwing_core::crypto::Unverified::new(&self.account.provider, parsed).id();
            if link.request(|client, env| client.resend(env, id, &packet.bytes)).is_ok() {
                self.in_flight.insert(letter.id);
                return Ok(());
            }
        }
        // Back to waiting; the uid stays.
        self.home.outbox().postpone(letter.id, clock::now(), None, "")?;
        Ok(())
    }

    /// Sends a waiting letter; `false` when there is no room for more.
    fn send(&mut self, letter: &OpenLetter) -> Result<bool, Failure> {
        self.forget_refused_answer(&letter.recipient);
        let contact = self.home.contacts().by_phone(&letter.recipient)?;
        let due = contact.as_ref().is_none_or(|known| known.is_question_due(clock::now()));
        if due && !self.session.asked.contains(&letter.recipient) {
            self.want_key(&letter.recipient);
            return Ok(true);
        }
        let sendable = contact.and_then(|known| known.sendable().map(|user| (known, user)));
        let Some((contact, user)) = sendable else {
            if let Some((until, conflict)) = self.refused_answer(&letter.recipient) {
                self.home.outbox().postpone(letter.id, *until, None, &conflict.to_string())?;
            }
            return Ok(true);
        };
        if self.questions.is_about(&letter.recipient) {
            return Ok(true);
        }
        let provider = &self.account.provider;
        let Ok(key) = provider.public_key(&contact.spki) else {
            let _ =
                self.home.outbox().refuse(letter.id, None, "the recipient's key is of no use")?;
            return Ok(true);
        };
        let fingerprint = Fingerprint::of(provider, &contact.phone, &contact.spki);
        let addressee = Addressee { user, fingerprint: &fingerprint, key: &key };
        let from = &self.account.fingerprint;
        let Some(link) = &mut self.link else { return Ok(false) };
        let content = letter.writing.content();
        let composed = link
            .request(|client, env| client.compose(env, from, &addressee, &letter.uid, &content));
        match composed {
            Ok(id) => {
                let signed_at = clock::now().shifted(self.clock_offset_s);
                let bytes = link.client.composed();
                let stored =
                    self.home.outbox().begin_sending(letter.id, &id, user, bytes, signed_at);
                if let Err(error) = stored {
                    link.client.discard_composed();
                    return Err(error.into());
                }
                link.client.release_composed();
                self.in_flight.insert(letter.id);
                Ok(true)
            }
            Err(RequestError::Busy | RequestError::WrongState) => Ok(false),
            Err(RequestError::BufferTooSmall) => {
                let _ = self.home.outbox().refuse(
                    letter.id,
                    Some(ErrorCode::TooLarge.code()),
                    "the letter is too large",
                )?;
                Ok(true)
            }
            Err(RequestError::KeyRefused) => {
                Err(Failure::General("this home's private key refuses to sign".into()))
            }
        }
    }

    /// The server has refused a letter.
    pub(super) fn letter_refused(&mut self, refusal: &RefusalNotice) -> Result<(), Failure> {
        let Some(packet) = refusal.packet else { return Ok(()) };
        let Some(letter) = self.home.outbox().sent_as(&packet)? else { return Ok(()) };
        self.in_flight.remove(&letter);
        let code = refusal.code.map_or(0, ErrorCode::code);
        let name = refusal.code.map_or("unknown code", ErrorCode::name);
        let now = clock::now();
        match refusal.code.map(|code| code.rule().reaction) {
            // It goes on at once, and whoever waits for the letter still waits.
            Some(Reaction::SignAgain) if self.may_sign_again(letter) => {
                self.home.outbox().postpone(letter, now, None, "")?;
            }
            Some(Reaction::AskForKey) if self.ask_for_recipient(letter)? => {
                self.home.outbox().postpone(letter, now, None, "")?;
            }
            Some(Reaction::RetryLater | Reaction::BackOff) => {
                let pause = i64::from(refusal.retry_after_s.max(RETRY_S));
                self.home.outbox().postpone(letter, now.shifted(pause), Some(code), name)?;
            }
            _ => {
                let _ = self.home.outbox().refuse(letter, Some(code), name)?;
            }
        }
        Ok(())
    }

    fn may_sign_again(&mut self, letter: OutboxId) -> bool {
        let times = self.signed_again.entry(letter).or_default();
        *times += 1;
        *times <= SIGN_AGAIN
    }

    /// The recipient's id may have changed: asks once per connection.
    fn ask_for_recipient(&mut self, letter: OutboxId) -> Result<bool, Failure> {
        let open = self.home.outbox().unanswered()?;
        let Some(letter) = open.into_iter().find(|open| open.id == letter) else {
            return Ok(false);
        };
        if !self.session.asked.insert(letter.recipient) {
            return Ok(false);
        }
        self.questions.ask(waxwing_core::wire::KeyQuestion::ByPhone(letter.recipient));
        Ok(true)
    }

    /// The server knows nobody with this phone, or does not say who it is.
    pub(super) fn cannot_send_to(
        &mut self,
        phone: &Phone,
        refusal: &RefusalNotice,
    ) -> Result<(), Failure> {
        let code = refusal.code.map_or(0, ErrorCode::code);
        let name = refusal.code.map_or("unknown code", ErrorCode::name);
        let give_up = refusal.code == Some(ErrorCode::UnknownUser);
        for letter in self.home.outbox().waiting(clock::now(), usize::MAX)? {
            if letter.recipient != *phone {
                continue;
            }
            if give_up {
                let _ = self.home.outbox().refuse(letter.id, Some(code), name)?;
            } else {
                let pause = i64::from(refusal.retry_after_s.max(RETRY_S));
                let until = clock::now().shifted(pause);
                self.home.outbox().postpone(letter.id, until, Some(code), name)?;
            }
        }
        Ok(())
    }

    /// Asks once per connection what became of letters that are known as stored.
    pub(super) fn ask_what_became(&mut self) -> Result<(), Failure> {
        let (Some(after), Some(link)) = (self.session.ask_after, &mut self.link) else {
            return Ok(());
        };
        if !self.session.backlog_has_come {
            return Ok(());
        }
        let stored = self.home.outbox().stored(after, MAX_QUERIES)?;
        let Some(last) = stored.last().map(|letter| letter.id) else {
            self.session.ask_after = None;
            return Ok(());
        };
        let queries: Vec<StatusQuery> =
            stored.into_iter().map(|StoredLetter { query, .. }| query).collect();
        let last_letter = queries.last().map(|query| query.letter);
        if link.request(|client, env| client.ask_for_statuses(env, &queries)).is_ok() {
            self.session.ask_after = Some(Some(last));
            self.session.answer_due = last_letter;
        }
        Ok(())
    }
}
