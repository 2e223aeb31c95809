//! The loop itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{fmt, io as std_io};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll};
use tracing::warn;

use crate::config::Config;
use crate::connection::{Connection, Phase};
use crate::doors::Doors;
use crate::error::Error;
use crate::handler::Handler;
use crate::io::{Io, Notice};
use crate::listener::{Listener, Shortage};
use crate::signal::{SIGNALS, SignalWatch};
use crate::slab::{RESERVED, reserved};
use crate::stream::{self, Stream};
use crate::wake::{WAKE, Waker};

/// One thread's worth of listeners and connections, over streams `S`.
pub struct EventLoop<S: Stream = TcpStream> {
    io: Io<S>,
    events: Events,
    /// The one read buffer. Bytes stay in it only during the call that delivers them.
    scratch: Vec<u8>,
    listeners: Vec<Listener<S>>,
    shortage: Shortage,
    waker: Waker,
    doors: Doors<S>,
    signals: Option<SignalWatch>,
}

/// What a batch of events asks for besides work on connections.
#[derive(Debug, Default, Clone, Copy)]
struct Heard {
    wake: bool,
    signal: bool,
}

impl EventLoop {
    /// A loop for TCP, without listeners or connections.
    ///
    /// # Errors
    ///
    /// When the system gives no event queue.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::of_streams(config)
    }

    /// Listens on `addr`, also on several addresses one after the other. Returns the address
    /// taken: with port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// When the address cannot be taken.
    pub fn listen(&mut self, addr: SocketAddr) -> Result<SocketAddr, Error> {
        let mut listen = || {
            let listener = stream::listen(addr, &self.io.config)?;
            let taken = listener.local_addr()?;
            self.watch(listener).map(|()| taken)
        };
        listen().map_err(|source| Error::Listen { addr, source })
    }
}

impl<S: Stream> EventLoop<S> {
    /// A loop for streams of another kind, without listeners or connections.
    ///
    /// # Errors
    ///
    /// When the system gives no event queue.
    pub fn of_streams(config: Config) -> Result<Self, Error> {
        let config = config.at_least_one();
        let poll = Poll::new().map_err(Error::Setup)?;
        let waker = Waker::new(poll.registry()).map_err(Error::Setup)?;
        Ok(Self {
            events: Events::with_capacity(config.events_per_turn),
            scratch: vec![0; config.read_buffer],
            listeners: Vec::new(),
            shortage: Shortage::default(),
            doors: Doors::new(waker.clone()),
            waker,
            signals: None,
            io: Io::new(poll, config),
        })
    }

    /// Accepts streams from `listener`, also from several one after the other. What the streams
    /// inherit from it is up to the caller ([`listen`](crate::listen)).
    ///
    /// # Errors
    ///
    /// When the system does not watch it.
    pub fn accept_from(&mut self, listener: S::Listener) -> Result<(), Error> {
        self.watch(listener).map_err(Error::Watch)
    }

    /// Watches each [`Signal`](crate::Signal); [`Handler::signal`] is told. From then on, even when
    /// this loop is gone, they do not kill the process any more.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn watch_signals(&mut self) -> Result<(), Error> {
        if self.signals.is_none() {
            let watch = SignalWatch::new(self.io.poll.registry()).map_err(Error::Signals)?;
            self.signals = Some(watch);
        }
        Ok(())
    }

    /// A handle with which other threads wake this loop.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// A handle with which other threads have this loop accept from further listeners.
    pub fn doors(&self) -> Doors<S> {
        self.doors.share()
    }

    /// The connections, for what is to be done before [`run`](Self::run).
    pub fn io(&mut self) -> &mut Io<S> {
        &mut self.io
    }

    /// Serves until [`Io::stop`] has been called and carried out.
    ///
    /// # Errors
    ///
    /// When waiting for events fails. Nothing that a peer or the network does is an error here.
    pub fn run<H: Handler<Io<S>>>(&mut self, handler: &mut H) -> Result<(), Error> {
        // The first turn comes at once, so that the application can set its first timer.
        let mut wake_at = Some(Instant::now());
        let mut stopping = false;
        loop {
            self.wait(wake_at)?;
            let heard = self.dispatch(handler);
            if heard.signal {
                self.tell_signals(handler);
            }
            if heard.wake {
                self.open_doors();
            }
            // Before anything that sets a deadline: even the shortest gets one write.
            self.io.expire(Instant::now(), handler);
            self.accept(handler);
            self.io.read_ready(&mut self.scratch, handler);
            if heard.wake {
                self.waker.rearm();
                handler.woken(&mut self.io);
            }
            self.io.tell(handler);
            let nap = handler.turn(&mut self.io);
            wake_at = nap.and_then(|nap| Instant::now().checked_add(nap));
            if std::mem::take(&mut self.io.stops_listening) || self.io.stops {
                self.stop_listening();
            }
            if self.io.stops && !stopping {
                stopping = true;
                self.io.close_all();
            }
            self.io.flush();
            if stopping && self.io.conns.len() == 0 && self.io.notices.is_empty() {
                self.io.stops = false;
                return Ok(());
            }
        }
    }

    fn open_doors(&mut self) {
        for listener in self.doors.take() {
            if let Err(error) = self.watch(listener) {
                warn!(%error, "a listener cannot be watched: nobody is accepted from it");
            }
        }
    }

    fn watch(&mut self, mut socket: S::Listener) -> std_io::Result<()> {
        let number = FIRST_LISTENER + self.listeners.len();
        if number >= RESERVED {
            return Err(std_io::ErrorKind::QuotaExceeded.into());
        }
        let event = reserved(number);
        self.io.poll.registry().register(&mut socket, event, Interest::READABLE)?;
        self.listeners.push(Listener { socket, event, ready: false });
        Ok(())
    }

    fn wait(&mut self, wake_at: Option<Instant>) -> Result<(), Error> {
        let timeout = self.timeout(wake_at);
        match self.io.poll.poll(&mut self.events, timeout) {
            Err(e) if e.kind() == std_io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            result => result.map_err(Error::Wait),
        }
    }

    /// How long there is nothing to do unless something happens.
    fn timeout(&self, wake_at: Option<Instant>) -> Option<Duration> {
        let retry_at = self.shortage.retry_at();
        let connections_wait = retry_at.is_none() && self.listeners.iter().any(|l| l.ready);
        if connections_wait || self.io.has_work() {
            return Some(Duration::ZERO);
        }
        [wake_at, retry_at, self.io.deadlines.next()]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Turns what the kernel reported into work that is due.
    fn dispatch<H: Handler<Io<S>>>(&mut self, handler: &mut H) -> Heard {
        let mut heard = Heard::default();
        for event in &self.events {
            match event.token() {
                WAKE => heard.wake = true,
                SIGNALS => heard.signal = true,
                token => {
                    if let Some(listener) = self.listeners.iter_mut().find(|l| l.event == token) {
                        listener.ready = true;
                    } else {
                        self.io.note(event, handler);
                    }
                }
            }
        }
        heard
    }

    fn tell_signals<H: Handler<Io<S>>>(&mut self, handler: &mut H) {
        for signal in self.signals.iter_mut().flat_map(SignalWatch::pending) {
            handler.signal(&mut self.io, signal);
        }
    }

    fn accept<H: Handler<Io<S>>>(&mut self, handler: &mut H) {
        let freed = std::mem::take(&mut self.io.freed);
        self.shortage.reconsider(Instant::now(), freed);
        for listener in self.listeners.iter_mut().filter(|l| l.ready) {
            if self.shortage.retry_at().is_some() {
                return;
            }
            listener.accept(&mut self.shortage, &mut self.io, handler);
        }
    }

    fn stop_listening(&mut self) {
        for mut listener in self.listeners.drain(..) {
            // Closing does it anyway; this only avoids leaving a stale event behind.
            let _ = self.io.poll.registry().deregister(&mut listener.socket);
        }
        self.shortage = Shortage::default();
    }
}

impl<S: Stream> fmt::Debug for EventLoop<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (listeners, connections) = (self.listeners.len(), self.io.connections());
        f.debug_struct("EventLoop")
            .field("listeners", &listeners)
            .field("connections", &connections)
            .finish_non_exhaustive()
    }
}

impl<S: Stream> Io<S> {
    /// Whether something is due without any event.
    fn has_work(&self) -> bool {
        !(self.to_read.is_empty() && self.to_write.is_empty() && self.notices.is_empty())
    }

    fn note<H: Handler<Self>>(&mut self, event: &mio::event::Event, handler: &mut H) {
        // Of a connection that is gone, or of nothing at all: the kernel may do that.
        let Some(token) = self.conns.resolve(event.token()) else { return };
        let Some(c) = self.conns.get_mut(token) else { return };
        c.note(event);
        if c.phase == Phase::Connecting {
            if let Some(peer) = self.connect_progress(token) {
                handler.opened(self, token, peer);
            }
            return;
        }
        if event.is_error() && c.rests() {
            self.failed_in_pause(token);
        }
        if event.is_read_closed() && self.conns.get(token).is_some_and(Connection::rests) {
            self.hung_up(token);
        }
        self.queue_read(token);
        self.queue_write(token);
    }

    /// Tells the application what has happened to its connections.
    fn tell<H: Handler<Self>>(&mut self, handler: &mut H) {
        while let Some(notice) = self.notices.pop_front() {
            match notice {
                Notice::Closed(token, why) => handler.closed(self, token, why),
                Notice::HungUp(token) if self.is_open(token) => handler.hung_up(self, token),
                Notice::Drained(token) if self.is_open(token) => handler.drained(self, token),
                Notice::HungUp(_) | Notice::Drained(_) => {}
            }
        }
    }

    fn close_all(&mut self) {
        for token in self.conns.tokens() {
            self.close_after_flush(token, self.config.shutdown_grace);
        }
    }
}

/// The wake-up and the signals come before.
const FIRST_LISTENER: usize = 2;
