//! A socket with the core's client machine behind it.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Result, bail};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rand_chacha::ChaCha20Rng;
use waxwing_aws_lc::{AwsLc, AwsLcPublicKey};
use waxwing_core::client::{Buffers, Client, Env, Event, Keys, Options};
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::time::{self, Now};
use waxwing_server::clock;

use crate::population::Person;

/// Room for letters that wait to go out.
const TRANSMIT: usize = 64 * 1_024;
/// The machine wants a place for letters, though none come.
const NO_LETTERS: usize = 512;

pub(crate) type Machine = Client<'static, AwsLc, Vec<u8>>;

/// A non-blocking socket.
pub(crate) struct Stream(TcpStream);

impl Stream {
    pub(crate) fn dial(server: SocketAddr, registry: &Registry, token: Token) -> Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self(stream))
    }

    /// Writes what the socket takes, and says how much that was.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            match self.0.write(&bytes[written..]) {
                Ok(count) => written += count,
                // A socket that is not connected yet is not ready either.
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) =>
                {
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(written)
    }

    /// Reads once; `None` when there is nothing now. What does not fill the room was all there is:
    /// the socket says when there is more.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> Result<Option<usize>> {
        loop {
            return match self.0.read(room) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(count) => Ok(Some(count)),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) =>
                {
                    Ok(None)
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(error.into()),
            };
        }
    }
}

/// The clocks of the machines.
pub(crate) fn now() -> Now {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let millis = BEGUN.get_or_init(Instant::now).elapsed().as_millis();
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    Now { instant: time::Instant::from_millis(millis), unix: clock::unix_now() }
}

/// One client's connection.
pub(crate) struct Line {
    pub(crate) client: Machine,
    stream: Option<Stream>,
}

impl Line {
    /// A client that has not said anything and is not connected, with room for letters to send
    /// if it `sends` any.
    pub(crate) fn new(
        person: &Person,
        server: &'static AwsLcPublicKey,
        sends: bool,
    ) -> Result<Self> {
        const PROVIDER: &AwsLc = &AwsLc;
        let keys = Keys { provider: PROVIDER, own: &person.keys.private, server };
        let buffers = Buffers {
            letters: vec![0; NO_LETTERS],
            control: vec![0; MAX_CONTROL_PACKET],
            transmit: vec![0; if sends { TRANSMIT } else { MAX_CONTROL_PACKET }],
        };
        Ok(Self { client: Client::new(keys, buffers, Options::default())?, stream: None })
    }

    /// Asks for a session, in the short form if there was one. It goes out once there is a connection.
    pub(crate) fn reconnect(&mut self, rng: &mut ChaCha20Rng, person: &Person) -> Result<()> {
        let env = &mut Env { now: now(), rng };
        Ok(self.client.reconnect(env, person.user, person.last_session.as_ref())?)
    }

    /// The same in the long form, as under another key of the server.
    pub(crate) fn reconnect_anew(&mut self, rng: &mut ChaCha20Rng, person: &Person) -> Result<()> {
        let env = &mut Env { now: now(), rng };
        Ok(self.client.reconnect(env, person.user, None)?)
    }

    /// Whether the server has closed the connection, which is let go then. What it sends before that is lost.
    pub(crate) fn has_ended(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return true };
        let mut room = [0; NO_LETTERS];
        loop {
            match stream.read(&mut room) {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => {
                    self.stream = None;
                    return true;
                }
            }
        }
    }

    /// Lets the connection go. Nothing is heard of it any more.
    pub(crate) fn hang_up(&mut self) {
        self.stream = None;
    }

    pub(crate) fn dial(
        &mut self,
        server: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> Result<()> {
        self.stream = Some(Stream::dial(server, registry, token)?);
        Ok(())
    }

    /// Sends what the machine has to say, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if let Some(stream) = &mut self.stream {
            let written = stream.write(self.client.transmit())?;
            self.client.transmitted(written);
        }
        Ok(())
    }

    /// Reads everything there is, acts on it, and sends what that leads to.
    pub(crate) fn turn(
        &mut self,
        rng: &mut ChaCha20Rng,
        mut act: impl FnMut(&Event<'_>),
    ) -> Result<()> {
        self.read(rng, &mut act)?;
        self.flush()
    }

    fn read(&mut self, rng: &mut ChaCha20Rng, act: &mut impl FnMut(&Event<'_>)) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut has_more = true;
        while has_more {
            let room = self.client.receive_buffer();
            let Some(count) = stream.read(room)? else { return Ok(()) };
            has_more = count == room.len();
            self.client.received(count);
            let env = &mut Env { now: now(), rng };
            while let Some(event) = self.client.poll(env)? {
                act(&event);
            }
        }
        Ok(())
    }
}
