//! Where a command waits for what the home will hold: by running the courier, or, while another
//! process holds the session, by watching what that one does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use waxwing_core::phone::Phone;

use super::stream::Waiter;
use super::{Account, Courier};
use crate::console::Remarks;
use crate::exit::Failure;
use crate::home::{Conflict, Home, SessionLock};

/// How often a process without the session looks at the home.
const LOOK: Duration = Duration::from_millis(50);

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reached {
    /// What was waited for is there.
    Yes,
    /// Time is up.
    TimedOut,
    /// The person wants to stop.
    Interrupted,
    /// There is no connection; see [`Desk::problem`].
    Offline,
}

/// A place to wait at.
pub struct Desk<'a> {
    home: &'a Home,
    account: &'a Account,
    remarks: Remarks,
    waiter: Waiter,
    courier: Option<(Courier<'a>, SessionLock)>,
}

impl<'a> Desk<'a> {
    /// Sits down. What the person should know while a command waits goes to `remarks`.
    ///
    /// # Errors
    /// [`Failure`] when the system or the home refuse.
    pub fn new(home: &'a Home, account: &'a Account, remarks: &Remarks) -> Result<Self, Failure> {
        let (waiter, remarks) = (Waiter::new()?, remarks.clone());
        let mut desk = Self { home, account, remarks, waiter, courier: None };
        desk.take_session()?;
        Ok(desk)
    }

    fn take_session(&mut self) -> Result<(), Failure> {
        if self.courier.is_none()
            && let Some(lock) = self.home.try_lock_session()?
        {
            self.courier =
                Some((Courier::new(self.home, self.account, self.remarks.clone()), lock));
        }
        Ok(())
    }

    /// Whether everything that was pending at the server has come. A process without the
    /// session cannot know; what the holder stores shows up in the home.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.courier.as_ref().is_none_or(|(courier, _)| courier.has_backlog())
    }

    /// Whether nothing is left to be said or heard for now.
    ///
    /// # Errors
    /// [`Failure`] when the home does not read.
    pub fn is_settled(&self) -> Result<bool, Failure> {
        self.courier.as_ref().map_or(Ok(true), |(courier, _)| courier.is_settled())
    }

    /// Why there is no connection, if there is none.
    #[must_use]
    pub fn problem(&self) -> Option<&Failure> {
        self.courier.as_ref().and_then(|(courier, _)| courier.problem())
    }

    /// The same, for whoever ends because of it.
    pub fn take_problem(&mut self) -> Option<Failure> {
        self.courier.as_mut().and_then(|(courier, _)| courier.take_problem())
    }

    /// Asks the server about a phone's key, once.
    pub fn want_key(&mut self, phone: &Phone) {
        if let Some((courier, _)) = &mut self.courier {
            courier.want_key(phone);
        }
    }

    /// Whether the server was asked about a phone's key and has answered.
    #[must_use]
    pub fn has_answer(&self, phone: &Phone) -> bool {
        self.courier.as_ref().is_none_or(|(courier, _)| courier.has_answer(phone))
    }

    /// Why the server's answer about a phone's key was refused, if it was.
    #[must_use]
    pub fn refused_answer(&self, phone: &Phone) -> Option<&Conflict> {
        let (courier, _) = self.courier.as_ref()?;
        courier.refused_answer(phone).map(|(_, conflict)| conflict)
    }

    /// For another thread that has something to say.
    #[must_use]
    pub fn waker(&self) -> Arc<mio::Waker> {
        self.waiter.waker()
    }

    /// Whether the person wants to stop.
    #[must_use]
    pub const fn is_interrupted(&self) -> bool {
        self.waiter.is_interrupted()
    }

    /// Does what there is to do, and waits a moment for more.
    ///
    /// # Errors
    /// [`Failure`] when going on makes no sense.
    pub fn turn(&mut self, patience: Duration) -> Result<(), Failure> {
        self.take_session()?;
        match &mut self.courier {
            Some((courier, _)) => courier.turn(&mut self.waiter, patience),
            None => self.waiter.wait(None, patience.min(LOOK)),
        }
    }

    /// Goes on until `reached` says so, `deadline` passes, or the person interrupts; and, with
    /// `persistent` off, until there is no connection.
    ///
    /// # Errors
    /// As [`Desk::turn`], and whatever `reached` fails with.
    pub fn wait_until(
        &mut self,
        deadline: Option<Instant>,
        persistent: bool,
        mut reached: impl FnMut(&Self) -> Result<bool, Failure>,
    ) -> Result<Reached, Failure> {
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
    /// [`Failure`] when the home refuses what came in last.
    pub fn leave(mut self) -> Result<(), Failure> {
        match &mut self.courier {
            Some((courier, _)) => courier.leave(&mut self.waiter),
            None => Ok(()),
        }
    }
}
