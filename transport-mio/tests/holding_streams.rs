//! Streams that hold bytes which no readiness tells of, as TLS does.

mod common;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream as Client};

use common::{Heard, PATIENCE, Remote, connect, pattern, read_all};
use mio::event::Source;
use mio::{Interest, Registry, Token as Event};
use waxwing_transport_mio::{CloseReason, Config, Stream, TcpListener, TcpStream, Token, listen};

/// Takes up to `N` bytes from the kernel and gives them out in pieces, writes as late as it may, and
/// says goodbye before it shuts down. Behind a `?` it answers by itself; behind a `#` it writes no
/// more.
#[derive(Debug)]
struct Holding<const N: usize> {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    has_ended: bool,
    has_said_goodbye: bool,
    is_broken: bool,
}

const PIECE: usize = 5;

/// More than the kernel takes at once.
fn goodbye() -> Vec<u8> {
    pattern(1 << 20)
}

impl<const N: usize> Holding<N> {
    fn write_out(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            let written = self.stream.write(&self.output)?;
            self.output.drain(..written);
        }
        Ok(())
    }
}

impl<const N: usize> Read for Holding<N> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.input.is_empty() && !self.has_ended {
            let mut taken = vec![0; N];
            let count = self.stream.read(&mut taken)?;
            self.has_ended = count == 0;
            self.input.extend_from_slice(&taken[..count]);
            self.is_broken |= taken[0] == b'#';
            if taken[0] == b'?' {
                self.output.push(b'!');
            }
        }
        let count = to.len().min(PIECE).min(self.input.len());
        to[..count].copy_from_slice(&self.input[..count]);
        self.input.drain(..count);
        Ok(count)
    }
}

impl<const N: usize> Write for Holding<N> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.output.len() > 64 * 1024 {
            self.write_out()?;
        }
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out()
    }
}

impl<const N: usize> Source for Holding<N> {
    fn register(&mut self, to: &Registry, event: Event, interest: Interest) -> io::Result<()> {
        self.stream.register(to, event, interest)
    }

    fn reregister(&mut self, to: &Registry, event: Event, interest: Interest) -> io::Result<()> {
        self.stream.reregister(to, event, interest)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        self.stream.deregister(from)
    }
}

impl<const N: usize> Stream for Holding<N> {
    type Listener = TcpListener;

    fn accept(listener: &TcpListener) -> io::Result<(Self, SocketAddr)> {
        let (stream, peer) = listener.accept()?;
        let (input, output) = (Vec::new(), Vec::new());
        let (has_ended, has_said_goodbye, is_broken) = (false, false, false);
        Ok((Self { stream, input, output, has_ended, has_said_goodbye, is_broken }, peer))
    }

    fn has_taken_all(&self, _: usize, _: usize) -> bool {
        false
    }

    fn holds_input(&self) -> bool {
        !self.input.is_empty()
    }

    fn holds_output(&self) -> bool {
        !self.output.is_empty()
    }

    fn shutdown(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.has_said_goodbye, true) {
            self.output.extend(goodbye());
        }
        self.write_out()?;
        Stream::shutdown(&mut self.stream)
    }

    fn is_connected(&self) -> io::Result<bool> {
        self.stream.is_connected()
    }

    fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.stream.take_error()
    }
}

const ALL: usize = 64 * 1024;

fn start<const N: usize>(config: Config) -> Remote<Holding<N>> {
    let listener = listen(([127, 0, 0, 1], 0).into(), &config).unwrap();
    let addr = listener.local_addr().unwrap();
    Remote::accepting(config, listener, addr)
}

fn client<const N: usize>(remote: &Remote<Holding<N>>) -> (Client, Token) {
    let stream = connect(remote.addr);
    let Heard::Opened(token, _) = remote.next() else { panic!("it is not opened") };
    (stream, token)
}

#[test]
fn what_a_stream_holds_is_delivered_without_another_event() {
    let remote = start::<ALL>(Config { reads_per_turn: 2, ..Config::default() });
    let (mut client, token) = client(&remote);
    let bytes = pattern(1_000);
    client.write_all(&bytes).unwrap();
    assert_eq!(remote.next_bytes(token, bytes.len()), bytes);
}

#[test]
fn what_a_stream_held_through_a_pause_is_delivered_after_it() {
    let remote =
        start::<ALL>(Config { reads_per_turn: 1, read_budget: PIECE, ..Config::default() });
    let (mut client, token) = client(&remote);
    client.write_all(b"first").unwrap();
    assert_eq!(remote.next_bytes(token, 5), b"first");
    remote.ask(move |io| io.pause_reading(token));
    client.write_all(b"second and third").unwrap();
    remote.silent();
    remote.ask(move |io| io.resume_reading(token));
    let piece = remote.next_bytes(token, PIECE);
    remote.ask(move |io| io.pause_reading(token));
    remote.settle();
    remote.ask(move |io| io.resume_reading(token));
    assert_eq!([piece, remote.next_bytes(token, 11)].concat(), b"second and third");
}

#[test]
fn what_a_stream_holds_moves_with_it() {
    let config = || Config { reads_per_turn: 1, ..common::tight() };
    let (from, to) = (start::<ALL>(config()), start::<ALL>(config()));
    let (mut client, token) = client(&from);
    let bytes = pattern(4_000);
    client.write_all(&bytes).unwrap();
    // It has taken all from the kernel, and so far given out little of it.
    let mut taken = from.next_bytes(token, PIECE);
    let detached = from.ask(move |io| io.detach(token).unwrap());
    taken.extend(from.bytes_so_far());
    let moved = to.ask(|io| io.attach(detached).unwrap());
    taken.extend(to.next_bytes(moved, bytes.len() - taken.len()));
    assert!(taken == bytes);
}

#[test]
fn a_stream_may_say_something_of_its_own() {
    let remote = start::<ALL>(Config::default());
    let (mut client, _) = client(&remote);
    client.write_all(b"?").unwrap();
    let mut answer = [0];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"!");
}

#[test]
fn a_stream_writes_all_that_it_holds_before_it_ends() {
    let remote = start::<ALL>(common::tight());
    let (client, token) = client(&remote);
    let bytes = pattern(1 << 20);
    let output = bytes.clone();
    remote.ask(move |io| {
        io.send_owned(token, output);
        io.close_after_flush(token, PATIENCE);
    });
    assert!(read_all(&client) == [bytes, goodbye()].concat());
    drop(client);
    assert_eq!(remote.next(), Heard::Closed(token, CloseReason::Flushed));
}

#[test]
fn what_a_stream_holds_is_delivered_when_it_breaks() {
    let remote = start::<ALL>(Config { reads_per_turn: 1, ..Config::default() });
    let (mut client, token) = client(&remote);
    let bytes = [b"#", &pattern(20_000)[..]].concat();
    client.write_all(&bytes).unwrap();
    let mut taken = remote.next_bytes(token, PIECE);
    remote.ask(move |io| io.send(token, b"is not written"));
    let why = loop {
        match remote.next() {
            Heard::Received(_, bytes) => taken.extend_from_slice(&bytes),
            Heard::Closed(_, why) => break why,
            other => panic!("heard {other:?}"),
        }
    };
    assert_eq!(why, CloseReason::Reset);
    assert!(taken == bytes);
}

#[test]
fn a_short_read_of_a_stream_says_nothing_about_the_kernel() {
    let remote = start::<{ PIECE + 3 }>(Config::default());
    let (mut client, token) = client(&remote);
    let bytes = pattern(1_000);
    client.write_all(&bytes).unwrap();
    assert_eq!(remote.next_bytes(token, bytes.len()), bytes);
}
