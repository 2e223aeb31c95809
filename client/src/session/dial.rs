//! From the addresses of a server to a connection, without ever blocking: whoever waits can be interrupted
//! and has a deadline.

use std::io::{self, ErrorKind};
use std::mem;
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
use crate::servers::Servers;

/// How long one of several addresses of a server may take in all: the name, and what is behind it.
const TOTAL: Duration = Duration::from_secs(15);
/// How long one address behind a name may take.
const ADDRESS: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried. Each gets its share of the time that is left.
const ADDRESSES: usize = 8;
/// How long one look at it may last.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// A connection that is being made, to the first address of a server that answers.
pub(super) struct Dial {
    /// Those that come afterwards; the next one comes last.
    left: Vec<String>,
    /// Those at which nobody answered, and why.
    failed: Vec<(String, io::Error)>,
    attempt: Attempt,
}

/// At one address, as the person wrote it.
struct Attempt {
    address: String,
    until: Instant,
    step: Step,
    last: io::Error,
}

enum Step {
    /// Asking for a name blocks, so a thread of its own does it. One that is given up ends when
    /// the system has its answer.
    Resolving(Receiver<io::Result<Vec<SocketAddr>>>),
    /// One address after the other; the last comes first.
    Connecting { left: Vec<SocketAddr>, attempt: Option<Connecting> },
}

struct Connecting {
    socket: TcpStream,
    until: Instant,
}

impl Dial {
    /// Begins with the first of these addresses, each HOST:PORT; the others follow.
    pub(super) fn new<'a>(
        addresses: impl Iterator<Item = &'a str>,
        host: &Host,
        waiter: &Waiter,
    ) -> Result<Self, SessionError> {
        let mut left: Vec<_> = addresses.map(str::to_owned).collect();
        left.reverse();
        // There is always one.
        let address = left.pop().unwrap_or_default();
        let attempt = Attempt::new(address, host.ticking(), waiter)?;
        Ok(Self { left, failed: Vec::new(), attempt })
    }

    /// Connects, and waits for it; the person can interrupt.
    pub(super) fn connect(
        servers: &Servers,
        host: &Host,
        waiter: &mut Waiter,
    ) -> Result<Stream, SessionError> {
        let mut dial = Self::new(servers.from(0), host, waiter)?;
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

    /// How many addresses have been tried in vain.
    pub(super) const fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Goes on as far as it can now. A connection, if one stands.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        waiter: &Waiter,
    ) -> Result<Option<Stream>, SessionError> {
        loop {
            let source = match self.attempt.go_on(now, waiter) {
                Ok(stream) => return Ok(stream),
                Err(source) => source,
            };
            let address = mem::take(&mut self.attempt.address);
            self.failed.push((address, source));
            let Some(next) = self.left.pop() else {
                return Err(SessionError::Unreachable(mem::take(&mut self.failed)));
            };
            self.attempt = Attempt::new(next, now, waiter)?;
        }
    }
}

impl Attempt {
    fn new(address: String, now: Instant, waiter: &Waiter) -> Result<Self, SessionError> {
        let step = match address.parse::<SocketAddr>() {
            Ok(address) => Step::Connecting { left: vec![address], attempt: None },
            Err(_) => Step::Resolving(resolve(address.clone(), waiter)?),
        };
        let last = io::Error::new(ErrorKind::AddrNotAvailable, "the name has no address");
        Ok(Self { address, until: now.after(TOTAL), step, last })
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
            if let Some(Connecting { socket, until }) = attempt.take() {
                match state_of(&socket) {
                    Ok(true) => return Stream::over(socket).map(Some),
                    Ok(false) if now < until => {
                        *attempt = Some(Connecting { socket, until });
                        return Ok(None);
                    }
                    Ok(false) => self.last = ErrorKind::TimedOut.into(),
                    Err(error) => self.last = error,
                }
            }
            let share = self.until.since(now) / u32::try_from(left.len()).unwrap_or(1).max(1);
            let Some(address) = left.pop() else {
                return Err(mem::replace(&mut self.last, ErrorKind::TimedOut.into()));
            };
            let begun = TcpStream::connect(address).and_then(|mut socket| {
                let interest = Interest::READABLE | Interest::WRITABLE;
                waiter.registry().register(&mut socket, STREAM, interest)?;
                Ok(socket)
            });
            match begun {
                Ok(socket) => {
                    let until = now.after(share.min(ADDRESS));
                    *attempt = Some(Connecting { socket, until });
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
    address: String,
    waiter: &Waiter,
) -> Result<Receiver<io::Result<Vec<SocketAddr>>>, SessionError> {
    let (found, answer) = channel();
    let waker = waiter.waker();
    thread::Builder::new()
        .name("resolver".into())
        .spawn(move || {
            let addresses = address.to_socket_addrs().map(Iterator::collect);
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
