//! Registering: 100 and 101, resumable at every step (PROTOCOL.md, "Registration").

use std::time::Duration;

use waxwing_core::client::{Ended, Event, RefusalNotice};
use waxwing_core::crypto::SessionKey;
use waxwing_core::id::UserId;
use waxwing_core::phone::Otp;
use waxwing_core::wire::{ErrorCode, OtpGrant};

use super::Account;
use super::dial::Dial;
use super::link::{self, Link};
use super::stream::Waiter;
use crate::console::Remarks;
use crate::exit::Failure;

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

/// Talks to the server before there is an account.
pub struct Registrar<'a> {
    account: &'a Account,
    remarks: Remarks,
    waiter: Waiter,
}

impl<'a> Registrar<'a> {
    /// Gets ready.
    ///
    /// # Errors
    /// [`Failure`] when the system refuses.
    pub fn new(account: &'a Account, remarks: &Remarks) -> Result<Self, Failure> {
        Ok(Self { account, remarks: remarks.clone(), waiter: Waiter::new()? })
    }

    /// Sends 100; again while the server is busy.
    ///
    /// # Errors
    /// [`Failure`] when the server cannot be reached or refuses.
    pub fn ask_for_code(&mut self) -> Result<Asked, Failure> {
        self.while_busy(Self::ask_once)?.map_err(|ended| match ended {
            Ended::Refused(RefusalNotice {
                code: Some(ErrorCode::Busy), retry_after_s, ..
            }) => Failure::Refused(format!(
                "the server could not send a code; is the phone number right? If it is, try again \
                 in {retry_after_s} s"
            )),
            ended => link::failure(&ended),
        })
    }

    fn while_busy<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<Result<T, Ended>, Failure>,
    ) -> Result<Result<T, Ended>, Failure> {
        for _ in 0..BUSY_RETRIES {
            match attempt(self)? {
                Err(Ended::Refused(RefusalNotice {
                    code: Some(ErrorCode::Busy),
                    retry_after_s: retry_after_s @ ..=SHORT_WAIT_S,
                    ..
                })) => {
                    let pause = Duration::from_secs(retry_after_s.max(1).into());
                    self.waiter.wait(None, pause)?;
                }
                done => return Ok(done),
            }
        }
        attempt(self)
    }

    fn ask_once(&mut self) -> Result<Result<Asked, Ended>, Failure> {
        let account = self.account;
        let identity = account.identity();
        let stream = Dial::connect(&identity.server, &mut self.waiter)?;
        let mut link = Link::open(account, stream, 0, self.remarks.clone())?;
        link.log_reply_key(&identity.reply_key);
        link.request(|client, env| client.request_otp(env, &identity.phone, &identity.reply_key))
            .map_err(|error| Failure::General(error.to_string()))?;
        Ok(self.run(&mut link, |event| match event {
            Event::OtpIssued(grant) => Some(Asked::Issued(grant)),
            Event::PhoneTaken => Some(Asked::PhoneTaken),
            _ => None,
        }))
    }

    /// Sends 101; again while the server is busy. `issued` is told the new id before the server is told that it arrived.
    ///
    /// # Errors
    /// `Err` with [`Ended`] when the connection ended without an account, else [`Failure`].
    pub fn prove(
        &mut self,
        code: &Otp,
        mut issued: impl FnMut(UserId) -> Result<(), Failure>,
    ) -> Result<Result<SessionKey, Ended>, Failure> {
        self.while_busy(|registrar| registrar.prove_once(code, &mut issued))
    }

    fn prove_once(
        &mut self,
        code: &Otp,
        issued: &mut dyn FnMut(UserId) -> Result<(), Failure>,
    ) -> Result<Result<SessionKey, Ended>, Failure> {
        let account = self.account;
        let identity = account.identity();
        let stream = Dial::connect(&identity.server, &mut self.waiter)?;
        let mut link = Link::open(account, stream, 0, self.remarks.clone())?;
        link.request(|client, env| {
            client.prove_otp(env, &identity.phone, &identity.reply_key, code)
        })
        .map_err(|error| Failure::General(error.to_string()))?;
        let mut failure = None;
        let done = self.run(&mut link, |event| match event {
            Event::SessionIssued { user } => {
                failure = issued(user).err();
                None
            }
            Event::BacklogEnd(_) => Some(()),
            _ => None,
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        match done {
            Err(ended) => Ok(Err(ended)),
            Ok(()) => {
                let key = link.proven_session_key().cloned();
                let key = key.ok_or_else(|| Failure::Refused("no session was opened".into()))?;
                if link.leave().is_ok() {
                    // The goodbye is a courtesy.
                    let _ = self.run(&mut link, |_| None::<()>);
                }
                Ok(Ok(key))
            }
        }
    }

    fn run<T>(
        &mut self,
        link: &mut Link<'a>,
        mut take: impl FnMut(Event<'_>) -> Option<T>,
    ) -> Result<T, Ended> {
        loop {
            let moved = link.drive();
            let mut taken = None;
            let ended = link.drain_events(|event| {
                if let Some(value) = take(event) {
                    taken.get_or_insert(value);
                }
            });
            if let Some(value) = taken {
                return Ok(value);
            }
            if let Some(ended) = ended {
                return Err(ended);
            }
            match moved {
                Err(_) => return Err(Ended::TimedOut),
                Ok(true) => {}
                Ok(false) => {
                    let patience = link.patience();
                    if self.waiter.wait(Some(link.stream_mut()), patience).is_err()
                        || self.waiter.is_interrupted()
                    {
                        return Err(Ended::TimedOut);
                    }
                }
            }
        }
    }
}
