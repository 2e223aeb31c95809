//! The server machine: sans-IO, with an allocator (PROTOCOL.md; ARCHITECTURE.md, "The server").
//!
//! A [`Server`] takes bytes, time and completions in, and gives packets, storage operations and
//! events out. It owns no socket, clock, generator, file or thread. Its caller
//!
//! 1. hands over what has happened: [`Server::connected`], [`Server::received`],
//!    [`Server::disconnected`], [`Server::stored`], [`Server::answered`],
//!    [`Server::otp_delivered`], [`Server::otp_undeliverable`] or [`Server::otp_lost`] for each
//!    code, and [`Server::timeout`] when [`Server::poll_timeout`] is due;
//! 2. ends the turn with [`Server::end_turn`], which says and stores what the turn gave reason to;
//! 3. **drains [`Server::poll_output`] until it is empty, before anything else happens.**
//!
//! It may drain before it ends the turn, too. Then letters are on their way to those who wait for
//! them while the end of the turn makes its signatures.
//!
//! A turn may hold any number of inputs. The more it holds, the more is said with one signature
//! and stored with one commit.

mod admission;
mod answers;
#[cfg(feature = "testing")]
mod audit;
mod codes;
mod config;
mod connection;
mod directory;
mod duplicates;
mod endings;
mod expiry;
mod intake;
mod issuer;
mod letters;
mod limiter;
mod limits;
mod mail;
mod mailbox;
mod mailboxes;
mod notices;
mod otp;
mod output;
mod peer;
mod pending;
mod phonebook;
mod reconnect;
mod refuse;
mod registration;
mod room;
mod sending;
mod session;
mod shard;
mod share;
pub mod storage;
mod storage_queue;
mod timers;
mod window;

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::{HashMap, HashSet};

#[cfg(feature = "testing")]
pub use audit::{Counted, Stored};
pub use config::{Config, Deadlines, MailboxLimits, Rates};
pub use issuer::Identity;
pub use limiter::Rate;
pub use mail::Mail;
pub use output::{ConnId, Event, Limit, OtpTicket, Output};
pub use peer::{AddressPrefix, Peer};
pub use room::Room;
pub use shard::{Baggage, Shard, ShardId};

use crate::crypto::{CryptoRng, Provider, Spki};
use crate::id::UserId;
use crate::time::{Instant, Now};
use crate::wire::{ErrorCode, Op};
use admission::Admission;
use answers::AnswerLine;
use codes::OutgoingCodes;
use connection::Connection;
use directory::Directory;
use duplicates::Duplicates;
use endings::Stopping;
use limits::Limits;
use mail::Message;
use mailboxes::Mailboxes;
use notices::Notices;
use otp::OtpTable;
use pending::Outstanding;
use phonebook::Phonebook;
use reconnect::AnsweredReconnects;
use refuse::{Refused, SharedRefusals};
use registration::Creation;
use share::Share;
use storage::{Answer, Outcome, QueueId, Snapshot, Ticket, Write};
use storage_queue::{Asker, StorageQueue};
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
    shard: Shard,
    directory: Directory<P>,
    phonebook: Phonebook,
    // Boxed: a table has empty places, and many users fill it.
    connections: HashMap<ConnId, Box<Connection>>,
    /// The confirmed session of each user who has one.
    sessions: HashMap<UserId, ConnId>,
    mailboxes: Mailboxes,
    outstanding: Outstanding,
    duplicates: HashMap<UserId, Duplicates>,
    otps: OtpTable,
    outgoing_codes: OutgoingCodes,
    /// Who waits to hear whether a code has gone out.
    sending: HashMap<OtpTicket, ConnId>,
    share: Share,
    admission: Admission,
    answer_line: AnswerLine,
    creations: HashMap<UserId, Creation>,
    answered_reconnects: AnsweredReconnects,
    shared_refusals: SharedRefusals,
    limits: Limits,
    storage: StorageQueue,
    mail: VecDeque<Message>,
    notices: Notices,
    /// Connections that got an answer, whose waiting packets may go on when the turn ends.
    ready: Vec<ConnId>,
    /// When the first bytes of this turn were handled.
    turn_since: Option<Instant>,
    /// Connections that another shard is to serve.
    departing: Vec<ConnId>,
    /// Connections whose client leaves, to be looked at whenever a turn ends.
    leaving: Vec<ConnId>,
    timers: Timers,
    /// Connections of which part of a packet waits, and since when.
    half_sent: BTreeSet<(Instant, ConnId)>,
    /// Bytes in all inboxes.
    half_received: usize,
    last_otp_ticket: u64,
    expire_at: Instant,
    /// While storage looks for letters that have expired: those acknowledged meanwhile, or before and
    /// not deleted yet, which are counted out already.
    expiring: Option<HashSet<QueueId>>,
    retry_at: Option<Instant>,
    stopping: Option<Stopping>,
    disk_is_low: bool,
    outputs: VecDeque<Output>,
}

impl<P: Provider> Server<P> {
    /// After how long a write that storage could not take is tried again.
    const RETRY: Duration = Duration::from_secs(1);
    /// An expiry that is always due would leave no turn for anything else.
    const SHORTEST_EXPIRY_INTERVAL: Duration = Duration::from_millis(1);

    /// A server that starts from what is stored.
    pub fn new(
        provider: P,
        identity: Identity<P>,
        config: Config,
        snapshot: &Snapshot,
        now: Now,
    ) -> Self {
        Self::shard(provider, identity, config, snapshot, Shard::ONLY, now)
    }

    /// One of several machines that are a server together.
    pub fn shard(
        provider: P,
        identity: Identity<P>,
        mut config: Config,
        snapshot: &Snapshot,
        shard: Shard,
        now: Now,
    ) -> Self {
        let storage = StorageQueue::new(shard, snapshot.last_queue_id);
        let directory = Directory::new(shard, snapshot);
        let phonebook = match shard.id() {
            ShardId::REGISTRAR => Phonebook::new(&provider, identity.spki(), snapshot),
            _ => Phonebook::empty(),
        };
        config.half_received_bytes = shard.share_of(config.half_received_bytes);
        config.rates.reconnect_work = config.rates.reconnect_work.share(shard.count());
        let mut server = Self {
            shard,
            phonebook,
            limits: Limits::new(&config.rates, shard, &snapshot.allowances, now),
            otps: OtpTable::new(config.live_otps),
            outgoing_codes: OutgoingCodes::default(),
            sending: HashMap::new(),
            provider,
            identity,
            config,
            directory,
            connections: HashMap::new(),
            sessions: HashMap::new(),
            mailboxes: Mailboxes::new(shard, snapshot),
            outstanding: Outstanding::new(shard, snapshot),
            duplicates: HashMap::new(),
            share: Share::default(),
            admission: Admission::default(),
            answer_line: AnswerLine::default(),
            creations: HashMap::new(),
            answered_reconnects: AnsweredReconnects::default(),
            shared_refusals: SharedRefusals::default(),
            storage,
            mail: VecDeque::new(),
            notices: Notices::default(),
            ready: Vec::new(),
            turn_since: None,
            departing: Vec::new(),
            leaving: Vec::new(),
            timers: Timers::default(),
            half_sent: BTreeSet::new(),
            half_received: 0,
            last_otp_ticket: 0,
            expire_at: Instant::default(),
            expiring: None,
            retry_at: None,
            stopping: None,
            disk_is_low: false,
            outputs: VecDeque::new(),
        };
        server.tell_of_ids();
        server
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

    /// What a sender whom this shard owns has pending in all mailboxes: letters, and bytes of packets.
    pub fn pending_from(&self, sender: UserId) -> (u32, u64) {
        let pending::Count { letters, bytes } = self.outstanding.of(sender);
        (letters, bytes)
    }

    /// A connection was accepted.
    pub fn connected(&mut self, env: &mut Env<'_>, conn: ConnId, peer: Peer) {
        self.connections.insert(conn, Box::new(Connection::new(peer, env.now.instant)));
        if self.is_stopping() {
            self.drop_connection(conn);
        }
        self.arm(env, conn);
    }

    /// A batch has ended.
    pub fn stored(&mut self, env: &mut Env<'_>, ticket: Ticket, outcome: Outcome) {
        let Some(batch) = self.storage.complete(ticket) else { return };
        if outcome == Outcome::Unavailable {
            self.outputs.push_back(Output::Event(Event::StorageUnavailable));
            self.retry_at = Some(env.now.instant.after(Self::RETRY));
        }
        let deleting = match outcome {
            Outcome::Done => HashSet::new(),
            Outcome::Unavailable => self.storage.deleting(&batch.writes),
        };
        for write in &batch.writes {
            match (write, outcome) {
                (Write::CreateUser { id, phone, spki }, Outcome::Done) => {
                    let (user, phone, spki) = (*id, *phone, spki.clone());
                    self.post_to_owner(user, Message::Welcome { user, phone, spki });
                }
                (Write::CreateUser { id, phone, spki }, Outcome::Unavailable) => {
                    self.user_not_created(*id, *phone, spki);
                }
                (Write::InsertLetter(letter), Outcome::Done) => self.letter_stored(letter),
                (Write::InsertLetter(letter), Outcome::Unavailable) => {
                    self.letter_lost(letter, deleting.contains(&letter.queue_id));
                }
                (Write::DeleteLetters { recipient, .. }, Outcome::Done) => {
                    self.recount_mailbox(*recipient);
                }
                (Write::DeleteLetters { recipient, .. }, Outcome::Unavailable) => {
                    if let Some(mailbox) = self.mailboxes.get_mut(*recipient) {
                        mailbox.overcounts();
                    }
                    self.storage.defer(write.clone());
                }
                (
                    Write::ConfirmSession { .. }
                    | Write::KeepAllowances(_)
                    | Write::ForgetAllowances(_),
                    Outcome::Done,
                ) => {}
                (Write::KeepAllowances(allowances), Outcome::Unavailable) => {
                    self.limits.not_kept(allowances.iter().map(|allowance| allowance.key));
                }
                (Write::ForgetAllowances(keys), Outcome::Unavailable) => {
                    self.limits.not_kept(keys.iter().copied());
                }
                (Write::ConfirmSession { .. }, Outcome::Unavailable) => {
                    self.storage.defer(write.clone());
                }
            }
        }
        self.send_codes();
        self.sort_mail(env);
    }

    /// A question has its answer.
    pub fn answered(&mut self, env: &mut Env<'_>, ticket: Ticket, answer: Answer) {
        let Some(asker) = self.storage.asker(ticket) else { return };
        match (asker, answer) {
            (Asker::Fetch(conn), Answer::Letters { letters, damaged, exhausted }) => {
                self.letters_damaged(&damaged);
                self.letters_fetched(env, conn, letters, exhausted);
            }
            (Asker::Mailbox(owner), Answer::Usage(usage)) => self.mailbox_known(env, owner, usage),
            (Asker::Mailbox(owner), _) => self.mailbox_unknown(env, owner),
            (Asker::Fates(conn, _), Answer::Fates(fates)) => {
                self.tell_fates(env, conn, fates);
            }
            (Asker::Expiry, Answer::Expired(letters)) => self.letters_expired(env, &letters),
            (Asker::Fetch(conn), _) => {
                // The fetch is tried again together with whatever storage could not take.
                if let Some(session) = self.connections.get_mut(&conn).and_then(|c| c.session_mut())
                {
                    session.window.fetched(false);
                }
                self.retry_at = Some(env.now.instant.after(Self::RETRY));
            }
            (Asker::Fates(conn, packet), _) => {
                let code = ErrorCode::StorageUnavailable;
                self.refuse(env, conn, Refused::naming(code, Op::Acknowledgment, packet));
            }
            (Asker::Expiry, _) => self.expiring = None,
        }
        self.sort_mail(env);
    }

    /// Whether free disk space is below the floor: letters for absent recipients are refused.
    pub fn set_disk_is_low(&mut self, low: bool) {
        self.disk_is_low = low;
    }

    /// The next moment at which [`Server::timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let stop_by = match self.stopping {
            Some(Stopping::Until(by)) => Some(by),
            _ => None,
        };
        let kept = self.storage.wait_until();
        let said = self.notices.wait_until();
        let let_in = self.admission.wait_until();
        let told = self.answer_line.wait_until();
        [Some(self.expire_at), self.retry_at, stop_by, kept, said, let_in, told, self.timers.next()]
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
            self.limits.retry();
            self.outgoing_codes.count_again();
            let directory = &self.directory;
            self.storage.retry(|write| match write {
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
        if self.expire_at <= now {
            self.expire_at =
                now.after(self.config.expiry_interval.max(Self::SHORTEST_EXPIRY_INTERVAL));
            self.expire(env);
        }
    }

    /// Ends the turn: what it gave reason to say is said, what it gave reason to store is given
    /// out, and the first of those who wait for it are let in, or answered.
    pub fn end_turn(&mut self, env: &mut Env<'_>) {
        let share = self.share.of_this_turn(env.now.instant);
        self.let_in(env, share);
        self.answer_in_turn(env, share);
        while let Some(conn) = self.ready.pop() {
            self.resume(env, conn);
        }
        // A long turn must not count against acknowledgments that came while it lasted.
        let since = self.turn_since.take().unwrap_or(env.now.instant);
        self.storage.release_due(since);
        self.depart();
        self.keep_limits(env.now);
        self.flush_notices(env);
        for conn in core::mem::take(&mut self.leaving) {
            if !self.farewell(env, conn, false) {
                self.leaving.push(conn);
            }
        }
        let somebody_leaves = !self.leaving.is_empty() || self.is_stopping();
        self.storage.gather(env.now.instant, somebody_leaves);
        self.storage.flush(&mut self.outputs);
        self.stop_if_done(env);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
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
}
