//! Connections that are served by plain threads: how many at once, and how it ends.
//!
//! One thread accepts, and each connection has a thread of its own for as long as it is open: there are
//! a few at most, and what they ask may wait for the event loops and for storage, which must not wait for
//! them.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What is done with connections. Called from several threads at once.
pub(super) trait Attend: Send + Sync + 'static {
    /// Where connections come in. It does not block.
    type Listener: AsFd + Send + 'static;
    /// A connection.
    type Stream: Send + Sync + 'static;
    /// What is known of whoever has connected.
    type Caller: Send + 'static;

    /// What is served, for the log.
    const WHAT: &'static str;
    /// The name of the thread that accepts, and of those that serve.
    const THREADS: [&'static str; 2];

    /// Takes a connection that has come in. It must not block.
    ///
    /// # Errors
    /// When there is none, or the system gives none.
    fn accept(listener: &Self::Listener) -> io::Result<Self::Stream>;

    /// Whether the other end may be served. If not, it has been told.
    fn admit(&self, stream: &Self::Stream) -> Option<Self::Caller>;

    /// Whether the other end finds a place when all of [`Room::connections`] are taken: there is one more.
    fn has_a_reserved_place(&self, caller: &Self::Caller) -> bool;

    /// There is no room for the connection, or no thread. Must not wait.
    fn turn_away(&self, stream: &Self::Stream, why: NoRoom);

    /// Serves the connection to its end.
    fn serve(&self, caller: Self::Caller, stream: &Self::Stream);

    /// Ends the connection, whoever is serving it.
    fn end(stream: &Self::Stream);
}

/// Why a connection is not served.
pub(super) enum NoRoom {
    /// So many are served already.
    Full(usize),
    /// The system gives no thread.
    NoThread(io::Error),
}

/// How much is served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Connections at once, besides one in the place that is reserved.
    pub(super) connections: usize,
    /// For those who are being served to hear the end of their answer when the server ends.
    pub(super) last_words: Duration,
    /// For those who are left to end then.
    pub(super) ending: Duration,
}

/// After the system had no descriptor or no memory for a connection.
const RESPITE: Duration = Duration::from_millis(200);

/// Serves connections until it is dropped. Then it waits for those that are being served, for [`Room::last_words`],
/// ends those that are left, and waits for them, but no longer than [`Room::ending`].
pub(super) struct Serving<A: Attend> {
    shared: Arc<Shared<A>>,
    /// Closed, it ends the thread that accepts.
    wake: Option<UnixStream>,
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
}

struct Shared<A: Attend> {
    attend: A,
    room: Room,
    open: Mutex<BTreeMap<u64, Arc<A::Stream>>>,
    closed: Condvar,
}

impl<A: Attend> Serving<A> {
    /// Begins, in a thread of its own.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(listener: A::Listener, room: Room, attend: A) -> io::Result<Self> {
        let (wake, woken) = UnixStream::pair()?;
        let (open, closed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { attend, room, open, closed });
        let acceptor = Acceptor { shared: Arc::clone(&shared), listener, woken };
        let [name, _] = A::THREADS;
        let acceptor = thread::Builder::new().name(name.into()).spawn(move || acceptor.run())?;
        Ok(Self { shared, wake: Some(wake), acceptor: Some(acceptor) })
    }
}

impl<A: Attend> Drop for Serving<A> {
    fn drop(&mut self) {
        drop(self.wake.take());
        let threads = self.acceptor.take().and_then(|acceptor| acceptor.join().ok());
        let Room { last_words, ending, .. } = self.shared.room;
        let open = self.shared.wait(self.shared.open(), last_words);
        open.values().for_each(|stream| A::end(stream));
        let still_open = self.shared.wait(open, ending).len();
        if still_open > 0 {
            tracing::warn!(name: "operator_connections_left", still_open, on = A::WHAT, "connections have not ended in time");
        }
        let ended = |thread: &JoinHandle<()>| still_open == 0 || thread.is_finished();
        for thread in threads.unwrap_or_default().into_iter().filter(ended) {
            // Its panic was told when it happened.
            let _ = thread.join();
        }
    }
}

/// What is open.
type Open<'a, S> = MutexGuard<'a, BTreeMap<u64, Arc<S>>>;

impl<A: Attend> Shared<A> {
    /// Waits until nothing is open any more, for so long at most.
    fn wait<'a>(&self, open: Open<'a, A::Stream>, patience: Duration) -> Open<'a, A::Stream> {
        let waited = self.closed.wait_timeout_while(open, patience, |open| !open.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn open(&self) -> Open<'_, A::Stream> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread that accepts has.
struct Acceptor<A: Attend> {
    shared: Arc<Shared<A>>,
    listener: A::Listener,
    woken: UnixStream,
}

impl<A: Attend> Acceptor<A> {
    /// Until it is woken. Gives back the threads that may still run.
    fn run(self) -> Vec<JoinHandle<()>> {
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        let mut in_trouble = false;
        for number in 0.. {
            if !self.wait(None, true) {
                break;
            }
            threads.retain(|thread| !thread.is_finished());
            match A::accept(&self.listener) {
                Ok(stream) => {
                    in_trouble = false;
                    threads.extend(self.take(number, stream));
                }
                Err(error) if passes(&error) => {}
                Err(error) => {
                    if !in_trouble {
                        tracing::warn!(name: "operator_connection_lost", %error, on = A::WHAT, "a connection cannot be accepted");
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
                    tracing::error!(name: "operators_unserved", %error, on = A::WHAT, "nobody is served any more");
                    return false;
                }
            }
        }
    }

    /// Serves a connection, or turns it away.
    fn take(&self, number: u64, stream: A::Stream) -> Option<JoinHandle<()>> {
        let attend = &self.shared.attend;
        let caller = attend.admit(&stream)?;
        let stream = Arc::new(stream);
        let reserved = usize::from(attend.has_a_reserved_place(&caller));
        let limit = self.shared.room.connections + reserved;
        let slot = {
            let mut open = self.shared.open();
            let is_room = open.len() < limit;
            is_room.then(|| {
                open.insert(number, Arc::clone(&stream));
                Slot { shared: Arc::clone(&self.shared), number }
            })
        };
        let Some(slot) = slot else {
            attend.turn_away(&stream, NoRoom::Full(limit));
            return None;
        };
        let served = Arc::clone(&stream);
        let [_, name] = A::THREADS;
        let begun =
            thread::Builder::new().name(name.into()).spawn(move || slot.serve(caller, &served));
        match begun {
            Ok(thread) => Some(thread),
            Err(error) => {
                tracing::warn!(name: "operator_connection_lost", %error, on = A::WHAT, "a connection gets no thread");
                attend.turn_away(&stream, NoRoom::NoThread(error));
                None
            }
        }
    }
}

/// One of the connections that may be open at once.
struct Slot<A: Attend> {
    shared: Arc<Shared<A>>,
    number: u64,
}

impl<A: Attend> Slot<A> {
    fn serve(self, caller: A::Caller, stream: &A::Stream) {
        self.shared.attend.serve(caller, stream);
    }
}

impl<A: Attend> Drop for Slot<A> {
    fn drop(&mut self) {
        self.shared.open().remove(&self.number);
        self.shared.closed.notify_all();
    }
}

/// The other end has gone before it was accepted.
fn passes(error: &io::Error) -> bool {
    let kind = error.kind();
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted)
}
