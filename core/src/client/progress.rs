//! How long the other end may take (PROTOCOL.md, "Deadlines of a client").
//!
//! A slow line is no dead one: what counts is progress, and a byte now and then is none. Bytes
//! move without a clock, so they are noted, and weighed when the time is told next.

use core::time::Duration;

use crate::limits::{CLIENT_PROGRESS_BYTES, MAX_PACKET};
use crate::time::Instant;

/// A packet on its way brings [`CLIENT_PROGRESS_BYTES`], or its end, within such a span.
const SPAN: Duration = Duration::from_secs(30);

/// Microseconds that a line takes for a byte at most (some 768 bytes a second), for guessing when
/// what has gone out has arrived: a socket takes bytes long before a modem has sent them.
const SLOWEST: u64 = 1_300;
/// Bytes that are on no line for long.
const AT_ONCE: u64 = 4_096;

/// One direction of a stream.
#[derive(Default)]
pub(super) struct Pace {
    /// Since when; `None` when nothing is on its way.
    since: Option<Instant>,
    moved: usize,
}

impl Pace {
    /// `moved` bytes went this way since the last note, and whether there is more to come. Says
    /// whether that is progress.
    fn note(&mut self, now: Instant, moved: usize, more: bool) -> bool {
        self.moved = self.moved.saturating_add(moved);
        let has_moved = self.moved >= CLIENT_PROGRESS_BYTES;
        if has_moved || !more || self.since.is_none() {
            self.moved = 0;
            self.since = more.then_some(now);
        }
        has_moved
    }

    fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since.after(SPAN))
    }
}

/// What has moved, and when something has to.
#[derive(Default)]
pub(super) struct Progress {
    /// Bytes since the last note.
    read: usize,
    written: usize,
    incoming: Pace,
    outgoing: Pace,
    /// When the slowest line will have carried what has gone out.
    carried: Instant,
}

/// What a note came to.
pub(super) struct Moved {
    /// Whether anything has come.
    pub(super) read: bool,
    /// Whether so much of a packet has come that it is not trickling in.
    pub(super) comes_on: bool,
    /// Bytes that went out.
    pub(super) written: usize,
    /// When they have arrived, at the latest: now, unless they were many.
    pub(super) arrived: Instant,
}

impl Progress {
    pub(super) const fn read(&mut self, count: usize) {
        self.read = self.read.saturating_add(count);
    }

    pub(super) const fn written(&mut self, count: usize) {
        self.written = self.written.saturating_add(count);
    }

    /// Weighs what has moved. `reading`: a packet has begun, and the rest of it could be taken;
    /// `writing`: there is something to be sent.
    pub(super) fn note(&mut self, now: Instant, reading: bool, writing: bool) -> Moved {
        let read = core::mem::take(&mut self.read);
        let written = core::mem::take(&mut self.written);
        let comes_on = self.incoming.note(now, read, reading);
        self.outgoing.note(now, written, writing);
        let carried = later(self.carried.max(now), written as u64);
        // Each letter is answered, so never more than one has to be waited for.
        self.carried = carried.min(later(now, MAX_PACKET as u64));
        let early = SLOWEST.saturating_mul(AT_ONCE);
        let arrived = Instant::from_micros(self.carried.as_micros().saturating_sub(early));
        Moved { read: read > 0, comes_on, written, arrived: arrived.max(now) }
    }

    /// When what is on its way has to have moved on.
    pub(super) fn deadline(&self) -> Option<Instant> {
        super::earliest(self.incoming.deadline(), self.outgoing.deadline())
    }
}

/// When the slowest line has carried so many bytes. Without a [`Duration`], whose division is long on
/// a small processor.
const fn later(from: Instant, bytes: u64) -> Instant {
    Instant::from_micros(from.as_micros().saturating_add(bytes.saturating_mul(SLOWEST)))
}

/// An answer that is waited for from the moment at which its request has gone out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// Bytes to go out, the request's last one included.
    behind: usize,
    since: Instant,
}

impl Due {
    /// Of a request that was written `now`, as the last of so many bytes.
    pub(super) const fn new(now: Instant, behind: usize) -> Self {
        Self { behind, since: now }
    }

    /// Since when the answer is due.
    pub(super) const fn since(&self) -> Instant {
        self.since
    }

    pub(super) fn note(&mut self, moved: &Moved) {
        if self.behind > 0 && moved.written > 0 {
            self.behind = self.behind.saturating_sub(moved.written);
            self.since = self.since.max(moved.arrived);
        }
    }

    /// The other end has said something, if not this.
    pub(super) fn heard(&mut self, now: Instant) {
        self.since = self.since.max(now);
    }
}
