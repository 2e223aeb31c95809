//! A machine, as its operator sees it.

use alloc::sync::Arc;
use core::time::Duration;

use super::config::Config;
use super::ctx::{Env, Shared};
use super::identity::Identity;
use super::limits::Kept;
use super::output::AdministrationError;
use super::registrar::Registrar;
use super::report::{Report, SessionPage};
use super::router::Router;
use super::storage::OwnLimits;
use crate::crypto::{Provider, Spki};
use crate::id::UserId;
use crate::phone::Phone;
use crate::time::{Instant, UnixTime};
use crate::wire::Successor;

/// What an operator can see of a machine, and do with it. All of it is about this shard alone. What is
/// done counts as an input: the turn has to be ended, and what comes out drained.
pub struct Operator<'s, P: Provider> {
    shared: &'s mut Shared<P>,
    router: &'s mut Router<P>,
}

impl<'s, P: Provider> Operator<'s, P> {
    pub(super) const fn new(shared: &'s mut Shared<P>, router: &'s mut Router<P>) -> Self {
        Self { shared, router }
    }

    /// Goes on with another configuration, and no connection notices it: what is already there beyond a
    /// limit stays, a deadline that is set comes no earlier, and what somebody was told, such as how
    /// long their code is good, is kept. Of an allowance, what was taken stays taken.
    pub fn configure(&mut self, env: &mut Env<'_>, config: Config) {
        let before = self.shared.configure(config, env.now);
        self.router.configure(&mut self.shared.lend(env), &before);
    }

    /// Announces a key that is to follow the server's, to whoever asks; or, without one, that the key
    /// stays.
    pub fn announce(&mut self, successor: Option<Successor>) {
        self.shared.identity.announce(successor);
    }

    /// Goes on with another key. All connections end: each belongs to the key that it was made under. The
    /// others of a server's machines have to be told, too.
    pub fn succeed(&mut self, env: &mut Env<'_>, next: Identity<P>) {
        self.router.succeed(&mut self.shared.lend(env), next);
    }

    /// The state of the machine in numbers.
    #[must_use]
    pub fn report(&self, now: Instant) -> Report {
        let Shared { storage, limits, own_accounts, provider, identity, .. } = &*self.shared;
        let Router { gate, registrar, accounts, sessions, submission, delivery, .. } =
            &*self.router;
        let (unsettled_batches, oldest) = storage.under_way();
        let (letters, bytes) = submission.pending();
        let (mailboxes, pairs) = delivery.fullness();
        let own = || own_accounts.iter().filter(|user| accounts.has(*user));
        let own_suspended = own().filter(|user| accounts.suspension(*user).is_some()).count();
        let own_pending = || own().map(|user| submission.pending_from(user));
        let own_letters = own_pending().map(|(letters, _)| u64::from(letters)).sum();
        let own_bytes = own_pending().map(|(_, bytes)| bytes).sum();
        let codes_left = || limits.left(Kept::Codes.key(provider, identity), now);
        Report {
            connections: gate.connection_count(),
            sessions: sessions.count(),
            users: accounts.count().saturating_sub(own().count()),
            suspended: accounts.suspended().saturating_sub(own_suspended),
            half_received_bytes: gate.half_received_bytes(),
            pending_letters: letters.saturating_sub(own_letters),
            pending_bytes: bytes.saturating_sub(own_bytes),
            mailboxes,
            pairs,
            senders: submission.fullness(),
            unsettled_batches,
            oldest_unsettled: oldest.map(|since| now.since(since)),
            open_questions: storage.questions(),
            storage_is_in_trouble: storage.is_in_trouble(),
            codes_left: registrar.as_ref().map(|_| codes_left()),
            free_ids: registrar.as_ref().map(Registrar::free_ids),
            handed_in: submission.handed_in(),
            outcomes: delivery.outcomes(),
            codes: registrar.as_ref().map(Registrar::codes).unwrap_or_default(),
            private_operations: identity.private_operations(),
        }
    }

    /// The sessions of users behind `after`, or from the first on: at most [`SessionPage::LEN`].
    #[must_use]
    pub fn sessions(&self, after: Option<UserId>, now: Instant) -> SessionPage {
        self.router.sessions(after, now)
    }

    /// Ends the session of a user. Its client is told that the server stops, and comes back after a
    /// while. Whether there was one.
    pub fn end_session(&mut self, env: &mut Env<'_>, user: UserId) -> bool {
        self.router.end_session(&mut self.shared.lend(env), user)
    }

    /// Begins to end all sessions, one after the other and evenly: when `over` has passed, all have ended. Their
    /// clients are told that the server stops, and come back after a while. Sessions that begin meanwhile
    /// end, too, and whoever asks for a code is told to come back later. It goes on until
    /// [`Operator::stop_draining`], or until the caller stops the machine. Called again, it gives the sessions
    /// that are left another time, evenly from now on.
    pub fn drain(&mut self, env: &mut Env<'_>, over: Duration) {
        self.router.drain(&self.shared.lend(env), over);
    }

    /// Ends no more sessions, and lets codes go out again.
    pub fn stop_draining(&mut self) {
        self.router.stop_draining();
    }

    /// Sees to it that the server has an account of its own with this phone, which has to be one that is
    /// [reserved](Phone::is_reserved), and this key. No code is needed, and nobody's limits are touched.
    /// [`Output::Administered`](super::Output::Administered) says when it is there, at once if it is there
    /// already. The registrar alone can do it.
    ///
    /// # Errors
    /// When the phone is somebody's under another key, or a newcomer would be refused.
    pub fn enrol(
        &mut self,
        env: &mut Env<'_>,
        phone: Phone,
        spki: &Spki,
    ) -> Result<UserId, AdministrationError> {
        self.router.enrol(&mut self.shared.lend(env), phone, spki)
    }

    /// Begins to remove a user. The session ends, nobody gets into the account any more, and letters to
    /// it are refused for now. [`Output::Administered`](super::Output::Administered) says how it has
    /// ended. Letters from the user stay where they are.
    ///
    /// # Errors
    /// When there is no such user here, or something is being done to them already.
    pub fn remove_user(
        &mut self,
        env: &mut Env<'_>,
        user: UserId,
    ) -> Result<(), AdministrationError> {
        self.router.remove_user(&mut self.shared.lend(env), user)
    }

    /// Begins to keep a user out: until a moment, or, without one, until [`Operator::resume`]. The session
    /// ends, and whoever proves to be the user is told to come back in an hour. Letters to them wait.
    /// [`Output::Administered`](super::Output::Administered) says whether it is durable.
    ///
    /// # Errors
    /// As [`Operator::remove_user`].
    pub fn suspend(
        &mut self,
        env: &mut Env<'_>,
        user: UserId,
        until: Option<UnixTime>,
        reason: Arc<str>,
    ) -> Result<(), AdministrationError> {
        self.router.suspend(&mut self.shared.lend(env), user, until, reason)
    }

    /// Begins to let a user in again who was suspended.
    /// [`Output::Administered`](super::Output::Administered) says whether it is durable; until then
    /// nobody gets in.
    ///
    /// # Errors
    /// As [`Operator::remove_user`].
    pub fn resume(&mut self, env: &mut Env<'_>, user: UserId) -> Result<(), AdministrationError> {
        self.router.end_suspension(&mut self.shared.lend(env), user)
    }

    /// Begins to give a user limits of their own: so much may wait for them, instead of what the
    /// configuration says. What waits beyond that stays, and nothing new is taken. What one sender may have
    /// there is not concerned. [`Output::Administered`](super::Output::Administered) says whether it is
    /// durable; until then, the limits before count.
    ///
    /// # Errors
    /// As [`Operator::remove_user`].
    pub fn set_limits(
        &mut self,
        env: &mut Env<'_>,
        user: UserId,
        limits: OwnLimits,
    ) -> Result<(), AdministrationError> {
        self.router.set_limits(&mut self.shared.lend(env), user, limits)
    }

    /// Begins to have the letters expire that lie in the mailbox of a user and were accepted before
    /// `accepted_before`. [`Output::Administered`](super::Output::Administered) says how it has ended.
    ///
    /// # Errors
    /// As [`Operator::remove_user`].
    pub fn expire_letters(
        &mut self,
        env: &mut Env<'_>,
        user: UserId,
        accepted_before: UnixTime,
    ) -> Result<(), AdministrationError> {
        self.router.expire_letters(&mut self.shared.lend(env), user, accepted_before)
    }
}
