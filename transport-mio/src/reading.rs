//! The reading half: take what has arrived, in fair portions.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use crate::connection::Phase;
use crate::error::CloseReason;
use crate::handler::Handler;
use crate::io::{Io, soon};
use crate::slab::Token;
use crate::stream::Stream;

/// Connections with a read due. What the kernel reports it reports once, so those whose portion
/// ended before they blocked wait here. They wait apart: a short word, an acknowledgment perhaps,
/// must not stand in line behind everybody who pours out letters.
#[derive(Debug, Default)]
pub(crate) struct ToRead {
    /// Had nothing more to read until now.
    fresh: VecDeque<Token>,
    /// Had a full portion and may have more.
    unfinished: VecDeque<Token>,
}

impl ToRead {
    pub(crate) fn push(&mut self, token: Token) {
        self.fresh.push_back(token);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.unfinished.is_empty()
    }
}

impl<S: Stream> Io<S> {
    /// Lets connections read a portion each: all that are fresh, then unfinished ones until the
    /// turn's budget is used up, at least one.
    pub(crate) fn read_ready<H: Handler<Self>>(&mut self, scratch: &mut [u8], handler: &mut H) {
        // Those queued while this runs wait for the next turn.
        let (fresh, unfinished) = (self.to_read.fresh.len(), self.to_read.unfinished.len());
        let mut read = 0;
        for _ in 0..fresh {
            let Some(token) = self.to_read.fresh.pop_front() else { break };
            read += self.read_portion(token, scratch, handler);
        }
        for nth in 0..unfinished {
            if nth > 0 && read >= self.config.turn_budget {
                break;
            }
            let Some(token) = self.to_read.unfinished.pop_front() else { break };
            read += self.read_portion(token, scratch, handler);
        }
    }

    /// Reads a portion. Returns how many bytes it was.
    fn read_portion<H: Handler<Self>>(
        &mut self,
        token: Token,
        scratch: &mut [u8],
        handler: &mut H,
    ) -> usize {
        let Some(c) = self.conns.get_mut(token) else { return 0 };
        c.queued_to_read = false;
        if let Phase::Introducing(_) = c.phase {
            self.introduce(token, handler);
            return 0;
        }
        let mut read = 0;
        for _ in 0..self.config.reads_per_turn {
            // Looked up afresh each time: the handler may have paused or closed it.
            let Some(c) = self.conns.get_mut(token) else { return read };
            if let Phase::Broken(why) = c.phase
                && (c.paused || !c.may_read())
            {
                self.end(token, why);
                return read;
            }
            let room = scratch.len().min(self.config.read_budget.saturating_sub(read));
            if !c.wants_read() || room == 0 {
                break;
            }
            match c.stream.read(scratch.get_mut(..room).unwrap_or_default()) {
                Ok(0) => {
                    self.read_to_the_end(token);
                    return read;
                }
                Ok(n) => {
                    read += n;
                    // What comes later is reported. But an end that was reported together with this
                    // has to be read.
                    if c.stream.has_taken_all(n, room) && !c.end_reported {
                        c.readable = false;
                    }
                    if c.delivers() {
                        handler.received(self, token, scratch.get(..n).unwrap_or_default());
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => c.readable = false,
                Err(e) => {
                    self.read_failed(token, &e);
                    return read;
                }
            }
        }
        if self.begins_to_wait(token) {
            self.to_read.unfinished.push_back(token);
        }
        // To read may have given the stream something to say.
        if self.conns.get(token).is_some_and(|c| c.stream.holds_output()) {
            self.queue_write(token);
        }
        read
    }

    fn read_to_the_end(&mut self, token: Token) {
        let Some(c) = self.conns.get_mut(token) else { return };
        c.peer_done = true;
        match c.phase {
            Phase::Open => {
                self.hung_up(token);
                let until = soon(self.config.half_close_flush);
                self.enter(token, Phase::PeerClosed(until));
                // Even with nothing to write: the application may have something until the turn
                // ends, and writing is where the end is noticed.
                self.queue_write(token);
            }
            Phase::Lingering(_) => self.end(token, CloseReason::Flushed),
            Phase::Broken(why) => self.end(token, why),
            Phase::Connecting
            | Phase::Introducing(_)
            | Phase::PeerClosed(_)
            | Phase::Flushing(_) => {}
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
        match c.stream.is_connected() {
            Ok(true) => {
                let peer = c.peer;
                self.enter(token, Phase::Open);
                self.queue_read(token);
                self.queue_write(token);
                return Some(peer);
            }
            Ok(false) => {}
            Err(e) => self.end(token, CloseReason::ConnectFailed(e.kind())),
        }
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
