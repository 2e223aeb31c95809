//! One TCP connection: what has arrived of the next packet, and how far the peer has come.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::admission::Decision;
use super::config::Deadlines;
use super::limiter::Allowance;
use super::peer::Peer;
use super::sending::Sending;
use super::session::Session;
use super::shard::Moving;
use crate::crypto::SessionSeal;
use crate::id::{Nonce, UserId};
use crate::limits::PROGRESS_BYTES;
use crate::time::Instant;

/// How far the peer has come.
pub(super) enum State {
    /// No session: 100, 101 and 106 are welcome.
    Greeting,
    /// One of them is there, and waits for those that came before it.
    InLine,
    /// It is next.
    Called,
    /// The code that it asked for is on its way; the 200 and what follows wait.
    Sending(Box<Sending>),
    /// 101 was right and its user is being stored; what follows waits.
    Creating,
    /// The answer is known, and waits for its turn.
    Decided(Decision),
    /// Another shard handles what comes next.
    Moving(Moving),
    /// 201 or 206 went out; only the confirmation is welcome.
    Offered(Box<Offer>),
    /// The session is confirmed.
    Active(Box<Session>),
}

/// A session that its client has not confirmed. Nothing is routed to it, and it displaces
/// nobody: a recorded 101 or 106 played back gets exactly this far.
pub(super) struct Offer {
    pub(super) user: UserId,
    pub(super) seal: SessionSeal,
    pub(super) nonce: Nonce,
    pub(super) issue: u64,
}

pub(super) struct Connection {
    pub(super) peer: Peer,
    pub(super) state: State,
    /// Part of a packet, or packets that wait while the connection is paused.
    pub(super) inbox: Vec<u8>,
    /// When the packet in the inbox began.
    pub(super) packet_since: Option<Instant>,
    /// What was in the inbox, and when, as it began or last made progress.
    pub(super) progress: Progress,
    /// When the state was entered, or the last answer before a session went out.
    pub(super) since: Instant,
    /// Signed refusals.
    pub(super) refusals: Allowance,
    /// Whether the caller was told to stop reading.
    pub(super) paused: bool,
    /// The deadline that the timers know.
    pub(super) armed: Option<Instant>,
}

/// How far a packet has come on a line that may be slow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    at: Instant,
    bytes: usize,
}

impl Connection {
    pub(super) fn new(peer: Peer, now: Instant) -> Self {
        Self {
            peer,
            state: State::Greeting,
            inbox: Vec::new(),
            packet_since: None,
            progress: Progress::default(),
            since: now,
            refusals: Allowance::default(),
            paused: false,
            armed: None,
        }
    }

    /// Whether packets have to wait: what came before them is not done.
    pub(super) fn must_wait(&self) -> bool {
        match &self.state {
            State::InLine
            | State::Sending(_)
            | State::Creating
            | State::Decided(_)
            | State::Moving(_) => true,
            State::Active(session) => session.must_wait(),
            State::Greeting | State::Called | State::Offered(_) => false,
        }
    }

    /// The packet in the inbox begins.
    pub(super) fn packet_begins(&mut self, now: Instant) {
        self.progress = Progress { at: now, bytes: self.inbox.len() };
    }

    /// More of the packet in the inbox has come. What its client acknowledges comes behind it.
    pub(super) fn packet_grows(&mut self, now: Instant) {
        if self.inbox.len() >= self.progress.bytes.saturating_add(PROGRESS_BYTES) {
            self.packet_begins(now);
            if let Some(session) = self.session_mut() {
                session.window.line_is_busy(now);
            }
        }
    }

    /// When patience ends.
    pub(super) fn deadline(&self, deadlines: &Deadlines) -> Option<Instant> {
        let packet = match self.packet_since {
            Some(_) if self.must_wait() => None,
            Some(_) if matches!(self.state, State::Active(_)) => Some(self.progress.at),
            since => since,
        };
        let packet = packet.map(|since| since.after(deadlines.packet));
        let state = match &self.state {
            State::Greeting | State::Called => Some(self.since.after(deadlines.first_packet)),
            State::InLine | State::Creating | State::Decided(_) | State::Moving(_) => None,
            State::Sending(_) => Some(self.since.after(Sending::PATIENCE)),
            State::Offered(_) => Some(self.since.after(deadlines.confirmation)),
            State::Active(session) => session.deadline(deadlines),
        };
        [packet, state].into_iter().flatten().min()
    }

    pub(super) fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Active(session) => Some(session),
            _ => None,
        }
    }
}
