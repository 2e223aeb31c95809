//! The session of a home.
//!
//! One process per home holds it. Its messenger sends what lies in the outbox, stores what comes in
//! before acknowledging it, and pins keys; everything it learns lands in the home, and that is where
//! commands look. A process that does not hold the session does the same through the home alone, and
//! watches the one that does: [`Session`] hides the difference.
//!
//! ```text
//! command ──▶ home (outbox, letters, contacts) ◀──▶ messenger ──▶ link ──▶ server
//! ```

mod account;
mod addresses;
mod dial;
mod error;
mod holder;
mod link;
mod register;
mod stream;
mod watch;

pub use account::Account;
pub use error::SessionError;
pub use register::{Asked, Known, Registrar};
pub use watch::stopped_holder;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_core::CryptoRng;
use waxwing_core::messenger::{Conflict, Notice};
use waxwing_core::phone::Phone;
use waxwing_core::time::{self, Now, UnixTime};

use crate::home::{Home, SessionLock};
use crate::interrupt;
use crate::keylog::KeyLogError;
use holder::Holder;
use stream::Waiter;
use watch::Watch;

/// How often a process without the session looks at the home.
const LOOK: Duration = Duration::from_millis(50);

/// How long the goodbye to the server may take, and how long when time is up.
const GOODBYE: Duration = Duration::from_secs(3);
const SHORT_GOODBYE: Duration = Duration::from_millis(300);

/// What a person may want to know while a command waits. Nothing depends on it.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    /// What the messenger tells.
    Messenger(Notice<'a>),
    /// A key is missing from the log that a person asked for.
    KeyNotLogged(&'a KeyLogError),
}

/// Who is told of what a person may want to know.
pub type Tell = Rc<dyn Fn(Note<'_>)>;

/// What a session takes from the program that it runs in.
#[derive(Clone)]
pub struct Host {
    /// The clocks. The one for timers goes on while the machine sleeps.
    pub now: fn() -> Now,
    /// A generator for nonces, seals and pauses.
    pub rng: fn() -> Box<dyn CryptoRng>,
    /// Who is told of what a person may want to know.
    pub tell: Tell,
}

impl Host {
    fn ticking(&self) -> time::Instant {
        (self.now)().instant
    }
}

/// How waiting for something has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reached {
    /// What was waited for is there.
    Yes,
    /// The deadline has passed before it was there.
    TimedOut,
    /// The person wants to stop.
    Interrupted,
    /// There is no connection; see [`Session::problem`].
    Offline,
}

/// The session of a home, as a command sees it.
pub struct Session<'a> {
    home: &'a Home,
    account: &'a Account,
    host: Host,
    waiter: Waiter,
    /// This process has it.
    holder: Option<(Holder<'a>, SessionLock)>,
    /// What is known of the process that has the session, while this one has not.
    watch: Watch,
    /// When the command has to be over.
    deadline: Option<Instant>,
    /// Somebody wants a connection, also if another session of the account has ended that of this home.
    is_wanted: bool,
}

impl<'a> Session<'a> {
    /// Takes it, or watches who has it, because a person or a program wants that: what another session of
    /// the account has taken over is taken back. The `host` lends its clocks, and hears what a person may
    /// want to know meanwhile.
    ///
    /// # Errors
    /// [`SessionError`] when the system or the home refuse.
    pub fn new(home: &'a Home, account: &'a Account, host: Host) -> Result<Self, SessionError> {
        let mut session = Self::again(home, account, host)?;
        session.is_wanted = true;
        session.take_session()?;
        Ok(session)
    }

    /// The same for a process that goes on by itself, and takes nothing back by that. It takes the session at
    /// its first turn.
    ///
    /// # Errors
    /// [`SessionError`] when the system refuses.
    pub fn again(home: &'a Home, account: &'a Account, host: Host) -> Result<Self, SessionError> {
        let (waiter, watch) = (Waiter::new()?, Watch::new(home, host.ticking()));
        let (holder, deadline) = (None, None);
        Ok(Self { home, account, host, waiter, holder, watch, deadline, is_wanted: false })
    }

    /// Sets the moment at which the whole command has to be over, whatever it waits for.
    #[must_use]
    pub const fn until(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    fn take_session(&mut self) -> Result<(), SessionError> {
        if self.holder.is_some() {
            return Ok(());
        }
        // Whoever has the session has wanted it back.
        let is_taken_over = self.home.is_taken_over();
        self.is_wanted &= is_taken_over;
        if is_taken_over && !self.is_wanted {
            return Err(SessionError::TAKEN_OVER);
        }
        let Some(mut lock) = self.home.try_lock_session()? else { return Ok(()) };
        // It may have been lost since.
        if lock.is_taken_over() && !self.is_wanted {
            return Err(SessionError::TAKEN_OVER);
        }
        lock.set_taken_over(false);
        self.is_wanted = false;
        self.holder = Some((Holder::new(self.home, self.account, self.host.clone()), lock));
        Ok(())
    }

    /// Whether everything that was pending at the server has come.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        match &self.holder {
            Some((holder, _)) => holder.messenger().has_backlog(),
            None => self.watch.has_backlog(self.host.ticking()),
        }
    }

    /// Whether nothing is left to be said or heard for now.
    ///
    /// # Errors
    /// [`SessionError`] when the home does not read.
    pub fn is_settled(&mut self) -> Result<bool, SessionError> {
        self.holder.as_mut().map_or(Ok(true), |(holder, _)| holder.is_settled())
    }

    /// Why there is no connection, if there is none.
    #[must_use]
    pub fn problem(&self) -> Option<&SessionError> {
        match &self.holder {
            Some((holder, _)) => holder.problem(),
            None => self.watch.problem(),
        }
    }

    /// The same, for whoever ends because of it.
    pub fn take_problem(&mut self) -> Option<SessionError> {
        match &mut self.holder {
            Some((holder, _)) => holder.take_problem(),
            None => self.watch.take_problem(self.host.ticking()),
        }
    }

    /// Has a connection made now, if this process makes them and there is none.
    pub fn hurry(&mut self) {
        if let Some((holder, _)) = &mut self.holder {
            holder.hurry();
        }
    }

    /// Asks the server about a phone's key, once.
    pub fn want_key(&mut self, phone: &Phone) {
        if let Some((holder, _)) = &mut self.holder {
            holder.want_key(phone);
        }
    }

    /// Whether the server was asked about a phone's key and has answered.
    #[must_use]
    pub fn has_answer(&self, phone: &Phone) -> bool {
        self.holder.as_ref().is_none_or(|(holder, _)| holder.messenger().has_answer(phone))
    }

    /// Whether the server has said in this session what a phone's key is. A process without the
    /// session is not told.
    #[must_use]
    pub fn has_word_of(&self, phone: &Phone) -> bool {
        self.holder.as_ref().is_some_and(|(holder, _)| holder.messenger().has_word_of(phone))
    }

    /// The earlier one of this machine's time and the server's, while this process talks to the server and
    /// knows its time: what has passed by this has passed by both.
    #[must_use]
    pub fn agreed_time(&self) -> Option<UnixTime> {
        let (holder, _) = self.holder.as_ref()?;
        let is_known = holder.problem().is_none() && holder.messenger().has_backlog();
        let offset_s = holder.messenger().clock_offset_s();
        is_known.then(|| (self.host.now)().unix.shifted(offset_s.min(0)))
    }

    /// Whether this process talks to the server.
    #[must_use]
    pub const fn has_session(&self) -> bool {
        self.holder.is_some()
    }

    /// Why the server's answer about a phone's key was refused, if it was.
    #[must_use]
    pub fn refused_answer(&self, phone: &Phone) -> Option<Conflict> {
        let (holder, _) = self.holder.as_ref()?;
        holder.messenger().refused_answer(phone).map(|(_, conflict)| conflict)
    }

    /// For another thread that has something to say.
    #[must_use]
    pub fn waker(&self) -> Arc<mio::Waker> {
        self.waiter.waker()
    }

    /// Whether the person wants to stop.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        interrupt::has_come()
    }

    /// Does what there is to do, and waits a moment for more.
    ///
    /// # Errors
    /// [`SessionError`] when going on makes no sense.
    pub fn turn(&mut self, patience: Duration) -> Result<(), SessionError> {
        self.take_session()?;
        match &mut self.holder {
            Some((holder, lock)) => {
                let done = holder.turn(&mut self.waiter, patience);
                holder.show(lock);
                if done.as_ref().is_err_and(SessionError::is_taken_over) {
                    lock.set_taken_over(true);
                }
                done
            }
            None => {
                self.watch.look(self.home, self.host.ticking());
                self.waiter.wait(None, patience.min(LOOK))
            }
        }
    }

    /// Goes on until `reached` says so, `deadline` or that of the command passes, or the person interrupts; and, with
    /// `persistent` off, until there is no connection.
    ///
    /// # Errors
    /// As [`Session::turn`], and whatever `reached` fails with.
    pub fn wait_until<E: From<SessionError>>(
        &mut self,
        deadline: Option<Instant>,
        persistent: bool,
        mut reached: impl FnMut(&mut Self) -> Result<bool, E>,
    ) -> Result<Reached, E> {
        let deadline = match (deadline, self.deadline) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        loop {
            if reached(self)? {
                return Ok(Reached::Yes);
            }
            if self.is_interrupted() {
                return Ok(Reached::Interrupted);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Reached::TimedOut);
            }
            if !persistent && self.problem().is_some() {
                return Ok(Reached::Offline);
            }
            self.turn(left.unwrap_or(LOOK).min(LOOK))?;
        }
    }

    /// Says goodbye to the server, if this process was in session.
    ///
    /// # Errors
    /// [`SessionError`] when the home refuses what came in last.
    pub fn leave(mut self) -> Result<(), SessionError> {
        match &mut self.holder {
            Some((holder, _)) => {
                let left = self.deadline.map(|at| at.saturating_duration_since(Instant::now()));
                let patience = left.map_or(GOODBYE, |left| left.clamp(SHORT_GOODBYE, GOODBYE));
                holder.leave(&mut self.waiter, patience)
            }
            None => Ok(()),
        }
    }
}
