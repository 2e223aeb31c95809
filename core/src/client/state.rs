//! How far a connection has come.

use heapless::Deque;

use crate::crypto::{ReplyKey, SessionKey, SessionSeal};
use crate::id::{Nonce, PacketId};
use crate::limits::MAX_TOKENS;
use crate::time::Instant;
use crate::wire::{KeyQuestion, Op, StatusToken};

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
    /// The open 105.
    pub(super) question: Option<(PacketId, KeyQuestion)>,
    pub(super) last_query: Option<Instant>,
    pub(super) last_sent: Instant,
    /// Statuses of a shared 203 that have yet to be told.
    pub(super) shared: Deque<StatusToken, MAX_TOKENS>,
    /// A sealed 203 that lies opened in the control buffer and has yet to be told.
    pub(super) sealed: Option<OpenedStatuses>,
}

/// Where the rest of an opened list of statuses lies in the control buffer's payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenedStatuses {
    pub(super) at: usize,
    pub(super) end: usize,
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
            shared: Deque::new(),
            sealed: None,
        }
    }
}
