//! What a client can ask for (PROTOCOL.md, "Registration" to "Closing", the client's packets).

use super::progress::Due;
use super::state::{Active, Form, Question, State};
use super::{Client, Ended, Env};
use crate::crypto::{CryptoRng, PrivateKey, Provider, PublicKey, ReplyKey, SessionKey, cbc_seal};
use crate::envelope::{self, Content, Fingerprint};
use crate::id::{Nonce, PacketId, Uid, UserId};
use crate::limits::{MAX_CONTROL_PACKET, MAX_HELD, MAX_QUERIES};
use crate::phone::{Otp, Phone};
use crate::wire::{
    BuildError, ClientReport, CloseReason, Draft, Full, Header, KeyQuestion, Op, OtpProof, Packet,
    RegistrationRequest, StatusQuery, Writer,
};
use core::time::Duration;
use zeroize::Zeroizing;

/// A call that the program should not have made. Trying again does not help: the program is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ApiMisuse {
    /// Registrations and 106 come first on a connection, and one of them only.
    #[error("something was asked on this connection before; this request needs a new one")]
    NotFirst,
    /// The request needs a session: after [`Event::SessionIssued`](super::Event::SessionIssued), and
    /// before [`Client::leave`].
    #[error("there is no session on this connection, and this request needs one")]
    NotInSession,
    /// A question is about 1 to [`MAX_QUERIES`] letters.
    #[error("a question is about 1 to {MAX_QUERIES} letters")]
    QueryCount,
    /// What is to be sent again is no whole packet of a letter of this client's.
    #[error("these bytes are no letter of this client's")]
    NotALetter,
}

/// A request that was not made. Nothing has gone out, and nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RequestError {
    /// The program called what it should not have.
    #[error("{0}")]
    Misuse(ApiMisuse),
    /// The connection has ended; [`Client::ended`] says why. Make another.
    #[error("the connection has ended")]
    Ended,
    /// Something must be answered, or sent, first: try again later.
    #[error("an earlier request comes first")]
    Busy,
    /// The transmit buffer is smaller than this packet.
    #[error("the transmit buffer is too small")]
    BufferTooSmall,
    /// The own key refused: a broken key or broken hardware.
    #[error("the own key refused to work")]
    KeyRefused,
}

impl From<ApiMisuse> for RequestError {
    fn from(misuse: ApiMisuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl From<BuildError> for RequestError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Full(_) => Self::BufferTooSmall,
            BuildError::Rejected(_) => Self::KeyRefused,
        }
    }
}

/// Between two status queries; a little above the second that the server asks for.
const QUERY_PAUSE: Duration = Duration::from_millis(1_100);

/// The person to whom a letter goes, as this client knows them.
pub struct Addressee<'a, P: Provider> {
    /// The recipient's id, as the server gave it with the key.
    pub user: UserId,
    /// Their fingerprint, from the pinned key.
    pub fingerprint: &'a Fingerprint,
    /// The recipient's public key, as this client has pinned it.
    pub key: &'a P::PublicKey,
}

impl<P: Provider, B: AsRef<[u8]> + AsMut<[u8]>, const WINDOW: usize> Client<'_, P, B, WINDOW> {
    /// Sends 100: asks for a one-time password. `reply_key` names the attempt; store it first. See
    /// PROTOCOL.md, "Registration".
    ///
    /// # Errors
    /// [`ApiMisuse::NotFirst`] unless nothing has been asked on this connection;
    /// [`RequestError::Ended`]; [`RequestError::KeyRefused`].
    pub fn request_otp(
        &mut self,
        env: &mut Env<'_>,
        phone: &Phone,
        reply_key: &ReplyKey,
    ) -> Result<(), RequestError> {
        self.require_idle()?;
        let keys = self.keys;
        let request = self.send(env, Op::RegistrationRequest, Signing::None, &mut |out, rng| {
            let mut block = Zeroizing::new([0; RegistrationRequest::MAX_LEN]);
            let mut writer = Writer::new(block.as_mut_slice());
            RegistrationRequest::emit(&mut writer, reply_key, phone)?;
            let block = writer.into_written();
            let label = Op::RegistrationRequest.oaep_label();
            let sealed = keys.server.oaep_seal(rng, label, block)?;
            write_all(out, &[&sealed])
        })?;
        let reply_key = reply_key.clone();
        let due = self.due(env);
        self.state = State::AwaitingOtp { reply_key, request, due };
        Ok(())
    }

    /// Sends 101: proves the one-time password and shows the own key. It may be another connection
    /// than that of the 100, and it can be repeated until its 201 has come: for an account with
    /// this very key the server no longer looks at the code. See PROTOCOL.md, "Registration".
    ///
    /// # Errors
    /// [`ApiMisuse::NotFirst`] while something is under way on this connection;
    /// [`RequestError::Ended`]; [`RequestError::KeyRefused`].
    pub fn prove_otp(
        &mut self,
        env: &mut Env<'_>,
        phone: &Phone,
        reply_key: &ReplyKey,
        otp: &Otp,
    ) -> Result<(), RequestError> {
        self.require_idle()?;
        let keys = self.keys;
        let nonce = Nonce::generate(env.rng);
        let request = self.send(env, Op::OtpProof, Signing::Own, &mut |out, rng| {
            let spki = keys.own.spki().as_bytes();
            let digest = keys.provider.sha256(&[spki]);
            let mut block = Zeroizing::new([0; OtpProof::MAX_LEN]);
            let mut writer = Writer::new(block.as_mut_slice());
            OtpProof::emit(&mut writer, reply_key, otp, &nonce, &digest, phone)?;
            let block = writer.into_written();
            let sealed = keys.server.oaep_seal(rng, Op::OtpProof.oaep_label(), block)?;
            write_all(out, &[&sealed, spki])
        })?;
        self.await_session(env, Op::SessionIssued, nonce, Form::Long, request);
        Ok(())
    }

    /// Sends 106: asks for a session. With the last session's key, if the server has answered under
    /// it, the request costs the server less; should the server have forgotten it, the client goes
    /// on to the long form by itself. See PROTOCOL.md, "Reconnect".
    ///
    /// # Errors
    /// [`ApiMisuse::NotFirst`] unless nothing has been asked on this connection;
    /// [`RequestError::Ended`]; [`RequestError::KeyRefused`].
    pub fn reconnect(
        &mut self,
        env: &mut Env<'_>,
        user: UserId,
        last_key: Option<&SessionKey>,
    ) -> Result<(), RequestError> {
        self.require_idle()?;
        self.user = Some(user);
        self.send_reconnect(env, last_key)
    }

    pub(super) fn send_reconnect(
        &mut self,
        env: &mut Env<'_>,
        last_key: Option<&SessionKey>,
    ) -> Result<(), RequestError> {
        let keys = self.keys;
        let nonce = Nonce::generate(env.rng);
        let request =
            self.send(env, Op::ReconnectRequest, Signing::Own, &mut |out, rng| match last_key {
                Some(key) => {
                    let content = |writer: &mut Writer<'_>| writer.put(&nonce.0);
                    Ok(cbc_seal(keys.provider, key.expose(), rng, out, content)?)
                }
                None => {
                    let label = Op::ReconnectRequest.oaep_label();
                    let sealed = keys.server.oaep_seal(rng, label, &nonce.0)?;
                    write_all(out, &[&sealed])
                }
            })?;
        let form = if last_key.is_some() { Form::Short } else { Form::Long };
        self.await_session(env, Op::SessionRenewed, nonce, form, request);
        Ok(())
    }

    fn await_session(
        &mut self,
        env: &Env<'_>,
        answer: Op,
        nonce: Nonce,
        form: Form,
        request: PacketId,
    ) {
        let due = self.due(env);
        self.state = State::AwaitingSession { answer, nonce, form, request, due };
    }

    /// The answer to what was written last.
    fn due(&self, env: &Env<'_>) -> Due {
        Due::new(env.now.instant, self.outbound.pending().len())
    }

    /// Writes a letter into the transmit buffer, seals and signs it, and keeps it there: store its
    /// id, and its bytes ([`Client::composed`]) if they are to be sent again, then let it go with
    /// [`Client::release_composed`]. See PROTOCOL.md, "Letters".
    ///
    /// # Errors
    /// [`RequestError::Busy`] while another letter is kept there, or the buffer is full of packets that
    /// go out; [`RequestError::BufferTooSmall`] when the letter never fits;
    /// [`ApiMisuse::NotInSession`]; [`RequestError::Ended`]; [`RequestError::KeyRefused`].
    pub fn compose(
        &mut self,
        env: &mut Env<'_>,
        from: &Fingerprint,
        to: &Addressee<'_, P>,
        uid: &Uid,
        content: &Content<'_>,
    ) -> Result<PacketId, RequestError> {
        if self.outbound.has_composed() {
            self.require_session()?;
            return Err(RequestError::Busy);
        }
        self.compose_another(env, from, to, uid, content)
    }

    /// The same, behind others that were composed.
    pub(crate) fn compose_another(
        &mut self,
        env: &mut Env<'_>,
        from: &Fingerprint,
        to: &Addressee<'_, P>,
        uid: &Uid,
        content: &Content<'_>,
    ) -> Result<PacketId, RequestError> {
        self.require_session()?;
        let (keys, timestamp) = (self.keys, self.timestamp(env));
        let queued = !self.outbound.pending().is_empty();
        let room = self.outbound.room();
        let mut draft = Draft::new(room, Op::Letter, self.user, Some(to.user), timestamp);
        let payload = draft.payload_mut();
        let sealed = envelope::seal(
            keys.provider,
            env.rng,
            from,
            to.fingerprint,
            to.key,
            uid,
            content,
            payload,
        );
        let full = |error| not_now(error, queued);
        let len = sealed.map_err(full)?;
        let (id, packet) = draft.sign(keys.provider, keys.own, env.rng, len).map_err(full)?;
        let len = packet.len();
        self.outbound.compose(len);
        self.note_letter(env, id);
        Ok(id)
    }

    /// The bytes of the letter that was composed and has not gone out. Empty if there is none.
    #[must_use]
    pub fn composed(&self) -> &[u8] {
        self.outbound.composed()
    }

    /// Lets the composed letter go out: its bytes are in [`Client::transmit`] from now on.
    pub fn release_composed(&mut self) {
        self.outbound.release();
    }

    /// Removes the letter that was composed last; nothing of it goes out.
    pub(crate) fn discard_last_composed(&mut self) {
        self.outbound.discard_last();
    }

    /// Removes the composed letter; nothing of it goes out.
    pub fn discard_composed(&mut self) {
        self.outbound.discard();
    }

    /// Sends a letter's packet again, byte for byte, while its timestamp is fresh. `id` is what
    /// [`Client::compose`] has given for it. See PROTOCOL.md, "Duplicates".
    ///
    /// # Errors
    /// [`RequestError::Busy`] when the transmit buffer has no room now;
    /// [`RequestError::BufferTooSmall`] when it never has; [`ApiMisuse::NotALetter`];
    /// [`ApiMisuse::NotInSession`]; [`RequestError::Ended`].
    pub fn resend(
        &mut self,
        env: &Env<'_>,
        id: PacketId,
        packet: &[u8],
    ) -> Result<(), RequestError> {
        self.require_session()?;
        let is_own = Packet::parse(packet).is_ok_and(|packet| {
            let Header { op_code, sender, .. } = *packet.header();
            op_code == Op::Letter.code() && sender == self.user
        });
        if !is_own {
            return Err(ApiMisuse::NotALetter.into());
        }
        if self.outbound.has_composed() {
            return Err(RequestError::Busy);
        }
        let queued = !self.outbound.pending().is_empty();
        self.outbound.push(packet).map_err(|full| not_now(BuildError::from(full), queued))?;
        self.note_letter(env, id);
        Ok(())
    }

    fn note_letter(&mut self, env: &Env<'_>, id: PacketId) {
        let _forgotten = self.recent.push((id, env.now.instant));
        if let State::Active(active) = &mut self.state {
            active.awaits_word = true;
            active.heard = active.heard.max(env.now.instant);
        }
    }

    /// Says that a letter's fate is durable: it was new, a duplicate, unreadable, too large, or
    /// held back. Acknowledgments are collected for half a window, 64 KiB, or a second. `packet_len`
    /// is that of the whole packet: so much of the window is free again.
    pub fn acknowledge(&mut self, env: &mut Env<'_>, letter: PacketId, packet_len: usize) {
        if self.window.acknowledge(letter, packet_len, env.now.instant) {
            self.flush_acknowledgments(env);
        }
    }

    /// The fate of the letter in the letter buffer is durable: frees the buffer, and acknowledges
    /// the letter as [`Client::acknowledge`] does. Without a letter there, nothing happens.
    pub fn acknowledge_letter(&mut self, env: &mut Env<'_>) {
        let Some(letter) = self.letter_id else { return };
        let packet_len = self.intake.letter_len();
        self.release_letter();
        self.acknowledge(env, letter, packet_len);
    }

    /// Sends the acknowledgments that were collected.
    pub fn flush_acknowledgments(&mut self, env: &mut Env<'_>) {
        // What has no room goes with the next chance, after what is queued has gone.
        let Some(since) = self.window.unwritten_since() else { return };
        let letters = self.window.take_unwritten();
        for ids in letters.chunks(MAX_HELD) {
            if self.takes_control() {
                self.send_acknowledgment(env, ids);
                self.window.told(ids.len());
            } else {
                self.window.keep(ids, since);
            }
        }
    }

    pub(super) fn flush_overdue(&mut self, env: &mut Env<'_>) {
        let due =
            self.window.unwritten_since().map(|since| since.after(Self::COLLECT_ACKNOWLEDGMENTS));
        if due.is_some_and(|at| at <= env.now.instant) {
            self.flush_acknowledgments(env);
        }
    }

    /// Whether a packet that is not a letter can be written now.
    pub(super) fn takes_control(&self) -> bool {
        self.is_in_session()
            && !self.outbound.has_composed()
            && self.outbound.spare() >= MAX_CONTROL_PACKET
    }

    pub(super) fn send_acknowledgment(&mut self, env: &mut Env<'_>, letters: &[PacketId]) {
        let content = &mut |writer: &mut Writer<'_>| ClientReport::emit_held(writer, letters);
        if let Err(error) = self.send_sealed(env, Op::Acknowledgment, content) {
            self.end(Ended::Build(error));
        }
    }

    /// Sends 105: asks for somebody's key. [`super::Event::Key`], [`super::Event::WrongKey`],
    /// [`super::Event::Successor`] or [`super::Event::Refused`] follows. See PROTOCOL.md, "Directory".
    ///
    /// # Errors
    /// [`RequestError::Busy`] while an earlier question is open, or the transmit buffer has no room
    /// now; [`ApiMisuse::NotInSession`]; [`RequestError::Ended`]; [`RequestError::KeyRefused`].
    pub fn ask_for_key(
        &mut self,
        env: &mut Env<'_>,
        question: KeyQuestion,
    ) -> Result<(), RequestError> {
        self.require_session()?;
        if self.is_asking_for_key() {
            return Err(RequestError::Busy);
        }
        self.require_room()?;
        let packet = self.send_sealed(env, Op::KeyQuestion, &mut |writer| question.emit(writer))?;
        let due = self.due(env);
        if let State::Active(active) = &mut self.state {
            active.question = Some(Question { packet, about: question, asked: due, due });
        }
        Ok(())
    }

    /// Asks what became of letters that are known as stored; at most once a second, 1 to
    /// [`crate::limits::MAX_QUERIES`] at a time. See PROTOCOL.md, "Acknowledgments".
    ///
    /// # Errors
    /// [`ApiMisuse::QueryCount`] for another number of letters; [`RequestError::Busy`] within a second
    /// of the last question, or when the transmit buffer has no room now;
    /// [`ApiMisuse::NotInSession`]; [`RequestError::Ended`]; [`RequestError::KeyRefused`].
    pub fn ask_for_statuses(
        &mut self,
        env: &mut Env<'_>,
        queries: &[StatusQuery],
    ) -> Result<(), RequestError> {
        self.require_session()?;
        if !(1..=MAX_QUERIES).contains(&queries.len()) {
            return Err(ApiMisuse::QueryCount.into());
        }
        self.require_room()?;
        let now = env.now.instant;
        let State::Active(active) = &mut self.state else {
            return Err(ApiMisuse::NotInSession.into());
        };
        if active.last_query.is_some_and(|at| now < at.after(QUERY_PAUSE)) {
            return Err(RequestError::Busy);
        }
        active.last_query = Some(now);
        self.send_sealed(env, Op::Acknowledgment, &mut |writer| {
            ClientReport::emit_queries(writer, queries)
        })?;
        Ok(())
    }

    /// Acknowledges what is to be acknowledged and sends 222. The server's own ends the connection
    /// with [`Ended::Closed`]. See PROTOCOL.md, "Closing".
    ///
    /// # Errors
    /// [`RequestError::Busy`] when the transmit buffer has no room now;
    /// [`ApiMisuse::NotInSession`]; [`RequestError::Ended`]; [`RequestError::KeyRefused`].
    pub fn leave(&mut self, env: &mut Env<'_>) -> Result<(), RequestError> {
        self.require_session()?;
        self.outbound.discard();
        self.flush_acknowledgments(env);
        if !self.window.is_empty() {
            return Err(RequestError::Busy);
        }
        let queued = !self.outbound.pending().is_empty();
        self.send_sealed(env, Op::Close, &mut |writer| CloseReason::Leaving.emit(writer))
            .map_err(|error| not_now(error, queued))?;
        let due = self.due(env);
        if let State::Active(active) = core::mem::replace(&mut self.state, State::Idle) {
            self.state = State::Leaving { active, due };
        }
        Ok(())
    }

    fn require_idle(&self) -> Result<(), RequestError> {
        self.require(matches!(self.state, State::Idle), ApiMisuse::NotFirst)
    }

    fn require_session(&self) -> Result<(), RequestError> {
        self.require(matches!(self.state, State::Active(_)), ApiMisuse::NotInSession)
    }

    fn require(&self, is_met: bool, misuse: ApiMisuse) -> Result<(), RequestError> {
        match self.ended {
            Some(_) => Err(RequestError::Ended),
            None if is_met => Ok(()),
            None => Err(misuse.into()),
        }
    }

    fn require_room(&self) -> Result<(), RequestError> {
        if self.takes_control() { Ok(()) } else { Err(RequestError::Busy) }
    }

    /// Builds, signs and queues one packet.
    fn send(
        &mut self,
        env: &mut Env<'_>,
        op: Op,
        signing: Signing,
        payload: &mut WritePayload<'_>,
    ) -> Result<PacketId, BuildError> {
        let (keys, timestamp) = (self.keys, self.timestamp(env));
        let sender = self.user;
        let mut draft = Draft::new(self.outbound.room(), op, sender, None, timestamp);
        let len = payload(draft.payload_mut(), env.rng)?;
        let (id, packet) = match signing {
            Signing::Own => draft.sign(keys.provider, keys.own, env.rng, len)?,
            Signing::None => draft.leave_unsigned(keys.provider, len)?,
        };
        let len = packet.len();
        self.outbound.compose(len);
        self.outbound.release();
        Ok(id)
    }

    pub(super) fn send_sealed(
        &mut self,
        env: &mut Env<'_>,
        op: Op,
        content: &mut dyn FnMut(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result<PacketId, RequestError> {
        // The seal is taken out for the time of the call, because both it and the buffer change.
        let Some(mut active) = self.take_active() else {
            return Err(ApiMisuse::NotInSession.into());
        };
        let provider = self.keys.provider;
        let sent = self.send(env, op, Signing::Own, &mut |out, rng| {
            Ok(active.seal.seal(provider, rng, out, &mut *content)?)
        });
        active.last_sent = env.now.instant;
        self.state = State::Active(active);
        Ok(sent?)
    }

    fn take_active(&mut self) -> Option<Active> {
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Active(active) => Some(active),
            other => {
                self.state = other;
                None
            }
        }
    }
}

/// A buffer with packets in it may have room later.
fn not_now(error: impl Into<RequestError>, queued: bool) -> RequestError {
    match error.into() {
        RequestError::BufferTooSmall if queued => RequestError::Busy,
        other => other,
    }
}

/// Writes a payload and says how long it is. A trait object, so that [`Client::send`] is compiled
/// once and not for every op: on a device that is kilobytes.
type WritePayload<'a> = dyn FnMut(&mut [u8], &mut dyn CryptoRng) -> Result<usize, BuildError> + 'a;

#[derive(Clone, Copy)]
enum Signing {
    Own,
    /// 100 comes from a client whose key nobody knows yet.
    None,
}

fn write_all(out: &mut [u8], parts: &[&[u8]]) -> Result<usize, BuildError> {
    let mut writer = Writer::new(out);
    for part in parts {
        writer.put(part)?;
    }
    Ok(writer.position())
}
