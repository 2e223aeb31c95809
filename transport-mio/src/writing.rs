//! The writing half, and the steps that follow the last byte.

use std::io;
use std::time::Instant;

use crate::connection::Phase;
use crate::error::{CloseReason, IntroductionError};
use crate::handler::Handler;
use crate::io::{Io, Notice, soon};
use crate::output::Progress;
use crate::slab::Token;
use crate::stream::Stream;

impl<S: Stream> Io<S> {
    /// Gives every connection with output one portion of the network now. It happens in any case
    /// when the turn ends; whoever has long computations to do first need not let others wait.
    pub fn flush(&mut self) {
        for _ in 0..self.to_write.len() {
            let Some(token) = self.to_write.pop_front() else { return };
            if let Some(c) = self.conns.get_mut(token) {
                c.queued_to_write = false;
                self.write_portion(token);
            }
        }
    }

    /// Ends the patience with those whose time is up.
    pub(crate) fn expire<H: Handler<Self>>(&mut self, now: Instant, handler: &mut H) {
        while let Some(token) = self.deadlines.take_due(now) {
            match self.conns.get(token).map(|c| c.phase) {
                Some(Phase::Introducing(_)) => {
                    self.introduction_failed(token, IntroductionError::TooLate, handler);
                }
                Some(Phase::Flushing(_)) => self.end(token, CloseReason::FlushTimeout),
                Some(Phase::Lingering(_)) => self.end(token, CloseReason::Flushed),
                Some(Phase::PeerClosed(_)) => self.end(token, CloseReason::PeerClosed),
                Some(Phase::Connecting | Phase::Open | Phase::Broken(_)) | None => {}
            }
        }
    }

    fn write_portion(&mut self, token: Token) {
        let Some(c) = self.conns.get_mut(token) else { return };
        if !c.wants_write() {
            return;
        }
        if c.writable {
            match c.write(self.config.write_budget) {
                Ok(Progress::Empty) => {}
                Ok(Progress::Blocked) => c.writable = false,
                Ok(Progress::Spent) => self.queue_write(token),
                Err(e) => return self.write_failed(token, &e),
            }
        }
        self.after_write(token);
    }

    fn after_write(&mut self, token: Token) {
        let Some(c) = self.conns.get_mut(token) else { return };
        if c.owes_drained && c.output.unsent() <= self.config.low_water {
            c.owes_drained = false;
            if c.takes_output() {
                self.notices.push_back(Notice::Drained(token));
            }
        }
        if c.has_output() {
            return;
        }
        match c.phase {
            Phase::PeerClosed(_) => self.end(token, CloseReason::PeerClosed),
            Phase::Flushing(until) => {
                let gone = match c.stream.shutdown() {
                    Ok(()) => false,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        c.writable = false;
                        return;
                    }

                    // Then there is nobody to wait for.
                    Err(_) => true,
                };
                if gone || c.peer_done {
                    return self.end(token, CloseReason::Flushed);
                }
                let until = until.min(soon(self.config.linger));
                self.enter(token, Phase::Lingering(until));
            }
            Phase::Connecting
            | Phase::Introducing(_)
            | Phase::Open
            | Phase::Lingering(_)
            | Phase::Broken(_) => {}
        }
    }

    /// The peer takes nothing more. What it had sent before is delivered first, unless reading is
    /// paused: nobody can say when that would end.
    fn write_failed(&mut self, token: Token, error: &io::Error) {
        let Some(c) = self.conns.get_mut(token) else { return };
        match c.phase {
            Phase::Open if !c.paused => {
                c.output.clear();
                // The read that finds the end must happen, event or not.
                c.readable = true;
                self.enter(token, Phase::Broken(CloseReason::of(error)));
                self.queue_read(token);
            }
            Phase::PeerClosed(_) => self.end(token, CloseReason::PeerClosed),
            _ => self.end(token, CloseReason::of(error)),
        }
    }
}
