//! One connection: the client machine on a stream.

use std::time::Duration;

use waxwing_core::client::{
    Buffers, Client, DriveError, Ended, Env, Event, Keys, Moved, Options, RequestError, drive,
};
use waxwing_core::crypto::{ReplyKey, SessionKey};
use waxwing_core::id::UserId;
use waxwing_core::limits::{MAX_CONTROL_PACKET, MAX_PACKET};

use super::stream::Stream;
use super::{Host, Note, SessionError};
use crate::backend::Backend;
use crate::keylog::{KeyLog, KeyLogError};

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
    host: Host,
}

impl<'a> Link<'a> {
    pub(super) fn open(
        keys: Keys<'a, Backend>,
        stream: Stream,
        clock_offset_s: i64,
        host: Host,
    ) -> Result<Self, SessionError> {
        let key_log = KeyLog::from_environment()?;
        let buffer = |len: usize| vec![0; len].into_boxed_slice();
        let buffers = Buffers {
            letters: buffer(MAX_PACKET),
            control: buffer(MAX_CONTROL_PACKET),
            transmit: buffer(TRANSMIT),
        };
        let options = Options { clock_offset_s, probe: Some(PROBE), ..Options::default() };
        let client =
            Client::new(keys, buffers, options).map_err(|_| RequestError::BufferTooSmall)?;
        Ok(Self { client, stream, key_log, host })
    }

    /// Makes a request of the machine.
    pub(super) fn request<T>(
        &mut self,
        act: impl FnOnce(&mut Client<'a, Backend, Box<[u8]>>, &mut Env<'_>) -> T,
    ) -> T {
        let mut rng = (self.host.rng)();
        let mut env = Env { now: (self.host.now)(), rng: &mut *rng };
        act(&mut self.client, &mut env)
    }

    pub(super) fn reconnect(
        &mut self,
        user: UserId,
        last_key: Option<&SessionKey>,
    ) -> Result<(), SessionError> {
        Ok(self.request(|client, env| client.reconnect(env, user, last_key))?)
    }

    pub(super) fn leave(&mut self) -> Result<(), RequestError> {
        self.request(|client, env| client.leave(env))
    }

    /// Moves bytes.
    pub(super) fn drive(&mut self) -> Result<Moved, SessionError> {
        let mut rng = (self.host.rng)();
        let mut env = Env { now: (self.host.now)(), rng: &mut *rng };
        drive(&mut self.client, &mut self.stream, &mut env).map_err(|error| match error {
            DriveError::EndOfStream => SessionError::EndOfStream,
            DriveError::Stream(error) => SessionError::Broken(error.into()),
        })
    }

    /// Takes out what was learnt before there is a session to work in, and how the connection ended
    /// if it has.
    pub(super) fn drain(&mut self, mut take: impl FnMut(Event<'_>)) -> Option<Ended> {
        let mut rng = (self.host.rng)();
        let mut env = Env { now: (self.host.now)(), rng: &mut *rng };
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

    /// Whether the server has offered a session on this connection: it has proven its key by that.
    pub(super) const fn has_session(&self) -> bool {
        self.client.session().is_some()
    }

    /// Writes the keys of the session down, once, if there is a log for them.
    pub(super) fn log_session(&mut self) {
        let (Some(user), Some((nonce, key))) = (self.client.user(), self.client.session()) else {
            return;
        };
        if let Some(mut log) = self.key_log.take() {
            let logged = log.session(user, nonce, key);
            self.note_on_key_log(logged);
        }
    }

    /// The same for the key that names an attempt to register.
    pub(super) fn log_reply_key(&mut self, key: &ReplyKey) {
        if let Some(log) = &mut self.key_log {
            let logged = log.reply(key);
            self.note_on_key_log(logged);
        }
    }

    /// A log that takes no more keys is no reason to break off a conversation.
    fn note_on_key_log(&self, logged: Result<(), KeyLogError>) {
        if let Err(error) = logged {
            (self.host.tell)(Note::KeyNotLogged(&error));
        }
    }

    pub(super) fn proven_session_key(&self) -> Option<&SessionKey> {
        self.client.proven_session_key()
    }

    /// How long there is nothing to do unless something comes in.
    pub(super) fn patience(&self) -> Duration {
        self.client.poll_timeout().map_or(LOOK, |at| at.since(self.host.ticking())).min(LOOK)
    }

    pub(super) const fn stream_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }
}
