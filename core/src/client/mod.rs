//! The client machine: sans-IO, without an allocator (PROTOCOL.md, "State diagrams").
//!
//! A [`Client`] is one connection. It is poll-style: it never blocks, and what it reads and what
//! it writes never wait for each other. Every buffer is the caller's.
//!
//! 1. Say what you want: [`Client::request_otp`], [`Client::prove_otp`] or
//!    [`Client::reconnect`]; later [`Client::compose`], [`Client::ask_for_key`], ….
//! 2. Move bytes: into [`Client::receive_buffer`] and [`Client::received`], out of
//!    [`Client::transmit`] and [`Client::transmitted`]. [`drive`] does both over any
//!    `embedded_io` stream, [`drive_async`] over any `embedded_io_async` one;
//!    [`Client::lend_buffers`] is for a loop of your own that waits for both at once.
//! 3. **After every step drain [`Client::poll`] until it gives `None`**, and call
//!    [`Client::timeout`] when [`Client::poll_timeout`] is due.
//!
//! What has to outlive the connection (key, id, pins, letters, uids) is the caller's to keep,
//! and durably before it is acknowledged or sent.

mod answers;
mod driver;
mod event;
mod intake;
mod outbound;
mod progress;
mod requests;
mod ring;
mod seen;
mod state;
mod window;

pub use driver::{DriveError, Moved, drive, drive_async};
pub use event::{Ended, Event, LetterName, RefusalNotice};
pub use intake::OversizedLetter;
pub use requests::{Addressee, ApiMisuse, RequestError};
pub use seen::{Novelty, SeenLetters};

use core::time::Duration;

use crate::crypto::{CryptoRng, Provider, SessionKey, Unverified};
use crate::id::{Nonce, PacketId, UserId};
use crate::limits::{MAX_CONTROL_PACKET, MAX_WINDOW, OVERHEAD};
use crate::time::{Instant, Now, Timestamp, UnixTime};
use crate::wire::{KeyQuestion, Malformed};
use intake::Intake;
use outbound::Outbound;
use progress::Progress;
use ring::Ring;
use state::{Active, State};
use window::Window;

/// What every call brings along: the time, and a random generator.
pub struct Env<'r> {
    /// The clocks; the civil one may be wrong.
    pub now: Now,
    /// For keys, nonces, IVs and blinding.
    pub rng: &'r mut dyn CryptoRng,
}

/// The keys of a connection, and the backend that uses them.
pub struct Keys<'k, P: Provider> {
    /// The crypto backend that hashes, seals and opens.
    pub provider: &'k P,
    /// The client's own private key, which signs and opens.
    pub own: &'k P::PrivateKey,
    /// The server's public key, which this client trusts: every packet of the server has to hold under
    /// it.
    pub server: &'k P::PublicKey,
}

impl<P: Provider> Clone for Keys<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Provider> Copy for Keys<'_, P> {}

/// The memory of a connection.
#[derive(Debug)]
pub struct Buffers<B> {
    /// Letters that come in. A larger one is reported and cannot be kept; at least
    /// [`OVERHEAD`] bytes.
    pub letters: B,
    /// Everything else that comes in: at least [`MAX_CONTROL_PACKET`] bytes.
    pub control: B,
    /// What goes out: room for the largest letter to be sent and [`MAX_CONTROL_PACKET`] bytes.
    pub transmit: B,
}

impl<'b> Buffers<&'b mut [u8]> {
    /// Buffers over arrays. One that is too small does not compile:
    ///
    /// ```
    /// # use waxwing_core::client::Buffers;
    /// let _ = Buffers::from_arrays(&mut [0; 8_192], &mut [0; 2_330], &mut [0; 4_096]);
    /// ```
    /// ```compile_fail
    /// # use waxwing_core::client::Buffers;
    /// let _ = Buffers::from_arrays(&mut [0; 8_192], &mut [0; 2_329], &mut [0; 4_096]);
    /// ```
    pub const fn from_arrays<const LETTERS: usize, const CONTROL: usize, const TRANSMIT: usize>(
        letters: &'b mut [u8; LETTERS],
        control: &'b mut [u8; CONTROL],
        transmit: &'b mut [u8; TRANSMIT],
    ) -> Self {
        const {
            assert!(LETTERS >= OVERHEAD, "the letter buffer holds no letter");
            assert!(CONTROL >= MAX_CONTROL_PACKET, "the control buffer is too small");
            assert!(TRANSMIT >= MAX_CONTROL_PACKET, "the transmit buffer is too small");
        }
        Self { letters, control, transmit }
    }
}

/// What a client may choose about a connection.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Letters taken without having acknowledged the first: 1 to the machine's `WINDOW`.
    pub window: u8,
    /// How often to say that one is there, where no TCP does.
    pub keepalive: Option<Duration>,
    /// After how long a silence to ask the server whether it is there, which costs it a
    /// signature: for links that do not tell when the other end is gone, and TCP may not either.
    /// After [`Client::ANSWER_TIMEOUT`] already when a letter has gone out and nothing has come
    /// since.
    pub probe: Option<Duration>,
    /// Seconds by which the civil clock is known to be wrong, from an earlier connection.
    pub clock_offset_s: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self { window: 128, keepalive: None, probe: None, clock_offset_s: 0 }
    }
}

/// Letters of which the time of sending is known, for setting the clock by a refusal.
const RECENT: usize = 8;

/// A connection that cannot be set up like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SetupError {
    /// A buffer is smaller than [`Buffers`] asks.
    #[error("a buffer is too small")]
    BufferTooSmall,
    /// [`Options::window`] is 0, or larger than the machine has memory for.
    #[error("the window is 0, or larger than the client has memory for")]
    BadWindow,
}

/// The client's side of one connection. See the [module](self) for how it is driven.
///
/// `WINDOW` is the largest window that it has memory for, 1 to [`MAX_WINDOW`]: 16 bytes for each
/// acknowledgment that waits, should the stream take none of them. Another number does not compile:
///
/// ```compile_fail
/// # use waxwing_core::{client::{Buffers, Client, Keys, Options}, crypto::Provider};
/// fn none<P: Provider>(keys: Keys<'_, P>, buffers: Buffers<&mut [u8]>) {
///     let _ = Client::<P, _, 0>::new(keys, buffers, Options::default());
/// }
/// # let _: fn(_, _) = none::<waxwing_core::crypto::RustCrypto>;
/// ```
pub struct Client<'k, P: Provider, B, const WINDOW: usize = { MAX_WINDOW as usize }> {
    keys: Keys<'k, P>,
    options: Options,
    user: Option<UserId>,
    state: State,
    ended: Option<Ended>,
    intake: Intake<P, B>,
    /// The id with which the letter in the letter buffer came: opening it changes its bytes.
    letter_id: Option<PacketId>,
    outbound: Outbound<B>,
    window: Window<WINDOW>,
    recent: Ring<(PacketId, Instant), RECENT>,
    clock_offset_s: i64,
    progress: Progress,
}

impl<'k, P, B, const WINDOW: usize> Client<'k, P, B, WINDOW>
where
    P: Provider,
    B: AsRef<[u8]> + AsMut<[u8]>,
{
    /// How long the server may be silent while an answer is due: to any request before there is
    /// a session, and to a question about a key. It counts from when the request has gone out.
    pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
    /// How long a backlog may make no progress: no letter, no part of one that counts, and nothing
    /// sealed.
    pub const BACKLOG_TIMEOUT: Duration = Duration::from_secs(60);
    /// How long a question about a key stays open once it has gone out, whatever else comes. A full
    /// window of 256 KiB takes nearly as long on the slowest line, and the answer may come behind it.
    pub const OPEN_QUESTION: Duration = Duration::from_mins(6);
    /// How long acknowledgments are collected before they go out in one packet.
    pub const COLLECT_ACKNOWLEDGMENTS: Duration = Duration::from_secs(1);
    /// How long the server may take to answer a 222, once that has gone out.
    pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(6);

    /// A connection on which nothing has been said.
    ///
    /// # Errors
    /// [`SetupError::BufferTooSmall`] for buffers below what [`Buffers`] asks;
    /// [`SetupError::BadWindow`] for a window of 0 or above `WINDOW`.
    pub fn new(
        keys: Keys<'k, P>,
        buffers: Buffers<B>,
        options: Options,
    ) -> Result<Self, SetupError> {
        const { assert!(1 <= WINDOW && WINDOW <= MAX_WINDOW as usize) };
        if !(1..=WINDOW).contains(&usize::from(options.window)) {
            return Err(SetupError::BadWindow);
        }
        let Buffers { letters, control, transmit } = buffers;
        let large_enough = letters.as_ref().len() >= OVERHEAD
            && control.as_ref().len() >= MAX_CONTROL_PACKET
            && transmit.as_ref().len() >= MAX_CONTROL_PACKET;
        if !large_enough {
            return Err(SetupError::BufferTooSmall);
        }
        Ok(Self {
            keys,
            options,
            user: None,
            state: State::Idle,
            ended: None,
            intake: Intake::new(letters, control),
            letter_id: None,
            outbound: Outbound::new(transmit),
            window: Window::new(options.window),
            recent: Ring::new(),
            clock_offset_s: options.clock_offset_s,
            progress: Progress::default(),
        })
    }

    pub(crate) const fn keys(&self) -> Keys<'k, P> {
        self.keys
    }

    /// Gives the memory back, for the next connection.
    pub fn into_buffers(self) -> Buffers<B> {
        let (letters, control) = self.intake.into_buffers();
        Buffers { letters, control, transmit: self.outbound.into_buffer() }
    }

    /// Where bytes from the server go. Empty while a packet waits for [`Client::poll`], or a
    /// letter for [`Client::release_letter`] with another behind it.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        if self.takes_bytes() { self.intake.buffer() } else { &mut [] }
    }

    /// [`Client::receive_buffer`] and [`Client::transmit`] at once, for a loop that waits for both
    /// directions of its stream at the same time. A direction whose slice is empty is to be left out:
    /// many streams answer an empty slice at once, and a `read` of 0 bytes looks like their end.
    ///
    /// [`drive_async`] does all of that. By hand, with the `select` of any library:
    ///
    /// ```
    /// # use core::{future::poll_fn, pin::pin, task::Poll};
    /// use core::future::pending;
    /// use embedded_io_async::{Read, Write};
    /// use waxwing_core::client::Client;
    /// use waxwing_core::crypto::Provider;
    /// # enum Either<A, B> { First(A), Second(B) }
    /// # async fn select<A: Future, B: Future>(one: A, other: B) -> Either<A::Output, B::Output> {
    /// #     let (mut one, mut other) = (pin!(one), pin!(other));
    /// #     poll_fn(|context| match one.as_mut().poll(context) {
    /// #         Poll::Ready(output) => Poll::Ready(Either::First(output)),
    /// #         Poll::Pending => other.as_mut().poll(context).map(Either::Second),
    /// #     })
    /// #     .await
    /// # }
    ///
    /// /// Whether the stream goes on.
    /// async fn move_bytes<P: Provider, R: Read, W: Write<Error = R::Error>>(
    ///     client: &mut Client<'_, P, &mut [u8]>,
    ///     reader: &mut R,
    ///     writer: &mut W,
    /// ) -> Result<bool, R::Error> {
    ///     let (receive, transmit) = client.lend_buffers();
    ///     let reading = async {
    ///         if receive.is_empty() { pending().await } else { reader.read(receive).await }
    ///     };
    ///     let writing = async {
    ///         if transmit.is_empty() { pending().await } else { writer.write(transmit).await }
    ///     };
    ///     match select(reading, writing).await {
    ///         Either::First(Ok(0)) | Either::Second(Ok(0)) => return Ok(false),
    ///         Either::First(count) => client.received(count?),
    ///         Either::Second(count) => client.transmitted(count?),
    ///     }
    ///     Ok(true)
    /// }
    /// ```
    pub fn lend_buffers(&mut self) -> (&mut [u8], &[u8]) {
        let receive = if self.takes_bytes() { self.intake.buffer() } else { &mut [] };
        (receive, self.outbound.pending())
    }

    /// Whether bytes can be taken in: the connection goes on, and what came before was told.
    fn takes_bytes(&self) -> bool {
        let untold = match &self.state {
            State::Active(active) | State::Leaving { active, .. } => active.opened.is_some(),
            _ => false,
        };
        self.ended.is_none() && !untold
    }

    /// Whether [`Client::poll`] has something to look at already.
    fn has_news(&self) -> bool {
        !self.takes_bytes() || self.intake.is_whole()
    }

    /// So many bytes were written to the front of [`Client::receive_buffer`].
    #[inline(never)]
    pub fn received(&mut self, count: usize) {
        self.progress.read(count);
        match self.intake.advance(self.keys.provider, count) {
            Ok(Some(letter)) if !self.window.count_in(letter.packet_len()) => {
                self.end(Ended::WindowExceeded);
            }
            Ok(_) => {}
            Err(Malformed) => self.end(Ended::BadBytes),
        }
    }

    /// Bytes for the server.
    #[must_use]
    pub fn transmit(&self) -> &[u8] {
        self.outbound.pending()
    }

    /// So many bytes from the front of [`Client::transmit`] have gone out.
    pub fn transmitted(&mut self, count: usize) {
        self.progress.written(self.outbound.advance(count));
    }

    /// The letter in the letter buffer, its signature unchecked. Once it was opened in place, what
    /// is shown here is no longer that letter; [`Client::acknowledge_letter`] still knows it.
    pub fn letter(&mut self) -> Option<Unverified<&mut [u8]>> {
        let provider = self.keys.provider;
        self.intake.letter().map(|packet| Unverified::new(provider, packet))
    }

    /// The letter in the letter buffer is copied: the next one can come, and this one is
    /// acknowledged later, by [`Client::acknowledge`].
    pub fn release_letter(&mut self) {
        self.letter_id = None;
        if self.intake.release_letter(self.keys.provider).is_err() {
            self.end(Ended::BadBytes);
        }
    }

    /// The client's id, once it is known.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        self.user
    }

    /// Whether requests can be made.
    #[must_use]
    pub const fn is_in_session(&self) -> bool {
        matches!(self.state, State::Active(_)) && self.ended.is_none()
    }

    /// The session's key, as soon as the server has answered under it: from then on it serves
    /// the short form of [`Client::reconnect`].
    #[must_use]
    pub const fn proven_session_key(&self) -> Option<&SessionKey> {
        match &self.state {
            State::Active(active) | State::Leaving { active, .. } if active.proven => {
                Some(active.seal.key())
            }
            _ => None,
        }
    }

    /// The session that the server has offered, proven or not: the nonce that asked for it and its
    /// key. For a log that somebody wants to read recorded traffic with, and for nothing else.
    #[must_use]
    pub const fn session(&self) -> Option<(&Nonce, &SessionKey)> {
        match &self.state {
            State::Active(active) | State::Leaving { active, .. } => {
                Some((&active.nonce, active.seal.key()))
            }
            _ => None,
        }
    }

    /// Whether a question about a key is open.
    #[must_use]
    pub const fn is_asking_for_key(&self) -> bool {
        matches!(
            &self.state,
            State::Active(active) | State::Leaving { active, .. } if active.question.is_some()
        )
    }

    /// Seconds by which the server's clock is ahead of the caller's, as far as is known.
    #[must_use]
    pub const fn clock_offset_s(&self) -> i64 {
        self.clock_offset_s
    }

    /// Why the connection ended, if it has.
    #[must_use]
    pub const fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// The next moment at which [`Client::timeout`] has something to do.
    #[must_use]
    #[inline(never)]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let to_say = match &self.state {
            State::Active(active) => earliest(self.sign_of_life(active), self.probe(active)),
            _ => None,
        };
        let unwritten = self.window.unwritten_since().filter(|_| self.takes_control());
        let unwritten = unwritten.map(|since| since.after(Self::COLLECT_ACKNOWLEDGMENTS));
        earliest(self.deadline(), earliest(to_say, unwritten))
    }

    /// When the other end has taken too long.
    fn deadline(&self) -> Option<Instant> {
        let answer = match &self.state {
            State::Idle => None,
            State::AwaitingOtp { due, .. } | State::AwaitingSession { due, .. } => {
                Some(due.since().after(Self::ANSWER_TIMEOUT))
            }
            State::Active(active) => Self::silence(active),
            State::Leaving { due, .. } => Some(due.since().after(Self::LEAVE_TIMEOUT)),
        };
        earliest(answer, self.progress.deadline())
    }

    /// When to say that one is there. While packets wait to go out there is no need to.
    fn sign_of_life(&self, active: &Active) -> Option<Instant> {
        let span = self.options.keepalive.filter(|_| self.takes_control());
        span.map(|span| active.last_sent.after(span))
    }

    /// When to ask whether the server is there. An open question asks that already.
    fn probe(&self, active: &Active) -> Option<Instant> {
        let may_ask = self.takes_control() && active.question.is_none();
        let probe = self.options.probe.filter(|_| may_ask)?;
        let probe = if active.awaits_word { probe.min(Self::ANSWER_TIMEOUT) } else { probe };
        Some(active.heard.after(probe))
    }

    /// When an open question, or a backlog that has yet to end, has met with silence for too long:
    /// the server is gone, and not every stream tells. Or when all but the answer comes: somebody on
    /// the way keeps it.
    fn silence(active: &Active) -> Option<Instant> {
        let question = active.question.as_ref().map(|question| {
            let silence = question.due.since().after(Self::ANSWER_TIMEOUT);
            silence.min(question.asked.since().after(Self::OPEN_QUESTION))
        });
        earliest(question, active.backlog_since.map(|since| since.after(Self::BACKLOG_TIMEOUT)))
    }

    /// Tells the machine the time. Call it when [`Client::poll_timeout`] is due; [`drive`] does so by
    /// itself. Earlier calls do no harm.
    pub fn timeout(&mut self, env: &mut Env<'_>) {
        let now = env.now.instant;
        self.note_progress(now);
        self.flush_overdue(env);
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.deadline()) {
            self.end(Ended::TimedOut);
        } else if let State::Active(active) = &self.state {
            if is_due(self.probe(active)) {
                self.ask_whether_there(env);
            } else if is_due(self.sign_of_life(active)) {
                self.send_acknowledgment(env, &[]);
            }
        }
    }

    /// The question that is always answered. What cannot be asked now is asked later.
    fn ask_whether_there(&mut self, env: &mut Env<'_>) {
        if let Some(own) = self.user {
            let _ = self.ask_for_key(env, KeyQuestion::ById(own));
        }
    }

    /// Weighs what has moved since the time was last told.
    fn note_progress(&mut self, now: Instant) {
        let is_writing = !self.outbound.pending().is_empty();
        let is_reading = self.intake.awaits_rest();
        let is_full = self.intake.letter_len() > 0;
        let brings_letter = self.intake.brings_letter();
        let moved = self.progress.note(now, is_reading, is_writing);
        match &mut self.state {
            State::Idle => {}
            State::AwaitingOtp { due, .. }
            | State::AwaitingSession { due, .. }
            | State::Leaving { due, .. } => due.note(&moved),
            State::Active(active) => {
                active.note(now, &moved);
                // While the caller has yet to make room, the server may not be able to go on.
                if is_full || (moved.comes_on && brings_letter) {
                    active.backlog_goes_on(now);
                }
            }
        }
    }

    /// The first reason stays.
    fn end(&mut self, why: Ended) {
        self.ended.get_or_insert(why);
    }

    fn civil_time(&self, env: &Env<'_>) -> UnixTime {
        env.now.unix.shifted(self.clock_offset_s)
    }

    fn timestamp(&self, env: &Env<'_>) -> Timestamp {
        Timestamp::from_unix(self.civil_time(env))
    }

    /// The server's signed timestamp answers a question of `asked_at`: it sets the clock, if it
    /// came in time.
    fn set_clock(&mut self, env: &Env<'_>, asked_at: Instant, server: Timestamp) {
        let limit = Duration::from_secs(crate::limits::CLOCK_ANSWER_S);
        if env.now.instant <= asked_at.after(limit) {
            self.clock_offset_s = server.to_unix().minus(env.now.unix);
        }
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl From<RequestError> for Ended {
    fn from(error: RequestError) -> Self {
        Self::Build(error)
    }
}
