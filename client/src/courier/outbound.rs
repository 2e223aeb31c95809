//! Letters that go out (PROTOCOL.md, "Letters", "Duplicates", "Retry rules"). Whatever is sent is
//! stored first: its uid when the person wrote it, its packet before the first byte.

use std::collections::HashMap;
use std::time::Duration;

use waxwing_core::client::{Addressee, RefusalNotice, RequestError};
use waxwing_core::crypto::Provider;
use waxwing_core::envelope::Fingerprint;
use waxwing_core::limits::{FRESHNESS_S, MAX_QUERIES};
use waxwing_core::phone::Phone;
use waxwing_core::refusal::Reaction;
use waxwing_core::wire::{ErrorCode, StatusQuery};

use super::{Courier, backoff};
use crate::clock;
use crate::exit::Failure;
use crate::home::{Head, OpenLetter, OutboxId, State, StoredLetter};

/// Letters without an answer at a time; the server allows twice as many requests.
const IN_FLIGHT: usize = 64;
/// A text above so many bytes is a large one: on a slow line it takes long, and others, which are
/// short, go before it. One large letter at a time is on its way.
const LARGE: u32 = 2_048;
/// How often a letter is signed again because of its timestamp.
const SIGN_AGAIN: u8 = 3;
/// Seconds before a letter stops being fresh, in which it is not sent as it was.
const FRESHNESS_MARGIN_S: i64 = 60;
/// A letter without an answer for so long ends the connection, whatever else comes: the next session
/// sends it again. On the slowest line everything that may be on its way takes less.
const UNANSWERED: Duration = Duration::from_mins(6);
/// Seconds until a question that was refused for now is asked again.
pub(super) const RETRY_S: u16 = 30;

/// Letters that are on their way, and those that were.
#[derive(Default)]
pub(super) struct Traffic {
    /// Sent on this connection and not answered, one of a conversation at most.
    in_flight: HashMap<OutboxId, Sent>,
    /// How often a letter was signed again because of its timestamp.
    signed_again: HashMap<OutboxId, u8>,
    /// How often a letter was put off.
    put_off: HashMap<OutboxId, u32>,
}

/// A letter on its way.
struct Sent {
    head: Head,
    since: Duration,
}

impl Traffic {
    fn sent(&mut self, head: &Head) {
        self.in_flight.insert(head.id, Sent { head: *head, since: clock::since_start() });
    }

    /// Whether a letter has had no answer for too long.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        self.in_flight.values().any(|sent| now.saturating_sub(sent.since) >= UNANSWERED)
    }

    /// Whether nothing waits for its answer.
    pub(super) fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The connection is gone, and with it what it has not answered.
    pub(super) fn is_over(&mut self) {
        self.in_flight.clear();
    }

    /// A letter has its answer, and needs no other.
    pub(super) fn answered(&mut self, letter: OutboxId) {
        self.in_flight.remove(&letter);
        self.signed_again.remove(&letter);
        self.put_off.remove(&letter);
    }

    fn has_open(&self, recipient: &Phone) -> bool {
        self.in_flight.values().any(|sent| sent.head.recipient == *recipient)
    }

    /// One place is kept for a large letter, so that short ones do not keep it out for ever.
    fn has_room_for(&self, head: &Head) -> bool {
        let large = self.in_flight.values().filter(|sent| is_large(&sent.head)).count();
        if is_large(head) { large == 0 } else { self.in_flight.len() - large < IN_FLIGHT - 1 }
    }

    fn may_sign_again(&mut self, letter: OutboxId) -> bool {
        let times = self.signed_again.entry(letter).or_default();
        *times += 1;
        *times <= SIGN_AGAIN
    }

    /// Seconds until a letter that is refused once more may be tried again.
    fn pause_of(&mut self, letter: OutboxId, retry_after_s: u16) -> i64 {
        let times = self.put_off.entry(letter).or_default();
        let pause = backoff::letter_pause(*times, retry_after_s);
        *times = times.saturating_add(1);
        pause
    }
}

const fn is_large(head: &Head) -> bool {
    head.len > LARGE
}

impl Courier<'_> {
    /// Sends what lies in the outbox, as far as there is room: of each conversation its first
    /// letter, and the next when that has its answer. So a letter that is refused for now is not
    /// overtaken by those behind it.
    pub(super) fn send_outbox(&mut self) -> Result<(), Failure> {
        let mut heads = self.home.outbox().heads(clock::now())?;
        heads.retain(|head| !self.traffic.has_open(&head.recipient));
        heads.sort_by_key(|head| (is_large(head), head.id));
        for head in heads {
            if self.traffic.has_room_for(&head)
                && let Some(letter) = self.home.outbox().open_letter(head.id)?
                && !self.send(&head, &letter)?
            {
                break;
            }
        }
        Ok(())
    }

    /// A letter whose answer never came goes out byte for byte while it is fresh; else it is
    /// sealed and signed anew under its old name.
    fn send_again(&mut self, head: &Head, letter: &OpenLetter) -> bool {
        let server_time = clock::now().shifted(self.clock_offset_s);
        if let Some(packet) = &letter.packet
            && server_time.minus(packet.signed_at).abs() < FRESHNESS_S - FRESHNESS_MARGIN_S
            && let Some(link) = &mut self.link
            && let Ok(parsed) = waxwing_core::wire::Packet::parse(packet.bytes.as_slice())
        {
            let id = waxwing_core::crypto::Unverified::new(&self.account.provider, parsed).id();
            if link.request(|client, env| client.resend(env, id, &packet.bytes)).is_ok() {
                self.traffic.sent(head);
                return true;
            }
        }
        false
    }

    /// Sends a waiting letter; `false` when there is no room for more.
    fn send(&mut self, head: &Head, letter: &OpenLetter) -> Result<bool, Failure> {
        if self.send_again(head, letter) {
            return Ok(true);
        }
        self.forget_refused_answer(&letter.recipient);
        let contact = self.home.contacts().by_phone(&letter.recipient)?;
        let due = contact.as_ref().is_none_or(|known| known.is_question_due(self.now()));
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
                if self.clock_offset_s.abs() > FRESHNESS_S {
                    self.home.outbox().correct_date(letter.id, self.clock_offset_s)?;
                }
                let bytes = link.client.composed();
                let stored =
                    self.home.outbox().begin_sending(letter.id, &id, user, bytes, signed_at);
                // Another process may have given it up while it was sealed.
                if !matches!(stored, Ok(true)) {
                    link.client.discard_composed();
                    return Ok(stored.map(|_| true)?);
                }
                link.client.release_composed();
                self.traffic.sent(head);
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
            Err(RequestError::KeyRefused) => Err(Failure::General(
                "this home's private key cannot sign; restore the home from a backup".into(),
            )),
        }
    }

    /// The server has refused a letter.
    pub(super) fn letter_refused(&mut self, refusal: &RefusalNotice) -> Result<(), Failure> {
        let Some(packet) = refusal.packet else { return Ok(()) };
        let Some(letter) = self.home.outbox().sent_as(&packet)? else { return Ok(()) };
        self.traffic.in_flight.remove(&letter);
        let code = refusal.number;
        let why = Failure::why_not_taken(refusal.number);
        let now = clock::now();
        match refusal.code.map(|code| code.rule().reaction) {
            // It goes on at once, and whoever waits for the letter still waits.
            Some(Reaction::SignAgain) if self.traffic.may_sign_again(letter) => {
                self.home.outbox().postpone(letter, now, None, "")?;
            }
            Some(Reaction::AskForKey) if self.ask_for_recipient(letter)? => {
                self.home.outbox().postpone(letter, now, None, "")?;
            }
            Some(Reaction::RetryLater | Reaction::BackOff) => {
                let pause = self.traffic.pause_of(letter, refusal.retry_after_s);
                self.home.outbox().postpone(letter, now.shifted(pause), Some(code), &why)?;
            }
            _ => {
                let _ = self.home.outbox().refuse(letter, Some(code), &why)?;
            }
        }
        Ok(())
    }

    /// The recipient's id may have changed: asks once per connection.
    fn ask_for_recipient(&mut self, letter: OutboxId) -> Result<bool, Failure> {
        let Some(letter) = self.home.outbox().open_letter(letter)? else { return Ok(false) };
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
        let code = refusal.number;
        let why = Failure::why_not_taken(refusal.number);
        let give_up = refusal.code == Some(ErrorCode::UnknownUser);
        for letter in self.home.outbox().queued()? {
            if letter.recipient != *phone || letter.status.state != State::Waiting {
                continue;
            }
            if give_up {
                let _ = self.home.outbox().refuse(letter.id, Some(code), &why)?;
                continue;
            }
            let until =
                clock::now().shifted(self.traffic.pause_of(letter.id, refusal.retry_after_s));
            self.home.outbox().postpone(letter.id, until, Some(code), &why)?;
            // Those behind it wait for it.
            break;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::{Home, Writing};
    use waxwing_core::id::Uid;
    use waxwing_core::time::UnixTime;

    /// The first letters of as many conversations, each of so many bytes.
    fn heads(count: u8, len: usize) -> Vec<Head> {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(&dir.path().join("home")).unwrap();
        let now = UnixTime::from_seconds(0);
        for at in 0..count {
            let phone = Phone::parse(format!("+49151123456{at:02}").as_bytes()).unwrap();
            let writing = Writing::text("x".repeat(len)).unwrap();
            home.outbox().queue(&Uid([at; 16]), &phone, &writing, now).unwrap();
        }
        home.outbox().heads(now).unwrap()
    }

    fn traffic(heads: &[Head]) -> Traffic {
        let mut traffic = Traffic::default();
        heads.iter().for_each(|head| traffic.sent(head));
        traffic
    }

    #[test]
    fn one_large_letter_is_on_its_way_and_short_ones_pass() {
        let (large, short) = (heads(2, 60_000), heads(2, 100));
        let busy = traffic(&large[..1]);
        assert!(!busy.has_room_for(&large[1]));
        assert!(busy.has_room_for(&short[1]));
    }

    #[test]
    fn short_letters_leave_room_for_a_large_one() {
        let (large, short) = (heads(1, 60_000), heads(64, 100));
        let busy = traffic(&short[..63]);
        assert!(!busy.has_room_for(&short[63]));
        assert!(busy.has_room_for(&large[0]));
    }

    #[test]
    fn a_letter_without_an_answer_is_overdue_after_six_minutes() {
        let short = heads(2, 100);
        let mut busy = traffic(&short);
        let later = |seconds| clock::since_start() + Duration::from_secs(seconds);
        assert!(!busy.is_overdue(later(340)));
        assert!(busy.is_overdue(later(360)));
        short.iter().for_each(|head| busy.answered(head.id));
        assert!(!busy.is_overdue(later(360)));
    }

    #[test]
    fn a_conversation_has_one_letter_on_its_way() {
        let short = heads(2, 100);
        let mut busy = traffic(&short[..1]);
        assert!(busy.has_open(&short[0].recipient));
        assert!(!busy.has_open(&short[1].recipient));
        busy.answered(short[0].id);
        assert!(!busy.has_open(&short[0].recipient) && busy.is_quiet());
    }
}
