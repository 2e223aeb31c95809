//! The reading half: take what has arrived, in fair portions.

use std::io::{self, Read};
use std::net::SocketAddr;

use crate::connection::Phase;
use crate::error::CloseReason;
use crate::handler::Handler;
use crate::io::{Io, soon};
use crate::slab::Token;

impl Io {
    /// Gives every connection with something to read one portion of it.
    pub(crate) fn read_ready<H: Handler>(&mut self, scratch: &mut [u8], handler: &mut H) {
        // Those queued while this runs, the unfinished among them, wait for the next turn.
        for _ in 0..self.to_read.len() {
            let Some(token) = self.to_read.pop_front() else { return };
            if let Some(c) = self.conns.get_mut(token) {
                c.queued_to_read = false;
                self.read_portion(token, scratch, handler);
            }
        }
    }

    fn read_portion<H: Handler>(&mut self, token: Token, scratch: &mut [u8], handler: &mut H) {
        let mut left = self.config.read_budget;
        for _ in 0..self.config.reads_per_turn {
            // Looked up afresh each time: the handler may have paused or closed it.
            let Some(c) = self.conns.get_mut(token) else { return };
            if let Phase::Broken(why) = c.phase
                && (c.paused || !c.readable)
            {
                return self.end(token, why);
            }
            if !c.wants_read() || left == 0 {
                break;
            }
            let room = scratch.len().min(left);
            match c.stream.read(scratch.get_mut(..room).unwrap_or_default()) {
                Ok(0) => return self.read_to_the_end(token),
                Ok(n) => {
                    left -= n.min(left);
                    // A read that does not fill its room has taken all there was; what comes later
                    // is reported. But an end that was reported together with it has to be read.
                    if n < room && !c.end_reported {
                        c.readable = false;
                    }
                    if c.delivers() {
                        handler.received(self, token, scratch.get(..n).unwrap_or_default());
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => c.readable = false,
                Err(e) => return self.read_failed(token, &e),
            }
        }
        self.queue_read(token);
    }

    fn read_to_the_end(&mut self, token: Token) {
        let Some(c) = self.conns.get_mut(token) else { return };
        c.peer_done = true;
        match c.phase {
            Phase::Open => {
                let until = soon(self.config.half_close_flush);
                self.enter(token, Phase::PeerClosed(until));
                // Even with nothing to write: the application may have something until the turn
                // ends, and writing is where the end is noticed.
                self.queue_write(token);
            }
            Phase::Lingering(_) => self.end(token, CloseReason::Flushed),
            Phase::Broken(why) => self.end(token, why),
            Phase::Connecting | Phase::PeerClosed(_) | Phase::Flushing(_) => {}
        }
    }

    fn read_failed(&mut self, token: Token, error: &io::Error) {
        let why = match self.conns.get(token).map(|c| c.phase) {
            Some(Phase::Lingering(_)) => CloseReason::Flushed,
            Some(Phase::Broken(why)) => why,
            _ => CloseReason::of(error),
        };
        self.end(token, why);
    }

    /// Finds out how a connection attempt stands. Returns the peer when it has just succeeded.
    pub(crate) fn connect_progress(&mut self, token: Token) -> Option<SocketAddr> {
        let c = self.conns.get(token)?;
        let failed = match c.stream.take_error() {
            Ok(None) => match c.stream.peer_addr() {
                Ok(_) => {
                    let peer = c.peer;
                    self.enter(token, Phase::Open);
                    self.queue_read(token);
                    self.queue_write(token);
                    return Some(peer);
                }
                Err(e) if e.kind() == io::ErrorKind::NotConnected => return None,
                Err(e) => e,
            },
            Ok(Some(e)) | Err(e) => e,
        };
        self.end(token, CloseReason::ConnectFailed(failed.kind()));
        None
    }

    /// An error was reported for a connection that nobody reads from: it would go unseen.
    pub(crate) fn failed_in_pause(&mut self, token: Token) {
        let Some(c) = self.conns.get(token) else { return };
        let why = match c.stream.take_error() {
            Ok(Some(e)) | Err(e) => CloseReason::of(&e),
            Ok(None) => return,
        };
        self.end(token, why);
    }
}
