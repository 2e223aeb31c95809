//! Which letters a session has been given and has yet to acknowledge
//! (PROTOCOL.md, "Flow control and window").

use alloc::collections::VecDeque;
use core::time::Duration;

use super::super::config::Deadlines;
use super::super::storage::{PendingLetter, Question, QueueId};
use crate::id::{PacketId, UserId};
use crate::limits::{MAX_PACKET, MAX_UNACKNOWLEDGED_BYTES, PROGRESS_BYTES};
use crate::time::Instant;

/// A letter handed over. Until it is acknowledged it takes a place in the window, whatever becomes of
/// it: the client knows nothing of that, and counts too.
#[derive(Clone, Copy, Debug)]
struct HandedOver {
    id: PacketId,
    queue_id: QueueId,
    bytes: usize,
    at: Instant,
}

/// How the cursor stands to the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Letters lie in storage beyond the cursor.
    Behind,
    /// They have been asked for. `more` = others were committed since.
    Fetching { more: bool },
    /// There is nothing beyond the cursor: the next letter committed can go straight out.
    CaughtUp,
}

/// One cursor for backlog and live letters, so that order holds and nothing is skipped or
/// handed over twice.
#[derive(Debug)]
pub(super) struct Window {
    letters: usize,
    cursor: QueueId,
    phase: Phase,
    given: VecDeque<HandedOver>,
    given_bytes: usize,
    /// When the oldest unacknowledged letter went out, the last acknowledgment came, or part of
    /// something large that may be before it.
    progress_at: Instant,
    /// The last letter accepted when the session was confirmed, until 255 has been said.
    backlog_until: Option<QueueId>,
    backlog_count: u32,
    /// The client took the letter that it acknowledged last as fast as [`Window::PROMPT`] says.
    keeps_up: bool,
}

impl Window {
    /// Whoever keeps up acknowledges a letter within this time.
    const PROMPT: Duration = Duration::from_millis(10);

    pub(super) const fn new(letters: u8, backlog_until: QueueId, now: Instant) -> Self {
        Self {
            letters: letters as usize,
            cursor: QueueId(0),
            phase: Phase::Behind,
            given: VecDeque::new(),
            given_bytes: 0,
            progress_at: now,
            backlog_until: Some(backlog_until),
            backlog_count: 0,
            keeps_up: true,
        }
    }

    fn room(&self) -> (usize, usize) {
        let letters = self.letters.saturating_sub(self.given.len());
        let bytes = MAX_UNACKNOWLEDGED_BYTES.saturating_sub(self.given_bytes);
        // A fetch brings at least one letter, so there must be room for the largest.
        if bytes < MAX_PACKET { (0, 0) } else { (letters, bytes) }
    }

    /// Whether there is room for letters, and some may lie beyond the cursor.
    pub(super) fn wants_more(&self) -> bool {
        self.phase == Phase::Behind && self.room().0 > 0
    }

    /// What to ask storage for those letters.
    pub(super) fn fetch(&mut self, recipient: UserId) -> Question {
        let (max_letters, max_bytes) = self.room();
        self.phase = Phase::Fetching { more: false };
        Question::Letters { recipient, after: self.cursor, max_letters, max_bytes }
    }

    /// The mailbox is empty.
    pub(super) const fn nothing_lies_there(&mut self) {
        self.phase = Phase::CaughtUp;
    }

    /// The fetch has ended; `exhausted` = storage had no letter beyond those it gave.
    pub(super) fn fetched(&mut self, exhausted: bool) {
        self.phase = match self.phase {
            Phase::Fetching { more: false } if exhausted => Phase::CaughtUp,
            _ => Phase::Behind,
        };
    }

    /// A letter was accepted. Whether it can go straight out; if not, a fetch will find it.
    pub(super) fn admits(&mut self, letter: &PendingLetter) -> bool {
        if letter.queue_id <= self.cursor {
            return false;
        }
        if self.phase == Phase::CaughtUp && self.room().0 > 0 {
            return true;
        }
        self.fall_behind();
        false
    }

    /// A letter was accepted that a fetch is to bring.
    pub(super) const fn fall_behind(&mut self) {
        self.phase = match self.phase {
            Phase::CaughtUp | Phase::Behind => Phase::Behind,
            Phase::Fetching { .. } => Phase::Fetching { more: true },
        };
    }

    /// A letter goes out.
    pub(super) fn give(&mut self, letter: &PendingLetter, now: Instant) {
        if self.given.is_empty() {
            self.progress_at = now;
        }
        self.cursor = letter.queue_id;
        self.given.push_back(HandedOver {
            id: letter.id,
            queue_id: letter.queue_id,
            bytes: letter.packet.len(),
            at: now,
        });
        self.given_bytes = self.given_bytes.saturating_add(letter.packet.len());
        if self.backlog_until.is_some_and(|until| letter.queue_id <= until) {
            self.backlog_count = self.backlog_count.saturating_add(1);
        }
    }

    /// A letter is not handed over: its recipient held it in an earlier session.
    pub(super) const fn pass(&mut self, letter: QueueId) {
        self.cursor = letter;
    }

    /// How many letters the backlog had, once, as soon as its last one has gone out.
    pub(super) fn backlog_end(&mut self) -> Option<u32> {
        let until = self.backlog_until?;
        if self.phase == Phase::CaughtUp || self.cursor >= until {
            self.backlog_until = None;
            return Some(self.backlog_count);
        }
        None
    }

    /// The client holds this letter.
    pub(super) fn acknowledge(&mut self, id: PacketId, now: Instant) -> Option<QueueId> {
        let at = self.given.iter().position(|given| given.id == id)?;
        self.progress_at = now;
        let given = self.given.remove(at)?;
        self.given_bytes = self.given_bytes.saturating_sub(given.bytes);
        self.keeps_up = now.since(given.at) <= Self::PROMPT;
        Some(given.queue_id)
    }

    /// The letters that were handed over and not acknowledged.
    pub(super) fn unacknowledged(&self) -> impl Iterator<Item = QueueId> {
        self.given.iter().map(|given| given.queue_id)
    }

    /// Whether the client keeps up, so that storage can wait for a moment: it may never be needed.
    pub(super) const fn keeps_up(&self) -> bool {
        self.keeps_up
    }

    /// Something large is coming in: an acknowledgment may be behind it.
    pub(super) const fn line_is_busy(&mut self, now: Instant) {
        self.progress_at = now;
    }

    /// When the client has kept letters for too long without acknowledging any. The first of them
    /// has its time to go over a slow line besides.
    pub(super) fn deadline(&self, deadlines: &Deadlines) -> Option<Instant> {
        let first = self.given.front()?;
        let parts = first.bytes.checked_div(PROGRESS_BYTES).unwrap_or(0);
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        let on_its_way = deadlines.packet.saturating_mul(parts);
        Some(self.progress_at.after(deadlines.progress.saturating_add(on_its_way)))
    }
}
