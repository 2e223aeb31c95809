//! One TCP connection: what has arrived of the next packet, and how far the peer has come.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::super::config::Deadlines;
use super::super::output::OtpTicket;
use super::super::peer::Peer;
use super::super::shard::ShardId;
use super::admission::Decision;
use crate::id::{Nonce, PacketId, UserId};
use crate::limits::PROGRESS_BYTES;
use crate::time::Instant;
use core::time::Duration;

/// How far the peer has come.
#[derive(Debug)]
pub(super) enum State {
    /// No session: 100, 101 and 106 are welcome.
    Greeting,
    /// One of them is there, and waits for those that came before it.
    InLine,
    /// It is next.
    Called,
    /// The code that it asked for is on its way; the 200 and what follows wait.
    Sending(Sending),
    /// 101 was right and its user is being stored; what follows waits.
    Creating,
    /// The answer is known, and waits for its turn.
    Decided(Decision),
    /// Another shard handles what comes next.
    Moving(Moving),
    /// 201 or 206 went out to this user; only the confirmation is welcome.
    Offered(UserId),
    /// The user's session is confirmed.
    Active(UserId),
}

/// What a connection hears when its code has gone out, or has not.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    pub(super) ticket: OtpTicket,
    /// The 200.
    pub(super) answer: Arc<[u8]>,
    /// The 100.
    pub(super) request: PacketId,
}

impl Sending {
    /// How long the 200 waits: most gateways that refuse do so sooner.
    const PATIENCE: Duration = Duration::from_secs(3);
    /// When it makes sense to ask again.
    pub(super) const COME_BACK: Duration = Duration::from_secs(30);
}

/// Where a connection is to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moving {
    pub(super) to: ShardId,
    /// The session that its client has proved a right to.
    pub(super) session: Option<(UserId, Nonce)>,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Peer,
    pub(super) state: State,
    /// Part of a packet, or packets that wait while the connection is paused.
    pub(super) inbox: Vec<u8>,
    /// When the packet in the inbox began.
    pub(super) packet_since: Option<Instant>,
    /// What was in the inbox, and when, as it began or last made progress.
    progress: Progress,
    /// When the state was entered, or the last answer before a session went out.
    pub(super) since: Instant,
    /// Whether the caller was told to stop reading.
    pub(super) paused: bool,
    /// The deadline that the timers know.
    pub(super) armed: Option<Instant>,
}

/// How far a packet has come on a line that may be slow.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
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
            paused: false,
            armed: None,
        }
    }

    /// Whether packets have to wait: what came before them is not done. A session may have reasons of
    /// its own.
    pub(super) const fn must_wait(&self) -> bool {
        match &self.state {
            State::InLine
            | State::Sending(_)
            | State::Creating
            | State::Decided(_)
            | State::Moving(_) => true,
            State::Greeting | State::Called | State::Offered(_) | State::Active(_) => false,
        }
    }

    /// Whether its client waits for an answer that nobody has begun to make.
    pub(super) const fn waits_for_its_turn(&self) -> bool {
        matches!(self.state, State::InLine | State::Called | State::Decided(_))
    }

    /// The packet in the inbox begins.
    pub(super) fn packet_begins(&mut self, now: Instant) {
        self.progress = Progress { at: now, bytes: self.inbox.len() };
    }

    /// More of the packet in the inbox has come. Whether it is so much that the line is busy with it.
    pub(super) fn packet_grows(&mut self, now: Instant) -> bool {
        let is_busy = self.inbox.len() >= self.progress.bytes.saturating_add(PROGRESS_BYTES);
        if is_busy {
            self.packet_begins(now);
        }
        is_busy
    }

    /// When patience ends.
    pub(super) fn deadline(&self, deadlines: &Deadlines) -> Option<Instant> {
        let packet = match self.packet_since {
            Some(_) if self.paused || self.must_wait() => None,
            Some(_) if matches!(self.state, State::Active(_)) => Some(self.progress.at),
            since => since,
        };
        let packet = packet.map(|since| since.after(deadlines.packet));
        let state = match &self.state {
            State::Greeting | State::Called => Some(self.since.after(deadlines.first_packet)),
            State::Sending(_) => Some(self.since.after(Sending::PATIENCE)),
            State::Offered(_) => Some(self.since.after(deadlines.confirmation)),
            State::InLine
            | State::Creating
            | State::Decided(_)
            | State::Moving(_)
            | State::Active(_) => None,
        };
        [packet, state].into_iter().flatten().min()
    }
}
