//! From a phone number to a user (PROTOCOL.md, "Registration").

use alloc::sync::Arc;
use core::time::Duration;

use super::admission::Decision;
use super::connection::State;
use super::limits::{Kept, Limits};
use super::otp::{Attempt, Guess, NewOtp, OtpTable};
use super::output::{ConnId, Event, OtpTicket, Output};
use super::refuse::Refused;
use super::sending::Sending;
use super::storage::Write;
use super::{Env, Server};
use crate::crypto::{Provider, RSA_LEN, Spki, Unverified};
use crate::id::{Nonce, PacketId, UserId};
use crate::phone::{Otp, Phone};
use crate::time::Instant;
use crate::wire::{
    ErrorCode, Op, OtpGrant, OtpProof, Packet, RegistrationRejected, RegistrationRequest,
};
use zeroize::Zeroizing;

/// A user whose creation is being stored.
#[derive(Debug)]
pub(super) struct Creation {
    pub(super) conn: ConnId,
    /// The 101.
    packet: PacketId,
    attempt: Attempt,
    nonce: Nonce,
}

impl<P: Provider> Server<P> {
    /// A 100.
    pub(super) fn registration_request(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        packet: Packet<&mut [u8]>,
    ) -> Result<(), Refused> {
        let malformed = Refused::plain(ErrorCode::Malformed);
        let unsigned = packet.signature().iter().all(|byte| *byte == 0);
        let sealed: &[u8; RSA_LEN] = packet.payload().try_into().map_err(|_| malformed)?;
        if !unsigned {
            return Err(malformed);
        }
        let now = env.now.instant;
        let peer = self.connections.get(&conn).map(|c| c.peer).ok_or(malformed)?;
        if !peer.exempt {
            self.take(Kept::Requests(peer.prefix), now).map_err(Refused::limited)?;
        }
        self.limits
            .registration_work
            .take(self.config.rates.registration_work, now)
            .map_err(Refused::busy)?;

        let mut block = Zeroizing::new([0; RegistrationRequest::MAX_LEN]);
        let opened =
            self.identity.open(env.rng, Op::RegistrationRequest, sealed, block.as_mut_slice());
        let len = opened.map_err(|_| malformed)?;
        let block = block.get(..len).ok_or(malformed)?;
        let id = PacketId::of(&self.provider.sha256(&[packet.signed_bytes()]));
        let refused = |code| Refused::naming(code, Op::RegistrationRequest, id);
        let request =
            RegistrationRequest::parse(block).map_err(|_| refused(ErrorCode::Malformed))?;
        let phone = Phone::parse(request.phone).map_err(|_| refused(ErrorCode::BadPhone))?;

        if self.phonebook.get(&phone).is_some() {
            let rejected = RegistrationRejected { reason: RegistrationRejected::PHONE_EXISTS };
            let answer = self.identity.issue(
                &self.provider,
                env,
                Op::RegistrationRejected,
                None,
                |out, rng| {
                    Ok(request.reply_key.seal(&self.provider, rng, out, |w| rejected.emit(w))?)
                },
            );
            self.answer_greeting(env, conn, answer);
            return Ok(());
        }
        let attempt = Attempt::of(&self.provider, &request.reply_key);
        if let Some(answer) = self.otps.answer(&phone, &attempt, now) {
            self.answer_greeting(env, conn, Ok(answer));
            return Ok(());
        }
        let limited = |wait| refused(ErrorCode::RateLimited).after(wait);
        // Whoever cannot have one for other people's sake keeps what they may have.
        if !self.otps.has_room(now) {
            return Err(limited(self.config.otp_life));
        }
        self.has_left(Kept::Codes, now).map_err(limited)?;
        if !peer.exempt {
            if self.otps.alive_from(&phone, peer.prefix, now) >= OtpTable::PER_PAIR {
                return Err(limited(self.config.otp_life));
            }
            self.take(Kept::CodesForPair(phone, peer.prefix), now).map_err(limited)?;
        }
        self.take(Kept::CodesForPhone(phone), now).map_err(limited)?;
        self.take(Kept::Codes, now).map_err(limited)?;
        if self.has_left(Kept::Codes, now).is_err()
            && self.limits.otp_alarms.take(Limits::ALARMS, now).is_ok()
        {
            self.outputs.push_back(Output::Event(Event::CodesSpent));
        }

        let suspicious = self.has_left(Kept::WrongCodes, now).is_err();
        let guesses = if suspicious { 1 } else { self.config.otp_attempts };
        let otp = Otp::generate(env.rng);
        let seconds = |span: Duration| u16::try_from(span.as_secs()).unwrap_or(u16::MAX);
        let grant = OtpGrant {
            ttl_s: seconds(self.config.otp_life),
            attempts: guesses,
            resend_s: seconds(self.config.otp_resend),
            otp: self.config.otp_in_band.then(|| otp.clone()),
        };
        let answer = self.identity.issue(&self.provider, env, Op::OtpIssued, None, |out, rng| {
            Ok(request.reply_key.seal(&self.provider, rng, out, |w| grant.emit(w))?)
        });
        let Ok(answer) = answer else {
            self.answer_greeting(env, conn, answer);
            return Ok(());
        };
        let ticket = self.next_otp_ticket();
        let expires = now.after(self.config.otp_life);
        let new = NewOtp {
            attempt,
            prefix: peer.prefix,
            guesses,
            expires,
            ticket,
            answer: answer.clone(),
        };
        self.otps.insert(&self.provider, env.rng, phone, &otp, new);
        if self.config.otp_in_band {
            self.answer_greeting(env, conn, Ok(answer));
        } else {
            self.hold_grant(env, conn, Sending { ticket, answer, request: id });
            self.outgoing_codes.push(ticket, phone, otp);
        }
        Ok(())
    }

    /// A 101.
    pub(super) fn otp_proof(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        packet: Packet<&mut [u8]>,
    ) -> Result<(), Refused> {
        let malformed = Refused::plain(ErrorCode::Malformed);
        let (_, spki) = OtpProof::split(packet.payload()).map_err(|_| malformed)?;
        let now = env.now.instant;
        let peer = self.connections.get(&conn).map(|c| c.peer).ok_or(malformed)?;
        if !peer.exempt {
            self.take(Kept::Proofs(peer.prefix), now).map_err(Refused::limited)?;
        }
        let weak = Refused::plain(ErrorCode::WeakKey);
        let spki = Spki::parse(spki).map_err(|_| weak)?;
        let key = self.provider.public_key(&spki).map_err(|_| weak)?;
        let packet = Unverified::new(&self.provider, packet)
            .verify(&key)
            .map_err(|_| Refused::plain(ErrorCode::BadSignature))?;
        self.limits
            .registration_work
            .take(self.config.rates.registration_work, now)
            .map_err(Refused::busy)?;

        let (sealed, _) = OtpProof::split(packet.payload()).map_err(|_| malformed)?;
        let mut block = Zeroizing::new([0; OtpProof::MAX_LEN]);
        let opened = self.identity.open(env.rng, Op::OtpProof, sealed, block.as_mut_slice());
        let len = opened.map_err(|_| malformed)?;
        let id = packet.id();
        let refused = |code| Refused::naming(code, Op::OtpProof, id);
        let malformed = refused(ErrorCode::Malformed);
        let proof = OtpProof::parse(block.get(..len).ok_or(malformed)?).map_err(|_| malformed)?;
        if proof.spki_digest != self.provider.sha256(&[spki.as_bytes()]) {
            return Err(malformed);
        }
        let phone = Phone::parse(proof.phone).map_err(|_| refused(ErrorCode::BadPhone))?;

        if let Some(known) = self.phonebook.get(&phone) {
            if !known.has_key(&self.provider, &spki) {
                return Err(refused(ErrorCode::OtpExpired));
            }
            // The signature proves as much as in a 106, so a 201 lost on the way locks nobody out.
            self.admit(conn, known.user, proof.nonce);
            return Ok(());
        }
        let limited = |wait| refused(ErrorCode::RateLimited).after(wait);
        if !peer.exempt {
            self.has_left(Kept::WrongCodesFrom(peer.prefix), now).map_err(limited)?;
        }
        let attempt = Attempt::of(&self.provider, &proof.reply_key);
        match self.otps.guess(&self.provider, &phone, &attempt, (id, &proof.otp), now) {
            Guess::Right => {}
            Guess::Wrong => {
                self.wrong_guess(peer, now);
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
        let held = if spki.has_small_factor() || self.phonebook.has_key(&self.provider, &spki) {
            Err(ErrorCode::WeakKey)
        } else {
            self.phonebook.hold(&self.provider, &spki).ok_or(ErrorCode::ServerFull)
        };
        let user = held.map_err(|code| {
            self.otps.give_back(&phone, &attempt);
            refused(code)
        })?;
        let nonce = proof.nonce;
        self.creations.insert(user, Creation { conn, packet: id, attempt, nonce });
        self.storage.write(Write::CreateUser { id: user, phone, spki: Arc::new(spki) });
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.state = State::Creating;
        }
        self.tell_of_ids();
        Ok(())
    }

    /// Tells the operator when few ids are left.
    pub(super) fn tell_of_ids(&mut self) {
        if let Some(percent) = self.phonebook.alarm() {
            self.outputs.push_back(Output::Event(Event::IdsRunOut { percent }));
        }
    }

    fn wrong_guess(&mut self, peer: super::peer::Peer, now: Instant) {
        if !peer.exempt {
            // Whether there was one left was checked before the guess.
            let _ = self.take(Kept::WrongCodesFrom(peer.prefix), now);
        }
        let had_one = self.take(Kept::WrongCodes, now).is_ok();
        if had_one && self.has_left(Kept::WrongCodes, now).is_err() {
            self.outputs.push_back(Output::Event(Event::GuessingSuspected));
        }
    }

    /// The new user's owner shard expects them: others may hear of them, and they get their session.
    pub(super) fn user_settled(&mut self, user: UserId, phone: Phone, spki: &Spki) {
        self.phonebook.enter(&self.provider, user, phone, spki);
        self.otps.consume(&phone);
        self.outputs.push_back(Output::Event(Event::Registered { user }));
        let Some(Creation { conn, nonce, .. }) = self.creations.remove(&user) else { return };
        self.admit(conn, user, nonce);
    }

    /// The new user could not be stored: nothing is burnt.
    pub(super) fn user_not_created(&mut self, id: UserId, phone: Phone, spki: &Spki) {
        self.phonebook.release(&self.provider, id, spki);
        let Some(creation) = self.creations.remove(&id) else { return };
        self.otps.give_back(&phone, &creation.attempt);
        let code = ErrorCode::StorageUnavailable;
        let refused = Refused::naming(code, Op::OtpProof, creation.packet);
        self.tell_in_turn(creation.conn, Decision::Refusal(refused));
    }

    /// Takes one of what is counted across restarts, or says how long until there is one.
    pub(super) fn take(&mut self, of: Kept, now: Instant) -> Result<(), Duration> {
        let taken = self.limits.take(of.key(&self.provider, &self.identity), now);
        self.tell_if_spent(of, taken)
    }

    fn has_left(&mut self, of: Kept, now: Instant) -> Result<(), Duration> {
        let left = self.limits.check(of.key(&self.provider, &self.identity), now);
        self.tell_if_spent(of, left)
    }

    fn tell_if_spent(&mut self, of: Kept, left: Result<(), Duration>) -> Result<(), Duration> {
        if let (Err(_), Some(limit)) = (left, of.limit()) {
            self.outputs.push_back(Output::Event(Event::LimitReached { limit }));
        }
        left
    }

    fn next_otp_ticket(&mut self) -> OtpTicket {
        self.last_otp_ticket = self.last_otp_ticket.saturating_add(1);
        OtpTicket(self.last_otp_ticket)
    }
}
