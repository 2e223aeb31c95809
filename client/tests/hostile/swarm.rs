//! Thousands of sockets in one thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::line::socket;
use crate::process::PATIENCE;

/// Between two looks at all sockets.
const LOOK: Duration = Duration::from_millis(10);
/// Addresses have so many sockets each: fewer than the server lets one have.
pub(crate) const PER_ADDRESS: usize = 200;

/// Until this is dropped, no other flood: descriptors are few, and figures are compared.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static SKY: Mutex<()> = Mutex::new(());
    SKY.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Swarm {
    pub(crate) sockets: Vec<Stinger>,
    _sky: MutexGuard<'static, ()>,
}

pub(crate) struct Stinger {
    stream: Option<TcpStream>,
    began: Instant,
    pub(crate) sent: usize,
    /// What the server has said.
    pub(crate) heard: Vec<u8>,
    /// How long the server has kept it.
    pub(crate) lived: Option<Duration>,
}

impl Swarm {
    /// Without sockets.
    pub(crate) fn new() -> Self {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
        Self { sockets: Vec::new(), _sky: alone() }
    }

    /// More sockets, from many addresses. That they are connected is not waited for.
    pub(crate) fn grow(&mut self, server: SocketAddr, count: usize) {
        for _ in 0..count {
            let socket = socket(address(self.sockets.len() / PER_ADDRESS));
            socket.set_nonblocking(true).unwrap();
            match socket.connect(&server.into()) {
                Err(error) if error.raw_os_error() != Some(EINPROGRESS) => panic!("{error}"),
                _ => {}
            }
            let began = Instant::now();
            let stream = Some(socket.into());
            let heard = Vec::new();
            self.sockets.push(Stinger { stream, began, sent: 0, heard, lived: None });
        }
    }

    pub(crate) fn alive(&self) -> usize {
        self.sockets.iter().filter(|socket| socket.stream.is_some()).count()
    }

    /// Looks at all of them, and lets `act` send on those that live, until it is done.
    #[track_caller]
    pub(crate) fn run_until(
        &mut self,
        what: &str,
        mut act: impl FnMut(usize, &mut Stinger),
        is_done: impl Fn(&Self) -> bool,
    ) {
        let deadline = Instant::now() + PATIENCE;
        while !is_done(self) {
            assert!(Instant::now() < deadline, "never: {what}; {} live", self.alive());
            for (at, socket) in self.sockets.iter_mut().enumerate() {
                if socket.look() {
                    act(at, socket);
                }
            }
            thread::sleep(LOOK);
        }
    }
}

impl Stinger {
    /// Since it was made.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sends `bytes` from where it stands up to `until`, as far as they go.
    pub(crate) fn send(&mut self, bytes: &[u8], until: usize) {
        let Some(mut stream) = self.stream.as_ref() else { return };
        if let Ok(count) = stream.write(bytes.get(self.sent..until).unwrap_or_default()) {
            self.sent += count;
        }
    }

    /// Closes it.
    pub(crate) fn leave(&mut self) {
        self.stream = None;
    }

    pub(crate) fn lives(&self) -> bool {
        self.stream.is_some()
    }

    /// Reads, and says whether it lives.
    fn look(&mut self) -> bool {
        let Some(mut stream) = self.stream.as_ref() else { return false };
        let mut buffer = [0; 1_024];
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => self.heard.extend_from_slice(&buffer[..count]),
            Err(error) if is_patient(&error) => {}
            Ok(0) | Err(_) => {
                self.lived = Some(self.age());
                self.stream = None;
            }
        }
        self.stream.is_some()
    }
}

/// Not yet connected, or nothing to read yet.
fn is_patient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

/// Each in an address prefix of its own.
fn address(number: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    Ipv4Addr::new(127, 2 + high, low, 1)
}

const EINPROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();
