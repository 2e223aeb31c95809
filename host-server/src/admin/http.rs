//! Numbers and health over HTTP, for programs that watch a server.
//!
//! It answers three paths and nothing else, and closes each connection after one answer. Whoever can
//! reach it may be hostile: a request has a longest length and a last moment, an answer has a last
//! moment, and there are a few connections at most.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use waxwing_transport_mio::{Config, listen};

use super::health::Health;
use super::serving::{Attend, NoRoom, Room, Serving};
use super::{metrics, wait};
use crate::exit::{Exit, Failure};

/// Bytes of the longest head of a request.
pub const MAX_HEAD: usize = 2 << 10;

/// Header lines of a request, at most.
const MAX_HEADERS: usize = 32;

/// What is read of a client that goes on sending after it has its answer.
const MAX_REST: usize = 64 << 10;

/// What clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are served at once.
    pub connections: usize,
    /// For a client to send its request.
    pub request: Duration,
    /// For a client to take its answer.
    pub answer: Duration,
    /// For those who are being served to end when the server does.
    pub ending: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16,
            request: Duration::from_secs(2),
            answer: Duration::from_secs(2),
            ending: Duration::from_secs(5),
        }
    }
}

/// A server that programs watch.
pub trait Watched: Send + Sync {
    /// Its numbers, as Prometheus reads them.
    fn numbers(&self) -> String;

    /// Whether it is well, or with `ready`, whether it takes letters.
    fn health(&self, ready: bool) -> Health;
}

/// Serves numbers and health until it is dropped.
pub struct Endpoint {
    address: SocketAddr,
    _serving: Serving<Scrapers>,
}

impl Endpoint {
    /// Listens on `address`, and serves in threads of its own.
    ///
    /// # Errors
    /// When the address cannot be used, or the system gives no thread.
    pub fn bind(
        address: SocketAddr,
        limits: Limits,
        watched: Arc<dyn Watched>,
    ) -> Result<Self, Failure> {
        let fail = |exit, error: io::Error| {
            let message = format!(
                "metrics.listen: {address} cannot be listened on: {error}; let metrics.listen name \
                 another address or port, or make it empty"
            );
            Failure::new(exit, message)
        };
        let unusable = |error| fail(Exit::Network, error);
        // In the same way as for people: what overlaps there has to overlap here.
        let listener: OwnedFd = listen(address, &Config::default()).map_err(unusable)?.into();
        let listener = TcpListener::from(listener);
        let address = listener.local_addr().map_err(unusable)?;
        let Limits { connections, ending, .. } = limits;
        let room = Room { connections, last_words: Duration::ZERO, ending };
        let serving = Serving::start(listener, room, Scrapers { limits, watched })
            .map_err(|error| fail(Exit::Failure, error))?;
        Ok(Self { address, _serving: serving })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What is done with a connection.
struct Scrapers {
    limits: Limits,
    watched: Arc<dyn Watched>,
}

impl Attend for Scrapers {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Caller = ();

    const WHAT: &'static str = "the address of metrics.listen";
    const THREADS: [&'static str; 2] = ["metrics", "metrics-scraper"];

    fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        listener.accept().map(|(stream, _)| stream)
    }

    fn admit(&self, stream: &TcpStream) -> Option<()> {
        stream.set_nonblocking(true).ok()
    }

    fn has_a_reserved_place(&self, (): &()) -> bool {
        false
    }

    /// It is closed.
    fn turn_away(&self, _stream: &TcpStream, _why: NoRoom) {
        tracing::debug!(
            "a connection to the address of metrics.listen was closed: there are too many"
        );
    }

    fn serve(&self, (): (), stream: &TcpStream) {
        let answer = match self.read(stream) {
            Ok(Some(request)) => self.answer(&request),
            Ok(None) => Answer::refusal("400 Bad Request", "this is no request"),
            Err(error) => {
                tracing::debug!(%error, "a request on the address of metrics.listen did not come");
                return;
            }
        };
        if let Err(error) = self.write(stream, &answer) {
            tracing::debug!(%error, "an answer on the address of metrics.listen was cut short");
        }
    }

    fn end(stream: &TcpStream) {
        // Fails when the client has ended it.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// What a client asks for.
struct Request {
    method: Method,
    /// Without what follows a question mark.
    path: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    Other,
}

impl Scrapers {
    /// Reads the head of a request; `None` if it is nonsense, too long or cut short. An error says that
    /// nobody is there to be told, or that time is over.
    fn read(&self, stream: &TcpStream) -> io::Result<Option<Request>> {
        let deadline = wait::deadline(self.limits.request);
        let mut buffer = [0; MAX_HEAD];
        let mut filled = 0;
        loop {
            let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) else {
                return Ok(None);
            };
            match wait::read(stream, room, deadline)? {
                0 if filled == 0 => return Err(ErrorKind::UnexpectedEof.into()),
                0 => return Ok(None),
                read => filled += read,
            }
            let head = buffer.get(..filled).unwrap_or_default();
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut request = httparse::Request::new(&mut headers);
            match request.parse(head) {
                Ok(httparse::Status::Partial) => {}
                Ok(httparse::Status::Complete(_)) => {
                    let method = match request.method {
                        Some("GET") => Method::Get,
                        Some("HEAD") => Method::Head,
                        _ => Method::Other,
                    };
                    let path = request.path.unwrap_or_default();
                    let path = path.split('?').next().unwrap_or_default().to_owned();
                    return Ok(Some(Request { method, path }));
                }
                Err(_) => return Ok(None),
            }
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        if request.method == Method::Other {
            let refusal =
                Answer::refusal("405 Method Not Allowed", "only GET and HEAD are answered");
            return Answer { allow: true, ..refusal };
        }
        let answer = match &*request.path {
            "/metrics" => Answer {
                kind: metrics::CONTENT_TYPE,
                ..Answer::text("200 OK", self.watched.numbers())
            },
            "/healthz" => Answer::health(self.watched.health(false)),
            "/readyz" => Answer::health(self.watched.health(true)),
            _ => {
                let paths = "there is nothing here: the paths are /metrics, /healthz and /readyz";
                Answer::refusal("404 Not Found", paths)
            }
        };
        Answer { head_only: request.method == Method::Head, ..answer }
    }

    fn write(&self, stream: &TcpStream, answer: &Answer) -> io::Result<()> {
        let deadline = wait::deadline(self.limits.answer);
        wait::write(stream, &answer.bytes(), deadline)?;
        stream.shutdown(Shutdown::Write)?;
        // What is unread when a connection is closed can take the answer away from the client.
        let mut rest = [0; 4 << 10];
        let mut left = MAX_REST;
        while left > 0 {
            match wait::read(stream, &mut rest, deadline)? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        Ok(())
    }
}

/// What a client is told.
struct Answer {
    status: &'static str,
    kind: &'static str,
    allow: bool,
    /// The client wants the head alone.
    head_only: bool,
    body: String,
}

impl Answer {
    const fn text(status: &'static str, body: String) -> Self {
        let kind = "text/plain; charset=utf-8";
        Self { status, kind, allow: false, head_only: false, body }
    }

    fn refusal(status: &'static str, why: &str) -> Self {
        Self::text(status, format!("{why}\n"))
    }

    fn health(health: Health) -> Self {
        let status = if health.healthy { "200 OK" } else { "503 Service Unavailable" };
        Self::text(status, format!("{}\n", health.message))
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { status, kind, allow, head_only, body } = self;
        let allow = if *allow { "Allow: GET, HEAD\r\n" } else { "" };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        );
        let mut bytes = head.into_bytes();
        if !head_only {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }
}
