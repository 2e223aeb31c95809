//! The registrar: from a phone number to a user (PROTOCOL.md, "Registration"). One shard has it, and
//! it alone knows which phones, keys and ids are taken.

mod codes;
mod otp;
mod phonebook;

use alloc::sync::Arc;
use core::time::Duration;

use hashbrown::HashMap;

use super::ctx::Ctx;
use super::limits::{Kept, Limits};
use super::mail::{Inquiry, Message, Note};
use super::output::{Administered, AdministrationError, ConnId, Event, Limit, OtpTicket, Output};
use super::peer::Peer;
use super::refused::Refused;
use super::report::Codes;
use super::storage::{Snapshot, Write};
use crate::crypto::{Provider, RSA_LEN, Spki, Unverified};
use crate::id::{Nonce, PacketId, UserId};
use crate::phone::{Otp, Phone};
use crate::time::Instant;
use crate::wire::{
    BuildError, ErrorCode, Op, OtpGrant, OtpProof, Packet, RegistrationRejected,
    RegistrationRequest,
};
use codes::OutgoingCodes;
use otp::{Attempt, Guess, NewOtp, OtpTable};
use phonebook::Phonebook;
use zeroize::Zeroizing;

/// Who registers, and who has.
#[derive(Debug)]
pub(super) struct Registrar {
    phonebook: Phonebook,
    otps: OtpTable,
    outgoing_codes: OutgoingCodes,
    last_otp_ticket: u64,
    creations: HashMap<UserId, Creation>,
    /// Accounts of the server itself whose creation is being stored.
    enrolments: HashMap<UserId, Phone>,
    /// Until then no code goes out.
    codes_rest_until: Option<Instant>,
    codes: Codes,
}

/// A user whose creation is being stored.
#[derive(Debug)]
struct Creation {
    conn: ConnId,
    /// The 101.
    packet: PacketId,
    attempt: Attempt,
    nonce: Nonce,
}

/// What becomes of a 100 or a 101 that is not refused.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It has its answer.
    Answered(Result<Arc<[u8]>, BuildError>),
    /// It has its answer when the code of this ticket has gone out.
    AnsweredLater { ticket: OtpTicket, answer: Arc<[u8]>, request: PacketId },
    /// Its user is being stored.
    Creating,
    /// Its user is to have a session.
    Proved { user: UserId, nonce: Nonce },
}

impl Registrar {
    pub(super) fn new<P: Provider>(provider: &P, snapshot: &Snapshot, live_otps: usize) -> Self {
        Self {
            phonebook: Phonebook::new(provider, snapshot),
            otps: OtpTable::new(live_otps),
            outgoing_codes: OutgoingCodes::default(),
            last_otp_ticket: 0,
            creations: HashMap::new(),
            enrolments: HashMap::new(),
            codes_rest_until: None,
            codes: Codes::default(),
        }
    }

    /// The configuration has changed.
    pub(super) const fn configure(&mut self, ctx: &Ctx<'_, impl Provider>) {
        self.otps.set_capacity(ctx.config.live_otps);
    }

    /// A 100.
    pub(super) fn request(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        peer: Peer,
        packet: Packet<&mut [u8]>,
    ) -> Result<Verdict, Refused> {
        let malformed = Refused::plain(ErrorCode::Malformed);
        let unsigned = packet.signature().iter().all(|byte| *byte == 0);
        let sealed: &[u8; RSA_LEN] = packet.payload().try_into().map_err(|_| malformed)?;
        if !unsigned {
            return Err(malformed);
        }
        let now = ctx.now.instant;
        if !peer.exempt {
            ctx.take(Kept::Requests(peer.prefix)).map_err(Refused::limited)?;
        }
        let rate = ctx.config.rates.registration_work;
        let taken = ctx.limits.registration_work.take(rate, now);
        ctx.tell_if_reached(Limit::RegistrationWork, taken).map_err(Refused::busy)?;

        let mut block = Zeroizing::new([0; RegistrationRequest::MAX_LEN]);
        let opened =
            ctx.identity.open(ctx.rng, Op::RegistrationRequest, sealed, block.as_mut_slice());
        let len = opened.map_err(|_| malformed)?;
        let block = block.get(..len).ok_or(malformed)?;
        let id = PacketId::of(&ctx.provider.sha256(&[packet.signed_bytes()]));
        let refused = |code| Refused::naming(code, Op::RegistrationRequest, id);
        let request =
            RegistrationRequest::parse(block).map_err(|_| refused(ErrorCode::Malformed))?;
        let phone = Phone::parse(request.phone).map_err(|_| refused(ErrorCode::BadPhone))?;

        if self.phonebook.get(&phone).is_some() {
            let answer = ctx.issue(Op::RegistrationRejected, None, |provider, out, rng| {
                Ok(request.reply_key.seal(provider, rng, out, |w| RegistrationRejected.emit(w))?)
            });
            return Ok(Verdict::Answered(answer));
        }
        if !ctx.config.registration.allows(&phone) {
            return Err(refused(ErrorCode::BadPhone));
        }
        let attempt = Attempt::of(ctx.provider, &request.reply_key);
        if let Some(answer) = self.otps.answer(&phone, &attempt, now) {
            return Ok(Verdict::Answered(Ok(answer)));
        }
        if let Some(until) = self.codes_rest_until.filter(|until| *until > now) {
            self.codes.held_back = self.codes.held_back.saturating_add(1);
            return Err(refused(ErrorCode::Busy).after(until.since(now)));
        }
        let limited = |wait| refused(ErrorCode::RateLimited).after(wait);
        // Whoever cannot have one for other people's sake keeps what they may have.
        if !self.otps.has_room(now) {
            return Err(limited(ctx.config.otp_life));
        }
        ctx.has_left(Kept::Codes).map_err(limited)?;
        if !peer.exempt {
            if self.otps.alive_from(&phone, peer.prefix, now) >= OtpTable::PER_PAIR {
                return Err(limited(ctx.config.otp_life));
            }
            ctx.take(Kept::CodesForPair(phone, peer.prefix)).map_err(limited)?;
        }
        ctx.take(Kept::CodesForPhone(phone)).map_err(limited)?;
        ctx.take(Kept::Codes).map_err(limited)?;
        if ctx.has_left(Kept::Codes).is_err()
            && ctx.limits.otp_alarms.take(Limits::ALARMS, now).is_ok()
        {
            ctx.event(Event::CodesSpent);
        }

        let suspicious = ctx.has_left(Kept::WrongCodes).is_err();
        let guesses = if suspicious { 1 } else { ctx.config.otp_attempts };
        let otp = Otp::generate(ctx.rng);
        let seconds = |span: Duration| u16::try_from(span.as_secs()).unwrap_or(u16::MAX);
        let grant = OtpGrant {
            ttl_s: seconds(ctx.config.otp_life),
            attempts: guesses,
            resend_s: seconds(ctx.config.otp_resend),
            otp: ctx.config.otp_in_band.then(|| otp.clone()),
        };
        let answer = ctx.issue(Op::OtpIssued, None, |provider, out, rng| {
            Ok(request.reply_key.seal(provider, rng, out, |w| grant.emit(w))?)
        });
        let Ok(answer) = answer else { return Ok(Verdict::Answered(answer)) };
        let ticket = self.next_otp_ticket();
        let expires = now.after(ctx.config.otp_life);
        let new = NewOtp {
            attempt,
            prefix: peer.prefix,
            guesses,
            expires,
            ticket,
            answer: answer.clone(),
        };
        self.otps.insert(ctx.provider, ctx.rng, phone, &otp, new);
        if ctx.config.otp_in_band {
            self.codes.in_band = self.codes.in_band.saturating_add(1);
            return Ok(Verdict::Answered(Ok(answer)));
        }
        self.outgoing_codes.push(ticket, phone, otp);
        Ok(Verdict::AnsweredLater { ticket, answer, request: id })
    }

    /// A 101.
    pub(super) fn proof(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        conn: ConnId,
        peer: Peer,
        packet: Packet<&mut [u8]>,
    ) -> Result<Verdict, Refused> {
        let malformed = Refused::plain(ErrorCode::Malformed);
        let (_, spki) = OtpProof::split(packet.payload()).map_err(|_| malformed)?;
        let now = ctx.now.instant;
        if !peer.exempt {
            ctx.take(Kept::Proofs(peer.prefix)).map_err(Refused::limited)?;
        }
        let weak = Refused::plain(ErrorCode::WeakKey);
        let spki = Spki::parse(spki).map_err(|_| weak)?;
        let key = ctx.provider.public_key(&spki).map_err(|_| weak)?;
        let packet = Unverified::new(ctx.provider, packet)
            .verify(&key)
            .map_err(|_| Refused::plain(ErrorCode::BadSignature))?;
        let rate = ctx.config.rates.registration_work;
        let taken = ctx.limits.registration_work.take(rate, now);
        ctx.tell_if_reached(Limit::RegistrationWork, taken).map_err(Refused::busy)?;

        let (sealed, _) = OtpProof::split(packet.payload()).map_err(|_| malformed)?;
        let mut block = Zeroizing::new([0; OtpProof::MAX_LEN]);
        let opened = ctx.identity.open(ctx.rng, Op::OtpProof, sealed, block.as_mut_slice());
        let len = opened.map_err(|_| malformed)?;
        let id = packet.id();
        let refused = |code| Refused::naming(code, Op::OtpProof, id);
        let malformed = refused(ErrorCode::Malformed);
        let proof = OtpProof::parse(block.get(..len).ok_or(malformed)?).map_err(|_| malformed)?;
        if proof.spki_digest != ctx.provider.sha256(&[spki.as_bytes()]) {
            return Err(malformed);
        }
        let phone = Phone::parse(proof.phone).map_err(|_| refused(ErrorCode::BadPhone))?;

        if let Some(known) = self.phonebook.get(&phone) {
            if !known.has_key(ctx.provider, &spki) {
                return Err(refused(ErrorCode::OtpExpired));
            }
            // The signature proves as much as in a 106, so a 201 lost on the way locks nobody out.
            return Ok(Verdict::Proved { user: known.user, nonce: proof.nonce });
        }
        // The operator may have decided otherwise since the code went out.
        if !ctx.config.registration.allows(&phone) {
            return Err(refused(ErrorCode::BadPhone));
        }
        let limited = |wait| refused(ErrorCode::RateLimited).after(wait);
        if !peer.exempt {
            ctx.has_left(Kept::WrongCodesFrom(peer.prefix)).map_err(limited)?;
        }
        let attempt = Attempt::of(ctx.provider, &proof.reply_key);
        match self.otps.guess(ctx.provider, &phone, &attempt, (id, &proof.otp), now) {
            Guess::Right => {}
            Guess::Wrong => {
                self.codes.wrong = self.codes.wrong.saturating_add(1);
                wrong_guess(ctx, peer);
                return Err(refused(ErrorCode::OtpWrong));
            }
            Guess::WrongAgain => return Err(refused(ErrorCode::OtpWrong)),
            Guess::Spent => return Err(refused(ErrorCode::OtpAttemptsSpent)),
            Guess::Gone => return Err(refused(ErrorCode::OtpExpired)),
            Guess::Busy => {
                let second = Duration::from_secs(1);
                return Err(refused(ErrorCode::Busy).after(second));
            }
        }
        let is_weak = spki.has_small_factor()
            || ctx.identity.is_own(&spki)
            || self.phonebook.has_key(ctx.provider, &spki);
        let held = if is_weak {
            Err(ErrorCode::WeakKey)
        } else {
            self.phonebook.hold(ctx.provider, &spki).ok_or(ErrorCode::ServerFull)
        };
        let user = held.map_err(|code| {
            self.otps.give_back(&phone, &attempt);
            refused(code)
        })?;
        let nonce = proof.nonce;
        self.creations.insert(user, Creation { conn, packet: id, attempt, nonce });
        ctx.storage.write(Write::CreateUser { id: user, phone, spki: Arc::new(spki) });
        if let Some(event) = self.few_ids_are_left() {
            ctx.event(event);
        }
        Ok(Verdict::Creating)
    }

    /// An account of the server itself is to be there.
    pub(super) fn enrol(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        phone: Phone,
        spki: &Spki,
    ) -> Result<UserId, AdministrationError> {
        let refused = AdministrationError::Refused;
        if !phone.is_reserved() {
            return Err(refused(ErrorCode::BadPhone));
        }
        if let Some(known) = self.phonebook.get(&phone) {
            if !known.has_key(ctx.provider, spki) {
                return Err(AdministrationError::PhoneTaken(known.user));
            }
            let (user, outcome) = (known.user, Administered::Enrolled { user: known.user });
            ctx.give_out(Output::Administered { user, outcome });
            return Ok(user);
        }
        if self.enrolments.values().any(|other| *other == phone) {
            return Err(AdministrationError::UnderWay);
        }
        if spki.has_small_factor() || self.phonebook.has_key(ctx.provider, spki) {
            return Err(refused(ErrorCode::WeakKey));
        }
        let user = self.phonebook.hold(ctx.provider, spki);
        let user = user.ok_or_else(|| refused(ErrorCode::ServerFull))?;
        self.enrolments.insert(user, phone);
        ctx.storage.write(Write::CreateUser { id: user, phone, spki: Arc::new(spki.clone()) });
        Ok(user)
    }

    /// What the operator is told when few ids are left, once for each mark.
    pub(super) fn few_ids_are_left(&mut self) -> Option<Event> {
        self.phonebook.alarm().map(|percent| Event::IdsRunOut { percent })
    }

    /// Whose phone is it?
    pub(super) fn whose(&self, ctx: &mut Ctx<'_, impl Provider>, phone: &Phone, inquiry: Inquiry) {
        let hidden = phone.is_reserved() && !ctx.own_accounts.has(inquiry.asker);
        match self.phonebook.get(phone).map(|entry| entry.user).filter(|_| !hidden) {
            Some(about) => ctx.post_to_owner(about, Message::WhoIs { about, inquiry }),
            None => ctx.post_to_owner(inquiry.asker, Message::Known { inquiry, answer: None }),
        }
    }

    /// The new user's owner shard expects them: others may hear of them, and they get their session.
    pub(super) fn settled(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
        phone: Phone,
        spki: &Spki,
    ) {
        self.phonebook.enter(ctx.provider, user, phone, spki);
        if self.enrolments.remove(&user).is_some() {
            // Before any connection of theirs gets there.
            ctx.post_to_all(&Message::OwnAccount { user, is_own: true });
            let outcome = Administered::Enrolled { user };
            ctx.give_out(Output::Administered { user, outcome });
            return;
        }
        self.otps.consume(&phone);
        self.codes.used = self.codes.used.saturating_add(1);
        ctx.event(Event::Registered { user });
        if let Some(Creation { conn, nonce, .. }) = self.creations.remove(&user) {
            ctx.tell(Note::Proved { conn, user, nonce });
        }
    }

    /// A user is removed: phone and key are free.
    pub(super) fn removed(&mut self, provider: &impl Provider, phone: &Phone, spki: &Spki) {
        self.phonebook.leave(provider, phone, spki);
    }

    /// Ids that a new user can get.
    pub(super) const fn free_ids(&self) -> usize {
        self.phonebook.free_ids()
    }

    /// Until then it is known that no code goes out.
    pub(super) const fn set_codes_rest_until(&mut self, until: Option<Instant>) {
        self.codes_rest_until = until;
    }

    /// What became of codes.
    pub(super) const fn codes(&self) -> Codes {
        self.codes
    }

    /// The new user could not be stored: nothing is burnt.
    pub(super) fn not_created(
        &mut self,
        ctx: &mut Ctx<'_, impl Provider>,
        user: UserId,
        phone: Phone,
        spki: &Spki,
    ) {
        self.phonebook.release(ctx.provider, user, spki);
        if self.enrolments.remove(&user).is_some() {
            let outcome = Administered::NotDone { letters: 0 };
            return ctx.give_out(Output::Administered { user, outcome });
        }
        let Some(creation) = self.creations.remove(&user) else { return };
        self.otps.give_back(&phone, &creation.attempt);
        let code = ErrorCode::StorageUnavailable;
        let refused = Refused::naming(code, Op::OtpProof, creation.packet);
        ctx.tell(Note::NotProved { conn: creation.conn, refused });
    }

    /// A code did not go out: it counts against nobody, and whoever asked can ask for another.
    pub(super) fn undeliverable(&mut self, ctx: &mut Ctx<'_, impl Provider>, ticket: OtpTicket) {
        if let Some((phone, prefix)) = self.otps.forget(ticket) {
            let (pair, phone) = (Kept::CodesForPair(phone, prefix), Kept::CodesForPhone(phone));
            for taken in [pair, phone, Kept::Codes] {
                ctx.limits.give_back(taken.key(ctx.provider, ctx.identity));
            }
        }
    }

    /// Nobody knows whether a code went out: it is as good as none, and counts as sent.
    pub(super) fn lost(&mut self, ticket: OtpTicket) {
        self.otps.forget(ticket);
    }

    /// Whether a code waits for the batch that counts it, which has yet to be given out.
    pub(super) fn has_codes_to_count(&self) -> bool {
        self.outgoing_codes.are_to_be_counted()
    }

    /// This batch counts the codes that no other does.
    pub(super) fn counted_in(&mut self, batch: u64) {
        self.outgoing_codes.counted_in(batch);
    }

    /// Storage is told again what it did not take.
    pub(super) fn count_again(&mut self) {
        self.outgoing_codes.count_again();
    }

    /// Sends the codes that storage has counted, if they have not expired meanwhile.
    pub(super) fn send_codes(&mut self, ctx: &mut Ctx<'_, impl Provider>) {
        while ctx.limits.are_kept()
            && let Some((ticket, phone, otp)) =
                self.outgoing_codes.pop(|batch| ctx.storage.is_past(batch))
        {
            if self.otps.is_alive(&phone, ticket) {
                ctx.give_out(Output::DeliverOtp { ticket, phone, otp });
            }
        }
    }

    /// Drops the codes that have expired.
    pub(super) fn forget_expired(&mut self, now: Instant) {
        self.otps.forget_expired(now);
    }

    fn next_otp_ticket(&mut self) -> OtpTicket {
        self.last_otp_ticket = self.last_otp_ticket.saturating_add(1);
        OtpTicket(self.last_otp_ticket)
    }
}

fn wrong_guess(ctx: &mut Ctx<'_, impl Provider>, peer: Peer) {
    if !peer.exempt {
        // Whether there was one left was checked before the guess.
        let _ = ctx.take(Kept::WrongCodesFrom(peer.prefix));
    }
    let had_one = ctx.take(Kept::WrongCodes).is_ok();
    if had_one && ctx.has_left(Kept::WrongCodes).is_err() {
        ctx.event(Event::GuessingSuspected);
    }
}
