//! The server machine: sans-IO, with an allocator (PROTOCOL.md; ARCHITECTURE.md, "The server").
//!
//! A [`Server`] takes bytes, time and completions in, and gives packets, storage operations and
//! events out. It owns no socket, clock, generator, file or thread. Its caller
//!
//! 1. hands over what has happened, connections, bytes and completions alike, and calls
//!    [`Server::timeout`] when [`Server::poll_timeout`] is due;
//! 2. ends the turn with [`Server::end_turn`], which says and stores what the turn gave reason to,
//!    and lets in, or answers, the first of those who wait for it;
//! 3. **drains [`Server::poll_output`] until it is empty, before anything else happens.**
//!
//! It may drain before it ends the turn, too: then letters do not wait for its signatures. The more
//! inputs a turn holds, the more is said with one signature and stored with one commit.

mod accounts;
mod administration;
mod config;
mod count;
mod ctx;
mod delivery;
mod gate;
mod identity;
mod limiter;
mod limits;
mod mail;
mod operator;
mod output;
mod peer;
mod refused;
mod registrar;
mod report;
mod room;
mod router;
mod sessions;
mod shard;
mod share;
pub mod storage;
mod storage_queue;
mod submission;
mod timers;

pub use config::{Config, Deadlines, MailboxLimits, Rates, RegistrationPolicy};
pub use ctx::Env;
#[cfg(feature = "testing")]
pub use delivery::{Counted, LetterState, Stored};
pub use identity::Identity;
pub use limiter::Rate;
pub use mail::Mail;
pub use operator::Operator;
pub use output::{
    Administered, AdministrationError, ConnId, Event, Limit, OtpOutcome, OtpTicket, Output,
};
pub use peer::{AddressPrefix, Peer};
pub use report::{
    Codes, DeliveryTimes, Fullness, HandedIn, Outcomes, OwnAccounts, PrivateOperations, Report,
    SessionPage, SessionSummary,
};
pub use room::Room;
pub use shard::{Baggage, Shard, ShardId};

use crate::crypto::{Provider, Spki};
use crate::id::UserId;
use crate::time::{Instant, Now};
use ctx::Shared;
use router::Router;
use storage::{Answer, Outcome, Snapshot, Ticket};

/// The server machine. See the [module](self) for how it is driven.
pub struct Server<P: Provider> {
    shared: Shared<P>,
    router: Router<P>,
}

impl<P: Provider> Server<P> {
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
        config: Config,
        snapshot: &Snapshot,
        shard: Shard,
        now: Now,
    ) -> Self {
        let mut shared = Shared::new(provider, identity, config, snapshot, shard, now);
        Self { router: Router::new(&mut shared, snapshot), shared }
    }

    /// The server's public key.
    pub fn public_key(&self) -> &Spki {
        self.shared.identity.spki()
    }

    /// Connections that are open.
    pub fn connection_count(&self) -> usize {
        self.router.gate.connection_count()
    }

    /// Sessions that are confirmed.
    pub fn session_count(&self) -> usize {
        self.router.sessions.count()
    }

    /// What a sender whom this shard owns has pending in all mailboxes: letters, and bytes of packets.
    pub fn pending_from(&self, sender: UserId) -> (u32, u64) {
        self.router.submission.pending_from(sender)
    }

    /// This machine, as its operator sees it.
    pub fn operator(&mut self) -> Operator<'_, P> {
        Operator::new(&mut self.shared, &mut self.router)
    }

    /// A connection was accepted.
    pub fn connected(&mut self, env: &mut Env<'_>, conn: ConnId, peer: Peer) {
        self.router.connected(&mut self.shared.lend(env), conn, peer);
    }

    /// Bytes have arrived. They may end anywhere.
    pub fn received(&mut self, env: &mut Env<'_>, conn: ConnId, bytes: &[u8]) {
        self.router.received(&mut self.shared.lend(env), conn, bytes);
    }

    /// The client sends no more. Whoever waits for an answer before a session has gone.
    pub fn hung_up(&mut self, env: &mut Env<'_>, conn: ConnId) {
        self.router.hung_up(&mut self.shared.lend(env), conn);
    }

    /// A connection has ended.
    pub fn disconnected(&mut self, env: &mut Env<'_>, conn: ConnId) {
        self.router.disconnected(&mut self.shared.lend(env), conn);
    }

    /// Another shard's [`Output::Move`] has arrived, with the connection under a new name.
    pub fn moved_in(&mut self, env: &mut Env<'_>, conn: ConnId, baggage: Baggage) {
        self.router.moved_in(&mut self.shared.lend(env), conn, baggage);
    }

    /// Another shard's [`Output::Mail`] has arrived.
    pub fn mail(&mut self, env: &mut Env<'_>, mail: Mail) {
        self.router.mail(&mut self.shared.lend(env), mail);
    }

    /// A batch has ended.
    pub fn stored(&mut self, env: &mut Env<'_>, ticket: Ticket, outcome: Outcome) {
        self.router.stored(&mut self.shared.lend(env), ticket, outcome);
    }

    /// A question has its answer.
    pub fn answered(&mut self, env: &mut Env<'_>, ticket: Ticket, answer: Answer) {
        self.router.answered(&mut self.shared.lend(env), ticket, answer);
    }

    /// A code is on its last way, or did not go out.
    pub fn otp_ended(&mut self, env: &mut Env<'_>, ticket: OtpTicket, outcome: OtpOutcome) {
        self.router.otp_ended(&mut self.shared.lend(env), ticket, outcome);
    }

    /// Until then no code would go out, and none is made. The registrar alone has a use for it.
    pub fn set_codes_rest_until(&mut self, until: Option<Instant>) {
        self.router.set_codes_rest_until(until);
    }

    /// Whether free disk space is below the floor: letters for absent recipients are refused.
    pub fn set_disk_is_low(&mut self, low: bool) {
        self.router.delivery.set_disk_is_low(low);
    }

    /// Begins an orderly stop: what was read is stored and acknowledged, clients are told, and
    /// [`Output::Stopped`] comes out, within [`Deadlines::leaving`].
    pub fn stop(&mut self, env: &mut Env<'_>) {
        self.router.stop(&self.shared.lend(env));
    }

    /// The next moment at which [`Server::timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.shared.storage.wait_until(), self.router.wait_until()].into_iter().flatten().min()
    }

    /// Time has passed. Call it when [`Server::poll_timeout`] is due; earlier calls do no harm.
    pub fn timeout(&mut self, env: &mut Env<'_>) {
        self.router.timeout(&mut self.shared.lend(env));
    }

    /// Ends the turn: what the inputs have caused comes out of [`Server::poll_output`].
    pub fn end_turn(&mut self, env: &mut Env<'_>) {
        self.router.end_turn(&mut self.shared.lend(env));
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shared.out.pop_front()
    }

    /// For the simulation: the letters that count in mailboxes of this shard, senders and bytes.
    /// # Errors
    /// Somebody whose mailbox is miscounted, or of whom a letter is in hand in a wrong state.
    #[cfg(feature = "testing")]
    pub fn audit(&self, stored: &Stored) -> Result<alloc::vec::Vec<(UserId, u64)>, UserId> {
        self.router.delivery.audit(self.shared.shard, &self.shared.storage, stored)
    }

    /// For the simulation: the states of letters in hand that there were.
    #[cfg(feature = "testing")]
    pub fn letter_states(&self) -> impl Iterator<Item = LetterState> {
        self.router.delivery.letter_states().iter().copied()
    }
}
