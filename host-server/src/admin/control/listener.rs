//! The server's end of the control socket: who is served, and how many at once.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::geteuid;

use super::super::serving::{Attend, NoRoom, Room, Serving};
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
    /// Connections that are served at once, besides one of root: whoever may use the socket can forget
    /// commands that hold all places, and somebody has to be able to look.
    pub connections: usize,
    /// For a client to send its request.
    pub request: Duration,
    /// For a client to take each line of the answer.
    pub line: Duration,
    /// For those who are being served to hear the end of their answer when the server ends.
    pub last_words: Duration,
    /// For those who are left to end then.
    pub ending: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8,
            request: Duration::from_secs(30),
            line: Duration::from_secs(30),
            last_words: Duration::from_secs(1),
            ending: Duration::from_secs(5),
        }
    }
}

/// Serves the control socket until it is dropped. Then it removes the socket, waits for those that are being served,
/// for [`Limits::last_words`], ends those that are left, and waits for them, but no longer than [`Limits::ending`].
pub struct Listener {
    // Removed before anything else: commands that come then find that there is no server.
    file: SocketFile,
    _serving: Serving<Commands>,
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
        let commands = Commands { serve, limits, has_group: group.is_some() };
        let Limits { connections, last_words, ending, .. } = limits;
        let room = Room { connections, last_words, ending };
        let serving = Serving::start(listener, room, commands).map_err(no_thread)?;
        Ok(Self { file, _serving: serving })
    }

    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// What is done with a connection to the socket.
struct Commands {
    serve: Arc<dyn Serve>,
    limits: Limits,
    /// Whether the mode of the file has decided who may.
    has_group: bool,
}

impl Commands {
    fn may(&self, caller: Caller) -> bool {
        self.has_group || caller.uid == 0 || caller.uid == geteuid().as_raw()
    }
}

impl Attend for Commands {
    type Listener = UnixListener;
    type Stream = UnixStream;
    type Caller = Caller;

    const WHAT: &'static str = "the control socket";
    const THREADS: [&'static str; 2] = ["control", "control-command"];

    fn accept(listener: &UnixListener) -> io::Result<UnixStream> {
        listener.accept().map(|(stream, _)| stream)
    }

    fn admit(&self, stream: &UnixStream) -> Option<Caller> {
        let known = stream.set_nonblocking(true).and_then(|()| other_end(stream));
        let caller = match known {
            Ok(caller) => caller,
            Err(error) => {
                tracing::debug!(%error, "a caller on the control socket is not known");
                let message = "the system does not say who connects to the control socket; in a \
                               container, run the command where the server runs";
                refuse(stream, &Refusal::new(RefusalCode::NotAllowed, message));
                return None;
            }
        };
        if !self.may(caller) {
            let message = "the control socket is for root and the user of the server";
            refuse(stream, &Refusal::new(RefusalCode::NotAllowed, message));
            return None;
        }
        Some(caller)
    }

    fn has_a_reserved_place(&self, caller: &Caller) -> bool {
        caller.uid == 0
    }

    fn turn_away(&self, stream: &UnixStream, why: NoRoom) {
        let message = match why {
            NoRoom::Full(limit) => format!(
                "the server carries out {limit} commands already: end one, such as a `status --watch` in \
                 another terminal, or try again as root, who has a place more"
            ),
            NoRoom::NoThread(error) => format!("the server cannot begin another command: {error}"),
        };
        refuse(stream, &Refusal::new(RefusalCode::Busy, message));
    }

    fn serve(&self, caller: Caller, stream: &UnixStream) {
        let request = match request(stream, &self.limits) {
            Ok(request) => request,
            Err(Unread::Gone) => return,
            Err(Unread::Refused(refusal)) => return refuse(stream, &refusal),
        };
        let mut answer = Answer::new(stream, &self.limits);
        if let Err(error) = self.serve.serve(caller, &request, &mut answer) {
            tracing::debug!(%error, uid = caller.uid, "an answer on the control socket was cut short");
        }
    }

    fn end(stream: &UnixStream) {
        // Fails when the client has ended it.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// Fails for a process that this one cannot see, because it is outside of the container of the server:
/// the system gives it the number 0, which rustix takes for an error.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn other_end(stream: &UnixStream) -> io::Result<Caller> {
    let credentials = rustix::net::sockopt::socket_peercred(stream)?;
    Ok(Caller {
        uid: credentials.uid.as_raw(),
        gid: credentials.gid.as_raw(),
        pid: rustix::process::Pid::as_raw(Some(credentials.pid)),
    })
}

/// Other systems do not say it in a way that is open to safe code, and who is not known is not served.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn other_end(_stream: &UnixStream) -> io::Result<Caller> {
    Err(io::ErrorKind::Unsupported.into())
}
