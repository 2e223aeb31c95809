//! What a component may touch besides its own fields.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::time::Duration;

use super::config::{Config, Rates};
use super::identity::Identity;
use super::limits::{Kept, Limits};
use super::mail::{MailQueue, Message, Note};
use super::output::{ConnId, Event, Limit, Output};
use super::report::OwnAccounts;
use super::shard::{Shard, ShardId};
use super::storage::Snapshot;
use super::storage_queue::StorageQueue;
use crate::crypto::{CryptoRng, Provider};
use crate::id::UserId;
use crate::time::Now;
use crate::wire::{BuildError, Op};

/// What every input brings along: the time, and a random generator.
pub struct Env<'r> {
    /// Both clocks, as the caller has read them.
    pub now: Now,
    /// For keys, nonces, IVs, salts, codes and blinding.
    pub rng: &'r mut dyn CryptoRng,
}

/// What all components of a machine use.
pub(super) struct Shared<P: Provider> {
    pub(super) provider: P,
    pub(super) identity: Identity<P>,
    pub(super) config: Config,
    pub(super) shard: Shard,
    pub(super) limits: Limits,
    pub(super) own_accounts: OwnAccounts,
    pub(super) storage: StorageQueue,
    pub(super) mail: MailQueue,
    pub(super) out: VecDeque<Output>,
}

/// What a call may touch besides the fields of the component that is called.
pub(super) struct Ctx<'a, P: Provider> {
    pub(super) now: Now,
    pub(super) rng: &'a mut dyn CryptoRng,
    pub(super) provider: &'a P,
    pub(super) identity: &'a mut Identity<P>,
    pub(super) config: &'a Config,
    pub(super) shard: Shard,
    pub(super) limits: &'a mut Limits,
    pub(super) own_accounts: &'a mut OwnAccounts,
    pub(super) storage: &'a mut StorageQueue,
    mail: &'a mut MailQueue,
    out: &'a mut VecDeque<Output>,
}

impl<P: Provider> Shared<P> {
    pub(super) fn new(
        provider: P,
        identity: Identity<P>,
        config: Config,
        snapshot: &Snapshot,
        shard: Shard,
        now: Now,
    ) -> Self {
        let config = config.share_of(shard);
        Self {
            limits: Limits::new(&config.rates, shard, &snapshot.allowances, now),
            own_accounts: OwnAccounts::new(snapshot),
            provider,
            identity,
            config,
            shard,
            storage: StorageQueue::default(),
            mail: MailQueue::default(),
            out: VecDeque::new(),
        }
    }

    /// Takes another configuration, and gives back the rates that there were.
    pub(super) fn configure(&mut self, config: Config, now: Now) -> Rates {
        let config = config.share_of(self.shard);
        let before = core::mem::replace(&mut self.config, config).rates;
        self.limits.configure(&before, &self.config.rates, now.instant);
        before
    }

    /// Lends all of it for one call.
    pub(super) fn lend<'a>(&'a mut self, env: &'a mut Env<'_>) -> Ctx<'a, P> {
        let Self { provider, identity, config, shard, limits, own_accounts, storage, mail, out } =
            self;
        Ctx {
            now: env.now,
            rng: &mut *env.rng,
            provider,
            identity,
            config,
            shard: *shard,
            limits,
            own_accounts,
            storage,
            mail,
            out,
        }
    }
}

impl<P: Provider> Ctx<'_, P> {
    /// Gives something out, behind all before it.
    pub(super) fn give_out(&mut self, output: Output) {
        self.out.push_back(output);
    }

    /// Sends a packet.
    pub(super) fn send(&mut self, conn: ConnId, packet: Arc<[u8]>) {
        self.give_out(Output::Send { conn, packet });
    }

    /// Tells the operator.
    pub(super) fn event(&mut self, event: Event) {
        self.give_out(Output::Event(event));
    }

    /// Gives out this turn's batch, then its questions.
    pub(super) fn flush_storage(&mut self) {
        self.storage.flush(self.now.instant, self.out);
    }

    /// Leaves mail for a shard.
    pub(super) fn post(&mut self, to: ShardId, message: Message) {
        self.mail.post(self.shard, self.out, to, message);
    }

    /// Leaves the same mail for every shard.
    pub(super) fn post_to_all(&mut self, message: &Message) {
        for shard in Shard::all(self.shard.count()) {
            self.post(shard.id(), message.clone());
        }
    }

    /// Leaves mail for a user's owner shard.
    pub(super) fn post_to_owner(&mut self, user: UserId, message: Message) {
        self.post(self.shard.owner_of(user), message);
    }

    /// Leaves word for another component of this machine.
    pub(super) fn tell(&mut self, note: Note) {
        self.mail.note(note);
    }

    /// The mail for this shard, and the notes, in the order in which they came.
    pub(super) fn mail(&mut self) -> &mut MailQueue {
        self.mail
    }

    /// Makes and signs a packet of the server's own; `payload` writes it and says its length.
    pub(super) fn issue(
        &mut self,
        op: Op,
        recipient: Option<UserId>,
        payload: impl FnOnce(&P, &mut [u8], &mut dyn CryptoRng) -> Result<usize, BuildError>,
    ) -> Result<Arc<[u8]>, BuildError> {
        let Self { provider, now, rng, .. } = self;
        let payload = |out: &mut [u8], rng: &mut dyn CryptoRng| payload(provider, out, rng);
        self.identity.issue(provider, now.unix, *rng, (op, recipient), payload)
    }

    /// Takes one of what is counted across restarts, or says how long until there is one.
    pub(super) fn take(&mut self, of: Kept) -> Result<(), Duration> {
        let taken = self.limits.take(of.key(self.provider, self.identity), self.now.instant);
        self.tell_if_spent(of, taken)
    }

    /// Whether one is left of what is counted across restarts; if not, how long until there is one.
    pub(super) fn has_left(&mut self, of: Kept) -> Result<(), Duration> {
        let left = self.limits.check(of.key(self.provider, self.identity), self.now.instant);
        self.tell_if_spent(of, left)
    }

    fn tell_if_spent(&mut self, of: Kept, left: Result<(), Duration>) -> Result<(), Duration> {
        match of.limit() {
            Some(limit) => self.tell_if_reached(limit, left),
            None => left,
        }
    }

    /// The operator hears of a limit of which nothing was left.
    pub(super) fn tell_if_reached(
        &mut self,
        limit: Limit,
        taken: Result<(), Duration>,
    ) -> Result<(), Duration> {
        if taken.is_err() {
            self.event(Event::LimitReached { limit });
        }
        taken
    }
}
