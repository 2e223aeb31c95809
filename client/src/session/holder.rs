//! The process that holds the session of a home: its messenger, on connections that come and go.

use std::time::Duration;

use waxwing_core::client::{Ended, Env, Keys};
use waxwing_core::messenger::{
    self, Advice, Cause, LONGEST_PAUSE_S, Messenger, Over, SUCCESSOR_TOLERANCE_S, ServerKey, Turn,
};
use waxwing_core::phone::Phone;

use super::account::Account;
use super::addresses::Addresses;
use super::dial::{self, Dial};
use super::link::Link;
use super::stream::{Stream, Waiter};
use super::{Host, Note, SessionError};
use crate::backend::Backend;
use crate::home::{Home, HomeProfile, Identity, Registration, ServerKeys, SessionLock};

/// Conversations that are looked after at once; the server allows twice as many requests without an
/// answer.
const CONVERSATIONS: usize = 64;

type Waxwing<'a> = Messenger<'a, Box<[u8]>, CONVERSATIONS>;

fn messenger_of(account: messenger::Account<'_>) -> Waxwing<'_> {
    Messenger::new(account, vec![0; Waxwing::ASIDE].into_boxed_slice())
}

/// Holds the session of a home.
pub(super) struct Holder<'a> {
    home: &'a Home,
    account: &'a Account,
    host: Host,
    messenger: Waxwing<'a>,
    profile: HomeProfile<'a>,
    addresses: Addresses,
    /// The next address is tried without a pause: the connection before has failed, or the person wants it.
    is_next_due: bool,
    /// A connection that is being made.
    dial: Option<Dial>,
    link: Option<Link<'a>>,
    /// Why the last connection ended, until the next one stands.
    problem: Option<SessionError>,
}

impl<'a> Holder<'a> {
    pub(super) fn new(home: &'a Home, account: &'a Account, host: Host) -> Self {
        let tell = host.tell.clone();
        Self {
            home,
            account,
            host,
            messenger: messenger_of(account.for_messenger()),
            profile: HomeProfile::new(home, move |notice| tell(Note::Messenger(notice))),
            addresses: Addresses::new(account.identity().servers.clone()),
            is_next_due: false,
            dial: None,
            link: None,
            problem: None,
        }
    }

    /// Makes the next connection without the pause before it.
    pub(super) const fn hurry(&mut self) {
        self.is_next_due |= self.link.is_none() && self.dial.is_none();
    }

    pub(super) const fn messenger(&self) -> &Waxwing<'a> {
        &self.messenger
    }

    pub(super) fn want_key(&mut self, phone: &Phone) {
        self.messenger.want_key(phone);
    }

    pub(super) fn is_settled(&mut self) -> Result<bool, SessionError> {
        Ok(self.messenger.is_settled(&mut self.profile, (self.host.now)().unix)?)
    }

    /// Why there is no connection, if there is none.
    pub(super) const fn problem(&self) -> Option<&SessionError> {
        self.problem.as_ref()
    }

    /// The same, for whoever ends because of it.
    pub(super) const fn take_problem(&mut self) -> Option<SessionError> {
        self.problem.take()
    }

    /// Why there is no connection, for whoever looks from outside; see [`SessionLock::show`].
    pub(super) fn show(&self, lock: &mut SessionLock) {
        let problem = self.problem.as_ref().map(|problem| problem.in_brief(self.home.dir()));
        lock.show(self.messenger.has_backlog(), problem.as_deref());
    }

    /// Does what there is to do, and waits at most `patience` for more.
    pub(super) fn turn(
        &mut self,
        waiter: &mut Waiter,
        patience: Duration,
    ) -> Result<(), SessionError> {
        if self.link.is_none() {
            self.connect(waiter)?;
        }
        loop {
            let Some(link) = &mut self.link else {
                let is_dialing = self.dial.is_some() || self.is_next_due;
                let due = if is_dialing { dial::LOOK } else { self.pause() };
                return waiter.wait(None, patience.min(due));
            };
            let moved = link.drive();
            let more = matches!(moved, Ok(moved) if moved.read > 0);
            let turn = link
                .request(|client, env| self.messenger.turn(client, &mut self.profile, env, more))?;
            link.log_session();
            if self.messenger.backlog_has_come() {
                self.problem = None;
                self.addresses.found(self.home)?;
            }
            match (turn, moved) {
                (Turn::Open, _) => {}
                (Turn::Over(over), _) => return self.hang_up(over),
                (_, Err(error)) => {
                    self.lose(error);
                    return Ok(());
                }
                (Turn::More, Ok(_)) => return Ok(()),
                (Turn::Idle, Ok(moved)) if moved.written > 0 => return Ok(()),
                (Turn::Idle, Ok(_)) => {
                    let patience = link.patience().min(patience);
                    return waiter.wait(Some(link.stream_mut()), patience);
                }
            }
        }
    }

    /// Until the next connection may be made.
    fn pause(&self) -> Duration {
        self.messenger.may_connect_at().since(self.host.ticking())
    }

    /// Goes on with making a connection, if it is time for one.
    fn connect(&mut self, waiter: &Waiter) -> Result<(), SessionError> {
        if self.dial.is_none() && (self.is_next_due || self.pause().is_zero()) {
            self.read_account()?;
            self.dial = Some(Dial::new(self.addresses.in_turn(), &self.host, waiter)?);
        }
        let Some(dial) = &mut self.dial else { return Ok(()) };
        match dial.poll(self.host.ticking(), waiter) {
            Ok(None) => return Ok(()),
            Ok(Some(stream)) => {
                self.addresses.pass(dial.failures());
                self.begin(stream)?;
            }
            Err(error) => self.lose(error),
        }
        self.dial = None;
        Ok(())
    }

    /// Another process may have registered the account again, which has another id then, or have named other
    /// addresses of the server.
    fn read_account(&mut self) -> Result<(), SessionError> {
        let Some(Identity { registration: Registration::Done(user), servers, .. }) =
            self.home.identity()?
        else {
            return Err(SessionError::NotRegistered);
        };
        if self.messenger.account().user != Some(user) {
            let account = messenger::Account { user: Some(user), ..self.account.for_messenger() };
            self.messenger = messenger_of(account);
        }
        self.addresses.follow(servers);
        Ok(())
    }

    fn begin(&mut self, stream: Stream) -> Result<(), SessionError> {
        self.is_next_due = false;
        self.home.outbox().limit_pauses((self.host.now)().unix.shifted(LONGEST_PAUSE_S))?;
        let offset = self.messenger.clock_offset_s();
        let keys = self.choose_keys()?;
        let mut link = Link::open(keys, stream, offset, self.host.clone())?;
        link.request(|client, env| self.messenger.connect(client, &mut self.profile, env))?;
        self.link = Some(link);
        Ok(())
    }

    /// The keys of the next connection. Another process may have stored another key of the server's.
    fn choose_keys(&mut self) -> Result<Keys<'a, Backend>, SessionError> {
        let Some(ServerKeys { pinned, successor }) = self.home.server_keys()? else {
            return Err(SessionError::NotRegistered);
        };
        let effective = successor.as_ref().map(|(_, effective)| *effective);
        let mut rng = (self.host.rng)();
        let env = Env { now: (self.host.now)(), rng: &mut *rng };
        let chosen = match (self.messenger.choose_server_key(effective, &env), successor) {
            (ServerKey::Successor, Some((successor, _))) => successor,
            _ => pinned,
        };
        self.account.keys_with(&chosen)
    }

    /// The connection is over.
    fn hang_up(&mut self, over: Over) -> Result<(), SessionError> {
        let has_proven_key = self.link.take().is_some_and(|link| link.has_session());
        let is_silent = matches!(over.cause, Cause::Ended(Ended::TimedOut));
        self.pass_address(is_silent && !has_proven_key);
        let error = match over.cause {
            Cause::Ended(Ended::BadBytes) if !has_proven_key => self.wrong_key()?,
            cause => SessionError::Over(cause),
        };
        match over.advice {
            // Those about codes come before there is an account, which is here already.
            Advice::GiveUp | Advice::AskForCode | Advice::RequestCode => return Err(error),
            Advice::Again => {
                tracing::debug!(%error, "no connection");
                if !self.is_next_due {
                    self.problem = Some(error);
                }
            }
            Advice::AgainQuietly => {}
        }
        Ok(())
    }

    /// What it means that the server does not have the key of the connection. If it has the one that it has
    /// announced, and that may not be tried yet, the clock of this machine is to blame.
    fn wrong_key(&self) -> Result<SessionError, SessionError> {
        let now = (self.host.now)().unix.shifted(self.messenger.clock_offset_s());
        let successor = self.home.server_keys()?.and_then(|keys| keys.successor);
        let not_due = successor
            .map(|(_, effective)| effective)
            .filter(|effective| effective.minus(now) > SUCCESSOR_TOLERANCE_S);
        Ok(not_due
            .map_or(SessionError::Over(Cause::Ended(Ended::BadBytes)), SessionError::KeyNotDue))
    }

    /// The stream is over, or there was none to be had.
    fn lose(&mut self, error: SessionError) {
        tracing::debug!(%error, "no connection");
        match self.link.take() {
            Some(link) => self.pass_address(!link.has_session()),
            // There was none to be had at any address.
            None => self.begin_round(),
        }
        self.messenger
            .disconnected(&mut Env { now: (self.host.now)(), rng: &mut *(self.host.rng)() });
        if !self.is_next_due {
            self.problem = Some(error);
        }
    }

    /// The connection is over. Where nothing that proves the server has come, the next address is tried
    /// without a pause, until all have been. When a session is lost, everybody else has lost theirs.
    fn pass_address(&mut self, is_unproven: bool) {
        self.addresses.pass(1);
        if is_unproven && !self.addresses.is_round_over() {
            self.is_next_due = true;
        } else {
            self.begin_round();
        }
    }

    const fn begin_round(&mut self) {
        self.is_next_due = false;
        self.addresses.begin_round();
    }

    /// Says goodbye and waits for the answer, for so long.
    pub(super) fn leave(
        &mut self,
        waiter: &mut Waiter,
        patience: Duration,
    ) -> Result<(), SessionError> {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        if link.leave().is_err() {
            return Ok(());
        }
        let until = self.host.ticking().after(patience);
        while self.host.ticking() < until {
            let moved = link.drive();
            let turn = link.request(|client, env| {
                self.messenger.turn(client, &mut self.profile, env, false)
            })?;
            let Ok(moved) = moved else { break };
            if matches!(turn, Turn::Over(_)) {
                break;
            }
            if moved.is_nothing() {
                let left = until.since(self.host.ticking());
                let wait = link.patience().min(left);
                waiter.wait(Some(link.stream_mut()), wait)?;
            }
        }
        Ok(())
    }
}
