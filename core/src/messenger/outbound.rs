//! Letters that go out (PROTOCOL.md, "Letters", "Duplicates", "Retry rules"). Whatever is sent is
//! stored first: its uid when the person wrote it, its packet before the first byte.

use core::time::Duration;

use heapless::Vec;

use super::backoff::letter_pause;
use super::profile::{Head, Profile, Reason, Row, Sealed, Who};
use super::{Cause, Machine, Messenger};
use crate::client::{Addressee, Env, LetterName, RefusalNotice, RequestError};
use crate::crypto::{CryptoRng, Provider, Unverified};
use crate::envelope::Fingerprint;
use crate::limits::{FRESHNESS_S, MAX_QUERIES};
use crate::phone::Phone;
use crate::refusal::Reaction;
use crate::time::Instant;
use crate::wire::{ErrorCode, Packet, Status, StatusQuery};

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

/// A letter on its way.
pub(super) struct Sent {
    row: Row,
    recipient: Phone,
    is_large: bool,
    since: Instant,
}

/// A letter that the server has refused for now.
pub(super) struct Refused {
    row: Row,
    /// How often it was signed again because of its timestamp.
    signed_again: u8,
    /// How often it was put off.
    put_off: u8,
}

const fn is_large(head: &Head) -> bool {
    head.len > LARGE
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const N: usize> Messenger<'_, B, N> {
    /// Whether a letter has had no answer for too long.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.flight.iter().any(|sent| sent.since.after(UNANSWERED) <= now)
    }

    /// A letter has its answer, and needs no other.
    fn answered(&mut self, row: Row) {
        self.flight.remove(|sent| sent.row == row);
        self.refused.remove(|letter| letter.row == row);
    }

    pub(super) fn has_open(&self, recipient: &Phone) -> bool {
        self.flight.iter().any(|sent| sent.recipient == *recipient)
    }

    /// One place is kept for a large letter, so that short ones do not keep it out for ever.
    fn has_room_for(&self, head: &Head) -> bool {
        let has_large = self.flight.iter().any(|sent| sent.is_large);
        let places = N.saturating_sub(usize::from(!has_large)).saturating_sub(1);
        if is_large(head) { !has_large } else { self.flight.iter().nth(places).is_none() }
    }

    fn sent(&mut self, head: &Head, now: Instant) {
        let (row, recipient) = (head.row, head.recipient);
        let _ = self
            .flight
            .push(Sent { row, recipient, is_large: is_large(head), since: now }, |_| true);
    }

    fn refused_before(&mut self, row: Row) -> Option<&mut Refused> {
        if self.refused.iter().any(|letter| letter.row == row) {
            return self.refused.find_mut(|letter| letter.row == row);
        }
        self.refused.push(Refused { row, signed_again: 0, put_off: 0 }, |_| false)
    }

    fn may_sign_again(&mut self, row: Row) -> bool {
        self.refused_before(row).is_some_and(|letter| {
            letter.signed_again = letter.signed_again.saturating_add(1);
            letter.signed_again <= SIGN_AGAIN
        })
    }

    /// Seconds until a letter that is refused once more may be tried again.
    pub(super) fn pause_of(
        &mut self,
        row: Row,
        retry_after_s: u16,
        rng: &mut dyn CryptoRng,
    ) -> i64 {
        let times = self.refused_before(row).map_or(0, |letter| {
            let times = letter.put_off;
            letter.put_off = times.saturating_add(1);
            times
        });
        letter_pause(times, retry_after_s, rng)
    }

    /// Sends what lies in the outbox, as far as there is room: of each conversation its first
    /// letter, and the next when that has its answer. So a letter that is refused for now is not
    /// overtaken by those behind it.
    pub(super) fn send_outbox<P, C, const W: usize, S>(
        &mut self,
        client: &mut Machine<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
    ) -> Result<(), S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        for of_large in [false, true] {
            let (mut last, mut is_skipped) = (None, false);
            while let Some(head) = profile.head(last, env.now.unix)? {
                last = Some(head.row);
                if is_large(&head) != of_large {
                    is_skipped = true;
                } else if !self.has_open(&head.recipient)
                    && self.has_room_for(&head)
                    && !self.send(client, profile, env, &head)?
                {
                    return Ok(());
                }
            }
            if !is_skipped {
                break;
            }
        }
        Ok(())
    }

    /// Sends a waiting letter; `false` when there is no room for another one.
    fn send<P, C, const W: usize, S>(
        &mut self,
        client: &mut Machine<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
        head: &Head,
    ) -> Result<bool, S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        let (provider, recipient) = (client.keys().provider, &head.recipient);
        let now = self.server_time(env);
        let Some(letter) = profile.outgoing(head.row)? else { return Ok(true) };
        if let Some((packet, signed_at)) = letter.sent
            && now.minus(signed_at).saturating_abs() < FRESHNESS_S - FRESHNESS_MARGIN_S
        {
            // It does not pass those that are held.
            if self.step.sealed > 0 {
                return Ok(false);
            }
            if is_sent_again(client, env, packet) {
                self.sent(head, env.now.instant);
                return Ok(true);
            }
        }
        self.forget_refused_answer(recipient, env.now.unix);
        let contact = profile.contact(Who::Phone(recipient))?;
        if contact.is_none_or(|known| known.is_question_due(now)) && !self.was_asked(recipient) {
            self.want_key(recipient);
            return Ok(true);
        }
        let known = contact.and_then(|known| known.sendable().map(|user| (user, &known.spki)));
        let Some((user, spki)) = known else {
            if let Some((until, conflict)) = self.refused_answer(recipient) {
                self.begin(profile, env)?;
                profile.postpone(head.row, until, Reason::NotBelieved(conflict))?;
            }
            return Ok(true);
        };
        if self.is_asking_about(recipient) {
            return Ok(true);
        }
        let Ok(key) = provider.public_key(spki) else {
            self.begin(profile, env)?;
            profile.refuse(head.row, Reason::KeyIsBad)?;
            return Ok(true);
        };
        let fingerprint = Fingerprint::of(provider, recipient, spki);
        // From here on nobody else gives it up.
        self.begin(profile, env)?;
        let Some(letter) = profile.outgoing(head.row)? else { return Ok(true) };
        let to = Addressee { user, fingerprint: &fingerprint, key: &key };
        let me = &self.account.fingerprint;
        let id = match client.compose_another(env, me, &to, &letter.uid, &letter.content) {
            Ok(id) => id,
            Err(RequestError::BufferTooSmall) => {
                profile.refuse(head.row, Reason::TooLarge)?;
                return Ok(true);
            }
            Err(RequestError::KeyRefused) => {
                self.session.end = Some(Cause::OwnKey);
                return Ok(false);
            }
            Err(_) => return Ok(false),
        };
        let offset = self.clock_offset_s;
        let sealed = Sealed {
            id,
            recipient: user,
            packet: client.composed(),
            signed_at: now,
            clock_was_off_s: if offset.saturating_abs() > FRESHNESS_S { offset } else { 0 },
        };
        if profile.note_sealed(head.row, &sealed)? {
            self.sent(head, env.now.instant);
            self.step.sealed = self.step.sealed.saturating_add(1);
            return Ok(!self.is_full());
        }
        client.discard_last_composed();
        Ok(true)
    }

    /// The server has refused a letter.
    pub(super) fn letter_refused<S: Profile>(
        &mut self,
        profile: &mut S,
        env: &mut Env<'_>,
        refusal: &RefusalNotice,
    ) -> Result<(), S::Error> {
        let Some(packet) = refusal.packet else { return Ok(()) };
        let Some((row, recipient)) = profile.sent_as(&packet)? else {
            self.statuses_refused(refusal);
            return Ok(());
        };
        self.flight.remove(|sent| sent.row == row);
        self.begin(profile, env)?;
        let why = Reason::Code(refusal.number);
        let now = env.now.unix;
        match refusal.code.map(|code| code.rule().reaction) {
            // It goes on at once, and whoever waits for the letter still waits.
            Some(Reaction::SignAgain) if self.may_sign_again(row) => {
                profile.postpone(row, now, Reason::SentAgain(refusal.number))
            }
            // The recipient's id may have changed: asks once per connection.
            Some(Reaction::AskForKey) if !self.was_asked(&recipient) => {
                self.want_key(&recipient);
                profile.postpone(row, now, Reason::SentAgain(refusal.number))
            }
            Some(Reaction::RetryLater | Reaction::BackOff) => {
                let pause = self.pause_of(row, refusal.retry_after_s, env.rng);
                profile.postpone(row, now.shifted(pause), why)
            }
            _ => {
                self.refused.remove(|letter| letter.row == row);
                profile.refuse(row, why)
            }
        }
    }

    /// Takes in a status of a letter, ours or, in shared acknowledgments, other people's.
    pub(super) fn status_came<S: Profile>(
        &mut self,
        profile: &mut S,
        env: &Env<'_>,
        letter: LetterName,
        status: Status,
    ) -> Result<(), S::Error> {
        if self.session.answer_due.is_some_and(|due| due.prefix() == letter.prefix()) {
            self.session.answer_due = None;
        }
        self.begin(profile, env)?;
        if let Some(row) = profile.note_status(letter, status, self.server_time(env))? {
            self.answered(row);
        }
        Ok(())
    }

    /// What is refused and is no letter is the question what became of letters. One that came too
    /// early is asked again; another one in the next session.
    fn statuses_refused(&mut self, refusal: &RefusalNotice) {
        let was_open = self.session.answer_due.take().is_some();
        if was_open && refusal.code == Some(ErrorCode::RateLimited) {
            self.session.asked_up_to = self.session.answered_up_to;
            self.session.all_asked = false;
        }
    }

    /// Asks once per connection what became of letters that are known as stored.
    pub(super) fn ask_what_became<P, C, const W: usize, S>(
        &mut self,
        client: &mut Machine<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
    ) -> Result<(), S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        let is_open = self.session.answer_due.is_some();
        if is_open || self.session.all_asked || !self.session.backlog_has_come {
            return Ok(());
        }
        let mut last = self.session.asked_up_to;
        let mut queries = Vec::<StatusQuery, N>::new();
        while queries.len() < MAX_QUERIES
            && !queries.is_full()
            && let Some((row, query)) = profile.stored(last)?
        {
            last = Some(row);
            let _ = queries.push(query);
        }
        let Some(query) = queries.last() else {
            self.session.all_asked = true;
            return Ok(());
        };
        if client.ask_for_statuses(env, &queries).is_ok() {
            self.session.answered_up_to = self.session.asked_up_to;
            self.session.asked_up_to = last;
            self.session.answer_due = Some(query.letter);
        }
        Ok(())
    }
}

/// A letter whose answer never came goes out byte for byte while it is fresh; else it is sealed
/// and signed anew under its old name.
fn is_sent_again<P: Provider, C: AsRef<[u8]> + AsMut<[u8]>, const W: usize>(
    client: &mut Machine<'_, P, C, W>,
    env: &Env<'_>,
    packet: &[u8],
) -> bool {
    let Ok(parsed) = Packet::parse(packet) else { return false };
    let id = Unverified::new(client.keys().provider, parsed).id();
    client.resend(env, id, packet).is_ok()
}
