//! Connections between clients and the server, and what is on its way over them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::memory_loop::{OwnedSocket, PeerEnd, Socket};
use crate::process::Process;
use crate::timeline::{Event, Line, Timeline};

/// Microseconds that bytes take, mostly.
const WAY: usize = 5_000;

#[derive(Default)]
pub(crate) struct Network {
    links: Vec<Link>,
}

struct Link {
    /// The node that it leads to.
    node: usize,
    server: Rc<RefCell<Socket>>,
    to_server: Line<ToServer>,
    to_client: Line<ToClient>,
    /// The client's end is gone.
    is_abandoned: bool,
    /// The end of the server's direction is on its way.
    is_ending: bool,
}

enum ToServer {
    Call(SocketAddr, OwnedSocket),
    Bytes(Vec<u8>),
    End(PeerEnd),
}

/// Something that arrives at a client.
pub(crate) enum ToClient {
    Bytes(Vec<u8>),
    End,
}

impl Network {
    /// A client at this address begins a connection to a node. Returns its number.
    pub(crate) fn call(&mut self, from: SocketAddr, node: usize, time: &mut Timeline) -> usize {
        let server = Rc::new(RefCell::new(Socket::default()));
        let mut to_server = Line::default();
        let call = ToServer::Call(from, OwnedSocket(server.clone()));
        let arrives = to_server.put(time.soon(WAY), call);
        time.schedule(arrives, Event::AtServer(self.links.len()));
        let (to_client, is_abandoned, is_ending) = (Line::default(), false, false);
        self.links.push(Link { node, server, to_server, to_client, is_abandoned, is_ending });
        self.links.len() - 1
    }

    /// The node that a connection leads to.
    pub(crate) fn node(&self, link: usize) -> usize {
        self.links[link].node
    }

    /// A client sends; the network cuts it as it likes.
    pub(crate) fn send(&mut self, at: usize, mut bytes: &[u8], time: &mut Timeline) {
        let link = &mut self.links[at];
        while !bytes.is_empty() {
            let count = if time.roll(3) == 0 { 1 + time.roll(bytes.len()) } else { bytes.len() };
            let (piece, rest) = bytes.split_at(count);
            bytes = rest;
            let arrives = link.to_server.put(time.soon(WAY), ToServer::Bytes(piece.to_vec()));
            time.schedule(arrives, Event::AtServer(at));
        }
    }

    /// A client's end goes away.
    pub(crate) fn abandon(&mut self, at: usize, end: PeerEnd, time: &mut Timeline) {
        let link = &mut self.links[at];
        if std::mem::replace(&mut link.is_abandoned, true) {
            return;
        }
        link.to_client.clear();
        let arrives = link.to_server.put(time.soon(WAY), ToServer::End(end));
        time.schedule(arrives, Event::AtServer(at));
    }

    /// What has arrived at the server is there for its loop to be read.
    pub(crate) fn arrive(&mut self, at: usize, process: Option<&mut Process>, time: &mut Timeline) {
        let link = &mut self.links[at];
        let Some(piece) = link.to_server.take(time.now().instant) else { return };
        let Some(process) = process else {
            // Nobody listens, and what was there is gone.
            return;
        };
        let mut socket = link.server.borrow_mut();
        match piece {
            ToServer::Call(from, end) => {
                drop(socket);
                return process.call(from, end, time);
            }
            ToServer::Bytes(bytes) if !socket.is_closed => socket.incoming.extend(bytes),
            ToServer::Bytes(_) => {}
            ToServer::End(end) => socket.peer_end = Some(end),
        }
        if let Some(shard) = socket.watched_by {
            process.notice(shard, time);
        }
    }

    /// What has arrived at the client.
    pub(crate) fn take(&mut self, at: usize, time: &Timeline) -> Option<ToClient> {
        self.links[at].to_client.take(time.now().instant)
    }

    /// What the server has written is on its way from now on.
    pub(crate) fn send_off(&mut self, time: &mut Timeline) {
        for (at, link) in self.links.iter_mut().enumerate() {
            if link.is_abandoned || link.is_ending {
                continue;
            }
            let mut socket = link.server.borrow_mut();
            if !socket.outgoing.is_empty() {
                let bytes = std::mem::take(&mut socket.outgoing);
                let arrives = link.to_client.put(time.soon(WAY), ToClient::Bytes(bytes));
                time.schedule(arrives, Event::AtClient(at));
            }
            if socket.is_closed {
                link.is_ending = true;
                let arrives = link.to_client.put(time.soon(WAY), ToClient::End);
                time.schedule(arrives, Event::AtClient(at));
            }
        }
    }
}
