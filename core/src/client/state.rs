//! How far a connection has come.

use super::progress::{Due, Moved};
use crate::crypto::{ReplyKey, SessionKey, SessionSeal};
use crate::id::{Nonce, PacketId};
use crate::time::Instant;
use crate::wire::{KeyQuestion, Op};

/// The client's states (PROTOCOL.md, "State diagrams").
pub(super) enum State {
    /// Nothing has been said.
    Idle,
    /// 100 has gone out.
    AwaitingOtp { reply_key: ReplyKey, request: PacketId, due: Due },
    /// 101 or 106 has gone out; `answer` is 201 or 206.
    AwaitingSession { answer: Op, nonce: Nonce, form: Form, request: PacketId, due: Due },
    /// The confirmation has gone out.
    Active(Active),
    /// 222 has gone out.
    Leaving { active: Active, due: Due },
}

/// How a 106 was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Long,
    Short,
}

/// A session, as its client sees it.
pub(super) struct Active {
    pub(super) seal: SessionSeal,
    pub(super) nonce: Nonce,
    /// Whether the server has answered under the session's key.
    pub(super) proven: bool,
    /// The open 105.
    pub(super) question: Option<Question>,
    pub(super) last_query: Option<Instant>,
    pub(super) last_sent: Instant,
    /// When anything was last heard, and may first have been after the last letter went out.
    pub(super) heard: Instant,
    /// A letter has gone out, and nothing was heard since.
    pub(super) awaits_word: bool,
    /// Since when the backlog makes no progress; `None` when it has ended.
    pub(super) backlog_since: Option<Instant>,
    /// A 203 that lies opened in the control buffer and has yet to be told.
    pub(super) opened: Option<OpenedStatuses>,
}

/// A 105 without an answer.
pub(super) struct Question {
    pub(super) packet: PacketId,
    pub(super) about: KeyQuestion,
    /// Since when its answer is waited for.
    pub(super) asked: Due,
    /// The same, or since when nothing has been heard at all.
    pub(super) due: Due,
}

/// Where the rest of an opened list of statuses lies in the control buffer's payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenedStatuses {
    pub(super) layout: Layout,
    pub(super) at: usize,
    pub(super) end: usize,
}

/// How the statuses of a 203 are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// A whole id and a status each: [`crate::wire::Statuses`].
    Sealed,
    /// A block each, most of them noise: [`crate::wire::StatusToken`].
    Shared,
}

impl Active {
    pub(super) const fn new(key: SessionKey, nonce: Nonce, now: Instant) -> Self {
        Self {
            seal: SessionSeal::new(key),
            nonce,
            proven: false,
            question: None,
            last_query: None,
            last_sent: now,
            heard: now,
            awaits_word: false,
            backlog_since: Some(now),
            opened: None,
        }
    }
    /// Takes in what has moved.
    pub(super) fn note(&mut self, now: Instant, moved: &Moved) {
        if let Some(question) = &mut self.question {
            question.asked.note(moved);
            question.due.note(moved);
            if moved.read {
                question.due.heard(now);
            }
        }
        if moved.read {
            (self.heard, self.awaits_word) = (now, false);
        } else if moved.written > 0 {
            // Nobody can answer what is still under way.
            self.heard = self.heard.max(moved.arrived);
        }
    }

    /// The backlog makes progress, unless it has ended.
    pub(super) fn backlog_goes_on(&mut self, now: Instant) {
        self.backlog_since = self.backlog_since.map(|_| now);
    }
}
