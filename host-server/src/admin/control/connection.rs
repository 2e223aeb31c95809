//! The command's end of the control socket.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};

use super::super::wait;
use super::{MAX_LINE, MAX_REQUEST, socket_file};
use crate::access;
use crate::exit::{Exit, Failure};

/// How long a server may take to accept, to take a request, and for each line of its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of one call.
const CHUNK: usize = 16 << 10;

/// A connection to a running server, for one request.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    path: PathBuf,
    patience: Duration,
}

impl Connection {
    /// Connects with the server that listens at `path`; `None` when none does.
    ///
    /// # Errors
    /// When this user may not use the socket, the server hangs, or others could have put the socket of
    /// something else there.
    pub fn open(path: &Path) -> Result<Option<Self>, Failure> {
        Self::open_within(path, PATIENCE)
    }

    /// The same, with another patience than ten seconds: with the server that accepts, that takes the
    /// request, and that writes each line of its answer.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub fn open_within(path: &Path, patience: Duration) -> Result<Option<Self>, Failure> {
        let why = match dial(path, patience) {
            Ok(stream) => {
                let is_there = check_place(path)?;
                return Ok(is_there.then(|| Self { stream, path: path.to_owned(), patience }));
            }
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => return Ok(None),
                ErrorKind::PermissionDenied => "this user may not use the control socket: only root, \
                     the user of the server and, if it is set, the group of server.control_group may"
                    .to_owned(),
                ErrorKind::WouldBlock => return Err(unanswered(path, patience)),
                _ => format!("the control socket cannot be used: {error}"),
            },
        };
        Err(failure(path, why))
    }

    /// The process that listens at the socket, if the system says so and this process can see it.
    #[must_use]
    pub fn server(&self) -> Option<i32> {
        super::listener::other_end(&self.stream).ok().map(|server| server.pid)
    }

    /// Sends the request, one line of JSON.
    ///
    /// # Errors
    /// When it is longer than [`MAX_REQUEST`] or more than one line, or the server does not take it.
    pub fn ask(self, request: &str) -> Result<Answers, Failure> {
        let Self { stream, path, patience } = self;
        if request.len() > MAX_REQUEST || request.contains('\n') {
            let why = format!("a request is one line of at most {MAX_REQUEST} bytes");
            return Err(failure(&path, why));
        }
        let line = [request.as_bytes(), b"\n"].concat();
        match wait::write(&stream, &line, wait::deadline(patience)) {
            Ok(()) => {}
            // It may have said why before it closed the connection.
            Err(error) if has_ended(&error) => {}
            Err(error) => return Err(cannot(&path, &error, patience)),
        }
        Ok(Answers { stream, path, patience, buffer: Vec::new(), looked_at: 0 })
    }
}

/// The lines of an answer.
#[derive(Debug)]
pub struct Answers {
    stream: UnixStream,
    path: PathBuf,
    patience: Duration,
    /// What has come and was not taken yet: one line and a chunk at most.
    buffer: Vec<u8>,
    /// So much of it has no end of a line in it.
    looked_at: usize,
}

impl Answers {
    /// The next line, without its end; `None` when the server has closed the connection, whether or not
    /// it had said all.
    ///
    /// # Errors
    /// When the server does not answer in time, or what it answers is not a line of text.
    pub fn next_line(&mut self) -> Result<Option<String>, Failure> {
        let deadline = wait::deadline(self.patience);
        loop {
            if let Some(line) = self.take_line()? {
                return Ok(Some(line));
            }
            if self.read(deadline)? == 0 {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                let why = "the connection ended in the middle of an answer";
                return Err(failure(&self.path, why));
            }
        }
    }

    fn take_line(&mut self) -> Result<Option<String>, Failure> {
        let new = self.buffer.iter().skip(self.looked_at);
        let end = new.clone().position(|byte| *byte == b'\n').map(|end| self.looked_at + end);
        if end.unwrap_or(self.buffer.len()) > MAX_LINE {
            let why = format!("the server sent a line of more than {MAX_LINE} bytes");
            return Err(failure(&self.path, format!("{why}; {OTHER_VERSION}")));
        }
        let Some(end) = end else {
            self.looked_at = self.buffer.len();
            return Ok(None);
        };
        self.looked_at = 0;
        let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
        line.truncate(end);
        String::from_utf8(line).map(Some).map_err(|_| {
            failure(&self.path, format!("what the server sent is no text; {OTHER_VERSION}"))
        })
    }

    fn read(&mut self, deadline: Instant) -> Result<usize, Failure> {
        let mut chunk = [0; CHUNK];
        let read = match wait::read(&self.stream, &mut chunk, deadline) {
            Ok(read) => read,
            Err(error) if has_ended(&error) => 0,
            Err(error) => return Err(cannot(&self.path, &error, self.patience)),
        };
        self.buffer.extend(chunk.iter().take(read));
        Ok(read)
    }
}

fn unanswered(path: &Path, patience: Duration) -> Failure {
    let (path, seconds) = (path.display(), patience.as_secs_f64());
    let message = format!(
        "{path}: the server does not answer within {seconds} seconds; look at its log, and whether its disk answers"
    );
    Failure::new(Exit::Network, message)
}

const OTHER_VERSION: &str = "this command and the server may be of different versions";

/// A connection whose peer closes it with something unread ends with a reset.
fn has_ended(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

fn cannot(path: &Path, error: &io::Error, patience: Duration) -> Failure {
    match error.kind() {
        ErrorKind::TimedOut => unanswered(path, patience),
        _ => failure(path, format!("the connection with the server broke: {error}")),
    }
}

fn failure(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failure, format!("{}: {why}", path.display()))
}

/// A server makes no socket where others can put theirs; what listens there is something else, which
/// would be told what the operator wants, and could say that it was done. Whether the place is still there: a
/// service manager takes it away when the server has ended.
fn check_place(path: &Path) -> Result<bool, Failure> {
    let directory = socket_file::directory_of(path);
    let others_can_write =
        fs::metadata(directory).map(|metadata| metadata.permissions().mode() & 0o022 != 0);
    let open = match others_can_write {
        Ok(true) => Ok(Some(directory.to_owned())),
        Ok(false) => access::replaceable_in(directory),
        Err(error) => Err(error),
    };
    match open {
        Ok(None) => Ok(true),
        Ok(Some(open)) => {
            let open = open.display();
            let why = format!(
                "what listens there may be another program, since others can write to {open}"
            );
            Err(failure(path, format!("{why}; run: chmod go-w {open}")))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => {
            Err(failure(path, format!("the directories above cannot be looked at: {error}")))
        }
    }
}

/// Connects, and waits no longer than this for a server with a full queue; that ends with
/// [`ErrorKind::WouldBlock`].
pub(super) fn dial(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let stream = UnixStream::from(socket(AddressFamily::UNIX, SocketType::STREAM, None)?);
    fcntl_setfd(&stream, FdFlags::CLOEXEC)?;
    // The time to write is also the time to connect.
    stream.set_write_timeout(Some(patience))?;
    connect(&stream, &address)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_whose_directory_is_gone_is_that_of_no_server() {
        let directory = tempfile::tempdir().unwrap();
        assert!(check_place(&directory.path().join("control.sock")).unwrap());
        assert!(!check_place(&directory.path().join("gone/control.sock")).unwrap());
    }
}
