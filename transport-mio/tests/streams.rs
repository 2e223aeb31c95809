//! Bytes through the loop: complete, in order, fairly shared, within bounds.

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::{Heard, PATIENCE, Remote, connect, pattern, ping, read_all, tight};
use socket2::{Domain, Socket, Type};
use waxwing_transport_mio::{CloseReason, Config, Error, EventLoop, Handler, Io, Token, Waker};

/// Sends back what comes, and no more than it can get rid of.
#[derive(Default)]
struct Echo {
    limit: usize,
    peak: Arc<AtomicUsize>,
    pauses: Arc<AtomicUsize>,
    /// Bytes of each connection in this turn.
    portions: Vec<(Token, usize)>,
    largest_portion: Arc<AtomicUsize>,
    served: usize,
}

impl Handler for Echo {
    fn opened(&mut self, _: &mut Io, _: Token, _: SocketAddr) {
        self.served += 1;
    }
    fn received(&mut self, io: &mut Io, conn: Token, bytes: &[u8]) {
        assert!(io.send(conn, bytes));
        self.peak.fetch_max(io.unsent(conn), Ordering::Relaxed);
        if io.unsent(conn) > self.limit {
            io.pause_reading(conn);
            self.pauses.fetch_add(1, Ordering::Relaxed);
        }
        match self.portions.iter_mut().find(|(token, _)| *token == conn) {
            Some((_, sum)) => *sum += bytes.len(),
            None => self.portions.push((conn, bytes.len())),
        }
    }
    fn drained(&mut self, io: &mut Io, conn: Token) {
        io.resume_reading(conn);
    }
    fn closed(&mut self, io: &mut Io, _: Token, _: CloseReason) {
        self.served -= 1;
        if self.served == 0 {
            io.stop();
        }
    }
    fn turn(&mut self, _: &mut Io) -> Option<Duration> {
        for (_, sum) in self.portions.drain(..) {
            self.largest_portion.fetch_max(sum, Ordering::Relaxed);
        }
        None
    }
}

fn spawn(
    config: Config,
    mut handler: impl Handler + Send + 'static,
) -> (SocketAddr, std::thread::JoinHandle<Result<(), Error>>) {
    let mut event_loop = EventLoop::new(config).unwrap();
    let addr = event_loop.listen(([127, 0, 0, 1], 0).into()).unwrap();
    (addr, std::thread::spawn(move || event_loop.run(&mut handler)))
}

/// Answers, and ends no turn with an answer before that has been read.
struct Prompt(Receiver<()>);

impl Handler for Prompt {
    fn opened(&mut self, _: &mut Io, _: Token, _: SocketAddr) {}
    fn received(&mut self, io: &mut Io, conn: Token, bytes: &[u8]) {
        assert!(io.send(conn, bytes));
        io.flush();
        assert_eq!(io.unsent(conn), 0);
        self.0.recv_timeout(PATIENCE).expect("the answer is there within the turn");
    }
    fn closed(&mut self, io: &mut Io, _: Token, _: CloseReason) {
        io.stop();
    }
}

#[test]
fn what_is_flushed_goes_out_before_the_turn_ends() {
    let (read, has_read) = channel();
    let (addr, server) = spawn(Config::default(), Prompt(has_read));
    let mut remote = connect(addr);
    for round in 0..3 {
        remote.write_all(&[round]).unwrap();
        let mut answer = [0];
        remote.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [round]);
        read.send(()).unwrap();
    }
    drop(remote);
    server.join().unwrap().unwrap();
}

#[test]
fn single_bytes_come_back() {
    let (addr, server) = spawn(Config::default(), Echo { limit: 1024, ..Echo::default() });
    let mut stream = connect(addr);
    for byte in 0..=255u8 {
        ping(&mut stream, &[byte]);
    }
    drop(stream);
    server.join().unwrap().unwrap();
}

#[test]
fn eight_mebibytes_both_ways_past_a_slow_reader() {
    let echo = Echo { limit: 64 * 1024, ..Echo::default() };
    let (peak, pauses) = (echo.peak.clone(), echo.pauses.clone());
    let config = Config { read_budget: 32 * 1024, ..tight() };
    let (addr, server) = spawn(config, echo);

    let sent = pattern(8 << 20);
    let mut stream = connect(addr);
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    // Slow: nothing is read until the server has had to stop reading.
    let start = Instant::now();
    while pauses.load(Ordering::Relaxed) == 0 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    let mut back = Vec::new();
    let mut piece = [0; 1000];
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            n => back.extend_from_slice(&piece[..n]),
        }
    }
    writing.join().unwrap();
    server.join().unwrap().unwrap();
    assert!(back == sent, "the bytes came back changed");
    // The limit and one read on top.
    let peak = peak.load(Ordering::Relaxed);
    assert!(peak <= 64 * 1024 + 32 * 1024, "{peak} bytes were queued");
}

#[test]
fn a_busy_connection_does_not_starve_the_others() {
    let echo = Echo { limit: usize::MAX, ..Echo::default() };
    let largest = echo.largest_portion.clone();
    let config = Config { read_buffer: 4096, read_budget: 8192, ..Config::default() };
    let (addr, server) = spawn(config, echo);

    let mut busy = connect(addr);
    let mut sink = busy.try_clone().unwrap();
    let reading = std::thread::spawn(move || std::io::copy(&mut sink, &mut std::io::sink()));
    let mut quiet = connect(addr);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let writing = std::thread::spawn(move || {
        let block = [7; 64 * 1024];
        while !stopped.load(Ordering::Relaxed) {
            busy.write_all(&block).unwrap();
        }
        busy.shutdown(Shutdown::Write).unwrap();
    });
    for n in 0..50u8 {
        ping(&mut quiet, &[n; 10]);
    }
    stop.store(true, Ordering::Relaxed);
    writing.join().unwrap();
    reading.join().unwrap().unwrap();
    drop(quiet);
    server.join().unwrap().unwrap();
    // What makes it so: no turn gave anyone more than the portion.
    assert!(largest.load(Ordering::Relaxed) <= 8192);
}

/// Counts, in each turn, the connections that read on after a full portion.
struct Turns {
    portion: usize,
    read: Vec<(Token, usize)>,
    unfinished: Vec<Token>,
    most: Arc<AtomicUsize>,
    open: usize,
    bytes: Arc<AtomicUsize>,
}

impl Handler for Turns {
    fn opened(&mut self, _: &mut Io, _: Token, _: SocketAddr) {
        self.open += 1;
    }
    fn received(&mut self, _: &mut Io, conn: Token, bytes: &[u8]) {
        self.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        self.read.push((conn, bytes.len()));
    }
    fn closed(&mut self, io: &mut Io, _: Token, _: CloseReason) {
        self.open -= 1;
        if self.open == 0 {
            io.stop();
        }
    }
    fn turn(&mut self, _: &mut Io) -> Option<Duration> {
        let goes_on = |(conn, _): &&(Token, usize)| self.unfinished.contains(conn);
        self.most.fetch_max(self.read.iter().filter(goes_on).count(), Ordering::Relaxed);
        for (conn, bytes) in self.read.drain(..) {
            self.unfinished.retain(|one| *one != conn);
            if bytes == self.portion {
                self.unfinished.push(conn);
            }
        }
        None
    }
}

#[test]
fn those_who_have_much_to_say_take_turns_and_all_get_through() {
    let (portion, each) = (4_096, 1 << 20);
    let (most, bytes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let turns = Turns {
        portion,
        read: Vec::new(),
        unfinished: Vec::new(),
        most: most.clone(),
        open: 0,
        bytes: bytes.clone(),
    };
    let config =
        Config { read_buffer: portion, read_budget: portion, turn_budget: 1, ..Config::default() };
    let (addr, server) = spawn(config, turns);
    let clients: Vec<_> = (0..4).map(|_| connect(addr)).collect();
    let writing: Vec<_> = clients
        .into_iter()
        .map(|mut client| std::thread::spawn(move || client.write_all(&pattern(each)).unwrap()))
        .collect();
    writing.into_iter().for_each(|thread| thread.join().unwrap());
    server.join().unwrap().unwrap();
    assert_eq!(bytes.load(Ordering::Relaxed), 4 * each);
    assert_eq!(most.load(Ordering::Relaxed), 1, "a turn with room for one had several");
}

#[test]
fn shared_bytes_reach_everyone_in_order() {
    let server = Remote::start(Config::default());
    let clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    let tokens: Vec<Token> = clients.iter().map(|(_, token)| *token).collect();
    server.ask(move |io| {
        let news: Arc<[u8]> = b"news ".as_slice().into();
        for token in tokens {
            io.send(token, b"before ");
            io.send_shared(token, news.clone());
            io.send_owned(token, b"after".to_vec());
            io.close_after_flush(token, PATIENCE);
        }
    });
    for (stream, _) in clients {
        assert_eq!(read_all(stream), b"before news after");
    }
    server.stop();
}

#[test]
fn output_beyond_the_portion_of_a_turn_follows() {
    let server = Remote::start(Config { write_budget: 1000, ..Config::default() });
    let (mut stream, token) = server.client();
    let sent = pattern(50_000);
    let copy = sent.clone();
    server.ask(move |io| io.send_owned(token, copy));
    let mut back = vec![0; sent.len()];
    stream.read_exact(&mut back).unwrap();
    assert!(back == sent);
    server.stop();
}

#[test]
fn a_pause_holds_bytes_back_and_loses_none() {
    let server = Remote::start(Config::default());
    let (mut stream, token) = server.client();
    server.ask(move |io| io.pause_reading(token));
    stream.write_all(b"one").unwrap();
    stream.write_all(b"two").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    server.silent();
    // Nothing more will come from the network: resuming alone must bring it.
    server.ask(move |io| io.resume_reading(token));
    assert_eq!(server.next_bytes(token, 6), b"onetwo");
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::PeerClosed));
    server.stop();
}

#[test]
fn drained_is_told_once_the_peer_has_read() {
    let server = Remote::start(tight());
    let (mut stream, token) = server.client();
    let sent = pattern(1 << 19);
    let copy = sent.clone();
    assert!(server.ask(move |io| io.send_owned(token, copy)));
    server.silent();
    assert!(server.ask(move |io| io.unsent(token)) > 8 * 1024);
    let mut back = vec![0; sent.len()];
    stream.read_exact(&mut back).unwrap();
    assert!(back == sent);
    assert_eq!(server.next(), Heard::Drained(token));
    assert_eq!(server.ask(move |io| io.unsent(token)), 0);
    server.stop();
}

/// Takes numbers from other threads until it has seen enough of them.
struct Collector {
    numbers: Receiver<u32>,
    expected: usize,
    seen: usize,
}

impl Handler for Collector {
    fn opened(&mut self, _: &mut Io, _: Token, _: SocketAddr) {}
    fn received(&mut self, _: &mut Io, _: Token, _: &[u8]) {}
    fn closed(&mut self, _: &mut Io, _: Token, _: CloseReason) {}
    fn woken(&mut self, io: &mut Io) {
        self.seen += self.numbers.try_iter().count();
        if self.seen == self.expected {
            io.stop();
        }
    }
}

#[test]
fn no_wake_up_is_overlooked() {
    // Nothing else wakes this loop: one wake-up lost and it sleeps for ever.
    let (numbers, taken) = channel();
    let mut event_loop = EventLoop::new(Config::default()).unwrap();
    for _ in 0..4 {
        let (waker, numbers) = (event_loop.waker(), numbers.clone());
        std::thread::spawn(move || {
            for n in 0..5000 {
                numbers.send(n).unwrap();
                waker.wake().unwrap();
            }
        });
    }
    let mut handler = Collector { numbers: taken, expected: 20_000, seen: 0 };
    event_loop.run(&mut handler).unwrap();
    assert_eq!(handler.seen, 20_000);
}

/// Wakes the loop from within its own wake-up.
struct Again {
    waker: Waker,
    left: u32,
    started: Instant,
}

impl Handler for Again {
    fn opened(&mut self, _: &mut Io, _: Token, _: SocketAddr) {}
    fn received(&mut self, _: &mut Io, _: Token, _: &[u8]) {}
    fn closed(&mut self, _: &mut Io, _: Token, _: CloseReason) {}
    fn woken(&mut self, io: &mut Io) {
        self.left -= 1;
        match self.left {
            0 => io.stop(),
            _ => self.waker.wake().unwrap(),
        }
    }
    fn turn(&mut self, _: &mut Io) -> Option<Duration> {
        assert!(self.started.elapsed() < PATIENCE, "a wake-up got lost");
        Some(PATIENCE)
    }
}

#[test]
fn a_wake_up_during_a_wake_up_counts() {
    let mut event_loop = EventLoop::new(Config::default()).unwrap();
    let waker = event_loop.waker();
    waker.wake().unwrap();
    event_loop.run(&mut Again { waker, left: 3, started: Instant::now() }).unwrap();
}

/// Counts turns, asking for the next a little later.
struct Clock(u32);

impl Handler for Clock {
    fn opened(&mut self, _: &mut Io, _: Token, _: SocketAddr) {}
    fn received(&mut self, _: &mut Io, _: Token, _: &[u8]) {}
    fn closed(&mut self, _: &mut Io, _: Token, _: CloseReason) {}
    fn turn(&mut self, io: &mut Io) -> Option<Duration> {
        self.0 += 1;
        if self.0 == 5 {
            io.stop();
        }
        Some(Duration::from_millis(2))
    }
}

#[test]
fn turns_come_when_the_application_asked_for_them() {
    let mut event_loop = EventLoop::new(Config::default()).unwrap();
    for _ in 0..2 {
        let mut clock = Clock(0);
        let start = Instant::now();
        event_loop.run(&mut clock).unwrap();
        // Neither earlier nor without end; and a loop can run again.
        assert_eq!(clock.0, 5);
        assert!(start.elapsed() >= Duration::from_millis(8));
    }
}

#[test]
fn several_listeners_and_connections_of_our_own() {
    let mut second = None;
    let server = Remote::start_with(
        Config::default(),
        |_, _| true,
        |event_loop| second = Some(event_loop.listen(([127, 0, 0, 1], 0).into()).unwrap()),
    );
    let second = second.unwrap();
    assert_ne!(server.addr, second);

    // The loop connects to itself and speaks before it is connected.
    let ours = server.ask(move |io| {
        let ours = io.connect(second).unwrap();
        assert!(io.send(ours, b"early"));
        ours
    });
    let mut theirs = None;
    for _ in 0..2 {
        match server.next() {
            Heard::Opened(token, peer) if token == ours => assert_eq!(peer, second),
            Heard::Opened(token, _) => theirs = Some(token),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.next_bytes(theirs.unwrap(), 5), b"early");
    server.stop();
}

#[test]
fn a_refused_attempt_is_told_as_such() {
    let server = Remote::start(Config::default());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let token = server.ask(move |io| io.connect(nobody)).unwrap();
    let refused = CloseReason::ConnectFailed(std::io::ErrorKind::ConnectionRefused);
    assert_eq!(server.next(), Heard::Closed(token, refused));
    server.stop();
}

#[test]
fn a_taken_address_is_an_error_that_names_it() {
    let mut event_loop = EventLoop::new(Config::default()).unwrap();
    let addr = event_loop.listen(([127, 0, 0, 1], 0).into()).unwrap();
    let error = event_loop.listen(addr).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {addr}"));
}

#[test]
fn the_application_and_the_limit_can_refuse() {
    let config = Config { max_connections: 2, ..Config::default() };
    let by_address = Remote::start_with(Config::default(), |_, load| load.from_network < 1, |_| {});
    let by_limit = Remote::start(config);

    let served = [by_limit.client(), by_limit.client()];
    assert_closed(connect(by_limit.addr));
    drop(served);
    by_limit.stop();

    let (first, token) = by_address.client();
    assert_closed(connect(by_address.addr));
    drop(first);
    assert_eq!(by_address.next(), Heard::Closed(token, CloseReason::PeerClosed));
    by_address.client();
    by_address.stop();
}

#[test]
fn connections_of_one_network_count_together() {
    let third_byte = |address| match address {
        IpAddr::V4(v4) => v4.octets()[2].into(),
        IpAddr::V6(_) => 0,
    };
    let config = Config { network_of: third_byte, ..Config::default() };
    let server = Remote::start_with(config, |_, load| load.from_network < 2, |_| {});
    let from = |host: [u8; 4]| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((host, 0)).into()).unwrap();
        socket.connect(&server.addr.into()).unwrap();
        TcpStream::from(socket)
    };
    let opened = || match server.next() {
        Heard::Opened(token, _) => token,
        other => panic!("{other:?}"),
    };
    let _neighbours = [from([127, 0, 1, 1]), from([127, 0, 1, 2])];
    let tokens = [opened(), opened()];
    assert_closed(from([127, 0, 1, 3]));
    let _elsewhere = from([127, 0, 2, 1]);
    opened();
    server.ask(move |io| io.close(tokens[0]));
    assert_eq!(server.next(), Heard::Closed(tokens[0], CloseReason::Closed));
    let _another = from([127, 0, 1, 3]);
    opened();
    server.stop();
}

fn assert_closed(mut stream: TcpStream) {
    match stream.read(&mut [0; 1]) {
        Ok(0) => {}
        Ok(_) => panic!("the server spoke"),
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset),
    }
}
