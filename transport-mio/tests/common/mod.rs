//! A loop in a thread of its own, driven step by step from the test.
#![allow(dead_code, reason = "no test binary uses everything")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use waxwing_transport_mio::{
    CloseReason, Config, Doors, Error, EventLoop, Handler, IntroductionError, Io, Load, Signal,
    Stream, TcpStream as Tcp, Token, Waker,
};

/// Longer than anything here takes; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the loop told its handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Opened(Token, SocketAddr),
    Received(Token, Vec<u8>),
    Closed(Token, CloseReason),
    Drained(Token),
    Signal(Signal),
    NotIntroduced(IntroductionError),
}

type Admit = fn(SocketAddr, Load) -> bool;
type Order<S> = Box<dyn FnOnce(&mut Io<S>) + Send>;

/// Reports everything and does what it is told, nothing else.
struct Puppet<S> {
    heard: Sender<Heard>,
    ends: Sender<Token>,
    orders: Receiver<Order<S>>,
    admit: Admit,
    proxies: fn(SocketAddr) -> bool,
}

impl<S> Puppet<S> {
    fn tell(&self, heard: Heard) {
        // A test that has seen enough no longer listens.
        let _ = self.heard.send(heard);
    }
}

impl<S: Stream> Handler<Io<S>> for Puppet<S> {
    fn is_proxy(&mut self, peer: SocketAddr) -> bool {
        (self.proxies)(peer)
    }
    fn not_introduced(&mut self, _: SocketAddr, why: IntroductionError) {
        self.tell(Heard::NotIntroduced(why));
    }
    fn accept(&mut self, peer: SocketAddr, load: Load) -> bool {
        (self.admit)(peer, load)
    }
    fn opened(&mut self, _: &mut Io<S>, conn: Token, peer: SocketAddr) {
        self.tell(Heard::Opened(conn, peer));
    }
    fn received(&mut self, _: &mut Io<S>, conn: Token, bytes: &[u8]) {
        self.tell(Heard::Received(conn, bytes.to_vec()));
    }
    fn closed(&mut self, io: &mut Io<S>, conn: Token, why: CloseReason) {
        assert!(!io.is_open(conn), "closed, but its token lives");
        self.tell(Heard::Closed(conn, why));
    }
    fn hung_up(&mut self, _: &mut Io<S>, conn: Token) {
        let _ = self.ends.send(conn);
    }
    fn drained(&mut self, _: &mut Io<S>, conn: Token) {
        self.tell(Heard::Drained(conn));
    }
    fn signal(&mut self, _: &mut Io<S>, signal: Signal) {
        self.tell(Heard::Signal(signal));
    }
    fn turn(&mut self, io: &mut Io<S>) -> Option<Duration> {
        // One order per turn: the answer to the next proves that this turn is over.
        let order = self.orders.try_recv().ok()?;
        order(io);
        Some(Duration::ZERO)
    }
}

/// The far end of a puppet's strings.
pub(crate) struct Remote<S: Stream = Tcp> {
    pub(crate) addr: SocketAddr,
    pub(crate) waker: Waker,
    pub(crate) doors: Doors<S>,
    heard: Receiver<Heard>,
    ends: Receiver<Token>,
    orders: Sender<Order<S>>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Remote {
    pub(crate) fn start(config: Config) -> Self {
        Self::start_with(config, |_, _| true, |_| {})
    }

    pub(crate) fn start_with(
        config: Config,
        admit: fn(SocketAddr, Load) -> bool,
        prepare: impl FnOnce(&mut EventLoop),
    ) -> Self {
        let mut event_loop = EventLoop::new(config).unwrap();
        let addr = event_loop.listen(([127, 0, 0, 1], 0).into()).unwrap();
        prepare(&mut event_loop);
        Self::run(event_loop, addr, (admit, |_| false))
    }

    /// One to which proxies come.
    pub(crate) fn behind(
        proxies: fn(SocketAddr) -> bool,
        config: Config,
        admit: fn(SocketAddr, Load) -> bool,
    ) -> Self {
        let mut event_loop = EventLoop::new(config).unwrap();
        let addr = event_loop.listen(([127, 0, 0, 1], 0).into()).unwrap();
        Self::run(event_loop, addr, (admit, proxies))
    }
}

impl<S: Stream + Send + 'static> Remote<S> {
    /// One whose streams come from this listener.
    pub(crate) fn accepting(config: Config, listener: S::Listener, addr: SocketAddr) -> Self
    where
        S::Listener: Send,
    {
        let mut event_loop = EventLoop::of_streams(config).unwrap();
        event_loop.accept_from(listener).unwrap();
        Self::run(event_loop, addr, (|_, _| true, |_| false))
    }

    fn run(
        mut event_loop: EventLoop<S>,
        addr: SocketAddr,
        (admit, proxies): (Admit, fn(SocketAddr) -> bool),
    ) -> Self
    where
        S::Listener: Send,
    {
        let (tell, heard) = channel();
        let (tell_end, ends) = channel();
        let (orders, obey) = channel();
        let (waker, doors) = (event_loop.waker(), event_loop.doors());
        let thread = std::thread::spawn(move || {
            let ends = tell_end;
            event_loop.run(&mut Puppet { heard: tell, ends, orders: obey, admit, proxies })
        });
        Self { addr, waker, doors, heard, ends, orders, thread: Some(thread) }
    }

    /// A client and the loop's token for it.
    pub(crate) fn client(&self) -> (TcpStream, Token) {
        let stream = connect(self.addr);
        match self.next() {
            Heard::Opened(token, peer) => {
                assert_eq!(peer, stream.local_addr().unwrap());
                (stream, token)
            }
            other => panic!("expected a connection, heard {other:?}"),
        }
    }

    /// Has the loop's thread do something, and waits for the result.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Io<S>) -> T + Send + 'static,
    ) -> T {
        let (answer, result) = channel();
        let order = move |io: &mut Io<S>| answer.send(order(io)).unwrap();
        self.orders.send(Box::new(order)).unwrap();
        self.waker.wake().unwrap();
        result.recv_timeout(PATIENCE).expect("the loop answers")
    }

    pub(crate) fn next(&self) -> Heard {
        self.heard.recv_timeout(PATIENCE).expect("the loop says something")
    }

    /// The next connection whose peer sends no more.
    pub(crate) fn next_end(&self) -> Token {
        self.ends.recv_timeout(PATIENCE).expect("somebody hangs up")
    }

    /// The next `n` bytes of a connection, however they are cut.
    pub(crate) fn next_bytes(&self, conn: Token, n: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < n {
            match self.next() {
                Heard::Received(from, bytes) if from == conn => all.extend_from_slice(&bytes),
                other => panic!("expected bytes, heard {other:?}"),
            }
        }
        assert_eq!(all.len(), n, "more bytes than expected");
        all
    }

    /// All bytes that have come by now, when nothing else has.
    pub(crate) fn bytes_so_far(&self) -> Vec<u8> {
        let bytes = self.heard.try_iter().flat_map(|heard| match heard {
            Heard::Received(_, bytes) => bytes,
            other => panic!("expected bytes, heard {other:?}"),
        });
        bytes.collect()
    }

    /// Lets the loop finish the turn it is in, writes included, and begin another.
    pub(crate) fn settle(&self) {
        self.ask(|_| ());
        self.ask(|_| ());
    }

    /// Asserts that nothing has been said, and that nothing is about to be.
    pub(crate) fn silent(&self) {
        self.settle();
        match self.heard.recv_timeout(Duration::ZERO) {
            Err(RecvTimeoutError::Timeout) => {}
            other => panic!("expected silence, heard {other:?}"),
        }
    }

    /// Asks until the answer is yes.
    pub(crate) fn until(&self, what: impl Fn(&mut Io<S>) -> bool + Send + Copy + 'static) {
        let start = Instant::now();
        while !self.ask(what) {
            assert!(start.elapsed() < PATIENCE, "never came true");
            std::thread::yield_now();
        }
    }

    /// Stops the loop and waits for it.
    pub(crate) fn stop(mut self) {
        self.ask(Io::stop);
        self.join();
    }

    /// Waits for the loop to end by itself.
    pub(crate) fn join(&mut self) {
        let thread = self.thread.take().expect("joined once");
        thread.join().expect("the loop does not panic").expect("the loop ends well");
    }
}

/// A blocking client that never hangs a test.
pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads until the other end closes.
pub(crate) fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Sends and expects the same back.
pub(crate) fn ping(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, bytes);
}

/// Makes the coming close of `stream` a reset.
pub(crate) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Bytes in which a lost, doubled or moved piece shows.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0u32..).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).take(len).collect()
}

/// Settings with small kernel buffers, so that little output already blocks.
pub(crate) fn tight() -> Config {
    Config {
        send_buffer: Some(8 * 1024),
        receive_buffer: Some(8 * 1024),
        low_water: 8 * 1024,
        ..Config::default()
    }
}
