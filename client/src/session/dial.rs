//! From the server's name to a connection, without ever blocking: whoever waits can be interrupted
//! and has a deadline.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use mio::Interest;
use mio::net::TcpStream;
use waxwing_core::time::Instant;

use super::stream::{STREAM, Stream, Waiter};
use super::{Host, SessionError};
use crate::interrupt;

/// How long it may take in all: the name, and every address behind it.
const TOTAL: Duration = Duration::from_secs(15);
/// How long one address may take.
const ADDRESS: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried. Each gets its share of the time that is left.
const ADDRESSES: usize = 8;
/// How long one look at it may last.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// A connection that is being made.
pub(super) struct Dial {
    server: String,
    until: Instant,
    step: Step,
    last: io::Error,
}

enum Step {
    /// Asking for a name blocks, so a thread of its own does it. One that is given up ends when
    /// the system has its answer.
    Resolving(Receiver<io::Result<Vec<SocketAddr>>>),
    /// One address after the other; the last comes first.
    Connecting { left: Vec<SocketAddr>, attempt: Option<Attempt> },
}

struct Attempt {
    socket: TcpStream,
    until: Instant,
}

impl Dial {
    /// Begins to look up `server`, HOST:PORT.
    pub(super) fn new(server: &str, host: &Host, waiter: &Waiter) -> Result<Self, SessionError> {
        let step = match server.parse::<SocketAddr>() {
            Ok(address) => Step::Connecting { left: vec![address], attempt: None },
            Err(_) => Step::Resolving(resolve(server.to_owned(), waiter)?),
        };
        let until = host.ticking().after(TOTAL);
        let last = io::Error::new(ErrorKind::AddrNotAvailable, "the name has no address");
        Ok(Self { server: server.to_owned(), until, step, last })
    }

    /// Connects, and waits for it; the person can interrupt.
    pub(super) fn connect(
        server: &str,
        host: &Host,
        waiter: &mut Waiter,
    ) -> Result<Stream, SessionError> {
        let mut dial = Self::new(server, host, waiter)?;
        loop {
            if let Some(stream) = dial.poll(host.ticking(), waiter)? {
                return Ok(stream);
            }
            if interrupt::has_come() {
                return Err(SessionError::Interrupted);
            }
            waiter.wait(None, LOOK)?;
        }
    }

    /// Goes on as far as it can now. A connection, if one stands.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        waiter: &Waiter,
    ) -> Result<Option<Stream>, SessionError> {
        match self.go_on(now, waiter) {
            Ok(stream) => Ok(stream),
            Err(source) => Err(SessionError::Unreachable { server: self.server.clone(), source }),
        }
    }

    fn go_on(&mut self, now: Instant, waiter: &Waiter) -> io::Result<Option<Stream>> {
        if let Step::Resolving(answer) = &self.step {
            let addresses = match answer.try_recv() {
                Ok(addresses) => addresses?,
                Err(TryRecvError::Empty) if now < self.until => return Ok(None),
                Err(_) => {
                    let late = "the address of this name could not be found in time";
                    return Err(io::Error::new(ErrorKind::TimedOut, late));
                }
            };
            let mut left: Vec<_> = addresses.into_iter().take(ADDRESSES).collect();
            left.reverse();
            self.step = Step::Connecting { left, attempt: None };
        }
        let Step::Connecting { left, attempt } = &mut self.step else { return Ok(None) };
        loop {
            if let Some(Attempt { socket, until }) = attempt.take() {
                match state_of(&socket) {
                    Ok(true) => return Stream::over(socket).map(Some),
                    Ok(false) if now < until => {
                        *attempt = Some(Attempt { socket, until });
                        return Ok(None);
                    }
                    Ok(false) => self.last = ErrorKind::TimedOut.into(),
                    Err(error) => self.last = error,
                }
            }
            let share = self.until.since(now) / u32::try_from(left.len()).unwrap_or(1).max(1);
            let Some(address) = left.pop() else {
                return Err(std::mem::replace(&mut self.last, ErrorKind::TimedOut.into()));
            };
            let begun = TcpStream::connect(address).and_then(|mut socket| {
                let interest = Interest::READABLE | Interest::WRITABLE;
                waiter.registry().register(&mut socket, STREAM, interest)?;
                Ok(socket)
            });
            match begun {
                Ok(socket) => {
                    let until = now.after(share.min(ADDRESS));
                    *attempt = Some(Attempt { socket, until });
                }
                Err(error) => self.last = error,
            }
        }
    }
}

/// Whether the connection is made.
fn state_of(socket: &TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

fn resolve(
    server: String,
    waiter: &Waiter,
) -> Result<Receiver<io::Result<Vec<SocketAddr>>>, SessionError> {
    let (found, answer) = channel();
    let waker = waiter.waker();
    thread::Builder::new()
        .name("resolver".into())
        .spawn(move || {
            let addresses = server.to_socket_addrs().map(Iterator::collect);
            // Nobody waits for it any more, or somebody looks again soon anyway.
            let _ = found.send(addresses);
            let _ = waker.wake();
        })
        .map_err(|source| SessionError::System {
            what: "no thread for looking up names",
            source,
        })?;
    Ok(answer)
}
