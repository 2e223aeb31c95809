//! What a client does with its connections: one logic for a terminal, a device and a simulation
//! (PROTOCOL.md, "Letters", "Pinning", "Retry rules"). Sans-IO, without an allocator.
//!
//! A [`Messenger`] stands above [`Client`], which is one connection, and outlives it. It decides
//! what is sent, asked, stored and acknowledged, and when to connect again. What must be durable it
//! asks of a [`Profile`]; time and randomness come with each call.
//!
//! ```text
//!            ┌───────────── begin … commit, one transaction a step ─────────────┐
//! stream ──▶ Client ──▶ Messenger ──▶ Profile (contacts, letters in and out, keys)
//!    ▲         │            │
//!    └── drive ┘            └─▶ when to connect again, and whether it is worth it
//! ```
//!
//! # How it is driven
//!
//! 1. Not before [`Messenger::may_connect_at`], open a stream and a [`Client`] with
//!    [`Messenger::clock_offset_s`] in its options, and call [`Messenger::connect`]. When there is
//!    no stream to be had, call [`Messenger::disconnected`].
//! 2. Move bytes with [`crate::client::drive`], then call [`Messenger::turn`]:
//!    - [`Turn::Open`]: a transaction is open. At once 2 again, and nothing else in between.
//!    - [`Turn::More`]: all is committed, and there is more to do: 2 again without waiting.
//!    - [`Turn::Idle`]: wait until the stream can be read, or written while [`Client::transmit`]
//!      has bytes; until [`Client::poll_timeout`] is due; or until the profile has changed, or has a
//!      letter that was put off until then. Then 2 again.
//!    - [`Turn::Over`]: the connection is over, and [`Over::advice`] says what next.
//!
//!    [`crate::client::drive_async`] waits by itself: call [`Client::timeout`] after it, and then
//!    take the turn. Its `until` is [`core::future::ready`] when the last turn was [`Turn::Open`] or
//!    [`Turn::More`], and after [`Turn::Idle`] what there is to wait for but the stream.
//! 3. When the stream has failed, call [`Messenger::turn`] once more for what had come, and then
//!    [`Messenger::disconnected`] unless that has told the end already.
//! 4. To leave: [`Client::leave`] when [`Messenger::is_settled`], then 2 until [`Turn::Over`]. After the
//!    server's goodbye the cause is [`Ended::Closed`] with [`CloseReason::Leaving`]. The advice is
//!    [`Advice::Again`] all the same: whether to come back is the program's to know.
//!
//! An error of the profile rolls the step back. Drop the connection then and call
//! [`Messenger::disconnected`]: nothing was acknowledged, so all of it comes again.
//!
//! An account without an id is registered on a connection that [`Messenger::connect`] has begun:
//! [`Client::request_otp`], [`Notice::Code`], [`Client::prove_otp`]; [`Profile::note_user`] stores
//! the id, and the session goes on like any other. The code is stored before it is proved, and is
//! proved again on the next connection until there is an id or the advice is to forget it
//! ([`Advice::AskForCode`], [`Advice::RequestCode`]).
//!
//! # Time
//!
//! What is planned is planned by the caller's own civil clock, [`Env::now`]: `until` of
//! [`Profile::postpone`], and `now` of [`Profile::head`] and [`Messenger::is_settled`]. A device whose
//! clock begins anew at each start keeps `until` in memory only: a moment of an earlier run may be
//! months ahead. Whoever stores it cuts it down to [`LONGEST_PAUSE_S`] from now when a session begins.
//! What is noted of letters and keys has the server's time, as far as it is known.
//!
//! # Memory
//!
//! `N` is how many conversations it looks after at once: letters on their way, letters and answers
//! that were refused, phones that were asked about; 2 to 110. A step takes half as many letters, 16
//! at most. Memory for letters aside is given to [`Messenger::new`]: with [`Messenger::ASIDE`]
//! bytes every letter of an unknown sender has room until the server has said who that is, and a
//! letter that does not open is kept as it came. Without any, the letter buffer waits with it,
//! nothing behind it moves, and a letter is opened where it lies: the window
//! ([`Options::window`](crate::client::Options::window)) has to be of one letter then. With less than
//! [`Messenger::ASIDE`], it has to be of so few letters that all but one of them have room aside. Else the
//! answer that a letter waits for lies behind another letter, which cannot move either, and the connection
//! ends when the answer is overdue.

mod aside;
mod backoff;
mod inbound;
mod keys;
mod outbound;
mod profile;
mod succession;
mod table;

pub use backoff::{Backoff, LONGEST_PAUSE_S};
pub use inbound::{Reopened, reopen};
pub use keys::{Conflict, Judgement, Verdict, judge};
pub use profile::{
    Arrival, Contact, Fate, Head, Notice, Outgoing, Profile, Reason, Row, Sealed, Unreadable, Who,
};
pub use succession::{SUCCESSOR_TOLERANCE_S, ServerKey};

use core::time::Duration;

use heapless::Vec;

use crate::client::{Client, Ended, Env, Event, RefusalNotice};
use crate::crypto::{PrivateKey, Provider, Spki};
use crate::envelope::Fingerprint;
use crate::id::{PacketId, UserId};
use crate::limits::{FRESHNESS_S, MAX_PACKET, MAX_QUERIES, MAX_UNACKNOWLEDGED_BYTES, MAX_WINDOW};
use crate::phone::Phone;
use crate::time::{Instant, UnixTime};
use crate::wire::{CloseReason, ErrorCode, KeyQuestion};
use aside::Aside;
use keys::Word;
use outbound::{Refused, Sent};
use succession::Choice;
use table::Table;

type Machine<'k, P, C, const W: usize> = Client<'k, P, C, W>;

/// How many connections in a row may be refused before the account counts as unknown. A single
/// refusal is shared by everybody and can be replayed, so it proves nothing.
pub const REFUSALS_BEFORE_GIVING_UP: u8 = 3;
/// How long a step goes on taking what comes.
const STEP: Duration = Duration::from_millis(50);

/// Whose letters these are.
#[derive(Clone, Debug)]
pub struct Account<'a> {
    /// The phone that the account is registered with.
    pub phone: Phone,
    /// Its id; `None` until it is registered.
    pub user: Option<UserId>,
    /// Its fingerprint: of the phone and the own key.
    pub fingerprint: Fingerprint,
    /// The server's key, which nobody else has.
    pub server: &'a Spki,
}

/// What a turn leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Turn {
    /// A transaction is open: move bytes and take a turn at once.
    Open,
    /// All is committed, and there is more to do at once.
    More,
    /// There is nothing to do until something comes, or time passes.
    Idle,
    /// The connection is over.
    Over(Over),
}

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Over {
    /// Why the connection is over.
    pub cause: Cause,
    /// What the program should do next.
    pub advice: Advice,
}

/// What to do after the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Advice {
    /// Connect again at [`Messenger::may_connect_at`].
    Again,
    /// The same; the server has too much to do just now, which is no reason to tell anybody.
    AgainQuietly,
    /// The code of a registration is wrong, and is refused as often as it is proved. Forget it, and
    /// ask the person: another one is proved with the same [`ReplyKey`](crate::crypto::ReplyKey).
    AskForCode,
    /// The code of a registration is not good any more. Forget it and its
    /// [`ReplyKey`](crate::crypto::ReplyKey), and ask the server for another one under a new one.
    RequestCode,
    /// Another connection would end like this one.
    GiveUp,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Cause {
    /// The machine has ended it.
    Ended(Ended),
    /// A letter has had no answer for six minutes.
    Unanswered,
    /// The server takes this account for another one.
    OtherAccount,
    /// The server has answered a question about one key with another's.
    WrongKey,
    /// The own key refuses to sign.
    OwnKey,
    /// An earlier turn on this connection has failed.
    Profile,
}

/// A client's logic over all of its connections. See the [module](self) for how it is driven.
///
/// `N` conversations are looked after at a time; `B` is memory for letters put aside.
pub struct Messenger<'a, B, const N: usize> {
    account: Account<'a>,
    aside: Aside<B>,
    backoff: Backoff,
    clock_offset_s: i64,
    told_of_clock: bool,
    refusals: u8,
    choice: Choice,
    refused: Table<Refused, N>,
    session: Session,
    words: Table<Word, N>,
    flight: Table<Sent, N>,
    step: Step<N>,
}

/// What this connection has done so far.
#[derive(Default)]
struct Session {
    is_open: bool,
    /// Why the connection is over, if it is.
    end: Option<Cause>,
    backlog_has_come: bool,
    key_is_stored: bool,
    /// Where the questions about stored letters stand, and whether all were asked.
    asked_up_to: Option<Row>,
    /// Where they stood before the one that is open.
    answered_up_to: Option<Row>,
    all_asked: bool,
    /// The last letter of an open question about stored letters.
    answer_due: Option<PacketId>,
    /// The open question about a key.
    question: Option<KeyQuestion>,
    /// The sender of the letter in the letter buffer, while it waits.
    waits: Option<UserId>,
    /// The server has said who this sender is, or that it does not say: letters of his are taken.
    known: Option<UserId>,
    /// Whose held letters are being judged anew, and up to where they were.
    reopening: Option<(Phone, Option<Row>)>,
    /// Of how many answers that are not believed the person was told.
    told: u8,
    /// When it was last looked at whether the server is to be asked for its successor.
    looked_at: Option<Instant>,
    /// It is to be asked.
    wants_successor: bool,
}

/// What this step has done so far.
struct Step<const N: usize> {
    /// When it began to change something.
    begun: Option<Instant>,
    /// Letters to be acknowledged after the commit, and their bytes.
    acknowledge: Vec<(PacketId, u32), N>,
    reopened: u8,
    /// Letters that the machine holds: they go out after the commit.
    sealed: u8,
    /// The commit comes before another byte goes out.
    is_urgent: bool,
}

impl<const N: usize> Step<N> {
    const fn new() -> Self {
        Self { begun: None, acknowledge: Vec::new(), reopened: 0, sealed: 0, is_urgent: false }
    }
}

impl<'a, B: AsRef<[u8]> + AsMut<[u8]>, const N: usize> Messenger<'a, B, N> {
    /// Bytes of memory in which every letter has room that can wait for its sender to be known.
    pub const ASIDE: usize = MAX_UNACKNOWLEDGED_BYTES + 8 * MAX_WINDOW as usize + 2 * MAX_PACKET;
    /// Letters that a step takes, in and out.
    const LETTERS: usize = if N / 2 < 16 { N / 2 } else { 16 };

    /// A messenger that may connect at once.
    pub fn new(account: Account<'a>, memory: B) -> Self {
        const { assert!(2 <= N && N <= MAX_QUERIES) };
        Self {
            account,
            aside: Aside::new(memory),
            backoff: Backoff::default(),
            clock_offset_s: 0,
            told_of_clock: false,
            refusals: 0,
            choice: Choice::default(),
            refused: Table::new(),
            session: Session::default(),
            words: Table::new(),
            flight: Table::new(),
            step: Step::new(),
        }
    }

    /// The account, with its id as soon as that is known.
    pub const fn account(&self) -> &Account<'a> {
        &self.account
    }

    /// Seconds by which the server's clock is ahead of the caller's, as far as is known: for
    /// [`crate::client::Options`] of the next connection.
    #[must_use]
    pub const fn clock_offset_s(&self) -> i64 {
        self.clock_offset_s
    }

    /// When the next connection may be made, on the clock of [`Env::now`].
    #[must_use]
    pub const fn may_connect_at(&self) -> Instant {
        self.backoff.until()
    }

    /// Whether everything that was pending has come on this connection.
    #[must_use]
    pub const fn backlog_has_come(&self) -> bool {
        self.session.backlog_has_come
    }

    /// Whether everything that was pending has come and been stored.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.session.backlog_has_come
            && self.session.waits.is_none()
            && self.session.known.is_none()
            && self.aside.first(None).is_none()
    }

    /// Whether nothing is left to be said or heard: the backlog is here, what could be sent is
    /// answered, and so is what was asked.
    ///
    /// # Errors
    /// As the profile's.
    pub fn is_settled<S: Profile>(&self, profile: &mut S, now: UnixTime) -> Result<bool, S::Error> {
        let is_quiet = self.has_backlog()
            && self.flight.iter().next().is_none()
            && self.session.question.is_none()
            && self.next_question().is_none()
            && self.session.reopening.is_none()
            && self.session.all_asked
            && self.session.answer_due.is_none();
        Ok(is_quiet && profile.head(None, now)?.is_none())
    }

    /// Begins a connection: asks for a session, if the account has an id.
    ///
    /// # Errors
    /// As the profile's.
    pub fn connect<P, C, const W: usize, S>(
        &mut self,
        client: &mut Client<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
    ) -> Result<(), S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        self.forget_connection();
        let Some(user) = self.account.user else { return Ok(()) };
        // After a refusal the long form, which needs nothing to be remembered.
        let last = if self.refusals == 0 { profile.session_key()? } else { None };
        if client.reconnect(env, user, last.as_ref()).is_err() {
            self.session.end = Some(Cause::OwnKey);
        }
        Ok(())
    }

    /// The stream is over, or there was none to be had.
    pub fn disconnected(&mut self, env: &mut Env<'_>) {
        if self.session.backlog_has_come {
            self.backoff.session_lost(env.now.instant, env.rng);
        } else {
            self.backoff.fail(env.now.instant, env.rng);
        }
        self.forget_connection();
    }

    fn forget_connection(&mut self) {
        self.session = Session::default();
        self.step = Step::new();
        self.words.clear();
        self.flight.clear();
        self.aside.clear();
    }

    /// Takes what has come, does what there is to do, and commits unless there is `more` to read:
    /// [`crate::client::drive`], or `drive_async`, has just moved bytes.
    ///
    /// # Errors
    /// As the profile's: the step is rolled back, and the connection has to be given up.
    pub fn turn<P, C, const W: usize, S>(
        &mut self,
        client: &mut Client<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
        more: bool,
    ) -> Result<Turn, S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        if self.session.end.is_some() {
            return Ok(self.hang_up(env));
        }
        let turn = self.take_turn(client, profile, env, more);
        if turn.is_err() {
            if self.step.begun.take().is_some() {
                profile.roll_back();
                client.discard_composed();
            }
            self.session.end = Some(Cause::Profile);
        }
        turn
    }

    // Not inlined, here and elsewhere, where that would cost a device hundreds of bytes.
    #[inline(never)]
    fn take_turn<P, C, const W: usize, S>(
        &mut self,
        client: &mut Client<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
        more: bool,
    ) -> Result<Turn, S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        self.take_known(client, profile, env)?;
        while !self.is_full() && self.hear(client, profile, env)? {
            self.clock_offset_s = client.clock_offset_s();
            self.take_known(client, profile, env)?;
        }
        self.reopen_held(client.keys(), profile, env)?;
        let is_over = self.session.end.is_some();
        if more && !is_over && self.goes_on(env.now.instant) {
            return Ok(Turn::Open);
        }
        if !is_over {
            self.act(client, profile, env)?;
        }
        let has_more = more
            || self.is_full()
            || self.step.sealed > 0
            || self.session.known.is_some()
            || self.session.reopening.is_some();
        self.finish(client, profile, env)?;
        Ok(match self.session.end {
            Some(_) => self.hang_up(env),
            None if has_more => Turn::More,
            None => Turn::Idle,
        })
    }

    /// Whether a step is open, and may stay so.
    fn goes_on(&self, now: Instant) -> bool {
        let is_in_time = self.step.begun.is_some_and(|begun| now < begun.after(STEP));
        is_in_time && !self.is_full() && !self.step.is_urgent
    }

    /// Takes in the next thing that was learnt.
    #[inline(never)]
    fn hear<P, C, const W: usize, S>(
        &mut self,
        client: &mut Client<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
    ) -> Result<bool, S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        let event = match client.poll(env) {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(false),
            Err(ended) => {
                self.session.end = Some(Cause::Ended(ended));
                // What is no answer ends the connection as well: one in clear can be played back. The
                // machine has closed the question when a sealed one named it.
                if S::KEEPS_SUCCESSOR
                    && let Ended::Refused(refusal) = ended
                    && self.session.question == Some(KeyQuestion::Successor)
                    && !client.is_asking_for_key()
                {
                    self.no_successor(profile, env, &refusal)?;
                }
                return Ok(false);
            }
        };
        match event {
            Event::Letter(letter) => {
                let sender = letter.header().sender;
                self.letter_came(client, profile, env, sender)?;
            }
            Event::TooLarge(letter) => self.too_large(profile, env, &letter)?,
            Event::Status { letter, status } => self.status_came(profile, env, letter, status)?,
            Event::Key(answer) => {
                let own = client.keys().own.spki();
                self.key_answered(profile, env, own, &answer)?;
            }
            Event::Successor(successor) => {
                self.successor_came(client, profile, env, &successor)?;
            }
            Event::WrongKey(_) => self.session.end = Some(Cause::WrongKey),
            Event::SessionIssued { user } => {
                self.clock_offset_s = client.clock_offset_s();
                self.session_opens(profile, env, user)?;
            }
            Event::BacklogEnd(letters) => {
                self.session.backlog_has_come = true;
                self.refusals = 0;
                self.backoff = Backoff::default();
                profile.notice(Notice::BacklogEnd(letters));
            }
            Event::Refused(refusal) => {
                // The machine has closed the question when the refusal named it.
                let question = self.session.question.filter(|_| !client.is_asking_for_key());
                if let Some(question) = question {
                    self.session.question = None;
                    self.question_refused(profile, env, question, &refusal)?;
                } else {
                    self.letter_refused(profile, env, &refusal)?;
                }
            }
            Event::OtpIssued(grant) => profile.notice(Notice::Code(&grant)),
            Event::PhoneTaken => profile.notice(Notice::PhoneTaken),
        }
        Ok(self.session.end.is_none())
    }

    fn session_opens<S: Profile>(
        &mut self,
        profile: &mut S,
        env: &Env<'_>,
        user: UserId,
    ) -> Result<(), S::Error> {
        match self.account.user {
            Some(own) if own != user => {
                self.session.end = Some(Cause::OtherAccount);
                return Ok(());
            }
            Some(_) => {}
            None => {
                self.begin(profile, env)?;
                profile.note_user(user)?;
                self.account.user = Some(user);
                // The server is not told that the id has arrived before it is durable.
                self.step.is_urgent = true;
            }
        }
        self.session.is_open = true;
        self.server_has_key(profile, env)?;
        profile.notice(Notice::SessionOpen);
        if self.clock_offset_s.saturating_abs() > FRESHNESS_S && !self.told_of_clock {
            self.told_of_clock = true;
            profile.notice(Notice::ClockIsOff(self.clock_offset_s));
        }
        // Those of whom an earlier session has left a letter that is not signed with the pinned key,
        // and no answer.
        let mut last = None;
        while let Some(phone) = profile.doubted(last.as_ref())?
            && self.words.iter().nth(N.saturating_sub(1)).is_none()
        {
            self.want_key(&phone);
            last = Some(phone);
        }
        Ok(())
    }

    /// What the state of the profile gives reason to.
    fn act<P, C, const W: usize, S>(
        &mut self,
        client: &mut Client<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
    ) -> Result<(), S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        if !self.session.is_open || !client.is_in_session() {
            return Ok(());
        }
        if !self.session.key_is_stored
            && let Some(key) = client.proven_session_key()
        {
            self.begin(profile, env)?;
            profile.note_session_key(key)?;
            self.session.key_is_stored = true;
        }
        self.look_for_successor(profile, env)?;
        // Before letters take the room in the transmit buffer, and again for those that need a key.
        self.ask_next_question(client, env);
        self.ask_what_became(client, profile, env)?;
        self.send_outbox(client, profile, env)?;
        self.ask_next_question(client, env);
        if self.is_overdue(env.now.instant) {
            self.session.end = Some(Cause::Unanswered);
        }
        Ok(())
    }

    /// Makes the step durable, and only then lets out what depends on it.
    fn finish<P, C, const W: usize, S>(
        &mut self,
        client: &mut Client<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
    ) -> Result<(), S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        if self.step.begun.is_some() {
            profile.commit()?;
        }
        if self.step.sealed > 0 {
            client.release_composed();
        }
        for (letter, len) in &self.step.acknowledge {
            client.acknowledge(env, *letter, usize::try_from(*len).unwrap_or(usize::MAX));
        }
        // A person waits for the ticks; only a backlog is worth collecting for.
        if self.session.backlog_has_come && !self.step.acknowledge.is_empty() {
            client.flush_acknowledgments(env);
        }
        self.step = Step::new();
        Ok(())
    }

    #[inline(never)]
    fn begin<S: Profile>(&mut self, profile: &mut S, env: &Env<'_>) -> Result<(), S::Error> {
        if self.step.begun.is_none() {
            profile.begin()?;
            self.step.begun = Some(env.now.instant);
        }
        Ok(())
    }

    /// Whether the step has taken as many letters as it may.
    fn is_full(&self) -> bool {
        let written = self.step.reopened.saturating_add(self.step.sealed);
        self.step.acknowledge.len().saturating_add(written.into()) >= Self::LETTERS
    }

    /// Now, as the server has it, as far as is known: what is noted of letters and keys does not
    /// depend on whether this machine's clock is right.
    const fn server_time(&self, env: &Env<'_>) -> UnixTime {
        env.now.unix.shifted(self.clock_offset_s)
    }

    fn hang_up(&mut self, env: &mut Env<'_>) -> Turn {
        let cause = self.session.end.unwrap_or(Cause::Profile);
        let (mut advice, mut asked_s, mut is_failure) = (Advice::Again, 0, true);
        match cause {
            Cause::Ended(Ended::Refused(RefusalNotice { code, retry_after_s, .. })) => match code {
                Some(ErrorCode::Busy) => {
                    (advice, is_failure) = (Advice::AgainQuietly, false);
                    asked_s = retry_after_s.max(1);
                }
                Some(ErrorCode::BadSignature | ErrorCode::SessionUnknown)
                    if !self.session.is_open =>
                {
                    self.refusals = self.refusals.saturating_add(1);
                    if self.refusals >= REFUSALS_BEFORE_GIVING_UP {
                        advice = Advice::GiveUp;
                    }
                }
                // The server always names the proof that it refuses with these, so nobody can play one
                // back.
                Some(ErrorCode::OtpWrong) => advice = Advice::AskForCode,
                Some(ErrorCode::OtpExpired | ErrorCode::OtpAttemptsSpent) => {
                    advice = Advice::RequestCode;
                }
                _ => asked_s = retry_after_s,
            },
            Cause::Ended(Ended::Closed(CloseReason::ServerStopping)) => {
                self.backoff.server_stopped(env.now.instant, env.rng);
                is_failure = false;
            }
            Cause::Ended(Ended::BadBytes) if self.choice.turn_over() => {
                (advice, is_failure) = (Advice::AgainQuietly, false);
            }
            Cause::Ended(Ended::Closed(CloseReason::TakenOver))
            | Cause::OtherAccount
            | Cause::WrongKey
            | Cause::OwnKey => advice = Advice::GiveUp,
            Cause::Ended(_) | Cause::Unanswered | Cause::Profile => {}
        }
        if asked_s > 0 {
            self.backoff.at_least(asked_s, env.now.instant, env.rng);
        }
        if is_failure {
            self.disconnected(env);
        } else {
            self.forget_connection();
        }
        Turn::Over(Over { cause, advice })
    }
}
