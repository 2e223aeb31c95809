//! Somebody with a whole client: client machine, messenger, and a profile in memory that outlives
//! the process. Bytes, time and randomness are handed in; what is at the other end is not known here.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use waxwing_core::client::{Buffers, Client, DriveError, Env, Keys, Options, drive};
use waxwing_core::crypto::{PrivateKey, Spki};
use waxwing_core::envelope::Fingerprint;
use waxwing_core::id::UserId;
use waxwing_core::limits::{MAX_CONTROL_PACKET, MAX_PACKET};
use waxwing_core::messenger::{self, Account, Over, ServerKey, Turn};
use waxwing_core::phone::Phone;

use crate::backend::Backend;
use crate::profile::{DiskFull, MemoryProfile, Stored};

pub type Machine<'k, P> = Client<'k, P, Vec<u8>>;
pub type Messenger<'k> = messenger::Messenger<'k, Vec<u8>, 64>;

/// A person, the process that runs for them, and its connection.
pub struct Participant<'k, P: Backend> {
    pub phone: Phone,
    pub keys: Keys<'k, P>,
    pub profile: MemoryProfile,
    pub messenger: Messenger<'k>,
    /// Letters taken without having acknowledged the first.
    pub window: u8,
    /// Bytes of the letter buffer of the next connection.
    pub letter_buffer: usize,
    transmit_buffer: usize,
    server: &'k Spki,
    /// Other keys that the server may come to have, parsed.
    pub server_keys: Vec<(Spki, &'k P::PublicKey)>,
    aside: usize,
    connection: Option<Connection<'k, P>>,
    /// What was written on a connection that is over since, and was not taken.
    last_bytes: Vec<u8>,
}

struct Connection<'k, P: Backend> {
    client: Machine<'k, P>,
    stream: Stream,
}

/// Bytes of what somebody has for letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// For a letter that comes.
    pub letter: usize,
    /// For what goes out.
    pub transmit: usize,
    /// For letters aside.
    pub aside: usize,
}

impl Memory {
    /// Every letter has room.
    pub const LARGE: Self =
        Self { letter: MAX_PACKET, transmit: 2 * MAX_PACKET, aside: Messenger::ASIDE };
    /// Letters of [`Memory::SMALL_TEXT`] bytes have room, and so have twelve of them aside: from three
    /// people who may have four pending each. That costs less time in a simulated world. A messenger wants
    /// to have room for two packets of any size behind the letters aside.
    pub const SMALL: Self =
        Self { letter: 4_096, transmit: 8_192, aside: 2 * MAX_PACKET + 12 * 4_096 };
    /// Bytes of the longest text that there is room for.
    pub const SMALL_TEXT: usize = 3_000;
}

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is nothing to do until something comes, or time passes.
    Idle,
    /// There is more to do at once.
    Busy,
    /// The connection is over.
    Ended(End),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The messenger has ended it.
    Over(Over),
    /// The profile has failed.
    DiskFull,
    /// The stream is over.
    Stream,
}

impl End {
    /// What the messenger says of the end that it has made.
    ///
    /// # Panics
    /// When it was not the messenger that ended the connection.
    pub fn over(self) -> Over {
        match self {
            Self::Over(over) => over,
            other => panic!("{other:?}"),
        }
    }
}

/// The two directions of a connection, in memory.
#[derive(Default)]
struct Stream {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
    /// Nothing comes any more.
    is_over: bool,
}

impl ErrorType for Stream {
    type Error = Infallible;
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(io::Read::read(&mut self.incoming, buffer).unwrap())
    }
}

impl ReadReady for Stream {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.is_over || !self.incoming.is_empty())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl WriteReady for Stream {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}

impl<'k, P: Backend> Participant<'k, P> {
    /// Somebody with memory for letters aside, who is not connected; `user` is their id, if they have
    /// an account.
    pub fn new(keys: Keys<'k, P>, server: &'k Spki, phone: Phone, user: Option<UserId>) -> Self {
        Self::with_memory(keys, server, phone, user, Memory::LARGE)
    }

    /// The same, with so much memory.
    pub fn with_memory(
        keys: Keys<'k, P>,
        server: &'k Spki,
        phone: Phone,
        user: Option<UserId>,
        memory: Memory,
    ) -> Self {
        let Memory { letter, transmit, aside } = memory;
        let mut profile = MemoryProfile::default();
        profile.stored.user = user;
        let messenger = messenger(&keys, server, phone, user, aside);
        Self {
            phone,
            keys,
            profile,
            messenger,
            window: 128,
            letter_buffer: letter,
            transmit_buffer: transmit,
            server,
            server_keys: Vec::new(),
            aside,
            connection: None,
            last_bytes: Vec::new(),
        }
    }

    /// No memory for letters aside, and one letter at a time.
    pub fn become_a_device(&mut self) {
        (self.aside, self.window) = (0, 1);
        self.restart();
    }

    /// The process dies, its connection with it, and another one begins with what was committed.
    pub fn restart(&mut self) {
        self.connection = None;
        self.profile.crash();
        let user = self.profile.stored.user;
        self.messenger = messenger(&self.keys, self.server, self.phone, user, self.aside);
    }

    /// A connection begins, on a stream that nothing has gone over. The messenger has to be asked
    /// first when it may: [`Messenger::may_connect_at`].
    pub fn connect(&mut self, env: &mut Env<'_>) {
        let buffers = Buffers {
            letters: vec![0; self.letter_buffer],
            control: vec![0; MAX_CONTROL_PACKET],
            transmit: vec![0; self.transmit_buffer],
        };
        let clock_offset_s = self.messenger.clock_offset_s();
        let options = Options { window: self.window, clock_offset_s, ..Options::default() };
        let keys = self.keys_to_choose(env);
        let mut client = Client::new(keys, buffers, options).unwrap();
        self.messenger.connect(&mut client, &mut self.profile, env).unwrap();
        self.connection = Some(Connection { client, stream: Stream::default() });
        self.last_bytes.clear();
    }

    /// The keys of the next connection, with that of the server which is to be tried.
    fn keys_to_choose(&mut self, env: &Env<'_>) -> Keys<'k, P> {
        let Stored { server_key, successor, .. } = &self.profile.stored;
        let effective = successor.as_ref().map(|next| next.effective.to_unix());
        let chosen = match self.messenger.choose_server_key(effective, env) {
            ServerKey::Pinned => server_key.as_ref(),
            ServerKey::Successor => successor.as_ref().map(|next| &next.spki),
        };
        let parsed = |spki| self.server_keys.iter().find(|(known, _)| known == spki);
        let server = chosen.map_or(self.keys.server, |spki| parsed(spki).expect("a known key").1);
        Keys { server, ..self.keys }
    }

    /// What has come, as it can be read.
    pub fn texts(&self) -> Vec<&str> {
        self.profile.stored.texts()
    }

    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// The machine of the connection.
    pub fn client(&mut self) -> Option<&mut Machine<'k, P>> {
        self.connection.as_mut().map(|connection| &mut connection.client)
    }

    /// Bytes have come, to be read by the next steps.
    pub fn receive(&mut self, bytes: &[u8]) {
        if let Some(connection) = &mut self.connection {
            connection.stream.incoming.extend(bytes);
        }
    }

    /// After what has come, nothing does any more.
    pub fn end_stream(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.stream.is_over = true;
        }
    }

    /// Bytes that have come and were not read.
    pub fn unread(&self) -> usize {
        self.connection.as_ref().map_or(0, |connection| connection.stream.incoming.len())
    }

    /// What goes out, or has gone out on the connection that is over.
    pub fn transmit(&mut self) -> Vec<u8> {
        match &mut self.connection {
            Some(connection) => std::mem::take(&mut connection.stream.outgoing),
            None => std::mem::take(&mut self.last_bytes),
        }
    }

    /// One move of bytes, and one turn.
    pub fn step(&mut self, env: &mut Env<'_>) -> Step {
        let Some(Connection { client, stream }) = &mut self.connection else { return Step::Idle };
        let written = stream.outgoing.len();
        let moved = drive(client, stream, env);
        let has_read = matches!(&moved, Ok(moved) if moved.read > 0);
        let turn = self.messenger.turn(client, &mut self.profile, env, has_read);
        let is_open = matches!(turn, Ok(Turn::Open));
        assert_eq!(self.profile.is_open(), is_open, "a transaction stays open");
        let end = match turn {
            Ok(Turn::Over(over)) => End::Over(over),
            Err(DiskFull) => End::DiskFull,
            Ok(_) if moved == Err(DriveError::EndOfStream) => End::Stream,
            Ok(turn) => {
                let output = client.transmit().len();
                if turn == Turn::Idle {
                    assert!(!has_read, "there may be more to read");
                    let commits = self.profile.commits;
                    let again = self.messenger.turn(client, &mut self.profile, env, false);
                    let is_same =
                        (client.transmit().len(), self.profile.commits) == (output, commits);
                    let stays_idle = again == Ok(Turn::Idle) && is_same;
                    assert!(stays_idle, "an idle turn has left something to do: {again:?}");
                }
                let has_moved = has_read || stream.outgoing.len() > written;
                // What the turn has written goes out with the next move of bytes.
                let is_idle = turn == Turn::Idle && !has_moved && output == 0;
                return if is_idle { Step::Idle } else { Step::Busy };
            }
        };
        if !matches!(end, End::Over(_)) {
            self.messenger.disconnected(env);
        }
        self.last_bytes = self.connection.take().map_or_else(Vec::new, |over| over.stream.outgoing);
        Step::Ended(end)
    }
}

fn messenger<'k, P: Backend>(
    keys: &Keys<'k, P>,
    server: &'k Spki,
    phone: Phone,
    user: Option<UserId>,
    aside: usize,
) -> Messenger<'k> {
    let fingerprint = Fingerprint::of(keys.provider, &phone, keys.own.spki());
    let account = Account { phone, user, fingerprint, server };
    Messenger::new(account, vec![0; aside])
}
