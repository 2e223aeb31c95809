//! The server's end of the control socket: who is served, and how many at once.
//!
//! One thread accepts, and each connection has a thread of its own for as long as it is open: there are
//! a few at most, and what they ask may wait for the event loops and for storage, which must not wait for
//! them.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::exchange::{Answer, Unread, refuse, request};
use super::socket_file::SocketFile;
use super::{Refusal, RefusalCode};
use crate::exit::{Exit, Failure};

/// Answers requests. Called from several threads at once.
pub trait Serve: Send + Sync {
    /// Answers one request, a line of JSON. The connection ends behind the answer.
    ///
    /// # Errors
    /// When the answer could not be sent. It is not looked at further: the client has gone.
    fn serve(&self, caller: Caller, request: &str, answer: &mut Answer<'_>) -> io::Result<()>;
}

/// Who is at the other end, as the system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// The user's first group.
    pub gid: u32,
    /// The process.
    pub pid: i32,
}

/// What clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are served at once.
    pub connections: usize,
    /// For a client to send its request.
    pub request: Duration,
    /// For a client to take each line of the answer.
    pub line: Duration,
    /// For those who are being served to end when the server does.
    pub ending: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8,
            request: Duration::from_secs(30),
            line: Duration::from_secs(30),
            ending: Duration::from_secs(5),
        }
    }
}

/// After the system had no descriptor or no memory for a connection.
const RESPITE: Duration = Duration::from_millis(200);

/// Serves the control socket until it is dropped.
pub struct Listener {
    shared: Arc<Shared>,
    /// Closed, it ends the thread that accepts.
    wake: Option<UnixStream>,
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
    file: Option<SocketFile>,
}

struct Shared {
    serve: Arc<dyn Serve>,
    limits: Limits,
    /// Whether the mode of the file has decided who may.
    has_group: bool,
    open: Mutex<BTreeMap<u64, Arc<UnixStream>>>,
    closed: Condvar,
}

impl Listener {
    /// Makes the socket at `path` and serves it, in threads of its own: for root and the user of the
    /// server, and also for `group` if there is one.
    ///
    /// # Errors
    /// When the place is not safe or taken by something else, or the system gives no socket or thread.
    pub fn bind(
        path: &Path,
        group: Option<u32>,
        limits: Limits,
        serve: Arc<dyn Serve>,
    ) -> Result<Self, Failure> {
        let no_thread = |error: io::Error| {
            Failure::new(Exit::Failure, format!("the control socket cannot be served: {error}"))
        };
        let (listener, file) = SocketFile::bind(path, group)?;
        listener.set_nonblocking(true).map_err(no_thread)?;
        let (wake, woken) = UnixStream::pair().map_err(no_thread)?;
        let has_group = group.is_some();
        let (open, closed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { serve, limits, has_group, open, closed });
        let acceptor = Acceptor { shared: Arc::clone(&shared), listener, woken };
        let acceptor = thread::Builder::new()
            .name("control".into())
            .spawn(move || acceptor.run())
            .map_err(no_thread)?;
        Ok(Self { shared, wake: Some(wake), acceptor: Some(acceptor), file: Some(file) })
    }

    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.as_ref().map_or(Path::new(""), SocketFile::path)
    }

    /// Removes the socket, ends all connections, and waits for those that are being served, but no longer
    /// than [`Limits::ending`]. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Commands that come now find that there is no server.
        drop(self.file.take());
        drop(self.wake.take());
        let threads = self.acceptor.take().and_then(|acceptor| acceptor.join().ok());
        let open = self.shared.open();
        for stream in open.values() {
            // Fails when the client has ended it.
            let _ = stream.shutdown(Shutdown::Both);
        }
        let still_open = self
            .shared
            .closed
            .wait_timeout_while(open, self.shared.limits.ending, |open| !open.is_empty())
            .map_or_else(|poisoned| poisoned.into_inner().0.len(), |(open, _)| open.len());
        if still_open > 0 {
            tracing::warn!(still_open, "commands on the control socket have not ended in time");
        }
        let ended = |thread: &JoinHandle<()>| still_open == 0 || thread.is_finished();
        for thread in threads.unwrap_or_default().into_iter().filter(ended) {
            // Its panic was told when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<UnixStream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may(&self, caller: Caller) -> bool {
        self.has_group || caller.uid == 0 || caller.uid == geteuid().as_raw()
    }
}

/// What the thread that accepts has.
struct Acceptor {
    shared: Arc<Shared>,
    listener: UnixListener,
    woken: UnixStream,
}

impl Acceptor {
    /// Until it is woken. Gives back the threads that may still run.
    fn run(self) -> Vec<JoinHandle<()>> {
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        let mut in_trouble = false;
        for number in 0.. {
            if !self.wait(None, true) {
                break;
            }
            threads.retain(|thread| !thread.is_finished());
            match self.listener.accept() {
                Ok((stream, _)) => {
                    in_trouble = false;
                    threads.extend(self.take(number, stream));
                }
                Err(error) if passes(&error) => {}
                Err(error) => {
                    if !in_trouble {
                        tracing::warn!(%error, "a command cannot connect to the control socket");
                    }
                    in_trouble = true;
                    if !self.wait(Some(RESPITE), false) {
                        break;
                    }
                }
            }
        }
        threads
    }

    /// Waits for a connection, if it is asked to, and says whether to go on.
    fn wait(&self, longest: Option<Duration>, for_connections: bool) -> bool {
        let longest = longest.and_then(|longest| Timespec::try_from(longest).ok());
        let what = if for_connections { PollFlags::IN } else { PollFlags::empty() };
        loop {
            let mut both =
                [PollFd::new(&self.woken, PollFlags::IN), PollFd::new(&self.listener, what)];
            match poll(&mut both, longest.as_ref()) {
                Err(Errno::INTR) => {}
                Ok(_) => return both[0].revents().is_empty(),
                Err(error) => {
                    tracing::error!(%error, "the control socket is not served any more");
                    return false;
                }
            }
        }
    }

    /// Serves a connection, or says why not.
    fn take(&self, number: u64, stream: UnixStream) -> Option<JoinHandle<()>> {
        let known = stream.set_nonblocking(true).and_then(|()| caller(&stream));
        let caller = match known {
            Ok(caller) => caller,
            Err(error) => {
                tracing::debug!(%error, "a caller on the control socket is not known");
                let message = "the system does not say who connects to the control socket; in a \
                               container, run the command where the server runs";
                refuse(&stream, &Refusal::new(RefusalCode::NotAllowed, message));
                return None;
            }
        };
        if !self.shared.may(caller) {
            let message = "the control socket is for root and the user of the server";
            refuse(&stream, &Refusal::new(RefusalCode::NotAllowed, message));
            return None;
        }
        let stream = Arc::new(stream);
        let limit = self.shared.limits.connections;
        let slot = {
            let mut open = self.shared.open();
            let is_room = open.len() < limit;
            is_room.then(|| {
                open.insert(number, Arc::clone(&stream));
                Slot { shared: Arc::clone(&self.shared), number }
            })
        };
        let Some(slot) = slot else {
            let message = format!("the server carries out {limit} commands already; try again");
            refuse(&stream, &Refusal::new(RefusalCode::Busy, message));
            return None;
        };
        let served = Arc::clone(&stream);
        let begun = thread::Builder::new()
            .name("control-command".into())
            .spawn(move || slot.serve(caller, &served));
        begun
            .inspect_err(|error| {
                tracing::warn!(%error, "a command on the control socket gets no thread");
                let message = format!("the server cannot begin another command: {error}");
                refuse(&stream, &Refusal::new(RefusalCode::Busy, message));
            })
            .ok()
    }
}

/// One of the connections that may be open at once.
struct Slot {
    shared: Arc<Shared>,
    number: u64,
}

impl Slot {
    fn serve(self, caller: Caller, stream: &UnixStream) {
        let request = match request(stream, &self.shared.limits) {
            Ok(request) => request,
            Err(Unread::Gone) => return,
            Err(Unread::Refused(refusal)) => return refuse(stream, &refusal),
        };
        let mut answer = Answer::new(stream, &self.shared.limits);
        if let Err(error) = self.shared.serve.serve(caller, &request, &mut answer) {
            tracing::debug!(%error, uid = caller.uid, "an answer on the control socket was cut short");
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.open().remove(&self.number);
        self.shared.closed.notify_all();
    }
}

/// The client has gone before it was accepted.
fn passes(error: &io::Error) -> bool {
    let kind = error.kind();
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted)
}

/// Fails for a process that this one cannot see, because it is outside of the container of the server:
/// the system gives it the number 0, which rustix takes for an error.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn caller(stream: &UnixStream) -> io::Result<Caller> {
    let credentials = rustix::net::sockopt::socket_peercred(stream)?;
    Ok(Caller {
        uid: credentials.uid.as_raw(),
        gid: credentials.gid.as_raw(),
        pid: rustix::process::Pid::as_raw(Some(credentials.pid)),
    })
}

/// Other systems do not say it in a way that is open to safe code, and who is not known is not served.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn caller(_stream: &UnixStream) -> io::Result<Caller> {
    Err(ErrorKind::Unsupported.into())
}
