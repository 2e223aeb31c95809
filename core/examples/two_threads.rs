//! A port with two threads, for a stream that can only be read by waiting for it: a serial line under
//! an operating system of a board, say. One thread does nothing but read, and puts what has come into
//! a queue. The other one owns the machine: for it, the queue is a stream that is ready or not, and to
//! wait for the stream is to wait for the queue.
//! `cargo run -p waxwing-core --example two_threads` has two people with such clients write to each
//! other, over TCP sockets and with a server in the same process.

#[path = "client.rs"]
#[allow(dead_code, reason = "it is an example of its own")]
pub(crate) mod client;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use client::server::RunningServer;
use client::{Person, Stream, failed};
use embedded_io::ErrorKind;

/// Pieces in the queue. When it is full the reading thread waits, and so does the server at last:
/// what has come and nobody has taken needs a bound.
const PIECES: usize = 4;
/// Bytes of a piece.
const PIECE: usize = 512;

pub(crate) fn main() {
    let server = RunningServer::start();
    let (mut ann, mut ben) = (Person::new(1, &server.key), Person::new(2, &server.key));
    let connect = || Line::open(server.address);

    ben.converse(connect).unwrap();
    ann.write(&ben.identity.phone, "is it you?");
    ann.converse(connect).unwrap();
    ben.write(&ann.identity.phone, "it is");
    ben.converse(connect).unwrap();
    ann.converse(connect).unwrap();
    assert_eq!(ben.stored.received, ["is it you?"]);
    assert_eq!(ann.stored.received, ["it is"]);
    println!("Ben has received: {}", ben.stored.received[0]);
    println!("Ann has received: {}", ann.stored.received[0]);
    server.stop();
}

/// The stream of the thread with the machine.
struct Line {
    socket: TcpStream,
    pieces: Receiver<Vec<u8>>,
    /// What was taken from the queue and not read yet.
    ahead: VecDeque<u8>,
    /// The stream is over: nothing comes behind what lies in `ahead`.
    is_over: bool,
    reader: Option<JoinHandle<()>>,
}

impl Line {
    fn open(server: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(server)?;
        let from = socket.try_clone()?;
        let (queue, pieces) = sync_channel(PIECES);
        let reader = thread::spawn(move || read_all(from, &queue));
        let (ahead, is_over, reader) = (VecDeque::new(), false, Some(reader));
        Ok(Self { socket, pieces, ahead, is_over, reader })
    }

    /// Takes a piece out of the queue. An empty one says that the stream is over.
    fn take(&mut self, piece: Vec<u8>) {
        self.is_over = piece.is_empty();
        self.ahead.extend(piece);
    }
}

/// The thread that reads, until the stream is over or nobody takes anything any more.
fn read_all(mut from: TcpStream, queue: &SyncSender<Vec<u8>>) {
    loop {
        let mut piece = vec![0; PIECE];
        let count = from.read(&mut piece).unwrap_or(0);
        piece.truncate(count);
        let is_last = piece.is_empty();
        if queue.send(piece).is_err() || is_last {
            return;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The reading thread waits for the socket, or for room in the queue.
        let _ = self.socket.shutdown(Shutdown::Both);
        while self.pieces.recv().is_ok() {}
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

impl embedded_io::ErrorType for Line {
    type Error = ErrorKind;
}

impl embedded_io::ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        while self.ahead.is_empty() && !self.is_over {
            match self.pieces.try_recv() {
                Ok(piece) => self.take(piece),
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => self.is_over = true,
            }
        }
        Ok(true)
    }
}

impl embedded_io::Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.ahead.read(buffer).map_err(failed)
    }
}

impl embedded_io::WriteReady for Line {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        // Writing may wait: what this client says is short, and the other thread goes on reading.
        Ok(true)
    }
}

impl embedded_io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.socket.write(bytes).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.socket.flush().map_err(failed)
    }
}

impl Stream for Line {
    fn wait(&mut self, span: Duration) {
        match self.pieces.recv_timeout(span) {
            Ok(piece) => self.take(piece),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.is_over = true,
        }
    }
}
