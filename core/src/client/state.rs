//! How far a connection has come.

use crate::crypto::{ReplyKey, SessionKey, SessionSeal};
use crate::id::{Nonce, PacketId};
use crate::time::Instant;
use crate::wire::{KeyQuestion, Op};

/// The client's states (PROTOCOL.md, "State diagrams").
pub(super) enum State {
    /// Nothing has been said.
    Idle,
    /// 100 has gone out.
    AwaitingOtp { reply_key: ReplyKey, request: PacketId, since: Instant },
    /// 101 or 106 has gone out; `answer` is 201 or 206.
    AwaitingSession { answer: Op, nonce: Nonce, form: Form, request: PacketId, since: Instant },
    /// The confirmation has gone out.
    Active(Active),
    /// 222 has gone out.
    Leaving { active: Active, since: Instant },
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
    /// Whether the 255 has come.
    pub(super) backlog_has_ended: bool,
    /// The open 105.
    pub(super) question: Option<Question>,
    pub(super) last_query: Option<Instant>,
    pub(super) last_sent: Instant,
    /// A 203 that lies opened in the control buffer and has yet to be told.
    pub(super) opened: Option<OpenedStatuses>,
}

/// A 105 without an answer.
pub(super) struct Question {
    pub(super) packet: PacketId,
    pub(super) about: KeyQuestion,
    /// When anything was last heard since it was asked.
    pub(super) heard: Instant,
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
            backlog_has_ended: false,
            question: None,
            last_query: None,
            last_sent: now,
            opened: None,
        }
    }
}
