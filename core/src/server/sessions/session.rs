//! What a client has proved a right to, and the session that it becomes.

use super::super::config::Rates;
use super::super::limiter::Allowance;
use super::answers::Answers;
use crate::crypto::SessionSeal;
use crate::id::{Nonce, UserId};
use crate::limits::MAX_UNANSWERED;
use crate::time::Instant;

/// A connection whose client has been offered a session, or has one.
pub(super) enum Line {
    Offered(Offer),
    Active(Session),
}

/// A session that its client has not confirmed. Nothing is routed to it, and it displaces
/// nobody: a recorded 101 or 106 played back gets exactly this far.
pub(super) struct Offer {
    pub(super) user: UserId,
    pub(super) seal: SessionSeal,
    pub(super) nonce: Nonce,
    pub(super) issue: u64,
}

/// A confirmed session.
pub(super) struct Session {
    pub(super) user: UserId,
    pub(super) seal: SessionSeal,
    /// The nonce of the request that opened it: what a shared 255 names.
    pub(super) nonce: Nonce,
    /// When it was confirmed.
    pub(super) since: Instant,
    /// Letters and questions without an answer.
    unanswered: usize,
    pub(super) status_queries: Allowance,
    /// Signed refusals.
    pub(super) refusals: Allowance,
    /// What it is to be told.
    pub(super) answers: Answers,
    /// The client has said that it leaves.
    pub(super) leaving: Option<Leaving>,
}

/// A client's 222 that waits for all that was read before it.
#[derive(Clone, Copy)]
pub(super) struct Leaving {
    /// When patience ends.
    pub(super) until: Instant,
    /// The last batch that holds a write of this session.
    pub(super) horizon: u64,
}

impl Session {
    pub(super) fn new(user: UserId, seal: SessionSeal, nonce: Nonce, since: Instant) -> Self {
        Self {
            user,
            seal,
            nonce,
            since,
            unanswered: 0,
            status_queries: Allowance::default(),
            refusals: Allowance::default(),
            answers: Answers::default(),
            leaving: None,
        }
    }

    /// The rates have changed: what was taken stays taken.
    pub(super) fn change_rates(&mut self, before: &Rates, rates: &Rates, now: Instant) {
        self.status_queries.change_rate(before.status_queries, rates.status_queries, now);
        self.refusals.change_rate(before.refusals, rates.refusals, now);
        self.answers.change_rate(before.answers, rates.answers, now);
    }

    /// A letter or a question has come.
    pub(super) fn asked(&mut self) {
        self.unanswered = self.unanswered.saturating_add(1);
    }

    /// So many letters and questions have their answer.
    pub(super) fn answered(&mut self, count: usize) {
        self.unanswered = self.unanswered.saturating_sub(count);
    }

    /// Whether it is still to be told something.
    pub(super) fn is_open(&self) -> bool {
        self.unanswered > 0 || !self.answers.is_empty()
    }

    /// Whether what its client sends has to wait.
    pub(super) fn must_wait(&self) -> bool {
        self.unanswered >= MAX_UNANSWERED || self.answers.are_enough() || self.leaving.is_some()
    }
}
