//! Registering: 100 and 101, resumable at every step (PROTOCOL.md, "Registration"), and finding
//! out whether a server knows an account ("Retry rules").

use std::time::Duration;

use waxwing_core::client::{Ended, Event, RefusalNotice};
use waxwing_core::crypto::SessionKey;
use waxwing_core::id::UserId;
use waxwing_core::messenger::{Backoff, Cause, REFUSALS_BEFORE_GIVING_UP};
use waxwing_core::phone::Otp;
use waxwing_core::wire::{ErrorCode, OtpGrant};

use super::account::Account;
use super::dial::Dial;
use super::link::Link;
use super::stream::Waiter;
use super::{Host, SessionError};
use crate::interrupt;

/// How often a busy server is asked again.
const BUSY_RETRIES: u32 = 8;
/// A server that is busy for longer, in seconds, is for the person to ask again.
const SHORT_WAIT_S: u16 = 5;

/// What asking for a code came to.
#[derive(Debug)]
pub enum Asked {
    /// It is on its way, or in here.
    Issued(OtpGrant),
    /// The phone has an account.
    PhoneTaken,
}

/// What a server says about an account, signed with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It has given a session to this id and key.
    Yes,
    /// It knows no such id, or another key for it.
    No,
}

/// Talks to the server before there is an account, or when it is not certain that there is one.
pub struct Registrar<'a> {
    account: &'a Account,
    host: Host,
    waiter: Waiter,
}

impl<'a> Registrar<'a> {
    /// Gets ready.
    ///
    /// # Errors
    /// [`SessionError`] when the system refuses.
    pub fn new(account: &'a Account, host: Host) -> Result<Self, SessionError> {
        Ok(Self { account, host, waiter: Waiter::new()? })
    }

    /// Asks the server for a session as `user`, and takes it no further: nothing is handed over,
    /// and no other session ends. A refusal counts when it comes on three connections in a row,
    /// since a single one can be played back.
    ///
    /// # Errors
    /// [`SessionError`] when the server cannot be reached, has another key, or refuses otherwise.
    pub fn ask_whether_known(&mut self, user: UserId) -> Result<Known, SessionError> {
        let mut backoff = Backoff::default();
        for refusals in 1.. {
            match self.while_busy(|registrar| registrar.ask_for_session(user))? {
                Ok(()) => return Ok(Known::Yes),
                Err(Ended::Refused(RefusalNotice {
                    code: Some(ErrorCode::BadSignature | ErrorCode::SessionUnknown),
                    ..
                })) => {}
                Err(ended) => return Err(SessionError::Over(Cause::Ended(ended))),
            }
            if refusals == REFUSALS_BEFORE_GIVING_UP {
                break;
            }
            backoff.fail(self.host.ticking(), &mut *(self.host.rng)());
            self.pause(backoff.until().since(self.host.ticking()))?;
        }
        Ok(Known::No)
    }

    fn connect(&mut self) -> Result<Link<'a>, SessionError> {
        let stream = Dial::connect(&self.account.identity().servers, &self.host, &mut self.waiter)?;
        Link::open(self.account.keys(), stream, 0, self.host.clone())
    }

    fn ask_for_session(&mut self, user: UserId) -> Result<Result<(), Ended>, SessionError> {
        let mut link = self.connect()?;
        link.reconnect(user, None)?;
        self.run(&mut link, |event| matches!(event, Event::SessionIssued { .. }).then_some(()))
    }

    /// Sends 100; again while the server is busy.
    ///
    /// # Errors
    /// [`SessionError`] when the server cannot be reached or refuses.
    pub fn ask_for_code(&mut self) -> Result<Asked, SessionError> {
        self.while_busy(Self::ask_once)?.map_err(|ended| match ended {
            Ended::Refused(RefusalNotice {
                code: Some(ErrorCode::Busy), retry_after_s, ..
            }) => SessionError::CodeNotSent(retry_after_s),
            ended => SessionError::Over(Cause::Ended(ended)),
        })
    }

    fn while_busy<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<Result<T, Ended>, SessionError>,
    ) -> Result<Result<T, Ended>, SessionError> {
        for _ in 0..BUSY_RETRIES {
            match attempt(self)? {
                Err(Ended::Refused(RefusalNotice {
                    code: Some(ErrorCode::Busy),
                    retry_after_s: retry_after_s @ ..=SHORT_WAIT_S,
                    ..
                })) => self.pause(Duration::from_secs(retry_after_s.max(1).into()))?,
                done => return Ok(done),
            }
        }
        attempt(self)
    }

    fn pause(&mut self, pause: Duration) -> Result<(), SessionError> {
        let until = self.host.ticking().after(pause);
        loop {
            let left = until.since(self.host.ticking());
            if left.is_zero() {
                return Ok(());
            }
            self.waiter.wait(None, left)?;
            if interrupt::has_come() {
                return Err(SessionError::Interrupted);
            }
        }
    }

    fn ask_once(&mut self) -> Result<Result<Asked, Ended>, SessionError> {
        let account = self.account;
        let identity = account.identity();
        let mut link = self.connect()?;
        link.log_reply_key(&identity.reply_key);
        link.request(|client, env| client.request_otp(env, &identity.phone, &identity.reply_key))?;
        self.run(&mut link, |event| match event {
            Event::OtpIssued(grant) => Some(Asked::Issued(grant)),
            Event::PhoneTaken => Some(Asked::PhoneTaken),
            _ => None,
        })
    }

    /// Sends 101; again while the server is busy. `issued` is told the new id before the server is
    /// told that it arrived.
    ///
    /// # Errors
    /// `Err` with [`Ended`] when the connection ended without an account, else [`SessionError`].
    pub fn prove(
        &mut self,
        code: &Otp,
        mut issued: impl FnMut(UserId) -> Result<(), SessionError>,
    ) -> Result<Result<SessionKey, Ended>, SessionError> {
        self.while_busy(|registrar| registrar.prove_once(code, &mut issued))
    }

    fn prove_once(
        &mut self,
        code: &Otp,
        issued: &mut dyn FnMut(UserId) -> Result<(), SessionError>,
    ) -> Result<Result<SessionKey, Ended>, SessionError> {
        let account = self.account;
        let identity = account.identity();
        let mut link = self.connect()?;
        link.request(|client, env| {
            client.prove_otp(env, &identity.phone, &identity.reply_key, code)
        })?;
        let mut failure = None;
        let done = self.run(&mut link, |event| match event {
            Event::SessionIssued { user } => {
                failure = issued(user).err();
                failure.is_some().then_some(())
            }
            Event::BacklogEnd(_) => Some(()),
            _ => None,
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        if let Err(ended) = done? {
            return Ok(Err(ended));
        }
        let key = link.proven_session_key().cloned();
        let key = key.ok_or(SessionError::EndOfStream)?;
        if link.leave().is_ok() {
            // The goodbye is a courtesy.
            let _ = self.run(&mut link, |_| None::<()>);
        }
        Ok(Ok(key))
    }

    fn run<T>(
        &mut self,
        link: &mut Link<'a>,
        mut take: impl FnMut(Event<'_>) -> Option<T>,
    ) -> Result<Result<T, Ended>, SessionError> {
        loop {
            let moved = link.drive();
            let mut taken = None;
            let ended = link.drain(|event| {
                if let Some(value) = take(event) {
                    taken.get_or_insert(value);
                }
            });
            if let Some(value) = taken {
                return Ok(Ok(value));
            }
            if let Some(ended) = ended {
                return Ok(Err(ended));
            }
            let moved = moved?;
            if moved.is_nothing() {
                let patience = link.patience();
                self.waiter.wait(Some(link.stream_mut()), patience)?;
                if interrupt::has_come() {
                    return Err(SessionError::Interrupted);
                }
            }
        }
    }
}
