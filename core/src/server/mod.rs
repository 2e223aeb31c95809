//! The server machine: sans-IO, with an allocator (PROTOCOL.md; ARCHITECTURE.md, "The server").
//!
//! A [`Server`] takes bytes, time and completions in, and gives packets, storage operations and
//! events out. It owns no socket, clock, generator, file or thread. Its caller
//!
//! 1. hands over what has happened: [`Server::connected`], [`Server::received`],
//!    [`Server::disconnected`], [`Server::stored`], [`Server::answered`],
//!    [`Server::otp_undeliverable`], and [`Server::timeout`] when [`Server::poll_timeout`] is due;
//! 2. ends the turn with [`Server::end_turn`], which says and stores what the turn gave reason to;
//! 3. **drains [`Server::poll_output`] until it is empty, before anything else happens.**
//!
//! A turn may hold any number of inputs. The more it holds, the more is said with one signature
//! and stored with one commit.

mod config;
mod connection;
mod directory;
mod handover;
mod intake;
mod issuer;
mod ledger;
mod letters;
mod limiter;
mod limits;
mod mail;
mod mailbox;
mod notices;
mod otp;
mod output;
mod peer;
mod recent;
mod reconnect;
mod refuse;
mod registration;
mod session;
pub mod storage;
mod timers;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashMap;

pub use config::{Config, Deadlines, MailboxLimits, Rates};
pub use issuer::Identity;
pub use limiter::Rate;
pub use output::{ConnId, Event, OtpTicket, Output};
pub use peer::{AddressPrefix, Peer};

use crate::crypto::{CryptoRng, Provider, SessionSeal, Spki};
use crate::id::UserId;
use crate::limits::MAX_STATUSES;
use crate::time::{Instant, Now};
use crate::wire::{BuildError, CloseReason, ErrorCode, Full, Op, Writer};
use connection::{Connection, State};
use directory::Directory;
use ledger::{Asker, Ledger};
use limits::Limits;
use mail::Mail;
use mailbox::Mailbox;
use notices::Notices;
use otp::OtpTable;
use recent::RecentLetters;
use reconnect::AnsweredReconnects;
use refuse::{Refused, SharedRefusals};
use registration::Creation;
use storage::{Answer, Outcome, Question, Snapshot, Ticket, Write};
use timers::Timers;

/// What every input brings along: the time, and a random generator.
pub struct Env<'r> {
    /// The clocks.
    pub now: Now,
    /// For keys, nonces, IVs, salts, codes and blinding.
    pub rng: &'r mut dyn CryptoRng,
}

/// The server machine. See the [module](self) for how it is driven.
pub struct Server<P: Provider> {
    provider: P,
    identity: Identity<P>,
    config: Config,
    directory: Directory<P>,
    connections: HashMap<ConnId, Connection>,
    /// The confirmed session of each user who has one.
    sessions: HashMap<UserId, ConnId>,
    mailboxes: HashMap<UserId, Mailbox>,
    recent: HashMap<UserId, RecentLetters>,
    otps: OtpTable,
    creations: HashMap<UserId, Creation>,
    answered_reconnects: AnsweredReconnects,
    shared_refusals: SharedRefusals,
    limits: Limits,
    ledger: Ledger,
    mail: VecDeque<Mail>,
    notices: Notices,
    /// Connections that got an answer, whose waiting packets may go on when the turn ends.
    ready: Vec<ConnId>,
    /// Connections whose client leaves, to be looked at whenever a turn ends.
    leaving: Vec<ConnId>,
    timers: Timers,
    /// Bytes in all inboxes.
    half_received: usize,
    last_otp_ticket: u64,
    sweep_at: Instant,
    retry_at: Option<Instant>,
    stop_by: Option<Instant>,
    disk_is_low: bool,
    outputs: VecDeque<Output>,
}

impl<P: Provider> Server<P> {
    /// After how long a write that storage could not take is tried again.
    const RETRY: Duration = Duration::from_secs(1);
    /// Letters swept out in one go.
    const SWEEP_LETTERS: usize = 1_000;

    /// A server that starts from what is stored.
    pub fn new(provider: P, identity: Identity<P>, config: Config, snapshot: Snapshot) -> Self {
        let ledger = Ledger::new(snapshot.last_queue_id);
        let directory = Directory::new(&provider, identity.spki(), snapshot);
        Self {
            limits: Limits::new(&config.rates),
            otps: OtpTable::new(config.live_otps),
            provider,
            identity,
            config,
            directory,
            connections: HashMap::new(),
            sessions: HashMap::new(),
            mailboxes: HashMap::new(),
            recent: HashMap::new(),
            creations: HashMap::new(),
            answered_reconnects: AnsweredReconnects::default(),
            shared_refusals: SharedRefusals::default(),
            ledger,
            mail: VecDeque::new(),
            notices: Notices::default(),
            ready: Vec::new(),
            leaving: Vec::new(),
            timers: Timers::default(),
            half_received: 0,
            last_otp_ticket: 0,
            sweep_at: Instant::default(),
            retry_at: None,
            stop_by: None,
            disk_is_low: false,
            outputs: VecDeque::new(),
        }
    }

    /// The server's public key.
    pub fn public_key(&self) -> &Spki {
        self.identity.spki()
    }

    /// Connections that are open.
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Sessions that are confirmed.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// A connection was accepted.
    pub fn connected(&mut self, env: &mut Env<'_>, conn: ConnId, peer: Peer) {
        self.connections.insert(conn, Connection::new(peer, env.now.instant));
        if self.stop_by.is_some() {
            self.drop_connection(conn);
        }
        self.arm(env, conn);
    }

    /// A connection has ended.
    pub fn disconnected(&mut self, conn: ConnId) {
        if let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut()) {
            let user = session.user;
            self.outputs.push_back(Output::Event(Event::SessionEnded { user, reason: None }));
        }
        self.forget_connection(conn);
    }

    /// A batch has ended.
    pub fn stored(&mut self, env: &mut Env<'_>, ticket: Ticket, outcome: Outcome) {
        let Some(batch) = self.ledger.complete(ticket) else { return };
        if outcome == Outcome::Unavailable {
            self.outputs.push_back(Output::Event(Event::StorageUnavailable));
            self.retry_at = Some(env.now.instant.after(Self::RETRY));
        }
        for write in &batch.writes {
            match (write, outcome) {
                (Write::CreateUser { id, phone, spki }, Outcome::Done) => {
                    self.user_created(env, *id, *phone, spki);
                }
                (Write::CreateUser { id, phone, spki }, Outcome::Unavailable) => {
                    self.user_not_created(env, *id, *phone, spki);
                }
                (Write::InsertLetter(letter), Outcome::Done) => self.letter_stored(env, letter),
                (Write::InsertLetter(letter), Outcome::Unavailable) => self.letter_lost(letter),
                (Write::ConfirmSession { .. } | Write::DeleteLetters { .. }, Outcome::Done) => {}
                (Write::ConfirmSession { .. } | Write::DeleteLetters { .. }, _) => {
                    self.ledger.defer(write.clone());
                }
            }
        }
        self.sort_mail(env);
    }

    /// A question has its answer.
    pub fn answered(&mut self, env: &mut Env<'_>, ticket: Ticket, answer: Answer) {
        let Some(asker) = self.ledger.asker(ticket) else { return };
        match (asker, answer) {
            (Asker::Fetch(conn), Answer::Letters { letters, exhausted }) => {
                self.letters_fetched(env, conn, letters, exhausted);
            }
            (Asker::Mailbox(owner), Answer::Usage(usage)) => self.mailbox_known(env, owner, usage),
            (Asker::Mailbox(owner), _) => self.mailbox_unknown(env, owner),
            (Asker::Fates(conn, _), Answer::Fates(fates)) => {
                for fates in fates.chunks(MAX_STATUSES) {
                    self.tell_fates(env, conn, fates);
                }
            }
            (Asker::Sweep, Answer::Expired(letters)) => self.letters_expired(env, &letters),
            (Asker::Fetch(conn), _) => {
                // The fetch is tried again together with whatever storage could not take.
                if let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut())
                {
                    session.handover.fetched(false);
                }
                self.retry_at = Some(env.now.instant.after(Self::RETRY));
            }
            (Asker::Fates(conn, packet), _) => {
                let code = ErrorCode::StorageUnavailable;
                self.refuse(env, conn, Refused::naming(code, Op::Acknowledgment, packet));
            }
            (Asker::Sweep, _) => {}
        }
        self.sort_mail(env);
    }

    /// A code did not reach its phone: whoever asked can ask for another.
    pub fn otp_undeliverable(&mut self, ticket: OtpTicket) {
        self.otps.forget(ticket);
    }

    /// Whether free disk space is below the floor: letters for absent recipients are refused.
    pub fn set_disk_is_low(&mut self, low: bool) {
        self.disk_is_low = low;
    }

    /// The next moment at which [`Server::timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [Some(self.sweep_at), self.retry_at, self.stop_by, self.timers.next()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Time has passed.
    pub fn timeout(&mut self, env: &mut Env<'_>) {
        let now = env.now.instant;
        while let Some(conn) = self.timers.pop_due(now) {
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            connection.armed = None;
            if connection.deadline(&self.config.deadlines).is_some_and(|at| at <= now) {
                self.out_of_patience(env, conn);
            } else {
                self.arm(env, conn);
            }
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            let directory = &self.directory;
            self.ledger.retry(|write| match write {
                // A later session of the user's may have been stored meanwhile.
                Write::ConfirmSession { user, session_key, .. } => {
                    directory.get(*user).is_some_and(|u| u.session_key == Some(*session_key))
                }
                _ => true,
            });
            let sessions: Vec<_> = self.sessions.values().copied().collect();
            for conn in sessions {
                self.hand_over(env, conn);
            }
        }
        if self.sweep_at <= now {
            self.sweep_at = now.after(self.config.sweep_interval);
            self.sweep(env);
        }
    }

    /// Ends the turn: what it gave reason to say is said, what it gave reason to store is given
    /// out.
    pub fn end_turn(&mut self, env: &mut Env<'_>) {
        while let Some(conn) = self.ready.pop() {
            self.resume(env, conn);
        }
        self.flush_notices(env);
        for conn in core::mem::take(&mut self.leaving) {
            if !self.farewell(env, conn, false) {
                self.leaving.push(conn);
            }
        }
        self.ledger.flush(&mut self.outputs);
        if let Some(by) = self.stop_by
            && (self.ledger.is_idle() || by <= env.now.instant)
        {
            self.stop_by = None;
            let all: Vec<_> = self.connections.keys().copied().collect();
            for conn in all {
                self.end_session(env, conn, Some(CloseReason::ServerStopping));
            }
            self.outputs.push_back(Output::Stopped);
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Begins an orderly stop: nothing more is read, what was read is stored and acknowledged,
    /// clients are told, and [`Output::Stopped`] comes out, within 5 s.
    pub fn stop(&mut self, env: &mut Env<'_>) {
        self.stop_by = Some(env.now.instant.after(self.config.deadlines.leaving));
    }

    fn out_of_patience(&mut self, env: &mut Env<'_>, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if let Some(session) = connection.session_mut() {
            if session.leaving.is_some() {
                self.farewell(env, conn, true);
                return;
            }
            let progress = self.config.deadlines.progress;
            let stalled = session.handover.stalled_since();
            if stalled.is_some_and(|at| at.after(progress) <= env.now.instant) {
                self.end_session(env, conn, Some(CloseReason::NoProgress));
                return;
            }
        }
        self.outputs.push_back(Output::Event(Event::TimedOut { conn }));
        self.end_session(env, conn, None);
    }

    /// Answers a client's 222 once everything read before it is stored and acknowledged, or
    /// patience has ended. Whether the connection is gone.
    fn farewell(&mut self, env: &mut Env<'_>, conn: ConnId, now: bool) -> bool {
        let session = self.connections.get_mut(&conn).and_then(|c| c.session_mut());
        let Some((leaving, unanswered)) = session.and_then(|s| Some((s.leaving?, s.unanswered)))
        else {
            return true;
        };
        let done = now || (unanswered == 0 && self.ledger.is_past(leaving.horizon));
        if done {
            self.end_session(env, conn, Some(CloseReason::Leaving));
        }
        done
    }

    /// Ends a connection, telling its client why if it has a session.
    fn end_session(&mut self, env: &mut Env<'_>, conn: ConnId, reason: Option<CloseReason>) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if let Some(session) = connection.session_mut() {
            let user = session.user;
            if let Some(reason) = reason {
                self.send_sealed(env, conn, Op::Close, |writer| reason.emit(writer));
            }
            self.outputs.push_back(Output::Event(Event::SessionEnded { user, reason }));
        }
        self.drop_connection(conn);
    }

    fn drop_connection(&mut self, conn: ConnId) {
        if self.forget_connection(conn) {
            self.outputs.push_back(Output::Close { conn });
        }
    }

    fn forget_connection(&mut self, conn: ConnId) -> bool {
        let Some(connection) = self.connections.remove(&conn) else { return false };
        self.timers.rearm(conn, connection.armed, None);
        self.half_received = self.half_received.saturating_sub(connection.inbox.len());
        if let State::Active(session) = connection.state
            && self.sessions.get(&session.user) == Some(&conn)
        {
            self.sessions.remove(&session.user);
        }
        true
    }

    /// Sets a connection's deadline anew.
    fn arm(&mut self, env: &Env<'_>, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let deadline = connection.deadline(&self.config.deadlines);
        let deadline = deadline.map(|at| at.max(env.now.instant));
        // A deadline that moved back is noticed when the earlier one comes due.
        if let (Some(armed), Some(at)) = (connection.armed, deadline)
            && armed <= at
        {
            return;
        }
        self.timers.rearm(conn, connection.armed, deadline);
        connection.armed = deadline;
    }

    /// Sends an answer to a client without a session.
    fn answer_greeting(
        &mut self,
        env: &Env<'_>,
        conn: ConnId,
        packet: Result<Arc<[u8]>, BuildError>,
    ) {
        match packet {
            Ok(packet) => {
                self.outputs.push_back(Output::Send { conn, packet });
                if let Some(connection) = self.connections.get_mut(&conn) {
                    connection.since = env.now.instant;
                }
                self.arm(env, conn);
            }
            Err(error) => {
                self.internal_error(error);
                self.drop_connection(conn);
            }
        }
    }

    /// Sends a sealed packet in a session.
    fn send_sealed(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        op: Op,
        content: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) {
        let Self { identity, provider, connections, .. } = self;
        let Some(session) = connections.get_mut(&conn).and_then(|c| c.session_mut()) else {
            return;
        };
        let packet = identity.issue(provider, env, op, Some(session.user), |out, rng| {
            Ok(session.seal.seal(provider, rng, out, content)?)
        });
        match packet {
            Ok(packet) => self.outputs.push_back(Output::Send { conn, packet }),
            Err(error) => {
                self.internal_error(error);
                self.drop_connection(conn);
            }
        }
    }

    /// Sends a sealed packet under a session that is not, or not any more, a connection's.
    fn send_sealed_with(
        &mut self,
        env: &mut Env<'_>,
        conn: ConnId,
        user: UserId,
        seal: &mut SessionSeal,
        op: Op,
        content: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) {
        let Self { identity, provider, .. } = self;
        let packet = identity.issue(provider, env, op, Some(user), |out, rng| {
            Ok(seal.seal(provider, rng, out, content)?)
        });
        match packet {
            Ok(packet) => self.outputs.push_back(Output::Send { conn, packet }),
            Err(error) => self.internal_error(error),
        }
    }

    fn internal_error(&mut self, _error: BuildError) {
        self.outputs.push_back(Output::Event(Event::InternalError));
    }

    fn sweep(&mut self, env: &mut Env<'_>) {
        let now = env.now.instant;
        self.otps.sweep(now);
        self.limits.sweep(now);
        self.recent.retain(|_, recent| !recent.is_over(now));
        if !self.ledger.has_deferred() {
            let sessions = &self.sessions;
            self.mailboxes
                .retain(|owner, mailbox| sessions.contains_key(owner) || !mailbox.is_at_rest());
        }
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        self.ledger.ask(
            Asker::Sweep,
            Question::Expire {
                accepted_before: env
                    .now
                    .unix
                    .shifted(seconds(self.config.letter_life).saturating_neg()),
                forget_before: env
                    .now
                    .unix
                    .shifted(seconds(self.config.fate_life).saturating_neg()),
                now: env.now.unix,
                limit: Self::SWEEP_LETTERS,
            },
        );
    }

    fn letters_expired(&mut self, env: &mut Env<'_>, letters: &[storage::ExpiredLetter]) {
        if letters.is_empty() {
            return;
        }
        self.outputs.push_back(Output::Event(Event::Expired { letters: letters.len() }));
        for letter in letters {
            if let Some(mailbox) = self.mailboxes.get_mut(&letter.recipient) {
                mailbox.expired(letter.sender, letter.bytes);
            }
            let session = self.sessions.get(&letter.recipient).copied();
            if let Some(conn) = session
                && let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut())
            {
                session.handover.forget(letter.queue_id);
            }
            self.mail.push_back(Mail::Expired { sender: letter.sender, id: letter.id });
        }
        if letters.len() >= Self::SWEEP_LETTERS {
            self.sweep_at = env.now.instant;
        }
    }
}
