//! What the server says, and what it means in each state (PROTOCOL.md, "State diagrams").

use super::event::{Ended, Event, LetterName, RefusalNotice};
use super::intake::Arrived;
use super::state::{Active, Form, Layout, OpenedStatuses, State};
use super::{Client, Env};
use crate::crypto::{BLOCK_LEN, PrivateKey, Provider, RSA_LEN, SessionSeal, Unverified, Verified};
use crate::id::PacketId;
use crate::limits::MAX_SEALED;
use crate::time::{Instant, Timestamp};
use crate::wire::{
    BacklogSize, BacklogToken, ClientReport, CloseReason, ErrorCode, Header, KeyAnswer,
    KeyQuestion, Op, OtpGrant, Reader, Refusal, RegistrationRejected, SessionGrant, Status,
    StatusToken, Statuses, Successor,
};
use zeroize::Zeroizing;

/// What a packet leads to.
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box it with")]
enum Step {
    Nothing,
    Tell(Event<'static>),
    End(Ended),
    /// The short form of 106 was refused: the long one follows on the same connection.
    LongForm,
    /// A 201 or 206 lies verified in the control buffer.
    Issued(Op, Header),
}

impl<P: Provider, B: AsRef<[u8]> + AsMut<[u8]>, const WINDOW: usize> Client<'_, P, B, WINDOW> {
    /// The next thing that was learnt. `None` when more bytes, or time, are needed.
    ///
    /// # Errors
    /// [`Ended`] once the connection has ended, always the same reason.
    #[inline(never)]
    pub fn poll(&mut self, env: &mut Env<'_>) -> Result<Option<Event<'_>>, Ended> {
        self.note_progress(env.now.instant);
        // What had no room goes out as soon as there is some.
        self.flush_overdue(env);
        loop {
            if let Some(ended) = self.ended {
                return Err(ended);
            }
            if let Some(status) = self.next_status() {
                return Ok(Some(status));
            }
            let step = match self.intake.take() {
                None => return Ok(None),
                Some(Arrived::Letter) => {
                    let header = self.intake.letter().map(|packet| *packet.header());
                    match header {
                        Some(header) if self.is_for_us(&header) => {
                            let packet = self.intake.letter();
                            let letter =
                                packet.map(|packet| Unverified::new(self.keys.provider, packet));
                            self.letter_id = letter.as_ref().map(Unverified::id);
                            if let State::Active(active) = &mut self.state {
                                active.backlog_goes_on(env.now.instant);
                            }
                            return Ok(letter.map(Event::Letter));
                        }
                        _ => Step::End(Ended::Misbehaved),
                    }
                }
                Some(Arrived::Oversized(letter)) => {
                    // The buffer that it passed through is free again.
                    self.release_letter();
                    if self.is_for_us(&letter.header) {
                        return Ok(Some(Event::TooLarge(letter)));
                    }
                    Step::End(Ended::Misbehaved)
                }
                Some(Arrived::Control) => self.server_packet(env),
            };
            match step {
                Step::Nothing => {}
                Step::Tell(event) => return Ok(Some(event)),
                Step::End(ended) => self.end(ended),
                Step::LongForm => {
                    if self.send_reconnect(env, None).is_err() {
                        self.end(Ended::Misbehaved);
                    }
                }
                Step::Issued(op, header) => match self.session_issued(env, op, header) {
                    Ok(event) => return Ok(Some(event)),
                    Err(ended) => self.end(ended),
                },
            }
        }
    }

    /// Whether a letter with this header can have been routed here by an honest server.
    fn is_for_us(&self, header: &Header) -> bool {
        matches!(self.state, State::Active(_) | State::Leaving { .. })
            && header.recipient == self.user
            && header.sender.is_some()
            && header.sender != self.user
    }

    /// A packet that the server itself must have made. It makes no private operation: they have
    /// the deepest stack, and should not have this frame, the largest, above them.
    #[inline(never)]
    fn server_packet(&mut self, env: &mut Env<'_>) -> Step {
        let Self { keys, intake, state, user, .. } = self;
        let Ok(packet) = intake.control() else { return Step::End(Ended::BadBytes) };
        let packet = Unverified::new(keys.provider, packet);
        let Ok(packet) = packet.verify(keys.server) else { return Step::End(Ended::BadBytes) };
        let header = *packet.header();
        let awaits_id = matches!(state, State::AwaitingSession { answer: Op::SessionIssued, .. });
        let addressed_to_us = match header.recipient {
            None => true,
            Some(to) => Some(to) == *user || (awaits_id && header.op_code == 201),
        };
        if header.sender.is_some() || !addressed_to_us {
            return Step::End(Ended::Misbehaved);
        }
        let Some(op) = Op::from_code(header.op_code) else {
            return Step::End(Ended::Misbehaved);
        };
        match state {
            State::Idle => Step::End(Ended::Misbehaved),
            State::AwaitingOtp { reply_key, request, .. } => match op {
                Op::OtpIssued | Op::RegistrationRejected => {
                    let content = reply_key.open(keys.provider, packet).ok();
                    let Some(event) = content.and_then(|content| otp_answer(op, content)) else {
                        return Step::End(Ended::Misbehaved);
                    };
                    // The proof may follow on this very connection.
                    *state = State::Idle;
                    Step::Tell(event)
                }
                Op::Refusal => clear_refusal(&packet, *request, false),
                Op::RegistrationRequest
                | Op::OtpProof
                | Op::Letter
                | Op::KeyQuestion
                | Op::ReconnectRequest
                | Op::SessionIssued
                | Op::Acknowledgment
                | Op::KeyAnswer
                | Op::SessionRenewed
                | Op::Close
                | Op::BacklogEnd => Step::End(Ended::Misbehaved),
            },
            State::AwaitingSession { answer, request, form, .. } => match op {
                op if op == *answer => Step::Issued(op, header),
                Op::Refusal if header.recipient.is_none() => {
                    clear_refusal(&packet, *request, *form == Form::Short)
                }
                _ => Step::End(Ended::Misbehaved),
            },
            State::Active(active) | State::Leaving { active, .. } => {
                if header.recipient.is_none() {
                    return shared_packet(keys.provider, active, op, packet);
                }
                let Ok(content) = active.seal.open(keys.provider, packet) else {
                    return Step::End(Ended::BadSeal);
                };
                active.proven = true;
                active.backlog_goes_on(env.now.instant);
                match op {
                    Op::Acknowledgment => {
                        if Statuses::parse(content).is_err() {
                            return Step::End(Ended::Misbehaved);
                        }
                        let at = SessionSeal::OVERHEAD.saturating_add(2);
                        let end = SessionSeal::OVERHEAD.saturating_add(content.len());
                        active.opened = Some(OpenedStatuses { layout: Layout::Sealed, at, end });
                        Step::Nothing
                    }
                    Op::KeyAnswer => key_answer(active, content),
                    Op::BacklogEnd => match BacklogSize::parse(content) {
                        Ok(size) => backlog_end(active, size),
                        Err(_) => Step::End(Ended::Misbehaved),
                    },
                    Op::Close => match CloseReason::parse(content) {
                        Ok(reason) => Step::End(Ended::Closed(reason)),
                        Err(_) => Step::End(Ended::Misbehaved),
                    },
                    Op::Refusal => match Refusal::parse(content) {
                        Ok(refusal) => {
                            let notice = notice(&refusal);
                            self.sealed_refusal(env, notice, header.timestamp)
                        }
                        Err(_) => Step::End(Ended::Misbehaved),
                    },
                    Op::RegistrationRequest
                    | Op::OtpProof
                    | Op::Letter
                    | Op::KeyQuestion
                    | Op::ReconnectRequest
                    | Op::RegistrationRejected
                    | Op::OtpIssued
                    | Op::SessionIssued
                    | Op::SessionRenewed => Step::End(Ended::Misbehaved),
                }
            }
        }
    }

    /// 201 or 206: takes the key, sets the clock, confirms.
    #[inline(never)]
    fn session_issued(
        &mut self,
        env: &mut Env<'_>,
        op: Op,
        header: Header,
    ) -> Result<Event<'static>, Ended> {
        let misbehaved = Err(Ended::Misbehaved);
        let State::AwaitingSession { nonce, due, .. } = self.state else { return misbehaved };
        let Some(user) = header.recipient else { return misbehaved };
        let mut block = Zeroizing::new([0; SessionGrant::LEN]);
        // The packet lies verified in the control buffer.
        let sealed: Option<[u8; RSA_LEN]> =
            self.intake.control().ok().and_then(|packet| packet.payload().try_into().ok());
        let Some(sealed) = sealed else { return misbehaved };
        let label = op.oaep_label();
        if self.keys.own.oaep_open(env.rng, label, &sealed, block.as_mut_slice())
            != Ok(SessionGrant::LEN)
        {
            return misbehaved;
        }
        let Ok(grant) = SessionGrant::parse(block.as_slice()) else { return misbehaved };
        if grant.nonce != nonce {
            return misbehaved;
        }
        self.set_clock(env, due.since(), header.timestamp);
        self.user = Some(user);
        self.state = State::Active(Active::new(grant.session_key, nonce, env.now.instant));
        let window = self.options.window;
        self.send_sealed(env, Op::Acknowledgment, &mut |writer| {
            ClientReport::emit_confirmation(writer, window)
        })?;
        Ok(Event::SessionIssued { user })
    }

    fn sealed_refusal(
        &mut self,
        env: &Env<'_>,
        refusal: RefusalNotice,
        said_at: Timestamp,
    ) -> Step {
        let sent = self.recent.iter().find(|(id, _)| Some(*id) == refusal.packet);
        if let Some((_, sent_at)) = sent.copied()
            && refusal.code == Some(ErrorCode::StaleTimestamp)
        {
            self.set_clock(env, sent_at, said_at);
        }
        if let State::Active(active) | State::Leaving { active, .. } = &mut self.state
            && active.question.as_ref().is_some_and(|open| Some(open.packet) == refusal.packet)
        {
            active.question = None;
        }
        // A code of a later version is about the packet that it names, or else the connection.
        let ends = match refusal.code {
            Some(code) => code.rule().ends_session,
            None => refusal.packet.is_none(),
        };
        if ends { Step::End(Ended::Refused(refusal)) } else { Step::Tell(Event::Refused(refusal)) }
    }

    /// The next status of a 203 that lies opened.
    fn next_status(&mut self) -> Option<Event<'static>> {
        let (State::Active(active) | State::Leaving { active, .. }) = &mut self.state else {
            return None;
        };
        let opened = active.opened.as_mut()?;
        let packet = self.intake.control().ok()?;
        let mut reader = Reader::new(packet.payload().get(opened.at..opened.end)?);
        let status = match opened.layout {
            Layout::Sealed => next_sealed(&mut reader),
            Layout::Shared => next_shared(&mut reader),
        };
        opened.at = opened.end.saturating_sub(reader.rest().len());
        match &status {
            // What others may read in their tokens is noise here, and some of it looks like a
            // status: what counts is one of a letter that was sent on this connection.
            Some(Event::Status { letter, .. }) => {
                let is_own = |(id, _): &(PacketId, Instant)| id.prefix() == letter.prefix();
                active.proven = active.proven || self.recent.iter().any(is_own);
            }
            _ => active.opened = None,
        }
        status
    }
}

fn next_sealed(reader: &mut Reader<'_>) -> Option<Event<'static>> {
    let letter = LetterName::Whole(reader.packet_id().ok()?);
    let status = Status::from_code(reader.u8().ok()?).ok()?;
    Some(Event::Status { letter, status })
}

/// Skips what is noise to this client.
fn next_shared(reader: &mut Reader<'_>) -> Option<Event<'static>> {
    loop {
        if let Some(StatusToken { letter, status }) = StatusToken::parse(reader.array().ok()?) {
            return Some(Event::Status { letter: LetterName::Prefix(letter), status });
        }
    }
}

/// What a 200 or 150 says; `None` when it is neither.
fn otp_answer(op: Op, content: &[u8]) -> Option<Event<'static>> {
    if op == Op::OtpIssued {
        return OtpGrant::parse(content).ok().map(Event::OtpIssued);
    }
    RegistrationRejected::parse(content).ok().map(|_| Event::PhoneTaken)
}

fn key_answer(active: &mut Active, content: &[u8]) -> Step {
    let Some(open) = active.question.take() else { return Step::End(Ended::Misbehaved) };
    let event = if open.about == KeyQuestion::Successor {
        Successor::parse(content).map(Event::Successor)
    } else {
        KeyAnswer::parse(content).map(|answer| match open.about.is_answered_by(&answer) {
            true => Event::Key(answer),
            false => Event::WrongKey(open.about),
        })
    };
    event.map_or(Step::End(Ended::Misbehaved), Step::Tell)
}

/// A packet to everyone: tokens of which some may be ours, or a refusal in clear.
fn shared_packet<P: Provider>(
    provider: &P,
    active: &mut Active,
    op: Op,
    packet: Verified<&mut [u8]>,
) -> Step {
    if op == Op::Refusal {
        if !Refusal::LENGTHS.contains(&packet.payload().len()) {
            return Step::End(Ended::Misbehaved);
        }
        // In a session refusals are sealed, so this one is somebody's replay, unless the server
        // never knew the session.
        if active.proven {
            return Step::Nothing;
        }
        return match Refusal::parse(packet.payload()) {
            // The refusal of a confirmation names no packet.
            Ok(Refusal { packet: Some(_), .. }) => Step::Nothing,
            Ok(refusal) => Step::End(Ended::Refused(notice(&refusal))),
            Err(_) => Step::End(Ended::Misbehaved),
        };
    }
    if packet.payload().len() > MAX_SEALED {
        return Step::End(Ended::Misbehaved);
    }
    let Ok(tokens) = active.seal.key().open_tokens(provider, packet) else {
        return Step::End(Ended::Misbehaved);
    };
    match op {
        Op::Acknowledgment => {
            let (at, end) = (BLOCK_LEN, BLOCK_LEN.saturating_add(tokens.as_flattened().len()));
            active.opened = Some(OpenedStatuses { layout: Layout::Shared, at, end });
            Step::Nothing
        }
        Op::BacklogEnd => {
            let nonce = active.nonce;
            match tokens.iter().find_map(|block| BacklogToken::parse(block, &nonce)) {
                Some(size) => {
                    active.proven = true;
                    backlog_end(active, size)
                }
                None => Step::Nothing,
            }
        }
        _ => Step::End(Ended::Misbehaved),
    }
}

/// The first 255 counts; a second one of our own is a shared packet played back.
fn backlog_end(active: &mut Active, BacklogSize(count): BacklogSize) -> Step {
    match active.backlog_since.take() {
        Some(_) => Step::Tell(Event::BacklogEnd(count)),
        None => Step::Nothing,
    }
}

/// A 244 before a session. One that names a packet concerns only whoever sent that packet.
fn clear_refusal(packet: &Verified<&mut [u8]>, request: PacketId, can_use_long_form: bool) -> Step {
    let Ok(refusal) = Refusal::parse(packet.payload()) else {
        return Step::End(Ended::Misbehaved);
    };
    let refusal = notice(&refusal);
    match refusal {
        RefusalNotice { packet: Some(id), .. } if id != request => Step::Nothing,
        RefusalNotice { code: Some(ErrorCode::SessionUnknown), packet: Some(_), .. }
            if can_use_long_form =>
        {
            Step::LongForm
        }
        refusal => Step::End(Ended::Refused(refusal)),
    }
}

fn notice(refusal: &Refusal<'_>) -> RefusalNotice {
    RefusalNotice {
        code: ErrorCode::from_code(refusal.code),
        number: refusal.code,
        retry_after_s: refusal.retry_after_s,
        packet: refusal.packet,
    }
}
