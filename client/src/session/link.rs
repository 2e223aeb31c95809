//! One connection: the client machine on a stream.

use std::time::Duration;

use waxwing_core::client::{
    Buffers, Client, DriveError, Ended, Env, Event, Moved, Options, RequestError, drive,
};
use waxwing_core::crypto::{ReplyKey, SessionKey};
use waxwing_core::id::UserId;
use waxwing_core::limits::{MAX_CONTROL_PACKET, MAX_PACKET};
use waxwing_core::wire::CloseReason;

use super::account::Account;
use super::stream::Stream;
use crate::backend::{Backend, rng};
use crate::clock;
use crate::console::Remarks;
use crate::exit::Failure;
use crate::keylog::KeyLog;

/// Letters in flight either way fit these.
const TRANSMIT: usize = 4 * MAX_PACKET;

/// Silence after which the server is asked whether it is there. With the time for the answer, a
/// dead connection is noticed within two minutes even where TCP ends half way, at a proxy.
const PROBE: Duration = Duration::from_secs(100);

/// How often a waiting holder looks for what other processes have put into the home.
const LOOK: Duration = Duration::from_millis(50);

pub(super) struct Link<'a> {
    client: Client<'a, Backend, Box<[u8]>>,
    stream: Stream,
    key_log: Option<KeyLog>,
    remarks: Remarks,
}

impl<'a> Link<'a> {
    pub(super) fn open(
        account: &'a Account,
        stream: Stream,
        clock_offset_s: i64,
        remarks: Remarks,
    ) -> Result<Self, Failure> {
        let key_log = KeyLog::from_environment()?;
        let buffer = |len: usize| vec![0; len].into_boxed_slice();
        let buffers = Buffers {
            letters: buffer(MAX_PACKET),
            control: buffer(MAX_CONTROL_PACKET),
            transmit: buffer(TRANSMIT),
        };
        let options = Options { clock_offset_s, probe: Some(PROBE), ..Options::default() };
        let client =
            Client::new(account.keys(), buffers, options).map_err(|error| broken(&error))?;
        Ok(Self { client, stream, key_log, remarks })
    }

    /// Makes a request of the machine.
    pub(super) fn request<T>(
        &mut self,
        act: impl FnOnce(&mut Client<'a, Backend, Box<[u8]>>, &mut Env<'_>) -> T,
    ) -> T {
        let mut rng = rng();
        let mut env = Env { now: clock::both(), rng: &mut rng };
        act(&mut self.client, &mut env)
    }

    pub(super) fn reconnect(
        &mut self,
        user: UserId,
        last_key: Option<&SessionKey>,
    ) -> Result<(), Failure> {
        self.request(|client, env| client.reconnect(env, user, last_key))
            .map_err(|error| broken(&error))
    }

    pub(super) fn leave(&mut self) -> Result<(), RequestError> {
        self.request(|client, env| client.leave(env))
    }

    /// Moves bytes.
    pub(super) fn drive(&mut self) -> Result<Moved, Failure> {
        drive(&mut self.client, &mut self.stream).map_err(|error| match error {
            DriveError::EndOfStream => Failure::Refused("the server closed the connection".into()),
            DriveError::Stream(error) => Failure::Refused(format!("the connection broke: {error}")),
        })
    }

    /// Takes out what was learnt before there is a session to work in, and how the connection ended
    /// if it has.
    pub(super) fn drain(&mut self, mut take: impl FnMut(Event<'_>)) -> Option<Ended> {
        let mut rng = rng();
        let mut env = Env { now: clock::both(), rng: &mut rng };
        self.client.timeout(&mut env);
        loop {
            match self.client.poll(&mut env) {
                Ok(None) => return None,
                Err(ended) => return Some(ended),
                Ok(Some(event)) => {
                    let is_letter = matches!(event, Event::Letter(_));
                    take(event);
                    if is_letter {
                        // Nobody asked for one here: it comes again.
                        self.client.release_letter();
                    }
                }
            }
            self.log_session();
        }
    }

    /// Writes the keys of the session down, once, if there is a log for them.
    pub(super) fn log_session(&mut self) {
        let (Some(user), Some((nonce, key))) = (self.client.user(), self.client.session()) else {
            return;
        };
        if let Some(mut log) = self.key_log.take() {
            let logged = log.session(user, nonce, key);
            self.remark_on_key_log(logged);
        }
    }

    /// The same for the key that names an attempt to register.
    pub(super) fn log_reply_key(&mut self, key: &ReplyKey) {
        if let Some(log) = &mut self.key_log {
            let logged = log.reply(key);
            self.remark_on_key_log(logged);
        }
    }

    /// A log that takes no more keys is no reason to break off a conversation.
    fn remark_on_key_log(&mut self, logged: Result<(), Failure>) {
        if let Err(failure) = logged {
            // A remark never fails.
            let _ = writeln!(self.remarks, "a key is missing from the key log: {failure}");
        }
    }

    pub(super) fn proven_session_key(&self) -> Option<&SessionKey> {
        self.client.proven_session_key()
    }

    /// How long there is nothing to do unless something comes in.
    pub(super) fn patience(&self) -> Duration {
        self.client.poll_timeout().map_or(LOOK, |at| at.since(clock::ticking())).min(LOOK)
    }

    pub(super) const fn stream_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::General(format!("the request could not be made: {error}"))
}

/// What the end of a connection means to a person.
#[must_use]
pub fn failure(ended: &Ended) -> Failure {
    match ended {
        Ended::Closed(CloseReason::TakenOver) => Failure::Refused(
            "another session of this account took over; is it open on another machine?".into(),
        ),
        Ended::Closed(CloseReason::ServerStopping) => {
            Failure::Refused("the server is stopping; try again in a moment".into())
        }
        Ended::Refused(refusal) => Failure::refused(refusal.number, refusal.retry_after_s),
        Ended::BadBytes => Failure::Untrusted(
            "the server's answers are not signed with the key that this home trusts; is the \
             address right? If the server has a new key, get its server.pub.pem from the operator, \
             and run `waxwing register --server-key FILE PHONE`"
                .into(),
        ),
        Ended::TimedOut => {
            Failure::Refused("the server does not answer; check the network, and try again".into())
        }
        Ended::WindowExceeded => Failure::Refused(
            "more letters came at once than any honest server sends; somebody on the way to the \
             server sends them, or the server does. The connection was closed"
                .into(),
        ),
        Ended::Misbehaved | Ended::BadSeal | Ended::Closed(_) | Ended::Build(_) => {
            Failure::Refused(format!(
                "{ended}; is it a Waxwing server of this version? Tell its operator if this happens \
                 again"
            ))
        }
    }
}
