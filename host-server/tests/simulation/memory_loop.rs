//! An event loop in memory. It calls its handler in the order that [`Handler`] promises, for as long
//! as a turn takes.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use waxwing_core::wire::{Frame, Op, deframe};
use waxwing_testkit::simulation::{Dice, Seeded};
use waxwing_transport_mio::{CloseReason, Connections, Handler, Load, Signal, Token};

/// Connections that all loops may have.
const PLACES: usize = 64;
/// Reads from one connection in a turn.
const READS: usize = 4;

/// The server's end of a connection, as the kernel keeps it.
#[derive(Default)]
pub(crate) struct Socket {
    /// What has arrived and nobody has read.
    pub(crate) incoming: VecDeque<u8>,
    /// How the client has ended it; behind what has arrived.
    pub(crate) peer_end: Option<PeerEnd>,
    /// What was written and is not on its way.
    pub(crate) outgoing: Vec<u8>,
    /// The server has closed it, behind what was written.
    pub(crate) is_closed: bool,
    /// The loop that watches it, if one does.
    pub(crate) watched_by: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerEnd {
    Finished,
    Reset,
}

/// Dropping it closes the socket.
pub(crate) struct OwnedSocket(pub(crate) Rc<RefCell<Socket>>);

impl Drop for OwnedSocket {
    fn drop(&mut self) {
        let mut socket = self.0.borrow_mut();
        (socket.is_closed, socket.watched_by) = (true, None);
    }
}

/// A connection between two loops.
pub(crate) struct Detached {
    socket: OwnedSocket,
    peer: SocketAddr,
    output: VecDeque<Arc<[u8]>>,
    peer_is_done: bool,
}

struct Connection {
    socket: OwnedSocket,
    peer: SocketAddr,
    output: VecDeque<Arc<[u8]>>,
    is_accepted: bool,
    is_paused: bool,
    is_closing: bool,
    /// The peer has ended it, and all before that is read.
    peer_is_done: bool,
    end_is_told: bool,
}

/// What has happened to a loop besides bytes.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) signals: Vec<Signal>,
    pub(crate) callers: Vec<(SocketAddr, OwnedSocket)>,
    pub(crate) is_woken: bool,
}

/// What a loop does after a turn.
pub(crate) enum After {
    /// There is more to do at once.
    Again,
    /// It sleeps until something happens, for so long at most.
    Sleep(Option<Duration>),
    /// It has stopped.
    Ended,
}

enum Notice {
    HungUp(Token),
    Closed(Token, CloseReason),
}

pub(crate) struct MemoryLoop {
    number: usize,
    connections: BTreeMap<Token, Connection>,
    last_token: u64,
    /// Accepted connections, here and detached, by address.
    accepted: BTreeMap<IpAddr, usize>,
    notices: VecDeque<Notice>,
    has_stopped_listening: bool,
    is_stopping: bool,
    /// Letters that the handler had written before its turn ended.
    pub(crate) early_letters: usize,
    /// How often it was told to read no more from a connection.
    pub(crate) pauses: usize,
}

impl MemoryLoop {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            connections: BTreeMap::new(),
            last_token: 0,
            accepted: BTreeMap::new(),
            notices: VecDeque::new(),
            has_stopped_listening: false,
            is_stopping: false,
            early_letters: 0,
            pauses: 0,
        }
    }

    /// Connections that this loop has, and those that it counts by their address.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.connections.len(), self.accepted.values().sum())
    }

    /// One turn.
    pub(crate) fn turn<H: Handler<Self>>(
        &mut self,
        handler: &mut H,
        heard: Heard,
        dice: &mut Seeded,
    ) -> After {
        let Heard { signals, callers, is_woken } = heard;
        for signal in signals {
            handler.signal(self, signal);
        }
        for (peer, socket) in callers {
            self.accept(handler, peer, socket);
        }
        for conn in self.tokens() {
            self.read(handler, conn, dice);
        }
        if is_woken {
            handler.woken(self);
        }
        while let Some(notice) = self.notices.pop_front() {
            match notice {
                Notice::Closed(conn, why) => handler.closed(self, conn, why),
                Notice::HungUp(conn) if self.connections.contains_key(&conn) => {
                    handler.hung_up(self, conn);
                }
                Notice::HungUp(_) => {}
            }
        }
        let nap = handler.turn(self);
        if self.is_stopping {
            self.connections.values_mut().for_each(|connection| connection.is_closing = true);
        }
        self.write();
        self.end_what_is_written();
        if self.is_stopping && self.connections.is_empty() && self.notices.is_empty() {
            return After::Ended;
        }
        let has_work =
            !self.notices.is_empty() || self.connections.values().any(Connection::wants_read);
        if has_work { After::Again } else { After::Sleep(nap) }
    }

    fn accept<H: Handler<Self>>(&mut self, handler: &mut H, peer: SocketAddr, socket: OwnedSocket) {
        if self.has_stopped_listening || self.is_stopping {
            return;
        }
        let from_network = self.accepted.get(&peer.ip()).copied().unwrap_or(0);
        let load = Load { from_network, total: self.load().1, places: PLACES };
        if load.total >= load.places || !handler.accept(peer, load) {
            return;
        }
        *self.accepted.entry(peer.ip()).or_default() += 1;
        let detached = Detached { socket, peer, output: VecDeque::new(), peer_is_done: false };
        let conn = self.adopt(detached, true);
        handler.opened(self, conn, peer);
    }

    fn adopt(&mut self, detached: Detached, is_accepted: bool) -> Token {
        let Detached { socket, peer, output, peer_is_done } = detached;
        self.last_token += 1;
        let conn = Token::from_bits(self.last_token);
        socket.0.borrow_mut().watched_by = Some(self.number);
        let (is_paused, is_closing, end_is_told) = (false, false, peer_is_done);
        let connection = Connection {
            socket,
            peer,
            output,
            is_accepted,
            is_paused,
            is_closing,
            peer_is_done,
            end_is_told,
        };
        self.connections.insert(conn, connection);
        if peer_is_done {
            self.notices.push_back(Notice::HungUp(conn));
        }
        conn
    }

    fn read<H: Handler<Self>>(&mut self, handler: &mut H, conn: Token, dice: &mut Seeded) {
        for _ in 0..READS {
            let Some(connection) = self.connections.get_mut(&conn) else { return };
            let mut socket = connection.socket.0.borrow_mut();
            if connection.is_closing {
                socket.incoming.clear();
            }
            let end = socket.peer_end;
            if !connection.is_paused && !socket.incoming.is_empty() {
                let waiting = socket.incoming.len();
                let count = if dice.roll(4) == 0 { 1 + dice.roll(waiting) } else { waiting };
                let bytes: Vec<u8> = socket.incoming.drain(..count).collect();
                drop(socket);
                handler.received(self, conn, &bytes);
                continue;
            }
            drop(socket);
            match end {
                Some(PeerEnd::Reset) => self.end(conn, CloseReason::Reset),
                Some(PeerEnd::Finished) => {
                    connection.peer_is_done |= !connection.is_paused;
                    if !std::mem::replace(&mut connection.end_is_told, true) {
                        self.notices.push_back(Notice::HungUp(conn));
                    }
                }
                None => {}
            }
            return;
        }
    }

    /// All output goes to the kernel, which has room for it. Returns how many letters it was.
    fn write(&mut self) -> usize {
        let mut letters = 0;
        for connection in self.connections.values_mut() {
            let mut socket = connection.socket.0.borrow_mut();
            for packet in connection.output.drain(..) {
                let Ok(Frame::Complete(header)) = deframe(&packet) else { panic!("no packet") };
                letters += usize::from(header.op_code == Op::Letter.code());
                socket.outgoing.extend_from_slice(&packet);
            }
        }
        letters
    }

    fn end_what_is_written(&mut self) {
        for conn in self.tokens() {
            match &self.connections[&conn] {
                Connection { is_closing: true, .. } => self.end(conn, CloseReason::Flushed),
                Connection { peer_is_done: true, .. } => self.end(conn, CloseReason::PeerClosed),
                _ => {}
            }
        }
    }

    fn end(&mut self, conn: Token, why: CloseReason) {
        let Some(connection) = self.connections.remove(&conn) else { return };
        if connection.is_accepted {
            self.release(connection.peer.ip());
        }
        self.notices.push_back(Notice::Closed(conn, why));
    }

    fn tokens(&self) -> Vec<Token> {
        self.connections.keys().copied().collect()
    }
}

impl Connection {
    /// Whether there is something to read, or an end to be noticed.
    fn wants_read(&self) -> bool {
        let socket = self.socket.0.borrow();
        match socket.peer_end {
            Some(PeerEnd::Reset) => true,
            Some(PeerEnd::Finished) if !self.end_is_told => true,
            Some(PeerEnd::Finished) => !self.is_paused && !self.peer_is_done,
            None => !self.is_paused && !socket.incoming.is_empty(),
        }
    }
}

impl Connections for MemoryLoop {
    type Detached = Detached;

    fn send_shared(&mut self, conn: Token, bytes: Arc<[u8]>) -> bool {
        let Some(connection) = self.connections.get_mut(&conn) else { return false };
        if !connection.is_closing {
            connection.output.push_back(bytes);
        }
        !connection.is_closing
    }

    fn pause_reading(&mut self, conn: Token) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.is_paused = true;
            self.pauses += 1;
        }
    }

    fn resume_reading(&mut self, conn: Token) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.is_paused = false;
        }
    }

    fn close_after_flush(&mut self, conn: Token, _patience: Duration) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            (connection.is_closing, connection.is_paused) = (true, false);
        }
    }

    fn detach(&mut self, conn: Token) -> Option<Detached> {
        self.connections.get(&conn).filter(|connection| !connection.is_closing)?;
        let connection = self.connections.remove(&conn)?;
        let Connection { socket, peer, output, peer_is_done, .. } = connection;
        socket.0.borrow_mut().watched_by = None;
        Some(Detached { socket, peer, output, peer_is_done })
    }

    fn peer_of(detached: &Detached) -> SocketAddr {
        detached.peer
    }

    fn attach(&mut self, detached: Detached) -> io::Result<Token> {
        Ok(self.adopt(detached, false))
    }

    fn peer(&self, conn: Token) -> Option<SocketAddr> {
        self.connections.get(&conn).map(|connection| connection.peer)
    }

    fn close_from(&mut self, is_from: &dyn Fn(IpAddr) -> bool) -> usize {
        let mut closed = self.tokens();
        closed.retain(|conn| is_from(self.connections[conn].peer.ip()));
        closed.iter().for_each(|conn| self.end(*conn, CloseReason::Closed));
        closed.len()
    }

    fn release(&mut self, address: IpAddr) {
        let count = self.accepted.get_mut(&address).expect("it was accepted");
        *count -= 1;
        if *count == 0 {
            self.accepted.remove(&address);
        }
    }

    fn flush(&mut self) {
        self.early_letters += self.write();
    }

    fn set_max_unsent(&mut self, _bytes: usize) {}

    fn set_shutdown_grace(&mut self, _grace: Duration) {}

    fn stop_listening(&mut self) {
        self.has_stopped_listening = true;
    }

    fn stop(&mut self) {
        self.is_stopping = true;
    }
}
